"""Counting each step of a cohort into its flow chart."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from precordial.cohort.flow import Flow, FlowStep
from precordial.cohort.splits import SOURCE_SPLITS, TARGET_SPLITS

_SPLITS = {
    "train": "training",
    "validation": "validation",
    "random_test": "random test",
    "temporal_test": "temporal test",
}


class FlowChart:
    """Collects the steps while a cohort is built."""

    def __init__(self) -> None:
        self._steps: list[FlowStep] = []

    def flow(self) -> Flow:
        """What was collected so far."""
        return Flow(tuple(self._steps))

    def archive(self, ecgs: pl.DataFrame, unusable: Mapping[str, int]) -> None:
        """All ECG files, and the usable ones; `unusable` is reason → number."""
        files = len(ecgs) + sum(unusable.values())
        self._steps += [
            FlowStep("archive", "files", "ECG files", ecgs=files),
            FlowStep(
                "archive",
                "usable",
                "usable",
                patients=_patients(ecgs),
                ecgs=len(ecgs),
                why="unusable",
                excluded_ecgs=files - len(ecgs),
                reasons={f"unusable: {reason}": count for reason, count in unusable.items()},
            ),
        ]

    def join(self, ecgs: pl.DataFrame, joined: pl.DataFrame, rows: pl.DataFrame) -> None:
        """The ECGs that the label table knows. Patients are counted from here on: the table names them."""
        self._steps.append(
            FlowStep(
                "archive",
                "in-table",
                "in the label table",
                patients=_patients(joined),
                ecgs=len(joined),
                why="not in the label table",
                excluded_ecgs=len(ecgs) - len(joined),
                reasons={"rows of the label table without an ECG in the archive": len(rows) - len(joined)},
            )
        )

    def start(self, branch: str, key: str, text: str, table: pl.DataFrame) -> None:
        """The first box of a branch."""
        self._steps.append(FlowStep(branch, key, text, patients=_patients(table), **_rows(table, branch)))

    def step(
        self,
        branch: str,
        key: str,
        text: str,
        before: pl.DataFrame,
        after: pl.DataFrame,
        why: str,
        *,
        reasons: Mapping[str, int] | None = None,
    ) -> None:
        """A box that keeps the rows `after` of the rows `before`."""
        row = "row" if "row" in before.columns else "ecg_id"
        left_out = before.join(after.select(row), on=row, how="anti")
        lost = {f"excluded_{name}": count for name, count in _rows(left_out, branch).items()}
        self._steps.append(
            FlowStep(
                branch,
                key,
                text,
                patients=_patients(after),
                why=why,
                excluded_patients=_patients(before) - _patients(after),
                touched_patients=_patients(left_out),
                reasons=dict(reasons or {}),
                **_rows(after, branch),
                **lost,
            )
        )

    def parts(self, branch: str, table: pl.DataFrame) -> None:
        """A box for each split."""
        for split in TARGET_SPLITS if branch == "target" else SOURCE_SPLITS:
            part = table.filter(pl.col("split") == split)
            reasons = {}
            if branch == "target":
                reasons["with the outcome"] = int((part["label"] == 1).sum())
            for name in ("age", "sex"):
                if name in part.columns:
                    reasons[f"without {name}"] = part[name].null_count()
            self._steps.append(
                FlowStep(
                    branch,
                    split,
                    _SPLITS[split],
                    patients=_patients(part),
                    part=True,
                    reasons={text: count for text, count in reasons.items() if count or text == "with the outcome"},
                    **_rows(part, branch),
                )
            )


def _patients(table: pl.DataFrame) -> int:
    return table["patient_id"].drop_nulls().n_unique()


def _rows(table: pl.DataFrame, branch: str) -> dict[str, int]:
    """Rows are visits where there is an arrival, else ECGs."""
    return {"visits" if branch == "target" and "arrival" in table.columns else "ecgs": len(table)}
