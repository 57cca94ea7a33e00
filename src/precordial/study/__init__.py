"""A study: from one TOML file to its cohort, its trainings and its results."""

from precordial.study.cohorts import check_registers, checked_cohort, ecg_source, prepare_archive, verify_cohort
from precordial.study.execute import StudyOutcome, run_study
from precordial.study.plan import Plan, make_plan
from precordial.study.results import bootstrap_options, collect_results
from precordial.study.settings import Study, load_study
from precordial.study.status import RunStatus, study_status

__all__ = [
    "Plan",
    "RunStatus",
    "Study",
    "StudyOutcome",
    "bootstrap_options",
    "check_registers",
    "checked_cohort",
    "collect_results",
    "ecg_source",
    "load_study",
    "make_plan",
    "prepare_archive",
    "run_study",
    "study_status",
    "verify_cohort",
]
