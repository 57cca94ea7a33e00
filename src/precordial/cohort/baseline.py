"""What age and sex alone say about the target: the baseline of every model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from precordial.cohort.cohort import Cohort
from precordial.errors import PrecordialError
from precordial.evaluation import Predictions, fit_logistic

SCORED = ("validation", "random_test", "site_test", "temporal_test")


def age_sex_baseline(cohort: Cohort, fraction: str | float | Fraction = 1) -> Predictions:
    """Predictions of logistic regressions on age and sex, one per outcome, fitted on the target's training ECGs.

    Args:
        cohort: with source, target, or both.
        fraction: share of the target's training patients.

    Returns:
        Their probabilities on the target's validation and test sets; run "baseline", the outcome as target. Where there
        are several outcomes, one whose known training labels are all equal is left out.

    Raises:
        PrecordialError: no outcome has both labels in training.
    """

    def features(part: Cohort) -> NDArray[np.float64]:
        return np.stack([part.age, part.sex], axis=1)

    training = cohort.select(role="target", split="train", fraction=fraction)
    models = {}
    for name, label in training.labels.items():
        known = ~np.isnan(label)
        if len(np.unique(label[known])) == 2 or len(training.outcomes) == 1:
            models[name] = fit_logistic(features(training)[known], label[known])
    if not models:
        raise PrecordialError(
            "a logistic regression needs both classes, and of every outcome all training labels are equal",
            remedy="check the labels, or take a larger training set",
        )
    return score_target(cohort, "baseline", lambda part, name: models[name].predict(features(part)), SCORED, models)


def score_target(
    cohort: Cohort,
    run: str,
    score: Callable[[Cohort, str], NDArray[np.float64]],
    splits: Iterable[str],
    outcomes: Iterable[str],
) -> Predictions:
    """Predictions of the target's outcomes in some splits, by something that is no trained network.

    Args:
        cohort: with source, target, or both.
        run: what the scores are of.
        score: gives the probabilities (n,) of an outcome for the rows of one split.
        splits: to be scored; an empty one is left out.
        outcomes: of the cohort.
    """
    parts = [(split, cohort.select(role="target", split=split)) for split in splits]
    return Predictions.concatenate(
        [
            Predictions(run, part.ecg_id, part.patient_id, split, name, part.labels[name], score(part, name))
            for name in outcomes
            for split, part in parts
            if len(part)
        ]
    )
