"""The paper's four models, their checkpoints, and how to add one's own."""

from precordial.models.checkpoint import (
    ModelCard,
    load_model,
    load_tensors,
    make_card,
    save_model,
    save_tensors,
)
from precordial.models.network import (
    Architecture,
    Crops,
    HeadKind,
    Network,
    count_parameters,
    count_with_statistics,
)
from precordial.models.reference import load_reference_weights
from precordial.models.registry import MODELS, RATES, create_model, model_table

__all__ = [
    "MODELS",
    "RATES",
    "Architecture",
    "Crops",
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
