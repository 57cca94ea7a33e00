"""What age and sex alone say about the target: the baseline of every model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from precordial.cohort.cohort import Cohort
from precordial.evaluation import Predictions, fit_logistic


def age_sex_baseline(cohort: Cohort, fraction: str | float | Fraction = 1) -> Predictions:
    """Predictions of a logistic regression on age and sex, fitted on the target's training ECGs.

    Args:
        cohort: with source, target, or both.
        fraction: share of the target's training patients.

    Returns:
        Its probabilities on the target's validation and test sets; run "baseline", target "label".

    Raises:
        PrecordialError: all training labels are equal.
    """

    def features(part: Cohort) -> NDArray[np.float64]:
        return np.stack([part.age, part.sex], axis=1)

    training = cohort.select(role="target", split="train", fraction=fraction)
    model = fit_logistic(features(training), training.label)
    return score_target(
        cohort, "baseline", lambda part: model.predict(features(part)), ("validation", "random_test", "temporal_test")
    )


def score_target(
    cohort: Cohort, run: str, score: Callable[[Cohort], NDArray[np.float64]], splits: Iterable[str]
) -> Predictions:
    """Predictions of the target's label in some splits, by something that is no trained network.

    Args:
        cohort: with source, target, or both.
        run: what the scores are of.
        score: gives the probabilities (n,) of the rows of one split.
        splits: to be scored; an empty one is left out.
    """
    parts = []
    for split in splits:
        part = cohort.select(role="target", split=split)
        if len(part):
            parts.append(Predictions(run, part.ecg_id, part.patient_id, split, "label", part.label, score(part)))
    return Predictions.concatenate(parts)
