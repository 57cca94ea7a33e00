"""What `benchmarks/training.py` measures against are the same models: outputs, gradients, batch norm's statistics."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from precordial.models import MODELS, create_model


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "plain.py"
    spec = importlib.util.spec_from_file_location("plain", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", MODELS)
def test_plain_models_are_the_models(name: str, plain: ModuleType) -> None:
    torch.manual_seed(0)
    ours = create_model(name, rate=500 if name == "cnn-20k" else 100)
    for module in ours.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)  # those that begin at zero would hide half of rn-900k
    theirs = plain.plain_copy(ours).double()
    ours.double()
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    samples = ours.crops.samples if ours.crops else ours.spec.model_samples
    x = torch.randn(3, 8, samples, dtype=torch.float64)
    results = []
    for network in (ours, theirs):
        out = network(x)
        (out * torch.arange(1, 4).view(3, 1)).sum().backward()
        gradients = {key: value.grad for key, value in network.named_parameters()}
        results.append((out, gradients, dict(network.named_buffers())))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)
