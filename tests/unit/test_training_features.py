"""Features of a frozen body: the head that is trained on them is the one trained behind the body."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.errors import PrecordialError
from precordial.models import Network, create_model, load_tensors, make_card, save_model
from precordial.training import Stage, TrainingRun, features, train
from precordial.training.augment import Augment
from precordial.training.examples import examples_of
from precordial.training.features import grid_starts, head_outputs, is_cached, make_features, nearest
from precordial.training.loop import build_network
from precordial.training.scoring import forward

Made = tuple[Cohort, Archive]
CPU = torch.device("cpu")
HEAD = Stage(epochs=2, peak=1e-2, trains="head", batch=6)


def fine_tuning(model: str, *stages: Stage, **changes: object) -> TrainingRun:
    parent = TrainingRun(
        model=model, rate=100, role="source", task="age-sex", stages=(Stage(epochs=1, peak=1e-3),), batch=16
    )
    given = {"model": model, "rate": 100, "role": "target", "task": "label", "head": "target", "batch": 16}
    return TrainingRun.model_validate({**given, "stages": stages or (HEAD,), "parent": parent, **changes})


def random_parent(model: str, folder: Path) -> Path:
    """A saved network with random weights, and norms that are not those of a fresh one."""
    torch.manual_seed(4)
    network = create_model(model, outputs=2, rate=100)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
    save_model(folder / "parent.safetensors", network, make_card(network, ("age", "sex"), {}, ("x",)))
    return folder / "parent.safetensors"


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return load_tensors(path)[0]


@pytest.fixture
def states_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs keep their last state, for a look at it."""
    monkeypatch.setattr("precordial.training.state.remove_state", lambda folder: None)


@pytest.fixture
def bodies_run(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many ECGs or crops went through a body at a time."""
    ran: list[int] = []
    inner = Network.__init__

    def init(self: Network, *given: object, **named: object) -> None:
        inner(self, *given, **named)  # type: ignore[arg-type]
        self.body.register_forward_hook(lambda _, inputs, __: ran.append(len(inputs[0])))

    monkeypatch.setattr(Network, "__init__", init)
    return ran


@pytest.mark.parametrize("model", ["cnn-20k", "rn-7m", pytest.param("rn-33m", marks=pytest.mark.slow)])
def test_a_head_on_stored_features_is_the_head_behind_the_body(
    small_cohort: Callable[..., Made], tmp_path: Path, model: str
) -> None:
    """With dropout in the head, drawn identically; weights and metrics within float error.

    Adam's epsilon is large here: its usual one makes a whole step of a gradient that is nothing but rounding.
    """
    made = small_cohort(target=30)
    parent = random_parent(model, tmp_path)
    for cached in ("auto", False):
        run = fine_tuning(model, replace_epochs(HEAD, 1), cache_features=cached, adam_epsilon=1e-2, fraction="0.4")
        train(run, *made, tmp_path / str(cached), parent=parent)
    stored, plain = (tensors(tmp_path / name / "best.safetensors") for name in ("auto", "False"))
    assert stored.keys() == plain.keys()
    for name, value in stored.items():
        # However small a gradient, Adam makes a step of the rate's size of it.
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-5)
        if name.startswith("body."):
            assert torch.equal(value, plain[name])
    rows = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("auto", "False")
    ]
    for row, other in zip(*rows, strict=True):
        for key in ("train_loss", "validation_loss", "validation_label_auc"):
            assert row[key] == pytest.approx(other[key], rel=1e-4)


def test_the_body_runs_once_for_all_epochs_and_again_when_it_trains(
    small_cohort: Callable[..., Made], tmp_path: Path, bodies_run: list[int]
) -> None:
    made, parent = small_cohort(target=60), random_parent("cnn-20k", tmp_path)
    run = fine_tuning("cnn-20k", HEAD, Stage(epochs=3, peak=1e-3, trains="head"), Stage(epochs=2, peak=1e-4))
    train(run, *made, tmp_path / "run", parent=parent)
    train_n, validation, tests = 42, 6, 6 + 6 + 6
    assert sum(bodies_run) == (train_n + validation) + 2 * (train_n + validation) + tests


def test_validation_from_features_is_exact(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """The ten crops, too, and values beside the ECG: to the last bit, since the same parts go through the body."""
    cohort, archive = small_cohort(target=40)
    for model in ("rn-900k", "cnn-20k"):
        run = fine_tuning(model, extra_inputs=("age", "sex"))
        examples = examples_of(run, cohort, archive)
        network = build_network(run, examples, random_parent(model, tmp_path))
        stored = make_features(network, examples, CPU, "fp32", tmp_path, None)
        assert torch.equal(head_outputs(network, stored, CPU, "fp32"), forward(network, examples, CPU))


def test_crops_on_a_grid_are_the_crops_where_all_starts_lie_on_it(
    small_cohort: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for, rn-900k has features of a grid; drawn starts are moved to the nearest, here to themselves."""
    from precordial.models import Crops

    made, parent = small_cohort(target=40), random_parent("rn-900k", tmp_path)
    plain = Crops.draw_starts

    def on_grid(self: Crops, total: int, batch: int, generator: torch.Generator | None = None) -> torch.Tensor:
        return (plain(self, total, batch, generator) + 125) // 250 * 250

    monkeypatch.setattr(Crops, "draw_starts", on_grid)
    for cached in (True, False):
        run = fine_tuning("rn-900k", replace_epochs(HEAD, 1), cache_features=cached, crop_grid=2.5, adam_epsilon=1e-2)
        train(run, *made, tmp_path / str(cached), parent=parent)
    stored, other = (tensors(tmp_path / name / "best.safetensors") for name in ("True", "False"))
    for name, value in stored.items():
        torch.testing.assert_close(value, other[name], rtol=1e-4, atol=1e-6)


def replace_epochs(stage: Stage, epochs: int) -> Stage:
    return stage.model_copy(update={"epochs": epochs})


@pytest.mark.usefixtures("states_stay")
@pytest.mark.parametrize("at", [(1, 2), (2, 1), (3, 1)])
def test_an_interrupted_frozen_stage_ends_as_the_uninterrupted_one(
    small_cohort: Callable[..., Made], tmp_path: Path, at: tuple[int, int]
) -> None:
    from precordial.training import Step

    class Stop(Exception):
        pass

    def watch(now: Step) -> None:
        if (now.epoch, now.step) == at:
            raise Stop

    made, parent = small_cohort(target=40), random_parent("cnn-20k", tmp_path)
    run = fine_tuning("cnn-20k", HEAD, Stage(epochs=1, peak=1e-4))
    train(run, *made, tmp_path / "whole", parent=parent)
    with pytest.raises(Stop):
        train(run, *made, tmp_path / "cut", parent=parent, progress=watch, save_every=0)
    train(run, *made, tmp_path / "cut", parent=parent)
    whole, cut = (tensors(tmp_path / name / "best.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())


def test_features_may_lie_in_a_file_that_leaves_nothing(
    small_cohort: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, archive = small_cohort(target=20)
    run = fine_tuning("cnn-20k")
    examples = examples_of(run, cohort, archive)
    network = build_network(run, examples, random_parent("cnn-20k", tmp_path))
    folder = tmp_path / "run"
    folder.mkdir()
    memory = make_features(network, examples, CPU, "bf16", folder, None)
    monkeypatch.setattr(features, "free_bytes", lambda device: 0)
    file = make_features(network, examples, CPU, "bf16", folder, None)
    assert file.values.dtype == memory.values.dtype
    assert torch.equal(file.values, memory.values)
    assert list(folder.iterdir()) == []

    def full(handle: int, start: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(PrecordialError, match=r"training\.cache_features.*no room.*or set it to false"):
        make_features(network, examples, CPU, "fp32", folder, None)


@pytest.mark.parametrize(
    ("changes", "stage", "cached"),
    [
        ({}, HEAD, True),
        ({"cache_features": False}, HEAD, False),
        ({}, Stage(epochs=1, peak=1e-3), False),
        ({}, HEAD.model_copy(update={"awake": ("dropout",)}), False),
        ({}, HEAD.model_copy(update={"augment": Augment(noise_mv=0.1)}), False),
        ({"model": "rn-900k"}, HEAD, False),
        ({"model": "rn-900k", "cache_features": True}, HEAD, True),
    ],
)
def test_what_is_stored(changes: dict[str, object], stage: Stage, cached: bool) -> None:
    run = fine_tuning(str(changes.get("model", "cnn-20k")), stage, **{"seed": 0, **without_model(changes)})
    assert is_cached(run, 0, create_model(run.model, rate=100)) is cached


def without_model(changes: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in changes.items() if key != "model"}


def test_a_running_mean_of_a_trained_body_is_not_stored() -> None:
    network = create_model("cnn-20k", rate=100)
    stages = (HEAD, Stage(epochs=1, peak=1e-3), HEAD)
    for ema, cached in ((None, [True, False, True]), (0.9, [True, False, False])):
        run = fine_tuning("cnn-20k", *stages, ema=ema)
        assert [is_cached(run, number, network) for number in range(3)] == cached


def test_features_that_cannot_be_stored_are_refused() -> None:
    with pytest.raises(ValidationError, match="awake layers"):
        fine_tuning("cnn-20k", HEAD.model_copy(update={"awake": ("dropout",)}), cache_features=True)


@given(last=st.integers(1, 5000), step=st.integers(1, 6000), data=st.data())
def test_the_nearest_start_of_a_grid_is_taken(last: int, step: int, data: st.DataObject) -> None:
    grid = grid_starts(last, step)
    assert grid[0] == 0
    assert grid[-1] == last
    assert (np.diff(grid) > 0).all()
    assert np.diff(grid).max() <= step
    starts = np.array(data.draw(st.lists(st.integers(0, last), min_size=1)))
    taken = grid[nearest(grid, starts)]
    np.testing.assert_array_equal(np.abs(taken - starts), np.abs(grid[:, None] - starts).min(axis=0))
