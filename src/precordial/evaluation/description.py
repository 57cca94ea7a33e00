"""Everything that the report says of a model's scores, as one list of numbers: for scores of any model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from precordial.errors import PrecordialError
from precordial.evaluation.by_split import METRICS_OF_KIND, Options, aligned, parts
from precordial.evaluation.calibration import calibration
from precordial.evaluation.comparisons import holm
from precordial.evaluation.delong import delong_auc
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.operating import PROPORTIONS, operate, usual_thresholds
from precordial.evaluation.scores import Scores
from precordial.evaluation.subgroups import subgroups
from precordial.evaluation.zones import find_zones, measure_zones

VALIDATION = "validation"
CALIBRATION = ("brier", "scaled_brier", "slope", "intercept", "in_the_large", "observed_expected")
OF_ZONES = ("rule_out", "intermediate", "rule_in", "sensitivity", "npv", "specificity", "ppv")


@dataclass(frozen=True)
class Statistic:
    """One number.

    Attributes:
        target, split: of what.
        part: "discrimination" (of a regression: its errors), "calibration", "threshold", "zones", or "groups".
        of: of a threshold, the rule by which it was found or "given", and the threshold; of the zones their bounds; of
            a group its column and name; else empty.
        measure: such as "auc".
        estimate: with its interval.
        p: of the interaction test, with the measure "interaction"; else None.
    """

    target: str
    split: str
    part: str
    of: str
    measure: str
    estimate: Estimate
    p: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same ECGs.

    Attributes:
        a, b: names of the runs.
        target, split, metric: in what.
        of_a, of_b, difference: each with its interval; the difference is a − b.
        p: two-sided, see `precordial.evaluation.compare`.
        p_adjusted: by Holm over all runs that a is compared with.
    """

    a: str
    b: str
    target: str
    split: str
    metric: str
    of_a: Estimate
    of_b: Estimate
    difference: Estimate
    p: float
    p_adjusted: float


def describe(
    scores: Scores,
    options: Options,
    *,
    thresholds: Sequence[float] = (),
    validation: str = VALIDATION,
    smallest: int = 0,
) -> list[Statistic]:
    """All statistics of a table of scores.

    Of each target on each split, and on both test sets together: discrimination and, for probabilities, calibration;
    what the given thresholds do; what the usual thresholds and the zones that were fixed on the validation set do
    elsewhere; and the AUC by group.

    Args:
        scores: see `precordial.evaluation.scores.read_scores`.
        options: of intervals; its kinds are those of the scores.
        thresholds: to be tried, as scores are given.
        validation: the split on which thresholds and zones are found; without it there are none of these.
        smallest: what is of 1 to one below it patients, ECGs, events or ECGs without is left out.

    Raises:
        PrecordialError: an ECG twice, or scores that cannot be measured so.
    """
    options = replace(options, kinds=scores.kinds)
    found: list[Statistic] = []
    try:
        for target, split, at in parts(scores.table):
            found += _described(scores, options, target, split, at, thresholds, validation)
    except ValueError as error:
        raise PrecordialError(f"{scores.name}: {error}") from None
    found = [one for one in found if not _small(one.estimate, smallest)]
    if scores.has_patients:
        return found
    return [replace(one, estimate=replace(one.estimate, patients=None)) for one in found]


def differences(runs: Sequence[Scores], options: Options, *, smallest: int = 0) -> list[Comparison]:
    """The first run against each of the others, with p-values corrected over these.

    Args:
        runs: at least two, scored on the same ECGs.
        options: see `precordial.evaluation.evaluate`; its kinds are those of the first run.
        smallest: see `describe`.

    Raises:
        PrecordialError: a run without ids of ECGs; runs that were not scored on the same ECGs; or an ECG twice.
    """
    options = replace(options, kinds=runs[0].kinds)
    for run in runs:
        if not run.has_ecgs:
            raise PrecordialError(
                f"{run.name} has no ids of ECGs, by which rows could be matched", remedy="name their column with --ecg"
            )
    tables = aligned([run.table for run in runs])
    ranks = any(run.ranks for run in runs)
    found: list[Comparison] = []
    for target, split, at in parts(tables[0]):
        for metric in _metrics(options.kinds.get(target, "event"), ranks):
            pairs = [options.difference(metric, tables[0], other, at) for other in tables[1:]]
            each = [options.estimate(metric, table, at) for table in tables]
            adjusted = holm([p for _, p in pairs]).tolist()
            others = zip(runs[1:], each[1:], pairs, adjusted, strict=True)
            found += [
                Comparison(runs[0].name, run.name, target, split, metric, each[0], of_b, difference, p, corrected)
                for run, of_b, (difference, p), corrected in others
                if not _small(difference, smallest)
            ]
    return found


def _metrics(kind: str, ranks: bool) -> tuple[str, ...]:
    """What two runs are compared in."""
    metrics = METRICS_OF_KIND[kind] if kind == "regression" else (*METRICS_OF_KIND[kind], "brier")
    return tuple(name for name in metrics if not ranks or name in ("auc", "average_precision", "mae", "r2"))


def _described(
    scores: Scores,
    options: Options,
    target: str,
    split: str,
    at: NDArray[np.intp],
    thresholds: Sequence[float],
    validation: str,
) -> Iterator[Statistic]:
    table, kind, level = scores.table, scores.kinds[target], options.level
    truth, score, patients = table.truth[at], table.score[at], options.groups(table)[at]

    def one(part: str, measure: str, estimate: Estimate, of: str = "", p: float | None = None) -> Statistic:
        return Statistic(target, split, part, of, measure, estimate, p)

    for metric in METRICS_OF_KIND[kind]:
        if metric == "accuracy" and scores.ranks:
            continue
        yield one("discrimination", metric, options.estimate(metric, table, at))
        if metric == "auc":
            on_logit = delong_auc(truth, score, patients, level=level, scale="logit")
            yield one("discrimination", "auc_delong", delong_auc(truth, score, patients, level=level))
            yield one("discrimination", "auc_delong_logit", on_logit)
    if kind == "regression" or len(set(truth.tolist())) < 2:
        return
    if not scores.ranks:
        fitted = calibration(truth, score, patients, level=level)
        for name in CALIBRATION:
            yield one("calibration", name, getattr(fitted, name))
    fixed = table.select(split=validation, target=target)
    elsewhere = len(fixed) > 0 and split != validation
    usual = usual_thresholds(fixed.truth, fixed.score) if elsewhere else []
    for rule, value in [*(("given", value) for value in thresholds), *((rule.name, rule.value) for rule in usual)]:
        if math.isnan(value):
            continue
        point = operate(truth, score, value, patients, level=level, replicates=options.replicates, seed=options.seed)
        for name in PROPORTIONS:
            share = point.by_patient.get(name, getattr(point, name))
            yield one("threshold", name, share, f"{rule}: from {value:.4g} on")
    if elsewhere:
        bounds = find_zones(fixed.truth, fixed.score)
        zones = measure_zones(truth, score, bounds, level=level)
        ends = (("no rule-out", "rule-out below", bounds.low), ("no rule-in", "rule-in from", bounds.high))
        of = ", ".join(none if math.isnan(end) else f"{words} {end:.4g}" for none, words, end in ends)
        for name in OF_ZONES:
            yield one("zones", name, getattr(zones, name), of)
    factors = {name: column[at] for name, column in scores.groups.items()}
    for factor in subgroups(truth, score, factors, patients, level=level):
        for group in factor.groups:
            alone = Estimate(math.nan, math.nan, math.nan, level, group.ecgs, group.events)
            yield one("groups", "auc", group.auc or alone, f"{factor.name}: {group.name}")
        test = Estimate(factor.chi_square, math.nan, math.nan, level)
        yield one("groups", "interaction", test, factor.name, factor.p)


def _small(estimate: Estimate, smallest: int) -> bool:
    """Whether a number is of so few that it is not to be shown."""
    events = estimate.events
    counts = (estimate.n, estimate.patients, events, None if events is None else estimate.n - events)
    return any(count is not None and 0 < count < smallest for count in counts)
