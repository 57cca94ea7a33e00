"""From predictions to metrics with intervals, split by split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from precordial.errors import PrecordialError
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.predictions import IDS, Predictions
from precordial.evaluation.resampling import bootstrap, bootstrap_difference

Resample = Literal["patients", "ecgs"]

# "binary" is a label of which both values are common; of a rare "event", accuracy at 0.5 would say nothing.
METRICS_OF_KIND: dict[str, tuple[str, ...]] = {
    "regression": ("mae", "r2"),
    "binary": ("auc", "accuracy"),
    "event": ("auc",),
}
KINDS: dict[str, str] = {"age": "regression", "sex": "binary"}  # any other target is an event
# "site_test" is the test set where each site is left out in turn.
SPLITS = ("train", "validation", "random_test", "site_test", "temporal_test")


@dataclass(frozen=True)
class Result:
    """One metric of one target on one split."""

    split: str
    target: str
    metric: str
    estimate: Estimate


def evaluate(
    predictions: Predictions,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    resample: Resample = "patients",
    kinds: Mapping[str, str] = KINDS,
) -> list[Result]:
    """Every metric that a run's predictions allow, each with its basic bootstrap interval.

    An event (the infarction) is measured by AUC, sex by AUC and accuracy, age by MAE (years) and r², on each
    split that has rows; and on `combined_test`, the random and temporal test sets one after the other (the paper's
    micro-average), where both are there. ECGs without a truth are left out.

    Args:
        predictions: of one run.
        replicates: B, 1000 in the paper.
        level: confidence level.
        seed: of the resampling.
        resample: patients or ECGs.
        kinds: target to "regression", "binary" or "event" (which a target not named here is).

    Raises:
        PrecordialError: several runs, or an ECG twice in one split.

    >>> table = Predictions("r1", ["a", "b", "c"], ["p", "p", "q"], "validation", "age", [60, 70, 50], [61, 68, 53])
    >>> for result in evaluate(table, replicates=200):
    ...     print(result.metric, result.estimate)
    mae 2.000 (1.000–2.500)
    r2 0.930 (–)
    """

    known = predictions.rows(~np.isnan(predictions.truth))

    def estimate(metric: str, at: NDArray[np.intp]) -> Estimate:
        groups = known.patient_id if resample == "patients" else known.ecg_id
        return bootstrap(
            metric, known.truth[at], known.score[at], groups[at], replicates=replicates, level=level, seed=seed
        )

    return list(_results(known, kinds, estimate))


def compare(
    a: Predictions,
    b: Predictions,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    resample: Resample = "patients",
    kinds: Mapping[str, str] = KINDS,
) -> list[Result]:
    """The paired differences a − b of two runs on the same ECGs, as metrics named ``auc_difference`` and so on.

    Arguments as for `evaluate`; rows are matched by ECG, in whatever order they stand.

    Raises:
        PrecordialError: as `evaluate`; or the runs have no common target, or differ in ECGs, splits or truth.
    """
    common = sorted(set(a.target.tolist()) & set(b.target.tolist()))
    a, b = (t.rows(np.isin(t.target, common) & ~np.isnan(t.truth)) for t in (a, b))
    a, b = (t.rows(np.lexsort((t.ecg_id, t.split, t.target))) for t in (a, b))
    same = (np.array_equal(getattr(a, c), getattr(b, c)) for c in (*IDS[1:], "truth"))
    if not common or not all(same):
        raise PrecordialError(
            "the two runs were not scored on the same ECGs with the same truth",
            remedy="compare runs of one cohort and one label",
        )
    _check(b)

    def estimate(metric: str, at: NDArray[np.intp]) -> Estimate:
        groups = a.patient_id if resample == "patients" else a.ecg_id
        return bootstrap_difference(
            metric,
            a.truth[at],
            a.score[at],
            b.score[at],
            groups[at],
            replicates=replicates,
            level=level,
            seed=seed,
        )

    return [replace(r, metric=f"{r.metric}_difference") for r in _results(a, kinds, estimate)]


def _results(
    table: Predictions, kinds: Mapping[str, str], estimate: Callable[[str, NDArray[np.intp]], Estimate]
) -> Iterator[Result]:
    """The estimate of each metric on the rows of each target and split, the combined test set included."""
    _check(table)
    for target in sorted(set(table.target.tolist())):
        of_target = table.target == target
        rows = {split: np.flatnonzero(of_target & (table.split == split)) for split in SPLITS}
        rows |= {s: np.flatnonzero(of_target & (table.split == s)) for s in sorted({*table.split.tolist()} - {*SPLITS})}
        if len(rows["random_test"]) and len(rows["temporal_test"]):
            rows["combined_test"] = np.concatenate([rows["random_test"], rows["temporal_test"]])
        for split, at in rows.items():
            for metric in METRICS_OF_KIND[kinds.get(target, "event")] if len(at) else ():
                try:
                    yield Result(split, target, metric, estimate(metric, at))
                except ValueError as error:
                    raise PrecordialError(
                        f"the predictions of target '{target}' on {split}: {error}",
                        remedy="correct them, or name the target's kind",
                    ) from None


def _check(table: Predictions) -> None:
    runs = np.unique(table.run)
    if len(runs) > 1:
        raise PrecordialError(
            f"these are predictions of {len(runs)} runs", remedy="evaluate one at a time: predictions.select(run=…)"
        )
    # The two test sets count as one here, for they are put together.
    split = np.where(np.isin(table.split, ("random_test", "temporal_test")), "test", table.split)
    keys = zip(table.target.tolist(), split.tolist(), table.ecg_id.tolist(), strict=True)
    twice = len(table) - len(set(keys))
    if twice:
        raise PrecordialError(
            f"{twice} ECGs stand twice in one split, or in both test sets",
            remedy="keep one row per run, ECG and target",
        )
