"""What age and sex alone say about the target: the baseline of every model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from precordial.cohort.cohort import Cohort
from precordial.cohort.folds import fold_names, named_fold
from precordial.evaluation import Logistic, Predictions, fit_logistic, pool_folds

TESTED = ("validation", "random_test", "site_test", "temporal_test")


def age_sex_baseline(cohort: Cohort, fraction: str | float | Fraction = 1) -> Predictions:
    """Predictions of a logistic regression on age and sex for each outcome, fitted on the target's training ECGs.

    Args:
        cohort: with source, target, or both. One with folds is fitted fold by fold, and the predictions are put
            together as those of the networks are.
        fraction: share of the target's training patients.

    Returns:
        Its probabilities on the target's validation and test sets; run "baseline". Of several outcomes one whose
        training labels are all equal is left out.

    Raises:
        PrecordialError: the training labels of every outcome are all equal.
    """
    folds = fold_names(cohort)
    if not folds:
        return _fitted(cohort, fraction)
    tables = [_fitted(named_fold(cohort, name), fraction) for name in folds]
    return pool_folds(tables, folds)


def _fitted(cohort: Cohort, fraction: str | float | Fraction) -> Predictions:
    training = cohort.select(role="target", split="train", fraction=fraction)
    learnable = [name for name, label in training.labels.items() if {0.0, 1.0} <= set(label.tolist())]
    tables = []
    for outcome in learnable or cohort.outcomes[:1]:  # with none of them, the fit says what is wrong
        known = ~np.isnan(training.labels[outcome])
        model = fit_logistic(_features(training)[known], training.labels[outcome][known])
        tables.append(score_target(cohort, "baseline", partial(_probability, model), TESTED, outcome))
    return Predictions.concatenate(tables)


def _features(part: Cohort) -> NDArray[np.float64]:
    return np.stack([part.age, part.sex], axis=1)


def _probability(model: Logistic, part: Cohort) -> NDArray[np.float64]:
    return model.predict(_features(part))


def score_target(
    cohort: Cohort,
    run: str,
    score: Callable[[Cohort], NDArray[np.float64]],
    splits: Iterable[str],
    outcome: str | None = None,
) -> Predictions:
    """Predictions of an outcome of the target in some splits, by something that is no trained network.

    Args:
        cohort: with source, target, or both.
        run: what the scores are of.
        score: gives the probabilities (n,) of the rows of one split.
        splits: to be scored; an empty one is left out.
        outcome: which of the cohort's; the main one if None.
    """
    outcome = outcome or cohort.outcomes[0]
    parts = []
    for split in splits:
        part = cohort.select(role="target", split=split)
        if len(part):
            truth = part.labels[outcome]
            parts.append(Predictions(run, part.ecg_id, part.patient_id, split, outcome, truth, score(part)))
    return Predictions.concatenate(parts)
