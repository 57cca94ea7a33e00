"""The models give what the authors' published code gives, for weights and inputs that any program can make again.

``tests/golden/parity.json`` was made by the authors' models (Keras; PyTorch for RN-900k) and came with the study's
material; its tolerance, 1e-4 relative plus 1e-5 absolute on float32, came with it.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from precordial.models import MODELS, Network, count_parameters, create_model, load_reference_weights

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "parity.json").read_text())


def golden_tensors(entry: dict[str, Any], *, out_first: bool) -> dict[str, np.ndarray]:
    tensors = {}
    for tensor in entry["tensors"]:
        shape, role = tensor["shape"], tensor["role"]
        z = np.random.default_rng([GOLDEN["seed"], entry["model_no"], tensor["i"]]).standard_normal(shape)
        if role == "kernel":
            z = z * np.sqrt(1 / math.prod(shape[1:] if out_first else shape[:-1]))
        else:
            z = {"gamma": 1 + 0.1 * z, "var": np.exp(0.2 * z)}.get(role, 0.1 * z)
        tensors[tensor["name"]] = z.astype(np.float32)
    return tensors


def golden_input(entry: dict[str, Any]) -> torch.Tensor:
    made = np.random.default_rng([GOLDEN["seed"], entry["model_no"], 10000]).standard_normal(entry["input_shape"])
    return torch.from_numpy(made.astype(np.float32)).transpose(1, 2).contiguous()


@dataclass
class Case:
    """A model with the golden weights and what it gives for the golden input."""

    model: Network
    entry: dict[str, Any]
    features: torch.Tensor  # of whole recordings, or of the first crop
    logits: torch.Tensor


@pytest.fixture(scope="module", params=list(MODELS))
def case(request: pytest.FixtureRequest) -> Case:
    entry = GOLDEN["models"][MODELS[request.param].paper_name]
    model = create_model(request.param).eval()
    load_reference_weights(model, golden_tensors(entry, out_first=request.param == "rn-900k"))
    kept: list[torch.Tensor] = []
    hook = model.body.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    with torch.inference_mode():
        logits = model(golden_input(entry))
    hook.remove()
    (features,) = kept
    return Case(model, entry, features if model.crops is None else features[:: model.crops.count], logits)


def assert_agree(actual: torch.Tensor, expected: list[Any]) -> None:
    np.testing.assert_allclose(actual.numpy(), np.array(expected), rtol=1e-4, atol=1e-5)


def test_parity_of_logits(case: Case) -> None:
    assert_agree(case.logits[:, 0], case.entry["logits"])


def test_parity_of_features(case: Case) -> None:
    features, entry = case.features, case.entry
    assert list(features.shape) == entry["features_shape"] == [3, case.model.features]
    if case.model.crops is None:
        assert_agree(features[:, :8], entry["features_first8"])
        assert_agree(features.mean(dim=1), entry["features_mean"])
        assert_agree(features.std(dim=1, correction=0), entry["features_std"])
    else:
        assert_agree(features[:, :8], entry["first_crop_features_first8"])


def test_parity_of_crops() -> None:
    entry = GOLDEN["models"]["RN-900k"]
    model = create_model("rn-900k").eval()
    load_reference_weights(model, golden_tensors(entry, out_first=True))
    assert model.crops is not None
    assert model.crops.starts(5000) == entry["crop_starts"]
    with torch.inference_mode():
        assert_agree(model.crop_logits(golden_input(entry))[:, :, 0].T, entry["crop_logits"])


def test_parity_of_counts(case: Case) -> None:
    tensors = case.entry["tensors"]
    moving = sum(math.prod(t["shape"]) for t in tensors if t["role"] in ("mean", "var"))
    assert count_parameters(case.model) == sum(math.prod(t["shape"]) for t in tensors) - moving
