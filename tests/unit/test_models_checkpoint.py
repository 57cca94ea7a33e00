"""Model files: bit-equal after a round trip, equal for equal runs, and refused when damaged or not understood."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import JsonValue, ValidationError
from safetensors.torch import save_file

from precordial import files
from precordial.ecg import InputSpec
from precordial.errors import ModelError
from precordial.models import (
    HeadKind,
    ModelCard,
    checkpoint,
    create_model,
    load_model,
    load_tensors,
    make_card,
    save_model,
    save_tensors,
)

SETTINGS: dict[str, JsonValue] = {"stage": {"epochs": 3, "peak": 1e-3}, "classes": ["a", "b"], "seed": 1}


def small_file(path: Path) -> dict[str, torch.Tensor]:
    tensors = {"w": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(7), "half": torch.ones(2).bfloat16()}
    save_tensors(path, tensors, {"epoch": "3", "µ": "4.88"})
    return tensors


@pytest.mark.parametrize("head", ["own", "target", "target-authors"])
@pytest.mark.parametrize(("name", "rate"), [("cnn-20k", 500), ("cnn-20k", 100), ("rn-900k", 100)])
def test_a_model_comes_back_bit_by_bit(tmp_path: Path, name: str, rate: int, head: HeadKind) -> None:
    torch.manual_seed(4)
    model = create_model(name, outputs=2, rate=rate)
    if head != "own":
        model.replace_head(head, outputs=2)
    model.train()(torch.randn(4, 8, model.spec.model_samples))  # moves the statistics
    card = make_card(model, ("age", "sex"), SETTINGS, ("run-a", "run-b"))
    save_model(tmp_path / "m.safetensors", model, card)
    random = torch.get_rng_state()
    loaded, read = load_model(tmp_path / "m.safetensors")
    assert torch.equal(torch.get_rng_state(), random)  # loading draws nothing
    assert read == card
    assert (loaded.name, loaded.rate, loaded.outputs, loaded.head_kind) == (name, rate, 2, head)
    assert (loaded.spec, loaded.l2, loaded.crops) == (model.spec, model.l2, model.crops)
    assert not loaded.training
    state = model.state_dict()
    assert list(loaded.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.state_dict().items())
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    x = torch.randn(2, 8, model.spec.model_samples)
    with torch.inference_mode():
        assert torch.equal(loaded(x), model.eval()(x))


def test_equal_models_give_equal_files_and_no_leftovers(tmp_path: Path) -> None:
    model = create_model("cnn-20k")
    card = make_card(model, ("ami",), SETTINGS)
    for stem in ("a", "b"):
        save_model(tmp_path / f"{stem}.safetensors", model, card)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.safetensors", "b.json", "b.safetensors"]


def test_the_card_beside_is_a_copy_for_people(tmp_path: Path) -> None:
    model = create_model("rn-900k", rate=100)
    card = make_card(model, ("ami",), SETTINGS, ("parent",))
    save_model(tmp_path / "best.safetensors", model, card)
    assert json.loads((tmp_path / "best.json").read_text()) == json.loads(card.model_dump_json())
    (tmp_path / "best.json").write_text("{}")
    assert load_model(tmp_path / "best.safetensors")[1] == card


def test_a_card_must_describe_its_network(tmp_path: Path) -> None:
    model = create_model("cnn-20k")
    card = make_card(model, ("ami",))
    model.replace_head()
    with pytest.raises(ModelError, match="describes another network"):
        save_model(tmp_path / "m.safetensors", model, card)
    with pytest.raises(ValidationError, match="1 targets for 2 outputs"):
        make_card(create_model("cnn-20k", outputs=2), ("age",))


def test_tensors_and_texts_come_back(tmp_path: Path) -> None:
    tensors = small_file(tmp_path / "t.safetensors")
    read, metadata = load_tensors(tmp_path / "t.safetensors")
    assert metadata == {"epoch": "3", "µ": "4.88"}
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[key], tensors[key]) and read[key].dtype == tensors[key].dtype for key in tensors)


def test_what_was_read_does_not_hang_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    tensors = small_file(path)
    read, _ = load_tensors(path)
    read["w"] += 1
    path.write_bytes(b"")
    assert torch.equal(read["w"], tensors["w"] + 1)


def test_no_flipped_bit_passes(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    tensors = small_file(path)
    intact = path.read_bytes()
    refused = 0
    for at in range(len(intact)):
        damaged = bytearray(intact)
        damaged[at] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        try:
            read, metadata = load_tensors(path)
        except ModelError:
            refused += 1
        else:  # white space that pads the header: the contents are the same
            assert intact[at : at + 1] == b" "
            assert metadata["epoch"] == "3"
            assert torch.equal(read["w"], tensors["w"])
    assert refused >= len(intact) - 8


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_model_is_refused_with_file_and_remedy(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "m.safetensors"
    model = create_model("cnn-20k")
    save_model(path, model, make_card(model, ("ami",)))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"m\.safetensors: not a readable safetensors file .*; restore it"):
        load_model(path)


def test_a_flipped_weight_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    model = create_model("cnn-20k")
    save_model(path, model, make_card(model, ("ami",)))
    damaged = bytearray(path.read_bytes())
    damaged[-1000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match="do not match its digest; restore it"):
        load_model(path)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(ModelError, match=r"m\.safetensors: no such file"):
        load_model(path)
    save_file({"w": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="not written by precordial"):
        load_model(path)
    small_file(path)
    with pytest.raises(ModelError, match="without a model card"):
        load_model(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3, "version": "9.1.0", "colour": "red"}, r"made by a newer precordial \(9\.1\.0\); upgrade"),
        ({"colour": "red"}, "the model card is wrong at 'colour': Extra inputs are not permitted"),
        ({"head": "own", "model": "rn-90k"}, "there is no model 'rn-90k'; did you mean rn-900k"),
        ({"model": "rn-7m"}, "its input, .* is not what rn-7m reads now"),
        ({"head": "target"}, "tensors that do not fit cnn-20k: head.fc1.bias, head.fc1.weight, head.fc2.bias"),
        ({"outputs": 2, "targets": ["age", "sex"]}, "tensors that do not fit cnn-20k: head.out.bias, head.out.weight"),
        ({"rate": 250}, "500 or 100 Hz, not 250"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = tmp_path / "m.safetensors"
    model = create_model("cnn-20k")
    card = json.loads(make_card(model, ("ami",)).model_dump_json()) | changes
    save_tensors(path, model.state_dict(), {"card": json.dumps(card)})
    with pytest.raises(ModelError, match=message) as error:
        load_model(path)
    assert error.value.file == path


def test_ctrl_c_is_heard_when_the_load_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside, safetensors and torch would turn it into a ValueError of theirs."""
    path, done = tmp_path / "a.safetensors", []
    save_tensors(path, {"w": torch.arange(6.0)}, {"note": "x"})
    tensor_of, digest = checkpoint.safe_open, checkpoint._digest

    def opened(*args: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        done.append("opened")
        return tensor_of(*args, **options)

    def digested(*args: Any) -> str:
        done.append("compared")
        return digest(*args)

    monkeypatch.setattr(checkpoint, "safe_open", opened)
    monkeypatch.setattr(checkpoint, "_digest", digested)
    with pytest.raises(KeyboardInterrupt) as heard:
        load_tensors(path)
    assert done == ["opened", "compared"]
    assert heard.value.__context__ is None  # of no error inside
    monkeypatch.undo()
    assert load_tensors(path)[1] == {"note": "x"}


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.safetensors"
    small_file(path)
    before = path.read_bytes()

    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_flush", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_tensors(path, {"w": torch.zeros(9)}, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["t.safetensors"]


def test_the_card_keeps_the_spec() -> None:
    card = make_card(create_model("cnn-20k", rate=100), ("ami",))
    assert card.spec == InputSpec(rate=100, samples=1000, model_rate=500, model_samples=5000)
    assert ModelCard.model_validate_json(card.model_dump_json()) == card
