"""From predictions to metrics with intervals, split by split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from precordial.errors import PrecordialError
from precordial.evaluation.delong import delong_auc, delong_test
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.intervals import IntervalName
from precordial.evaluation.predictions import IDS, Predictions
from precordial.evaluation.resampling import Resamples, resample_metric

Resample = Literal["patients", "ecgs"]
Interval = Literal["basic", "percentile", "bca", "delong"]

# "binary" is a label of which both values are common; of a rare "event", accuracy at 0.5 would say nothing.
METRICS_OF_KIND: dict[str, tuple[str, ...]] = {
    "regression": ("mae", "r2"),
    "binary": ("auc", "accuracy"),
    "event": ("auc", "average_precision"),
}
KINDS: dict[str, str] = {"age": "regression", "sex": "binary"}  # any other target is an event
# "site_test" is the test set where each site is left out in turn.
SPLITS = ("train", "validation", "random_test", "site_test", "temporal_test")


@dataclass(frozen=True)
class Result:
    """One metric of one target on one split.

    Attributes:
        split, target, metric: which.
        estimate: with its interval.
        p: of a difference, its two-sided p-value; NaN where that is not to be had.
    """

    split: str
    target: str
    metric: str
    estimate: Estimate
    p: float | None = None


@dataclass(frozen=True)
class Options:
    """How intervals are made; see `evaluate`."""

    replicates: int = 1000
    level: float = 0.95
    seed: int = 0
    resample: Resample = "patients"
    interval: Interval = "basic"
    stratify: bool = False
    kinds: Mapping[str, str] = field(default_factory=lambda: KINDS)

    @property
    def of_bootstrap(self) -> IntervalName:
        """The bootstrap interval of what has no interval of DeLong's: the paper's."""
        return "basic" if self.interval == "delong" else self.interval

    def groups(self, table: Predictions) -> NDArray[np.str_]:
        """What is resampled, row by row."""
        return table.patient_id if self.resample == "patients" else table.ecg_id

    def resamples(
        self, metric: str, tables: Sequence[Predictions], at: NDArray[np.intp], coefficients: Sequence[float] = (1.0,)
    ) -> Resamples:
        """The metric of some rows on all resamples, summed over aligned tables by the coefficients."""
        first = tables[0]
        regression = self.kinds.get(str(first.target[at[0]])) == "regression"
        return resample_metric(
            metric,
            first.truth[at],
            [table.score[at] for table in tables],
            self.groups(first)[at],
            coefficients=coefficients,
            replicates=self.replicates,
            seed=self.seed,
            stratify=self.stratify and not regression,
        )

    def estimate(self, metric: str, table: Predictions, at: NDArray[np.intp]) -> Estimate:
        """One metric of some rows, with its interval."""
        if metric == "auc" and self.interval == "delong":
            return delong_auc(table.truth[at], table.score[at], self.groups(table)[at], level=self.level)
        return self.resamples(metric, [table], at).estimate(self.of_bootstrap, self.level)

    def difference(self, metric: str, a: Predictions, b: Predictions, at: NDArray[np.intp]) -> tuple[Estimate, float]:
        """The difference a − b of two aligned tables in one metric, with its interval, and its p-value."""
        test = None
        if metric == "auc":
            test = delong_test(a.truth[at], a.score[at], b.score[at], self.groups(a)[at], level=self.level)
            if self.interval == "delong":
                return test.difference, test.p
        drawn = self.resamples(metric, [a, b], at, (1, -1))
        p = drawn.p_value(self.of_bootstrap) if test is None else test.p
        return drawn.estimate(self.of_bootstrap, self.level), p


def evaluate(
    predictions: Predictions,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    resample: Resample = "patients",
    interval: Interval = "basic",
    stratify: bool = False,
    kinds: Mapping[str, str] = KINDS,
) -> list[Result]:
    """Every metric that a run's predictions allow, each with its interval.

    An event (the infarction) is measured by AUC and average precision, sex by AUC and accuracy, age by MAE (years) and
    r², on each split that has rows; and on `combined_test`, the random and temporal test sets one after the other (the
    paper's micro-average), where both are there. ECGs without a truth are left out.

    Args:
        predictions: of one run.
        replicates: B, 1000 in the paper.
        level: confidence level.
        seed: of the resampling.
        resample: patients or ECGs; also what DeLong's variance takes as one.
        interval: "basic" (the paper's), "percentile" or "bca" of the bootstrap; or "delong" for AUCs, and basic ones
            for other metrics.
        stratify: draw patients with an event, and those without, by themselves; regressions have no such strata.
        kinds: target to "regression", "binary" or "event" (which a target not named here is).

    Raises:
        PrecordialError: several runs, or an ECG twice in one split.

    >>> table = Predictions("r1", ["a", "b", "c"], ["p", "p", "q"], "validation", "age", [60, 70, 50], [61, 68, 53])
    >>> for result in evaluate(table, replicates=200):
    ...     print(result.metric, result.estimate)
    mae 2.000 (1.000–2.500)
    r2 0.930 (–)
    """
    options = Options(replicates, level, seed, resample, interval, stratify, kinds)
    known = predictions.rows(~np.isnan(predictions.truth))

    return list(results_of(known, kinds, lambda metric, at: (options.estimate(metric, known, at), None)))


def compare(
    a: Predictions,
    b: Predictions,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    resample: Resample = "patients",
    interval: Interval = "basic",
    stratify: bool = False,
    kinds: Mapping[str, str] = KINDS,
) -> list[Result]:
    """The paired differences a − b of two runs on the same ECGs, as metrics named ``auc_difference`` and so on.

    Arguments as for `evaluate`; rows are matched by ECG, in whatever order they stand. The p-value of a difference of
    AUCs is DeLong's, whatever the interval; that of another metric is the bootstrap's
    (`precordial.evaluation.intervals.bootstrap_p_value`).

    Raises:
        PrecordialError: as `evaluate`; or the runs have no common target, or differ in ECGs, splits or truth.
    """
    options = Options(replicates, level, seed, resample, interval, stratify, kinds)
    a, b = aligned([a, b])

    found = results_of(a, kinds, lambda metric, at: options.difference(metric, a, b, at))
    return [replace(result, metric=f"{result.metric}_difference") for result in found]


def aligned(tables: Sequence[Predictions]) -> list[Predictions]:
    """The rows of the common targets of several runs that have a truth, in one order.

    Raises:
        PrecordialError: they have no common target, or differ in ECGs, splits or truth; or an ECG stands twice.
    """
    common = sorted(set.intersection(*(set(table.target.tolist()) for table in tables)))
    tables = [t.rows(np.isin(t.target, common) & ~np.isnan(t.truth)) for t in tables]
    tables = [t.rows(np.lexsort((t.ecg_id, t.split, t.target))) for t in tables]
    first = tables[0]
    for other in tables[1:]:
        same = (np.array_equal(getattr(first, c), getattr(other, c)) for c in (*IDS[1:], "truth"))
        if not common or not all(same):
            raise PrecordialError(
                "the runs were not scored on the same ECGs with the same truth",
                remedy="compare runs of one cohort and one label",
            )
        _check(other)
    return tables


def results_of(
    table: Predictions,
    kinds: Mapping[str, str],
    estimate: Callable[[str, NDArray[np.intp]], tuple[Estimate, float | None]],
) -> Iterator[Result]:
    """The estimate of each metric on the rows of each target and split, the combined test set included."""
    for target, split, at in parts(table):
        for metric in METRICS_OF_KIND[kinds.get(target, "event")]:
            try:
                yield Result(split, target, metric, *estimate(metric, at))
            except ValueError as error:
                raise PrecordialError(
                    f"the predictions of target '{target}' on {split}: {error}",
                    remedy="correct them, or name the target's kind",
                ) from None


def parts(table: Predictions) -> Iterator[tuple[str, str, NDArray[np.intp]]]:
    """Target, split and row numbers of what is measured as one; the combined test set included.

    Raises:
        PrecordialError: several runs, or an ECG twice in one split.
    """
    _check(table)
    for target in sorted(set(table.target.tolist())):
        of_target = table.target == target
        rows = {split: np.flatnonzero(of_target & (table.split == split)) for split in SPLITS}
        rows |= {s: np.flatnonzero(of_target & (table.split == s)) for s in sorted({*table.split.tolist()} - {*SPLITS})}
        if len(rows["random_test"]) and len(rows["temporal_test"]):
            rows["combined_test"] = np.concatenate([rows["random_test"], rows["temporal_test"]])
        yield from ((target, split, at) for split, at in rows.items() if len(at))


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
