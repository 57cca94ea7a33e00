"""Counts, specs, outputs, L2, heads and sleeping bodies."""

import copy

import pytest
import torch
from torch import nn

from precordial.ecg import InputSpec
from precordial.errors import ModelError
from precordial.models import MODELS, RATES, Network, count_parameters, count_with_statistics, create_model, model_table
from precordial.models.layers import Dropout

# The recipe's table: trainable parameters, with batch-norm statistics, convolutions, convolutions on shortcuts.
RECIPE = {
    "cnn-20k": (20_479, 20_479, 2, 0),
    "rn-900k": (892_449, None, 51, 1),
    "rn-7m": (6_780_833, 6_784_561, 9, 4),
    "rn-33m": (33_051_817, 33_062_569, 25, 3),
}


def on_paper(name: str, outputs: int = 1, rate: int = 500) -> Network:
    """A model of shapes only, which costs nothing."""
    with torch.device("meta"):
        return create_model(name, outputs, rate)


@pytest.mark.parametrize("name", RECIPE)
def test_counts_are_the_recipe_s(name: str) -> None:
    trainable, with_statistics, convs, shortcut_convs = RECIPE[name]
    model = on_paper(name)
    assert count_parameters(model) == trainable
    if with_statistics is not None:
        assert count_with_statistics(model) == with_statistics
    layers = [key for key, module in model.named_modules() if isinstance(module, nn.Conv1d)]
    on_shortcut = sum("skip" in key or "shortcut" in key for key in layers)
    assert (len(layers) - on_shortcut, on_shortcut) == (convs, shortcut_convs)
    row = next(row for row in model_table() if row["name"] == name)
    assert (row["trainable"], row["conv_layers"], row["shortcut_convs"]) == (trainable, convs, shortcut_convs)
    assert row["paper_parameters"] == (with_statistics or trainable)


def test_frozen_parameters_still_count() -> None:
    model = create_model("cnn-20k").requires_grad_(False)
    assert count_parameters(model) == 20_479


def test_rn_900k_has_a_form_of_its_own_at_100_hz() -> None:
    model = on_paper("rn-900k", rate=100)
    assert count_parameters(model) == 887_329
    stem = model.get_submodule("body.stem.0.0")
    assert isinstance(stem, nn.Conv1d)
    assert (stem.kernel_size, stem.stride, stem.padding) == ((5,), (2,), (2,))
    assert model.spec == InputSpec(rate=100, samples=1000, model_rate=100, model_samples=1000)
    assert model.crops is not None
    assert model.crops.samples == 250
    at_500 = on_paper("rn-900k")
    assert at_500.crops is not None
    assert at_500.crops.samples == 1250


def test_both_forms_of_rn_900k_see_the_same_number_of_steps() -> None:
    steps = [
        create_model("rn-900k", rate=rate).get_submodule("body.stem.0")(torch.zeros(2, rate * 5 // 2, 8)).shape[1]
        for rate in (500, 100)
    ]
    assert steps == [125, 125]


@pytest.mark.parametrize("name", ["cnn-20k", "rn-7m", "rn-33m"])
def test_the_other_models_keep_their_architecture_at_100_hz(name: str) -> None:
    at_500, at_100 = on_paper(name), on_paper(name, rate=100)
    assert count_parameters(at_100) == count_parameters(at_500)
    assert (at_100.spec.rate, at_100.spec.samples) == (100, 1000)
    assert (at_100.spec.model_rate, at_100.spec.model_samples) == (at_500.spec.model_rate, at_500.spec.model_samples)


def test_specs_at_500_hz() -> None:
    assert on_paper("cnn-20k").spec == on_paper("rn-900k").spec == InputSpec()
    assert on_paper("rn-7m").spec == on_paper("rn-33m").spec == InputSpec(model_rate=400, model_samples=4096)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("outputs", [1, 2, 71])
def test_any_number_of_outputs(name: str, outputs: int) -> None:
    model = on_paper(name, outputs)
    assert model.outputs == outputs
    assert len(model.get_parameter("head.out.weight")) == outputs
    one = on_paper(name)
    per_output = one.get_parameter("head.out.weight").shape[1] + 1
    assert count_parameters(model) - count_parameters(one) == (outputs - 1) * per_output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rn-900",), "there is no model 'rn-900'; did you mean rn-900k"),
        (("CNN-20K",), "did you mean cnn-20k"),
        (("transformer",), "choose one of cnn-20k, rn-900k, rn-7m, rn-33m"),
        (("cnn-20k", 0), "at least one output, not 0"),
        (("cnn-20k", 1, 250), "500 or 100 Hz, not 250"),
    ],
)
def test_a_model_that_cannot_be_is_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create_model(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(8, 5000), (2, 8, 4096), (2, 12, 5000), (2, 5000, 8)])
def test_unprepared_input_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"cnn-20k reads batches of 8 leads × 5000 samples.*prepare"):
        create_model("cnn-20k")(torch.zeros(shape))


def test_l2_is_where_the_recipe_puts_it() -> None:
    assert on_paper("cnn-20k").l2 == {"body.conv2.weight": 0.01, "head.out.weight": 0.01}
    assert on_paper("rn-900k").l2 == {}
    assert on_paper("rn-7m").l2 == {"head.out.weight": 0.01}
    large = on_paper("rn-33m")
    unit_convs = {
        f"{key}.weight"
        for key, module in large.named_modules()
        if isinstance(module, nn.Conv1d) and "stem" not in key and "skip" not in key
    }
    assert len(unit_convs) == 24
    assert large.l2 == dict.fromkeys(unit_convs, 0.001) | {"head.out.weight": 0.01}


def test_penalty_is_lambda_times_the_sum_of_squares() -> None:
    model = create_model("cnn-20k")
    nn.init.constant_(model.get_parameter("body.conv2.weight"), 0.5)  # 17 · 28 · 8 = 3808 weights
    nn.init.constant_(model.get_parameter("head.out.weight"), -3.0)  # 100 weights
    penalty = model.penalty()
    assert penalty.shape == ()
    assert penalty.item() == pytest.approx(0.01 * 3808 * 0.25 + 0.01 * 100 * 9.0)
    penalty.backward()
    gradient = model.get_parameter("head.out.weight").grad
    assert gradient is not None
    torch.testing.assert_close(gradient, torch.full((1, 100), 2 * 0.01 * -3.0))


def test_penalty_of_a_model_without_l2_is_a_zero_scalar() -> None:
    penalty = create_model("rn-900k", rate=100).penalty()
    assert penalty.shape == ()
    assert penalty.item() == 0


def layers_of(head: nn.Module) -> list[tuple[str, float]]:
    """(kind, width or rate) of each layer."""
    kinds = {nn.Linear: "out_features", Dropout: "p"}
    return [(type(m).__name__, float(getattr(m, kinds.get(type(m), ""), 0))) for m in list(head.modules())[1:]]


@pytest.mark.parametrize("name", MODELS)
def test_the_target_head_is_the_paper_s(name: str) -> None:
    model = on_paper(name, outputs=2)
    model.replace_head()
    assert layers_of(model.head) == [("Linear", 100), ("ReLU", 0), ("Dropout", 0.3), ("Linear", 1)]
    assert (model.head_kind, model.outputs) == ("target", 1)
    assert not any(key.startswith("head.") for key in model.l2)


def test_the_target_head_of_the_authors_code() -> None:
    small = on_paper("cnn-20k")
    small.replace_head("target-authors")
    hidden = [("Linear", 10), ("ReLU", 0), ("Dropout", 0.4), ("Linear", 100), ("ReLU", 0), ("Dropout", 0.3)]
    assert layers_of(small.head) == [*hidden, ("Linear", 1)]
    assert small.l2 == {"body.conv2.weight": 0.01, "head.out.weight": 0.01}
    other = on_paper("rn-900k")
    other.replace_head("target-authors")
    assert layers_of(other.head) == [("Linear", 100), ("ReLU", 0), ("Dropout", 0.3), ("Linear", 1)]
    assert other.l2 == {}


def test_replacing_the_head_leaves_the_body_and_draws_anew() -> None:
    torch.manual_seed(0)
    model = create_model("cnn-20k").eval()
    body = copy.deepcopy(model.body.state_dict())
    model.replace_head("own")
    first = model.get_parameter("head.fc1.weight").clone()
    assert model.l2 == {"body.conv2.weight": 0.01, "head.out.weight": 0.01}
    model.replace_head("own")
    assert not torch.equal(first, model.get_parameter("head.fc1.weight"))
    assert all(torch.equal(tensor, body[key]) for key, tensor in model.body.state_dict().items())
    assert not model.head.training
    torch.manual_seed(7)
    model.replace_head()
    again = model.get_parameter("head.fc1.weight").clone()
    torch.manual_seed(7)
    model.replace_head()
    assert torch.equal(again, model.get_parameter("head.fc1.weight"))


@pytest.mark.parametrize("name", ["rn-900k", "rn-7m"])
def test_a_sleeping_body_keeps_its_statistics_and_drops_nothing(name: str) -> None:
    model = create_model(name, rate=100).train()
    model.body.eval()
    before = copy.deepcopy(model.state_dict())
    samples = model.spec.model_samples
    x = torch.randn(2, 8, samples)
    with torch.no_grad():
        model(x)
        piece = x if model.crops is None else x[:, :, : model.crops.samples]
        assert torch.equal(model.body(piece), model.body(piece))
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in after if key.startswith("body."))
    if name == "rn-900k":  # its head has a batch norm, which is awake
        assert not torch.equal(after["head.norm.running_mean"], before["head.norm.running_mean"])


def test_model_table_of_both_rates() -> None:
    inputs = {rate: [row["input"] for row in model_table(rate)] for rate in RATES}
    assert inputs[500] == ["5000 at 500 Hz", "crops of 1250 at 500 Hz", "4096 at 400 Hz", "4096 at 400 Hz"]
    assert inputs[100] == ["5000 at 500 Hz", "crops of 250 at 100 Hz", "4096 at 400 Hz", "4096 at 400 Hz"]
    assert [row["paper_parameters"] for row in model_table()] == [20_479, 892_449, 6_784_561, 33_062_569]
