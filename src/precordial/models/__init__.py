"""The paper's four models and variants of them, their checkpoints, and how to add one's own."""

from precordial.models.checkpoint import (
    ModelCard,
    load_model,
    load_tensors,
    make_card,
    save_model,
    save_tensors,
)
from precordial.models.inputs import Cropping, ExtraInputs
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
