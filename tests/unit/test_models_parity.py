"""The models give what the authors' published code gives, for weights and inputs that any program can make again.

``tests/golden/parity.json`` was made by the authors' models (Keras; PyTorch for RN-900k) and came with the study's
material; its tolerance, 1e-4 relative plus 1e-5 absolute on float32, came with it.
"""

import json
import math
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
        fan_in = math.prod(shape[1:] if out_first else shape[:-1])
        value = {
            "kernel": lambda z=z, n=fan_in: z * np.sqrt(1 / n),
            "gamma": lambda z=z: 1 + 0.1 * z,
            "var": lambda z=z: np.exp(0.2 * z),
        }.get(role, lambda z=z: 0.1 * z)()
        tensors[tensor["name"]] = value.astype(np.float32)
    return tensors


@pytest.fixture(scope="module", params=list(MODELS))
def case(request: pytest.FixtureRequest) -> tuple[Network, torch.Tensor, dict[str, Any]]:
    architecture = MODELS[request.param]
    entry = GOLDEN["models"][architecture.paper_name]
    model = create_model(request.param).eval()
    load_reference_weights(model, golden_tensors(entry, out_first=request.param == "rn-900k"))
    made = np.random.default_rng([GOLDEN["seed"], entry["model_no"], 10000]).standard_normal(entry["input_shape"])
    x = torch.from_numpy(made.astype(np.float32)).transpose(1, 2).contiguous()
    return model, x, entry


def assert_agree(actual: torch.Tensor, expected: list[Any]) -> None:
    np.testing.assert_allclose(actual.numpy(), np.array(expected), rtol=1e-4, atol=1e-5)


def test_parity_of_logits(case: tuple[Network, torch.Tensor, dict[str, Any]]) -> None:
    model, x, entry = case
    with torch.inference_mode():
        assert_agree(model(x)[:, 0], entry["logits"])


def test_parity_of_features(case: tuple[Network, torch.Tensor, dict[str, Any]]) -> None:
    model, x, entry = case
    with torch.inference_mode():
        features = model.body(x if model.crops is None else x[:, :, : model.crops.samples])
    assert list(features.shape) == entry["features_shape"] == [3, model.features]
    if model.crops is None:
        assert_agree(features[:, :8], entry["features_first8"])
        assert_agree(features.mean(dim=1), entry["features_mean"])
        assert_agree(features.std(dim=1, correction=0), entry["features_std"])
    else:
        assert_agree(features[:, :8], entry["first_crop_features_first8"])


def test_parity_of_crops(case: tuple[Network, torch.Tensor, dict[str, Any]]) -> None:
    model, x, entry = case
    if model.crops is None:
        assert "crop_logits" not in entry
        return
    assert model.crops.starts(5000) == entry["crop_starts"]
    with torch.inference_mode():
        assert_agree(model.crop_logits(x)[:, :, 0].T, entry["crop_logits"])


def test_parity_of_counts(case: tuple[Network, torch.Tensor, dict[str, Any]]) -> None:
    model, _, entry = case
    moving = sum(math.prod(t["shape"]) for t in entry["tensors"] if t["role"] in ("mean", "var"))
    assert count_parameters(model) == sum(math.prod(t["shape"]) for t in entry["tensors"]) - moving
