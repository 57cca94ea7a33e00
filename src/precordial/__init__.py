"""precordial: from ECG files and registers to a transfer-learned infarction model and its evidence.

The public names; each is loaded when first used, so that ``import precordial`` takes no time and no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Archive": "archive",
    "Cohort": "cohort",
    "Ecg": "ecg",
    "Estimate": "evaluation",
    "InputSpec": "ecg",
    "Predictor": "bedside",
    "bootstrap_auc": "evaluation",
    "build_cohort": "cohort",
    "count_parameters": "models",
    "create_model": "models",
    "evaluate": "evaluation",
    "ingest": "archive",
    "load_study": "study",
    "read_ecg": "formats",
    "run_study": "study",
    "train": "training",
}
__all__ = [
    "Archive",
    "Cohort",
    "Ecg",
    "Estimate",
    "InputSpec",
    "Predictor",
    "__version__",
    "bootstrap_auc",
    "build_cohort",
    "count_parameters",
    "create_model",
    "evaluate",
    "ingest",
    "load_study",
    "read_ecg",
    "run_study",
    "train",
]

if TYPE_CHECKING:
    from precordial.archive import Archive, ingest
    from precordial.bedside import Predictor
    from precordial.cohort import Cohort, build_cohort
    from precordial.ecg import Ecg, InputSpec
    from precordial.evaluation import Estimate, bootstrap_auc, evaluate
    from precordial.formats import read_ecg
    from precordial.models import count_parameters, create_model
    from precordial.study import load_study, run_study
    from precordial.training import train


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'precordial' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"precordial.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
