"""The copy for inference says what the network says."""

from __future__ import annotations

import pytest
import torch

from precordial.models import MODELS, VARIANTS, Network, create_model
from precordial.models.folding import folded


def lived_in(name: str) -> Network:
    """A network whose batch norms have seen something, and scale and shift."""
    torch.manual_seed(0)
    network = create_model(name, rate=100)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(-2, 2)
                module.bias.normal_()
    return network


@pytest.mark.parametrize("name", [*MODELS, *VARIANTS])
def test_folded_network_says_the_same(name: str) -> None:
    network = lived_in(name).double()
    x = torch.randn(2, 8, network.spec.model_samples, dtype=torch.float64)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    copied = folded(network, torch.float64)
    assert network.training
    assert not copied.training
    with torch.inference_mode():
        theirs, ours = network.eval()(x), copied(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    assert theirs.abs().max() > 1e-3
    assert before.keys() == network.state_dict().keys()
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", ["rn-900k", "rn-7m", "rn-33m"])
def test_no_norm_behind_a_convolution_is_left(name: str) -> None:
    def norms(network: Network) -> int:
        return sum(isinstance(module, torch.nn.BatchNorm1d) for module in network.body.modules())

    network = create_model(name, rate=100)
    # Before a convolution (rn-33m) and behind a sum (rn-7m) they stay.
    left = {"rn-900k": 0, "rn-7m": 4, "rn-33m": 12}
    assert norms(folded(network)) == left[name] < norms(network)


@pytest.mark.parametrize("name", MODELS)
def test_weights_in_bfloat16_from_the_start_are_autocast_s(name: str) -> None:
    """All that differs is what folding rounds."""
    network = lived_in(name)
    x = torch.randn(4, 8, network.spec.model_samples)
    with torch.inference_mode():
        exact = folded(network)(x)
        with torch.autocast("cpu", torch.bfloat16):
            theirs = network.eval()(x).float()
            ours = folded(network, torch.bfloat16)(x).float()
    spread = (theirs - exact).abs().max()  # what bfloat16 itself costs
    assert (ours - exact).abs().max() < 3 * spread + 1e-3
