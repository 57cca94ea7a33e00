"""Trainings that differ in their seed alone: how far they spread, beside the error of the sample of patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from precordial.evaluation.by_split import KINDS, Options, Resample, Result, aligned, results_of
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.metrics import Floats, measure
from precordial.evaluation.predictions import Predictions
from precordial.evaluation.resampling import Resamples


@dataclass(frozen=True)
class AcrossSeeds:
    """A metric over S seeds, or a difference over S pairs of runs with one seed each.

    Attributes:
        split, target, metric: which; a difference has "_difference" behind its name.
        values: of each seed.
        estimate: their mean. Its interval holds both errors; it is that of Student's t, since few seeds tell little of
            their spread.
        seed_sd: standard deviation between seeds; NaN with one seed.
        sampling_se: standard error of the mean from the sample of patients, by the bootstrap: all seeds are measured
            on the same resamples, since their errors from this source are common.
        combined_se: of the mean, √(sampling_se² + seed_sd² / S).
    """

    split: str
    target: str
    metric: str
    values: tuple[float, ...]
    estimate: Estimate
    seed_sd: float
    sampling_se: float
    combined_se: float

    def results(self) -> list[Result]:
        """As rows of the results table, with "_seed_mean", "_seed_sd" and "_sampling_se" behind the metric's name."""
        none = replace(self.estimate, low=math.nan, high=math.nan)
        return [
            Result(self.split, self.target, f"{self.metric}_seed_mean", self.estimate),
            Result(self.split, self.target, f"{self.metric}_seed_sd", replace(none, value=self.seed_sd)),
            Result(self.split, self.target, f"{self.metric}_sampling_se", replace(none, value=self.sampling_se)),
        ]


def across_seeds(
    tables: Sequence[Predictions],
    minus: Sequence[Predictions] = (),
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    resample: Resample = "patients",
    stratify: bool = False,
    kinds: Mapping[str, str] = KINDS,
) -> list[AcrossSeeds]:
    """Every metric over the seeds, on each split of each target.

    Args:
        tables: predictions of each seed, on the same ECGs; at least one.
        minus: predictions of each seed of what is compared, in the same order of seeds: the differences are measured.
        replicates, level, seed, resample, stratify, kinds: see `precordial.evaluation.evaluate`.

    Raises:
        PrecordialError: the tables differ in ECGs, splits or truth.
        ValueError: `minus` is of another length.
    """
    if not tables or (minus and len(minus) != len(tables)):
        raise ValueError(f"{len(tables)} seeds, and {len(minus)} to compare them with")
    options = Options(replicates, level, seed, resample, "basic", stratify, kinds)
    s, paired = len(tables), aligned([*tables, *minus])
    signs = np.repeat([1.0, -1.0], s)[: len(paired)]
    measured: list[tuple[Floats, Resamples]] = []

    def estimate(metric: str, at: NDArray[np.intp]) -> tuple[Estimate, None]:
        each = signs * [measure(metric, table.truth[at], table.score[at]) for table in paired]
        measured.append((each.reshape(-1, s).sum(axis=0), options.resamples(metric, paired, at, (signs / s).tolist())))
        return measured[-1][1].estimate(level=level), None

    results = list(results_of(paired[0], kinds, estimate))
    ending = "_difference" if minus else ""
    return [
        _together(replace(result, metric=f"{result.metric}{ending}"), values, drawn)
        for result, (values, drawn) in zip(results, measured, strict=True)
    ]


def _together(result: Result, values: Floats, drawn: Resamples) -> AcrossSeeds:
    s, sampling = len(values), drawn.standard_error
    seed_sd = float(values.std(ddof=1)) if s > 1 else math.nan
    combined = math.sqrt(sampling**2 + seed_sd**2 / s)
    # Satterthwaite: the sampling error is taken as known, the spread has S − 1 degrees of freedom.
    freedom = (s - 1) * (s * combined**2 / seed_sd**2) ** 2 if seed_sd > 0 else math.inf
    reach = _t_quantile((1 + result.estimate.level) / 2, freedom) * combined
    estimate = replace(result.estimate, low=drawn.value - reach, high=drawn.value + reach)
    return AcrossSeeds(
        result.split, result.target, result.metric, tuple(values.tolist()), estimate, seed_sd, sampling, combined
    )


def _t_quantile(share: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(min(freedom, 1e9), share))
