"""Who is in the study, in which role and split, and what was left out; and the proof that nothing leaks.

Building a cohort loads Polars; loading one, selecting from it and checking it do not.
"""

from precordial.cohort.baseline import age_sex_baseline, score_target
from precordial.cohort.build import build_cohort
from precordial.cohort.cohort import Cohort, keep_fraction, read_manifest
from precordial.cohort.flow import Flow, FlowStep
from precordial.cohort.folds import fold_names, folds_text, named_fold
from precordial.cohort.guard import LeakReport, check_leaks, find_leaks
from precordial.cohort.leakage import signing_key, verify_leakage, write_leakage
from precordial.cohort.settings import CohortSettings, LabelsSettings, RegistersSettings
from precordial.cohort.splits import SOURCE_SPLITS, TARGET_SPLITS, fraction_size

__all__ = [
    "SOURCE_SPLITS",
    "TARGET_SPLITS",
    "Cohort",
    "CohortSettings",
    "Flow",
    "FlowStep",
    "LabelsSettings",
    "LeakReport",
    "RegistersSettings",
    "age_sex_baseline",
    "build_cohort",
    "check_leaks",
    "find_leaks",
    "fold_names",
    "folds_text",
    "fraction_size",
    "keep_fraction",
    "named_fold",
    "read_manifest",
    "score_target",
    "signing_key",
    "verify_leakage",
    "write_leakage",
]
