"""Which trainings are read clinically, and their predictions beside what is known of each ECG."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from precordial.cohort import Cohort, age_sex_baseline
from precordial.evaluation import Predictions, Row
from precordial.evaluation.metrics import Floats
from precordial.report.tables import TRAINED, at_largest

SINGLE = ("random_test", "site_test", "temporal_test")
BOTH = ("random_test", "temporal_test")
# Runs and an outcome → their predictions; `precordial.study.read_predictions` with the study's folder is one.
Source = Callable[[Collection[str], str], Predictions]


@dataclass(frozen=True, eq=False)
class Ecgs:
    """The ECGs of one split whose outcome is known; arrays (n,).

    Attributes:
        ecg_id: of the archive.
        truth: 0 or 1.
        scores: run → probabilities; "baseline" is the logistic regression on age and sex, NaN where there is none.
        patients: numbers that stand for the patients.
        age, sex: years, and 1 = female; NaN if unknown.
        site, device: "" if unknown.
        recorded: "before arrival", "after arrival", "" if a time is unknown.
    """

    ecg_id: NDArray[np.str_]
    truth: Floats
    scores: dict[str, Floats]
    patients: NDArray[np.intp]
    age: Floats
    sex: Floats
    site: NDArray[np.str_]
    device: NDArray[np.str_]
    recorded: NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Reading:
    """All that the clinical reading of one outcome is made from.

    Attributes:
        outcome: name.
        runs: the fine-tuned run with the highest validation AUC, then its twin from scratch; or the best from scratch
            alone.
        splits: "validation", each test set that there is, and "combined_test" where there are the paper's two.
    """

    outcome: str
    runs: tuple[Row, ...]
    splits: dict[str, Ecgs]

    @property
    def best(self) -> str:
        """Id of the run that is read."""
        return self.runs[0].run

    @property
    def tests(self) -> dict[str, Ecgs]:
        """The test sets, the combined one last."""
        return {split: part for split, part in self.splits.items() if split != "validation"}

    @property
    def validation(self) -> Ecgs | None:
        """The validation set; None in a cross-validation, where each fold has its own."""
        return self.splits.get("validation")

    @property
    def main(self) -> str:
        """The test set of the figures: the combined one, or else the first."""
        return "combined_test" if "combined_test" in self.tests else next(iter(self.tests))


def choose_runs(rows: Sequence[Row], outcome: str) -> tuple[Row, ...]:
    """The best fine-tuned run by its AUC on the validation set, at the study's largest fractions, and its twin.

    Without fine-tuned runs it is the best one from scratch. Without validation AUCs, as in a cross-validation, it is
    the first in the order of the results.
    """
    of = [row for row in rows if row.target == outcome and row.metric == "auc" and row.kind in TRAINED]
    largest, _ = at_largest(of)
    for kind in ("finetune", "scratch"):
        found = [row for row in largest if row.kind == kind]
        validated = [row for row in found if row.split == "validation" and not math.isnan(row.value)]
        if found:
            best = max(validated, key=lambda row: row.value) if validated else found[0]
            about = best.model, best.target_fraction, best.seed
            twins = [r for r in largest if r.kind == "scratch" and (r.model, r.target_fraction, r.seed) == about]
            return (best, *twins[:1]) if kind == "finetune" else (best,)
    return ()


def read(cohort: Cohort, rows: Sequence[Row], predictions: Source, outcome: str, smallest: int = 0) -> Reading | None:
    """Gather one outcome's reading; None where no run has predictions on a test set.

    Args:
        cohort: that was trained on.
        rows: the results table.
        predictions: see `Source`.
        outcome: of the cohort.
        smallest: a set with fewer ECGs with the outcome, or without, is left out, for its numbers would tell them.
    """
    runs = choose_runs(rows, outcome)
    if not runs:
        return None
    tables = predictions([row.run for row in runs], outcome)
    scored = {row.run: tables.select(run=row.run, target=outcome) for row in runs}
    if any(row.kind == "baseline" and row.target == outcome for row in rows):
        baseline = age_sex_baseline(cohort, runs[0].target_fraction or 1)
        scored["baseline"] = baseline.select(target=outcome)
    splits = {}
    for split in ("validation", *SINGLE):
        part = join(cohort, {run: table.select(split=split) for run, table in scored.items()}, runs[0].run)
        events = int(part.truth.sum())
        if len(part.truth) and not any(0 < n < smallest for n in (events, len(part.truth) - events)):
            splits[split] = part
    if set(BOTH) <= set(splits):
        splits["combined_test"] = _together([splits[split] for split in BOTH])
    return Reading(outcome, runs, splits) if set(splits) - {"validation"} else None


def join(cohort: Cohort, scored: dict[str, Predictions], first: str) -> Ecgs:
    """The ECGs of the first run's predictions whose truth is known, with all scores and the cohort's columns.

    Args:
        cohort: that was scored.
        scored: run → predictions of one split and target.
        first: the run that says which ECGs there are; an ECG that another run lacks has NaN there.
    """
    table = scored[first]
    table = table.rows(~np.isnan(table.truth))
    target = np.flatnonzero(cohort.role == "target")
    row_of = dict(zip(cohort.ecg_id[target].tolist(), target.tolist(), strict=True))
    at = np.array([row_of[ecg] for ecg in table.ecg_id.tolist()], np.intp)
    scores = {}
    for run, other in scored.items():
        of = dict(zip(other.ecg_id.tolist(), other.score.tolist(), strict=True))
        scores[run] = np.array([of.get(ecg, math.nan) for ecg in table.ecg_id.tolist()], np.float64)
    recorded, arrival = cohort.recorded_at[at], cohort.arrival[at]
    when = np.where(recorded < arrival, "before arrival", "after arrival")
    return Ecgs(
        table.ecg_id,
        table.truth,
        scores,
        np.unique(cohort.patient_id[target], return_inverse=True)[1][np.searchsorted(target, at)],
        cohort.age[at],
        cohort.sex[at],
        cohort.site[at],
        cohort.device[at],
        np.where(np.isnat(recorded) | np.isnat(arrival), "", when),
    )


def _together(parts: Sequence[Ecgs]) -> Ecgs:
    def column(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    scores = {run: np.concatenate([part.scores[run] for part in parts]) for run in parts[0].scores}
    names = ("patients", "age", "sex", "site", "device", "recorded")
    return Ecgs(column("ecg_id"), column("truth"), scores, *(column(name) for name in names))  # type: ignore[arg-type]
