"""Metrics with bootstrap intervals, from predictions alone: NumPy only, never torch."""

from precordial.evaluation.baseline import Logistic, fit_logistic
from precordial.evaluation.by_split import KINDS, Result, compare, evaluate
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.folds import CROSS_VALIDATED, pool_folds
from precordial.evaluation.metrics import METRICS, auc, measure
from precordial.evaluation.predictions import Predictions
from precordial.evaluation.resampling import bootstrap, bootstrap_auc, bootstrap_difference
from precordial.evaluation.results import Row, read_results, result_rows, write_results

__all__ = [
    "CROSS_VALIDATED",
    "KINDS",
    "METRICS",
    "Estimate",
    "Logistic",
    "Predictions",
    "Result",
    "Row",
    "auc",
    "bootstrap",
    "bootstrap_auc",
    "bootstrap_difference",
    "compare",
    "evaluate",
    "fit_logistic",
    "measure",
    "pool_folds",
    "read_results",
    "result_rows",
    "write_results",
]
