"""Padding, flattening and the random start of the weights."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from precordial.models import create_model
from precordial.models.cnn20k import BLOCK, BlockConv1d
from precordial.models.layers import (
    Dropout,
    SameConv1d,
    TimeFirstAvgPool,
    TimeFirstConv1d,
    TimeFirstMaxPool,
    TimeFirstNorm,
    he_normal_,
    keras_norm,
    same_padding,
    time_first,
)


@pytest.mark.parametrize("kernel", [1, 2, 5, 17, 61])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("length", [16, 63, 64, 65])
def test_same_convolution_reads_the_samples_that_tensorflow_reads(length: int, kernel: int, stride: int) -> None:
    layer = SameConv1d(1, 1, kernel, stride=stride, bias=False).double()
    x = torch.randn(1, length, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = layer(x)[0, :, 0].numpy()
    taps, trace = layer.weight.detach().numpy()[0, 0], x.numpy()[0, :, 0]
    left = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0) // 2
    expected = [
        sum(taps[k] * trace[at] for k in range(kernel) if 0 <= (at := i * stride - left + k) < length)
        for i in range(math.ceil(length / stride))
    ]
    np.testing.assert_allclose(out, expected, atol=1e-12)


def test_same_padding_is_none_where_the_stride_passes_the_kernel() -> None:
    assert same_padding(64, 1, 4) == (0, 0)


def test_time_first_flattens_in_keras_order() -> None:
    x = torch.tensor([[[1, 2, 3], [10, 20, 30]]])  # two channels, three samples
    assert time_first(x).flatten(1).tolist() == [[1, 10, 2, 20, 3, 30]]


def test_keras_norm_moves_its_statistics_by_a_hundredth() -> None:
    norm = keras_norm(1)
    norm(torch.tensor([[[4.0], [6.0]]]))
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


def assert_equal_with_gradients(ours: Tensor, theirs: Tensor, *parameters: Tensor) -> None:
    """Equal outputs, and equal gradients of a sum that weighs each output differently."""
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    weights = torch.randn(ours.shape, dtype=ours.dtype)
    for a, b in zip(
        torch.autograd.grad((ours * weights).sum(), parameters, retain_graph=True),
        torch.autograd.grad((theirs * weights).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 1, 0), (5, 1, 2), (5, 2, 2), (25, 10, 10), (3, 4, 0)])
@pytest.mark.parametrize("time", [125, 250, 1250])
def test_time_first_convolution_is_pytorchs(kernel: int, stride: int, padding: int, time: int) -> None:
    layer = TimeFirstConv1d(3, 4, kernel, stride, padding).double()
    x = torch.randn(2, 3, time, dtype=torch.float64, requires_grad=True)
    ours = layer(x.transpose(1, 2)).transpose(1, 2)
    assert layer.bias is not None
    theirs = F.conv1d(x, layer.weight, layer.bias, stride, padding)
    assert_equal_with_gradients(ours, theirs, x, layer.weight, layer.bias)
    as_product = layer._multiply(x.transpose(1, 2), padding).transpose(1, 2)  # which a GPU takes in float32
    again = F.conv1d(x, layer.weight, layer.bias, stride, padding)
    assert_equal_with_gradients(as_product, again, x, layer.weight, layer.bias)


def test_time_first_norm_is_pytorchs() -> None:
    norm, plain = TimeFirstNorm(3).double(), nn.BatchNorm1d(3).double()
    x = torch.randn(4, 3, 21, dtype=torch.float64)
    torch.testing.assert_close(norm(x.transpose(1, 2)).transpose(1, 2), plain(x))
    torch.testing.assert_close(norm.running_var, plain.running_var)


@pytest.mark.parametrize("time", [20, 21, 22])
def test_time_first_pools_are_pytorchs(time: int) -> None:
    x = torch.randn(4, 3, time, dtype=torch.float64)
    pairs = [
        (TimeFirstMaxPool(4), nn.MaxPool1d(4)),
        (TimeFirstMaxPool(3, stride=2, padding=1), nn.MaxPool1d(3, stride=2, padding=1)),
        (TimeFirstAvgPool(2), nn.AvgPool1d(2, ceil_mode=True)),
    ]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours(time_first(x)), time_first(theirs(x)))


@pytest.mark.parametrize("time", [5000, 4999, 30, BLOCK, BLOCK - 1])
def test_convolution_of_blocks_is_pytorchs(time: int) -> None:
    layer = BlockConv1d(8, 5, 61).double()
    x = torch.randn(2, 8, time, dtype=torch.float64)
    assert layer.bias is not None
    theirs = F.conv1d(x, layer.weight, layer.bias, padding=30).transpose(1, 2)
    assert_equal_with_gradients(layer(time_first(x)), theirs, layer.weight, layer.bias)


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.8])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 1003, requires_grad=True)
    out = Dropout(rate)(x)
    dropped = out == 0
    error = math.sqrt(rate * (1 - rate) / x.numel())
    assert abs(dropped.double().mean().item() - rate) < 4 * error
    assert len(out[~dropped].unique()) == 1
    assert abs(out.double().mean().item() - 1) < 4 * error / (1 - rate)
    # Each of the four values that a random number decides on is decided by itself.
    four = dropped.flatten()[: x.numel() // 4 * 4].view(-1, 4).double()
    assert (torch.corrcoef(four.T) - torch.eye(4)).abs().max() < 0.01
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(gradient, out)


def test_dropout_of_everything_and_of_nothing() -> None:
    x = torch.randn(4, 5)
    assert torch.equal(Dropout(0.0)(x), x)
    assert Dropout(1.0)(x).count_nonzero() == 0
