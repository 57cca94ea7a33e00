"""What every registered model must keep to, at every rate."""

from pathlib import Path

import pytest
import torch

from precordial.models import MODELS, RATES, VARIANTS, Network, create_model, load_model, make_card, save_model
from precordial.training import RECIPES


@pytest.fixture(scope="module", params=[*MODELS, *VARIANTS])
def model(request: pytest.FixtureRequest) -> Network:
    """With two outputs, and every parameter moved off its start, which may be zero."""
    torch.manual_seed(0)
    network = create_model(request.param, outputs=2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn(parameter.shape)
    return network


@pytest.fixture(scope="module")
def millivolts() -> torch.Tensor:
    return 0.5 * torch.randn(2, 8, 5000, generator=torch.Generator().manual_seed(1))


def test_shapes(model: Network, millivolts: torch.Tensor) -> None:
    x = model.spec.prepare(millivolts)
    assert x.shape == (2, 8, model.spec.model_samples)
    piece = x if model.crops is None else x[:, :, : model.crops.samples]
    with torch.inference_mode():
        features = model.eval().body(piece)
        assert features.shape == (2, model.features)
        assert model.head(features).shape == (2, 2)
        assert model(x).shape == (2, 2)


def test_evaluation_is_deterministic_and_reads_each_ecg_alone(model: Network, millivolts: torch.Tensor) -> None:
    x = model.eval().spec.prepare(millivolts)
    before = {name: tensor.clone() for name, tensor in model.named_buffers()}
    with torch.inference_mode():
        together, again = model(x), model(x)
        alone = torch.cat([model(ecg[None]) for ecg in x])
    assert torch.equal(together, again)
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.named_buffers())


def test_the_gradient_reaches_every_parameter(model: Network, millivolts: torch.Tensor) -> None:
    model.eval().zero_grad(set_to_none=True)
    (model(model.spec.prepare(millivolts)) ** 2).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    model.zero_grad(set_to_none=True)


def test_training_moves_the_statistics_and_drops(model: Network, millivolts: torch.Tensor) -> None:
    x = model.train().spec.prepare(millivolts)
    statistics = {name: tensor.clone() for name, tensor in model.named_buffers() if "running" in name}
    with torch.no_grad():
        torch.manual_seed(1)
        first = model(x)
        assert first.shape == (2, 2)
        assert not torch.equal(first, model(x))
    buffers = dict(model.named_buffers())
    assert all(not torch.equal(buffers[name], before) for name, before in statistics.items())


def test_the_l2_names_are_parameters(model: Network) -> None:
    parameters = dict(model.named_parameters())
    assert model.l2.keys() <= parameters.keys()
    squares = {name: parameters[name].detach().double().square().sum().item() for name in model.l2}
    assert model.penalty().item() == pytest.approx(sum(model.l2[name] * squares[name] for name in model.l2), rel=1e-5)


def test_a_checkpoint_gives_the_same_logits(model: Network, millivolts: torch.Tensor, tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", model, make_card(model, ("age", "sex")))
    loaded, _ = load_model(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").unlink()  # pytest would keep up to 132 MB
    x = model.eval().spec.prepare(millivolts[:1])
    with torch.inference_mode():
        assert torch.equal(loaded(x), model(x))


@pytest.mark.parametrize("rate", RATES)
def test_archive_ecgs_of_either_rate_are_read(model: Network, rate: int) -> None:
    spec = model.architecture.spec(rate)
    x = spec.prepare(torch.zeros(2, 8, rate * 10))
    assert x.shape == (2, 8, spec.model_samples)
    with torch.device("meta"):
        other = create_model(model.name, rate=rate).eval()
    assert other(x.to("meta")).shape == (2, 1)


def test_every_model_has_its_recipe() -> None:
    """A model that studies may name needs the paper's schedules (see CONTRIBUTING.md)."""
    assert RECIPES.keys() == MODELS.keys() | VARIANTS.keys()
