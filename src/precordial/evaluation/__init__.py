"""Metrics with bootstrap intervals, from predictions alone: NumPy only, never torch."""

from precordial.evaluation.baseline import Logistic, fit_logistic
from precordial.evaluation.by_split import KINDS, Result, compare, evaluate
from precordial.evaluation.comparisons import holm, with_holm
from precordial.evaluation.delong import PairedTest, delong_auc, delong_test, delong_variance
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.folds import CROSS_VALIDATED, pool_folds
from precordial.evaluation.metrics import METRICS, auc, measure
from precordial.evaluation.predictions import Predictions
from precordial.evaluation.resampling import Resamples, bootstrap, bootstrap_auc, bootstrap_difference, resample_metric
from precordial.evaluation.results import Row, read_results, result_rows, write_results
from precordial.evaluation.seeds import AcrossSeeds, across_seeds

__all__ = [
    "CROSS_VALIDATED",
    "KINDS",
    "METRICS",
    "AcrossSeeds",
    "Estimate",
    "Logistic",
    "PairedTest",
    "Predictions",
    "Resamples",
    "Result",
    "Row",
    "across_seeds",
    "auc",
    "bootstrap",
    "bootstrap_auc",
    "bootstrap_difference",
    "compare",
    "delong_auc",
    "delong_test",
    "delong_variance",
    "evaluate",
    "fit_logistic",
    "holm",
    "measure",
    "pool_folds",
    "read_results",
    "resample_metric",
    "result_rows",
    "with_holm",
    "write_results",
]
