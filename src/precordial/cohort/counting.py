"""Counting each step of a cohort into its flow chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from precordial.cohort.cohort import LABEL
from precordial.cohort.flow import NEVER, SPLITS, Count, Flow, FlowStep, fold_text
from precordial.cohort.people import rows_each
from precordial.cohort.splits import SOURCE_SPLITS, TARGET_SPLITS

MANY = 8  # outcomes; of more than so many, the flow chart tells only how many rows have any of them


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
        touched: int | None = None,
    ) -> None:
        """A box that keeps the rows `after` of the rows `before`.

        `touched` is the number of patients who lose a row, where it does not follow from the two, since ids changed.
        """
        kept = _box(branch, key, text, after)
        had, have = rows_each(before["patient_id"], after["patient_id"])
        if touched is None:
            touched = int((had > np.pad(have, (0, len(had) - len(have)))).sum())
        self._steps.append(
            replace(
                kept,
                why=why,
                excluded_patients=int(np.count_nonzero(had)) - int(np.count_nonzero(have)),
                excluded_visits=None if kept.visits is None else len(before) - len(after),
                excluded_ecgs=None if kept.ecgs is None else len(before) - len(after),
                touched_patients=touched,
                reasons=dict(reasons or {}),
            )
        )

    def parts(self, branch: str, table: pl.DataFrame, folds: Sequence[str] = ()) -> None:
        """A box for each split, and for each fold where the test set goes round.

        Args:
            branch: "target" or "source".
            table: with patient_id, split, for folds fold (from 0), and for the target "label:NAME" of each outcome.
            folds: names of the folds; see `fold_text`.
        """
        for key, text, part in _split_tables(branch, table, folds):
            reasons = _outcomes(part) if branch == "target" else {}
            for name in ("age", "sex"):
                missing = part[name].null_count() if name in part.columns else 0
                reasons |= {f"without {name}": missing} if missing else {}
            self._steps.append(replace(_box(branch, key, text, part), part=True, reasons=reasons))


def _split_tables(branch: str, table: pl.DataFrame, folds: Sequence[str]) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Key, words and rows of each split. Those of the paper's scheme are there also when they are empty."""
    found = set(table["split"].unique().to_list())
    usual = SOURCE_SPLITS if branch == "source" else () if "fold" in found else TARGET_SPLITS
    for split, text in SPLITS.items():
        if split in found or split in usual:
            yield split, text, table.filter(pl.col("split") == split)
    if "fold" in found:
        rest = table.filter(pl.col("split") == "fold")
        for number in range(max(len(folds), int(rest["fold"].max()) + 1)):  # type: ignore[arg-type]
            yield f"fold-{number + 1}", fold_text(number, folds), rest.filter(pl.col("fold") == number)
        never = rest.filter(pl.col("fold") < 0)
        if len(never):
            yield NEVER[0], NEVER[1], never


def _outcomes(part: pl.DataFrame) -> dict[str, Count]:
    """How many have each outcome, and of how many it is unknown."""
    labels = {name.removeprefix(LABEL): part[name] for name in part.columns if name.startswith(LABEL)}
    if len(labels) > MANY:
        some = part.select(pl.any_horizontal((pl.col(f"{LABEL}{name}") == 1).fill_null(False) for name in labels))
        return {f"with any of {len(labels)} outcomes": int(some.to_series().sum())}
    reasons: dict[str, Count] = {}
    for name, label in labels.items():
        one = len(labels) == 1
        reasons["with the outcome" if one else f"with {name}"] = int((label == 1).sum())
        unknown = label.null_count()
        reasons |= {f"{'outcome' if one else name} unknown": unknown} if unknown else {}
    return reasons


def _patients(table: pl.DataFrame) -> int:
    return int(np.count_nonzero(rows_each(table["patient_id"])[0]))


def _box(branch: str, key: str, text: str, table: pl.DataFrame) -> FlowStep:
    """A row is a visit where there is an arrival, else an ECG."""
    if branch == "target" and "arrival" in table.columns:
        return FlowStep(branch, key, text, patients=_patients(table), visits=len(table))
    return FlowStep(branch, key, text, patients=_patients(table), ecgs=len(table))
