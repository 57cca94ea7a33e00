"""The paper's four models and variants of them, their checkpoints, and how to add one's own.

Each name is loaded when it is first used: settings take no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOME = {
    "MODELS": "registry",
    "RATES": "registry",
    "VARIANTS": "registry",
    "Architecture": "network",
    "Cropping": "cropping",
    "Crops": "network",
    "ExtraInputs": "extra",
    "HeadKind": "network",
    "ModelCard": "checkpoint",
    "Network": "network",
    "count_parameters": "network",
    "count_with_statistics": "network",
    "create_model": "registry",
    "load_model": "checkpoint",
    "load_reference_weights": "reference",
    "load_tensors": "checkpoint",
    "make_card": "checkpoint",
    "model_table": "registry",
    "save_model": "checkpoint",
    "save_tensors": "checkpoint",
}
__all__ = [
    "MODELS",
    "RATES",
    "VARIANTS",
    "Architecture",
    "Cropping",
    "Crops",
    "ExtraInputs",
    "HeadKind",
    "ModelCard",
    "Network",
    "count_parameters",
    "count_with_statistics",
    "create_model",
    "load_model",
    "load_reference_weights",
    "load_tensors",
    "make_card",
    "model_table",
    "save_model",
    "save_tensors",
]

if TYPE_CHECKING:
    from precordial.models.checkpoint import (
        ModelCard,
        load_model,
        load_tensors,
        make_card,
        save_model,
        save_tensors,
    )
    from precordial.models.cropping import Cropping
    from precordial.models.extra import ExtraInputs
    from precordial.models.network import (
        Architecture,
        Crops,
        HeadKind,
        Network,
        count_parameters,
        count_with_statistics,
    )
    from precordial.models.reference import load_reference_weights
    from precordial.models.registry import MODELS, RATES, VARIANTS, create_model, model_table


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'precordial.models' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"precordial.models.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
