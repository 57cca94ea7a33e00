"""Padding, flattening and the random start of the weights."""

import math

import numpy as np
import pytest
import torch

from precordial.models import create_model
from precordial.models.layers import SameConv1d, TimeFirstFlatten, he_normal_, keras_norm, same_padding


@pytest.mark.parametrize("kernel", [1, 2, 5, 17, 61])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("length", [16, 63, 64, 65])
def test_same_convolution_reads_the_samples_that_tensorflow_reads(length: int, kernel: int, stride: int) -> None:
    layer = SameConv1d(1, 1, kernel, stride=stride, bias=False).double()
    x = torch.randn(1, 1, length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = layer(x)[0, 0].numpy()
    taps, trace = layer.weight.detach().numpy()[0, 0], x.numpy()[0, 0]
    left = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0) // 2
    expected = [
        sum(taps[k] * trace[at] for k in range(kernel) if 0 <= (at := i * stride - left + k) < length)
        for i in range(math.ceil(length / stride))
    ]
    np.testing.assert_allclose(out, expected, atol=1e-12)


def test_same_padding_is_none_where_the_stride_passes_the_kernel() -> None:
    assert same_padding(64, 1, 4) == (0, 0)


def test_flatten_runs_time_first() -> None:
    x = torch.tensor([[[1, 2, 3], [10, 20, 30]]])  # two channels, three samples
    assert TimeFirstFlatten()(x).tolist() == [[1, 10, 2, 20, 3, 30]]


def test_keras_norm_moves_its_statistics_by_a_hundredth() -> None:
    norm = keras_norm(1)
    norm(torch.tensor([[[4.0, 6.0]]]))
    assert norm.running_mean is not None
    assert norm.running_mean.item() == pytest.approx(0.01 * 5)
    with torch.no_grad():
        norm.eval().reset_running_stats()
        assert norm(torch.ones(1, 1, 1)).item() == pytest.approx(1 / math.sqrt(1 + 1e-3))


def test_he_normal_is_cut_at_two_deviations_and_keeps_its_variance() -> None:
    torch.manual_seed(0)
    weight = he_normal_(torch.empty(500, 40, 50))
    sd = math.sqrt(2 / 2000)
    assert weight.std().item() == pytest.approx(sd, rel=0.005)
    assert weight.mean().abs().item() < 5 * sd / 1000
    cut = 2 * sd / 0.87962566
    assert 0.99 * cut < weight.abs().max().item() <= cut * (1 + 1e-6)
    # Drawn again, not moved to the edge, where they would be 4.6 % of all.
    assert (weight.abs() > 0.99 * cut).float().mean().item() < 0.004


HE, GLOROT, KAIMING = "he", "glorot", "kaiming"


@pytest.mark.parametrize(
    ("model", "starts"),
    [
        ("cnn-20k", {"body.conv1": GLOROT, "body.conv2": GLOROT, "head.fc1": GLOROT, "head.out": HE}),
        ("rn-900k", {"body.stem.0.0": KAIMING, "body.stages.3.2.convs.1.0": KAIMING, "head.out": KAIMING}),
        ("rn-7m", {"body.stem.conv": HE, "body.block4.conv2": HE, "body.block1.skip": HE, "head.out": HE}),
        (
            "rn-33m",
            {"body.stem.conv": HE, "body.block12.conv2": HE, "body.block4.skip": HE, "head.out": HE}
            | {"body.block12.se.reduce": GLOROT, "body.block12.se.expand": GLOROT},
        ),
    ],
)
def test_each_layer_starts_as_the_recipe_says(model: str, starts: dict[str, str]) -> None:
    torch.manual_seed(1)
    network = create_model(model)
    for layer, start in starts.items():
        weight = network.get_parameter(f"{layer}.weight").detach()
        assert_start(weight, start)


def assert_start(weight: torch.Tensor, start: str) -> None:
    taps = weight[0, 0].numel() if weight.ndim == 3 else 1
    fan_in, fan_out = weight.shape[1] * taps, weight.shape[0] * taps
    limit = math.sqrt(6 / (fan_in + fan_out))
    sd = limit / math.sqrt(3) if start == "glorot" else math.sqrt(2 / fan_in)
    assert weight.std().item() == pytest.approx(sd, rel=5 / math.sqrt(2 * weight.numel()))
    largest, cut = weight.abs().max().item(), 2 * math.sqrt(2 / fan_in) / 0.87962566
    if start == "glorot":
        assert largest <= limit
    elif start == "he":
        assert limit < largest <= cut * (1 + 1e-6)
    else:
        assert largest > cut  # not cut off


@pytest.mark.parametrize("model", ["cnn-20k", "rn-900k", "rn-7m"])
def test_biases_start_at_zero_and_norms_at_one(model: str) -> None:
    network = create_model(model)
    lasts = 0
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.ndim == 1:
            last = ".convs.2.1." in name  # the norm that ends a block of RN-900k starts at zero
            lasts += last
            assert (parameter == (0 if last else 1)).all(), name
    assert lasts == (16 if model == "rn-900k" else 0)


@pytest.mark.parametrize(("model", "start"), [("cnn-20k", "glorot"), ("rn-900k", "kaiming")])
def test_a_new_head_starts_as_the_recipe_says(model: str, start: str) -> None:
    torch.manual_seed(2)
    network = create_model(model)
    network.replace_head("target", outputs=1)
    assert_start(network.get_parameter("head.fc1.weight").detach(), start)
    out = network.get_parameter("head.out.weight").detach()
    assert out.std().item() == pytest.approx(math.sqrt(2 / (101 if start == "glorot" else 100)), rel=0.35)
    assert not network.get_parameter("head.out.bias").any()


def test_each_output_of_a_new_keras_head_starts_as_an_output_layer_of_its_own() -> None:
    network = create_model("cnn-20k")
    network.replace_head("target", outputs=71)
    largest = network.get_parameter("head.out.weight").abs().max().item()
    alone = math.sqrt(6 / (100 + 1))
    assert 0.99 * alone < largest <= alone
