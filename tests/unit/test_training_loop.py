"""The loop: what is frozen stays, what is interrupted goes on exactly, and the best epoch is the best."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.errors import ModelError, PrecordialError
from precordial.models import create_model, load_model, load_tensors
from precordial.training import Stage, TrainingRun, train
from precordial.training.loader import split_batches
from precordial.training.objectives import example_losses
from precordial.training.precision import choose_precision
from precordial.training.state import Learner, Progress, load_state, save_state
from precordial.training.steps import Step, derive_seed, set_stage

Made = tuple[Cohort, Archive]
PARENT = TrainingRun(
    model="rn-900k",
    rate=100,
    role="source",
    task="age-sex",
    stages=(Stage(epochs=2, peak=1e-3, warmup=1, start=1e-4, end=1e-5),),
    batch=16,
    age_bias="median",
)
CHILD = TrainingRun(
    model="rn-900k",
    rate=100,
    role="target",
    task="label",
    stages=(Stage(epochs=2, peak=1e-2, trains="head"), Stage(epochs=1, peak=1e-3)),
    batch=16,
    head="target",
    parent=PARENT,
)
EVERYTHING = {
    "precision": "bf16",
    "ema": 0.9,
    "clip_norm": 0.5,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
}


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return load_tensors(path)[0]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def rows(folder: Path) -> list[dict[str, Any]]:
    """Of metrics.jsonl, without the speed."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "ecgs_per_second"} for line in lines]


class Stop(Exception):
    pass


def stopping_after(epoch: int, step: int) -> Callable[[Step], None]:
    def watch(now: Step) -> None:
        if (now.epoch, now.step) == (epoch, step):
            raise Stop

    return watch


@pytest.fixture
def trained_parent(small_cohort: Callable[..., Made], tmp_path: Path) -> tuple[Made, Path]:
    made = small_cohort(target=60, source=60)
    train(PARENT, *made, tmp_path / "parent")
    return made, tmp_path / "parent" / "best.safetensors"


@pytest.fixture
def states_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs keep their last state, for a look at it."""
    monkeypatch.setattr("precordial.training.state.remove_state", lambda folder: None)


@pytest.mark.usefixtures("states_stay")
def test_a_frozen_body_does_not_move_in_any_way(trained_parent: tuple[Made, Path], tmp_path: Path) -> None:
    """Neither weights nor batch-norm statistics of the body change in stage 2; in stage 3 they do."""
    (cohort, archive), parent = trained_parent
    with pytest.raises(Stop):
        train(CHILD, cohort, archive, tmp_path / "child", parent=parent, progress=stopping_after(3, 1))
    before, after = tensors(parent), tensors(tmp_path / "child" / "last.safetensors")
    body = [name for name in before if name.startswith("body.")]
    assert len(body) > 100
    assert all(torch.equal(before[name], after[f"model.{name}"]) for name in body)
    train(CHILD, cohort, archive, tmp_path / "child", parent=parent)
    finished = tensors(tmp_path / "child" / "last.safetensors")
    moved = [name for name in body if not torch.equal(before[name], finished[f"model.{name}"])]
    assert any("running_mean" in name for name in moved)
    assert any(name.endswith("weight") for name in moved)


@pytest.mark.parametrize("name", ["rn-900k", "rn-7m"])
@pytest.mark.parametrize("awake", [(), ("dropout",), ("norm",)])
def test_what_sleeps_in_a_frozen_body(name: str, awake: tuple[Any, ...]) -> None:
    network = create_model(name)
    network.eval()
    set_stage(network, Stage(epochs=1, peak=1e-3, trains="head", awake=awake))
    assert network.training
    assert network.head.training
    assert not any(parameter.requires_grad for parameter in network.body.parameters())
    assert all(parameter.requires_grad for parameter in network.head.parameters())
    for module in network.body.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            assert module.training == ("norm" in awake)
        elif isinstance(module, torch.nn.Dropout):
            assert module.training == ("dropout" in awake)
    set_stage(network, Stage(epochs=1, peak=1e-3))
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(module.training for module in network.modules())


@pytest.mark.usefixtures("states_stay")
@pytest.mark.parametrize(
    ("changes", "save_every"), [({}, 300.0), (EVERYTHING, 0.0)], ids=["by-epoch", "by-step-with-everything"]
)
def test_an_interrupted_run_ends_as_the_uninterrupted_one(
    trained_parent: tuple[Made, Path], tmp_path: Path, changes: dict[str, Any], save_every: float
) -> None:
    """Stopped four times: in the first step, at the end of an epoch, at the beginning and in the middle of one."""
    (cohort, archive), parent = trained_parent
    run = CHILD.model_copy(update=changes)
    whole = train(run, cohort, archive, tmp_path / "whole", parent=parent)
    for at in ((1, 1), (1, 3), (2, 1), (3, 2)):
        with pytest.raises(Stop):
            train(
                run,
                cohort,
                archive,
                tmp_path / "cut",
                parent=parent,
                save_every=save_every,
                progress=stopping_after(*at),
            )
    steps: list[Step] = []
    resumed = train(run, cohort, archive, tmp_path / "cut", parent=parent, progress=steps.append)
    assert (steps[0].epoch, steps[0].step) == ((3, 1) if save_every else (3, 3))
    for name in ("last.safetensors", "best.safetensors"):
        assert same(tensors(tmp_path / "whole" / name), tensors(tmp_path / "cut" / name))
    np.testing.assert_array_equal(whole.score, resumed.score)
    assert (tmp_path / "whole" / "best.json").read_bytes() == (tmp_path / "cut" / "best.json").read_bytes()
    epochs = [json.loads(line)["epoch"] for line in (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3]
    assert rows(tmp_path / "whole") == rows(tmp_path / "cut")


def test_equal_seeds_give_equal_models_and_others_do_not(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    made = small_cohort(target=60, source=60)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(PARENT.model_copy(update={"seed": seed}), *made, tmp_path / name)
    a, b, c = (tensors(tmp_path / name / "best.safetensors") for name in "abc")
    assert same(a, b)
    assert not same(a, c)


def test_a_finished_run_is_not_trained_again(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    made = small_cohort(target=60, source=60)
    first = train(PARENT, *made, tmp_path / "run")
    steps: list[Step] = []
    second = train(PARENT, *made, tmp_path / "run", progress=steps.append)
    assert steps == []
    np.testing.assert_array_equal(first.score, second.score)


def test_the_best_epoch_is_the_best(trained_parent: tuple[Made, Path], tmp_path: Path) -> None:
    (cohort, archive), parent = trained_parent
    train(CHILD, cohort, archive, tmp_path / "child", parent=parent)
    for folder, key, best in (
        (parent.parent, "validation_loss", min),
        (tmp_path / "child", "validation_label_auc", max),
    ):
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        done = json.loads((folder / "done.json").read_text())
        assert done["best"] == pytest.approx(best(row[key] for row in rows))
        assert rows[done["best_epoch"] - 1][key] == pytest.approx(done["best"])


def test_the_card_tells_where_a_model_comes_from(trained_parent: tuple[Made, Path], tmp_path: Path) -> None:
    (cohort, archive), parent = trained_parent
    train(CHILD, cohort, archive, tmp_path / "child", parent=parent)
    network, card = load_model(tmp_path / "child" / "best.safetensors")
    assert card.lineage == (PARENT.id, CHILD.id)
    assert (card.targets, card.head, network.outputs) == (("label",), "target", 1)
    assert TrainingRun.model_validate_json(json.dumps(card.settings)) == CHILD
    assert load_model(parent)[1].targets == ("age", "sex")


def test_the_rate_moves_with_the_step_or_with_the_epoch(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    made = small_cohort(target=60, source=60)
    ends = {}
    for per in ("step", "epoch"):
        train(PARENT.model_copy(update={"schedule_per": per}), *made, tmp_path / per)
        rows = (tmp_path / per / "metrics.jsonl").read_text().splitlines()
        ends[per] = json.loads(rows[0])["rate"]
    assert ends["epoch"] == pytest.approx(1e-4)
    assert ends["step"] == pytest.approx(1e-4 + 9e-4 * 2 / 3)  # the last of three steps


def test_the_age_output_may_start_at_the_median(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    from precordial.training.examples import examples_of
    from precordial.training.loop import build_network

    cohort, archive = small_cohort(target=60, source=60)
    training = examples_of(PARENT, cohort.select(role="source", split="train"), archive)
    network = build_network(PARENT, training, None)
    median = float(np.median(cohort.select(role="source", split="train").age))
    biases = [p for name, p in network.head.named_parameters() if name.endswith("bias") and p.shape == (2,)]
    np.testing.assert_allclose(biases[-1].detach().numpy(), [median, 0.0], rtol=1e-6)


def test_losses_by_hand() -> None:
    outputs = torch.tensor([[50.0, 0.0], [60.0, 2.0]])
    truth = torch.tensor([[60.0, 1.0], [60.0, 0.0]])
    losses = example_losses(outputs, truth, {"age": 0.045, "sex": 1.0})
    expected = [0.045 * 10 + np.log(2), np.log(1 + np.exp(2.0))]
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(("n", "sizes"), [(5, [2, 3]), (4, [2, 2]), (1, [1]), (7, [2, 2, 3])])
def test_no_batch_is_of_one(n: int, sizes: list[int]) -> None:
    assert [len(part) for part in split_batches(np.arange(n), 2)] == sizes


def test_seeds_of_different_purposes_differ() -> None:
    assert len({derive_seed(0, "step", e, s) for e in range(20) for s in range(20)}) == 400


def test_a_missing_parent_and_an_empty_set_are_said(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    cohort, archive = small_cohort(target=60)
    with pytest.raises(ModelError, match="train the pre-training first"):
        train(CHILD, cohort, archive, tmp_path / "a")
    with pytest.raises(PrecordialError, match="the training set has 0 ECGs with a label; take a larger fraction"):
        train(PARENT, cohort, archive, tmp_path / "b")
    negative = replace(cohort, labels={"label": np.zeros(len(cohort))})
    with pytest.raises(PrecordialError, match="all ECGs of the training set have the same label"):
        train(CHILD.model_copy(update={"parent": None}), negative, archive, tmp_path / "c")


def test_a_rate_too_high_is_said(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    made = small_cohort(target=60)
    run = CHILD.model_copy(update={"parent": None, "head": "own", "stages": (Stage(epochs=3, peak=1e30),)})
    with pytest.raises(ModelError, match=r"no longer a number.*lower the peak rate"):
        train(run, *made, tmp_path / "run")


def test_a_finished_run_keeps_no_state(
    small_cohort: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes after done.json is written; what a kill in between leaves goes with the next call."""
    run = CHILD.model_copy(update={"parent": None, "head": "own", "stages": (Stage(epochs=1, peak=1e-3),)})
    made, folder = small_cohort(target=60), tmp_path / "run"
    state = folder / "last.safetensors"

    def killed(folder: Path) -> None:
        raise Stop

    monkeypatch.setattr("precordial.training.state.remove_state", killed)
    with pytest.raises(Stop):
        train(run, *made, folder)
    monkeypatch.undo()
    assert (folder / "done.json").exists()
    assert state.exists()
    first = train(run, *made, folder)
    assert not state.exists()
    np.testing.assert_array_equal(train(run, *made, folder).score, first.score)
    train(run, *made, tmp_path / "again")
    names = {path.name for path in (tmp_path / "again").iterdir()}
    assert names == {path.name for path in folder.iterdir()}
    assert names == {"run.json", "best.safetensors", "best.json", "metrics.jsonl", "predictions.csv", "done.json"}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.usefixtures("states_stay")
@pytest.mark.parametrize("damage", [flip, cut_short, Path.unlink], ids=["flipped", "truncated", "gone"])
def test_of_a_damaged_state_the_one_before_it_is_used(
    small_cohort: Callable[..., Made], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """The last two are kept. One that is gone is what a kill between two renamings leaves: nothing to be noted."""
    made, folder = small_cohort(target=0, source=40), tmp_path / "cut"
    run = PARENT.model_copy(update={"model": "cnn-20k"})
    train(run, *made, tmp_path / "whole")
    with pytest.raises(Stop):
        train(run, *made, folder, save_every=0, progress=stopping_after(2, 2))
    damage(folder / "last.safetensors")
    before = (folder / "previous.safetensors").read_bytes()
    notes: list[str] = []
    steps: list[Step] = []

    def watch(step: Step) -> None:
        if not steps:
            assert (folder / "last.safetensors").read_bytes() == before
        steps.append(step)

    train(run, *made, folder, progress=watch, note=notes.append)
    assert (steps[0].epoch, steps[0].step) == (2, 2)
    assert same(tensors(tmp_path / "whole" / "last.safetensors"), tensors(folder / "last.safetensors"))
    assert rows(tmp_path / "whole") == rows(folder)
    if damage is Path.unlink:
        assert notes == []
    else:
        (note,) = notes
        assert note.startswith(f"{folder / 'last.safetensors'}: ")
        assert note.endswith("; going on from the state before it")


def test_two_damaged_states_are_said_and_not_overwritten(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    made, folder = small_cohort(target=0, source=40), tmp_path / "run"
    run = PARENT.model_copy(update={"model": "cnn-20k"})
    with pytest.raises(Stop):
        train(run, *made, folder, progress=stopping_after(2, 1))
    states = [folder / "last.safetensors"]
    flip(states[0])
    contents = [path.read_bytes() for path in states]
    with pytest.raises(ModelError, match=r"last\.safetensors: damaged"):
        train(run, *made, folder)
    assert [path.read_bytes() for path in states] == contents
    states[0].unlink()
    with pytest.raises(Stop):
        train(run, *made, folder, save_every=0, progress=stopping_after(2, 1))
    states.append(folder / "previous.safetensors")
    for state in states:
        flip(state)
    contents = [path.read_bytes() for path in states]
    with pytest.raises(ModelError, match=r"neither this state .* previous\.safetensors .* delete the run's folder"):
        train(run, *made, folder)
    assert [path.read_bytes() for path in states] == contents


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_a_loaded_state_is_where_the_parameters_are(tmp_path: Path) -> None:
    """On the device "meta", which stands in for a GPU: a fused Adam there counts its steps on the GPU."""
    network = create_model("cnn-20k", rate=100)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    network(torch.zeros(2, 8, network.spec.model_samples)).sum().backward()
    optimiser.step()
    save_state(tmp_path, Learner(network, optimiser, progress=Progress(epoch=1)))
    elsewhere = create_model("cnn-20k", rate=100).to("meta")
    other = torch.optim.Adam(elsewhere.parameters())
    learner = Learner(elsewhere, other)
    load_state(tmp_path, learner)
    assert learner.progress.epoch == 1
    states = [other.state[parameter] for parameter in elsewhere.parameters()]
    assert {value.device.type for state in states for value in state.values()} == {"meta"}
    assert all(set(state) == {"step", "exp_avg", "exp_avg_sq"} for state in states)


@pytest.mark.parametrize(
    ("device", "gpu", "processor", "chosen"),
    [
        ("auto", True, False, "bf16"),
        ("cuda", True, False, "bf16"),
        ("cpu", True, False, "fp32"),
        ("cpu", True, True, "bf16"),
        ("auto", False, True, "bf16"),
        ("auto", False, False, "fp32"),
    ],
)
def test_automatic_precision_asks_the_device_that_trains(
    device: str, gpu: bool, processor: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: gpu)
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: processor, raising=False)
    assert choose_precision("auto", device) == chosen
    assert choose_precision("fp32", device) == "fp32"
