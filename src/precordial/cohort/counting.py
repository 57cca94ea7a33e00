"""Counting each step of a cohort into its flow chart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
                patients=_patients(ecgs) or None,  # files without patient ids: the label table has them
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
        self._steps.append(_box(branch, key, text, table))

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
        lost = _box(branch, key, why, left_out)
        self._steps.append(
            replace(
                _box(branch, key, text, after),
                why=why,
                excluded_patients=_patients(before) - _patients(after),
                excluded_visits=lost.visits,
                excluded_ecgs=lost.ecgs,
                touched_patients=lost.patients,
                reasons=dict(reasons or {}),
            )
        )

    def parts(self, branch: str, table: pl.DataFrame) -> None:
        """A box for each split."""
        for split in TARGET_SPLITS if branch == "target" else SOURCE_SPLITS:
            part = table.filter(pl.col("split") == split)
            reasons = {}
            if branch == "target":
                label = next(name for name in part.columns if name.startswith("label:"))
                reasons["with the outcome"] = int((part[label] == 1).sum())
            for name in ("age", "sex"):
                if name in part.columns:
                    reasons[f"without {name}"] = part[name].null_count()
            shown = {text: count for text, count in reasons.items() if count or text == "with the outcome"}
            self._steps.append(replace(_box(branch, split, _SPLITS[split], part), part=True, reasons=shown))


def _patients(table: pl.DataFrame) -> int:
    return table["patient_id"].drop_nulls().n_unique()


def _box(branch: str, key: str, text: str, table: pl.DataFrame) -> FlowStep:
    """A row is a visit where there is an arrival, else an ECG."""
    if branch == "target" and "arrival" in table.columns:
        return FlowStep(branch, key, text, patients=_patients(table), visits=len(table))
    return FlowStep(branch, key, text, patients=_patients(table), ecgs=len(table))
