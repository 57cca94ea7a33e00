"""A study: from one TOML file to its cohort, its trainings and its results.

Each name is loaded when it is first used: a cohort is built without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOME = {
    "Engine": "engines",
    "Failure": "board",
    "Plan": "plan",
    "RunStatus": "status",
    "Study": "settings",
    "StudyOutcome": "execute",
    "bootstrap_options": "results",
    "check_registers": "cohorts",
    "checked_cohort": "cohorts",
    "collect_results": "results",
    "ecg_source": "cohorts",
    "hold_study": "board",
    "load_study": "settings",
    "make_plan": "plan",
    "prepare_archive": "cohorts",
    "read_predictions": "tables",
    "read_results_table": "tables",
    "run_study": "execute",
    "scan_predictions": "tables",
    "study_status": "status",
    "verify_cohort": "cohorts",
    "write_predictions_table": "tables",
    "write_results_table": "tables",
    "write_tables": "results",
}
__all__ = [
    "Engine",
    "Failure",
    "Plan",
    "RunStatus",
    "Study",
    "StudyOutcome",
    "bootstrap_options",
    "check_registers",
    "checked_cohort",
    "collect_results",
    "ecg_source",
    "hold_study",
    "load_study",
    "make_plan",
    "prepare_archive",
    "read_predictions",
    "read_results_table",
    "run_study",
    "scan_predictions",
    "study_status",
    "verify_cohort",
    "write_predictions_table",
    "write_results_table",
    "write_tables",
]

if TYPE_CHECKING:
    from precordial.study.board import Failure, hold_study
    from precordial.study.cohorts import check_registers, checked_cohort, ecg_source, prepare_archive, verify_cohort
    from precordial.study.engines import Engine
    from precordial.study.execute import StudyOutcome, run_study
    from precordial.study.plan import Plan, make_plan
    from precordial.study.results import bootstrap_options, collect_results, write_tables
    from precordial.study.settings import Study, load_study
    from precordial.study.status import RunStatus, study_status
    from precordial.study.tables import (
        read_predictions,
        read_results_table,
        scan_predictions,
        write_predictions_table,
        write_results_table,
    )


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'precordial.study' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"precordial.study.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
