"""Crops of any length for every model, squeeze-and-excite in rn-900k, and values beside the ECG."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from precordial.errors import ModelError
from precordial.models import (
    MODELS,
    VARIANTS,
    Cropping,
    ExtraInputs,
    Network,
    count_parameters,
    count_with_statistics,
    create_model,
    load_model,
    load_tensors,
    make_card,
    model_table,
    save_model,
    save_tensors,
)

NAN = float("nan")
BOTH = ("age", "sex")


def on_paper(name: str, cropping: Cropping | None = None, extra: tuple[str, ...] = (), rate: int = 500) -> Network:
    with torch.device("meta"):
        return create_model(name, 1, rate, cropping, extra)


@pytest.mark.parametrize(
    ("name", "seconds", "samples", "features"),
    [
        ("cnn-20k", 2.5, 1350, 6 * 8),  # six steps of 225 samples
        ("rn-900k", 2.5, 1250, 512),
        ("rn-900k", 5.0, 2500, 512),
        ("rn-7m", 2.5, 1024, 4 * 320),  # four steps of 256 samples
        ("rn-33m", 2.5, 1024, 4 * 512),
        ("rn-33m", 2.56, 1024, 4 * 512),
        ("rn-33m", 2.57, 1280, 5 * 512),
    ],
)
def test_a_crop_has_the_length_that_the_flatten_needs(name: str, seconds: float, samples: int, features: int) -> None:
    model = on_paper(name, Cropping(seconds=seconds, count=3))
    assert model.crops is not None
    assert (model.crops.samples, model.crops.count, model.features) == (samples, 3, features)
    with torch.device("meta"):
        assert model.body(torch.zeros(2, 8, samples)).shape == (2, features)
        assert model(torch.zeros(2, 8, model.spec.model_samples)).shape == (2, 1)
        assert model.eval()(torch.zeros(2, 8, model.spec.model_samples)).shape == (2, 1)
        model.replace_head("target", 2)
        assert model(torch.zeros(2, 8, model.spec.model_samples)).shape == (2, 2)


@pytest.mark.parametrize("name", [*MODELS, *VARIANTS])
@pytest.mark.parametrize("rate", [500, 100])
def test_a_crop_as_long_as_the_recording_is_none(name: str, rate: int) -> None:
    model = on_paper(name, Cropping(seconds=10), rate=rate)
    assert model.crops is None
    assert model.features == model.architecture.features
    assert model.eval()(torch.zeros(1, 8, model.spec.model_samples, device="meta")).shape == (1, 1)


def test_without_the_setting_every_model_is_as_in_the_paper() -> None:
    for name in MODELS:
        model = on_paper(name)
        assert model.features == model.architecture.features
        assert (model.crops is None) == (name != "rn-900k")
    assert count_parameters(on_paper("rn-900k", Cropping(seconds=4))) == 892_449


@pytest.mark.parametrize("name", ["cnn-20k", "rn-7m"])
def test_the_ensemble_is_the_mean_over_its_crops_and_training_reads_one(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, rate=100, cropping=Cropping(seconds=6, count=3)).eval()
    assert model.crops is not None
    length, total = model.crops.samples, model.spec.model_samples
    x = torch.randn(2, 8, total)
    with torch.inference_mode():
        each = [model.head(model.body(x[..., at : at + length])) for at in (0, (total - length) // 2, total - length)]
        torch.testing.assert_close(model(x), torch.stack(each).mean(dim=0), rtol=1e-4, atol=1e-5)
        at_training = model.train()
        at_training.body.eval()
        at_training.head.eval()
        seen = {round(float(at_training(x[:1])), 5) for _ in range(4)}
    assert len(seen) > 1


def test_of_one_crop_it_is_the_middle() -> None:
    crops = on_paper("cnn-20k", Cropping(seconds=2.5, count=1)).crops
    assert crops is not None
    assert crops.starts(5000) == [1825]


@pytest.mark.parametrize("how", [{"seconds": 0.5}, {"seconds": 10.5}, {"seconds": 2.5, "count": 0}, {}])
def test_crops_that_cannot_be_are_refused(how: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Cropping(**how)  # type: ignore[arg-type]


def test_squeeze_and_excite_in_every_block() -> None:
    """Sixteen times 256 → 32 → 256, with biases."""
    model = on_paper("rn-900k-se")
    assert count_parameters(model) == 892_449 + 16 * (256 * 32 + 32 + 32 * 256 + 256) == 1_159_201
    assert count_with_statistics(model) - count_parameters(model) == 906_529 - 892_449
    assert len([key for key, _ in model.named_modules() if key.endswith("reduce")]) == 16
    (row,) = model_table(names=VARIANTS)
    assert (row["name"], row["trainable"], row["paper_parameters"]) == ("rn-900k-se", 1_159_201, 0)


def test_gates_that_are_open_leave_rn_900k_and_closed_ones_its_shortcuts() -> None:
    torch.manual_seed(0)
    plain, crossed = (create_model(name, rate=100).eval() for name in ("rn-900k", "rn-900k-se"))
    for model in (plain, crossed):
        for name, parameter in model.named_parameters():
            if name.endswith("convs.2.1.weight"):  # zero at the start: then every block is its shortcut anyway
                torch.nn.init.constant_(parameter, 0.5)
    missing = crossed.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing
    assert all(".convs.3." in key for key in missing)
    x = torch.randn(2, 8, 1000)

    def with_gates(bias: float) -> torch.Tensor:
        for name, parameter in crossed.named_parameters():
            if name.endswith("expand.bias"):
                torch.nn.init.constant_(parameter, bias)
        with torch.inference_mode():
            return crossed(x)

    with torch.inference_mode():
        torch.testing.assert_close(with_gates(40.0), plain(x))
        for name, parameter in plain.named_parameters():
            if name.endswith(("convs.2.1.weight", "convs.2.1.bias")):
                torch.nn.init.zeros_(parameter)
        torch.testing.assert_close(with_gates(-40.0), plain(x))
    assert not torch.allclose(with_gates(0.0), with_gates(40.0))


def test_values_are_standardised_by_the_training_set() -> None:
    extra = ExtraInputs(BOTH)
    extra.fit(torch.tensor([[40.0, 0.0], [60.0, 1.0], [NAN, 1.0], [80.0, NAN]]))
    torch.testing.assert_close(extra.mean, torch.tensor([60.0, 2 / 3]))
    torch.testing.assert_close(extra.sd, torch.tensor([(800 / 3) ** 0.5, (2 / 9) ** 0.5]))
    found = extra(torch.tensor([[60.0, 1.0], [NAN, NAN]]))
    expected = torch.tensor([[0.0, (1 / 3) / (2 / 9) ** 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["own", "target", "target-authors"])
@pytest.mark.parametrize("name", ["cnn-20k", "rn-900k"])
def test_the_head_reads_them_behind_the_features(name: str, kind: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, 2, 100, extra_inputs=BOTH)
    if kind != "own":
        model.replace_head(kind, 2, BOTH)  # type: ignore[arg-type]
    model.eval()
    assert model.extra is not None
    model.extra.fit(torch.tensor([[40.0, 0.0], [60.0, 1.0]]))
    x, told = torch.randn(3, 8, model.spec.model_samples), torch.tensor([[50.0, 1.0], [70.0, 0.0], [NAN, 1.0]])
    with torch.inference_mode():
        if model.crops is None:
            by_hand = model.head(torch.cat([model.body(x), model.extra(told)], dim=1))
        else:
            pieces = [x[..., at : at + 250] for at in model.crops.starts(1000)]
            each = [model.head(torch.cat([model.body(piece), model.extra(told)], dim=1)) for piece in pieces]
            by_hand = torch.stack(each).mean(dim=0)
        torch.testing.assert_close(model(x, told), by_hand, rtol=1e-4, atol=1e-5)
        changed = told + torch.tensor([10.0, 0.0])
        assert not torch.allclose(model(x, changed)[:2], model(x, told)[:2])
        torch.testing.assert_close(model(x, changed)[2], model(x, told)[2])  # of unknown age


def test_a_fresh_head_takes_the_unknown_for_the_mean() -> None:
    """Its weights get no gradient where nothing is unknown in training; a random start would speak in its place."""
    model = create_model("cnn-20k", extra_inputs=BOTH).eval()
    assert model.extra is not None
    model.extra.fit(torch.tensor([[40.0, 0.0], [60.0, 1.0]]))
    x = torch.randn(1, 8, 5000)
    with torch.inference_mode():
        unknown, mean = (model(x, torch.tensor([row])) for row in ([NAN, NAN], [50.0, 0.5]))
    torch.testing.assert_close(unknown, mean)


@pytest.mark.parametrize(
    ("names", "extra", "message"),
    [
        (BOTH, None, r"reads age, sex beside the ECG: for 2 ECGs it was given values of shape \(\)"),
        (BOTH, torch.zeros(2, 1), r"given values of shape \(2, 1\); give a column for each, NaN where unknown"),
        (BOTH, torch.zeros(1, 2), r"given values of shape \(1, 2\)"),
        ((), torch.zeros(2, 2), r"reads nothing beside the ECG"),
    ],
)
def test_values_that_do_not_fit_are_refused(names: tuple[str, ...], extra: torch.Tensor | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create_model("cnn-20k", extra_inputs=names)(torch.zeros(2, 8, 5000), extra)


@pytest.mark.parametrize("kind", ["own", "target"])
def test_a_checkpoint_keeps_crops_and_values(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_model("cnn-20k", 1, 100, Cropping(seconds=3, count=4), BOTH).eval()
    if kind == "target":
        model.replace_head("target", 1, BOTH)
    assert model.extra is not None
    model.extra.fit(torch.tensor([[40.0, 0.0], [60.0, 1.0]]))
    save_model(tmp_path / "m.safetensors", model, make_card(model, ("ami",)))
    loaded, card = load_model(tmp_path / "m.safetensors")
    assert (card.cropping, card.extra_inputs) == (Cropping(seconds=3, count=4), BOTH)
    assert (loaded.crops, loaded.extra_inputs) == (model.crops, BOTH)
    x, told = torch.randn(2, 8, 5000), torch.tensor([[50.0, NAN], [70.0, 0.0]])
    with torch.inference_mode():
        assert torch.equal(loaded(x, told), model(x, told))
    other = create_model("cnn-20k", 1, 100, Cropping(seconds=3), BOTH)
    with pytest.raises(ModelError, match="describes another network"):
        save_model(tmp_path / "m.safetensors", other, card)


def test_a_card_of_the_first_format_is_read(tmp_path: Path) -> None:
    model = create_model("rn-900k", rate=100)
    save_model(tmp_path / "m.safetensors", model, make_card(model, ("ami",)))
    tensors, metadata = load_tensors(tmp_path / "m.safetensors")
    card = json.loads(metadata["card"]) | {"format": 1}
    del card["cropping"], card["extra_inputs"]
    save_tensors(tmp_path / "m.safetensors", tensors, {"card": json.dumps(card)})
    loaded, _ = load_model(tmp_path / "m.safetensors")
    assert loaded.crops == model.crops
