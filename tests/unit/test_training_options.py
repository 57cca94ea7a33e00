"""What a training may do beside the paper: early stopping, mean weights, clipping, class weights, smoothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.errors import SettingsError
from precordial.models import create_model, load_tensors
from precordial.study import load_study, make_plan
from precordial.training import Stage, TrainingRun, train
from precordial.training.objectives import Emphasis, class_weights, example_losses, outcome_losses
from precordial.training.scoring import keep_best
from precordial.training.state import Progress, RunningMean

Made = tuple[Cohort, Archive]
RUN = TrainingRun(
    model="cnn-20k",
    rate=100,
    role="target",
    task="label",
    stages=(Stage(epochs=1, peak=1e-3),),
    batch=8,
)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_stage_without_progress_ends_and_the_next_begins(
    small_cohort: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By AUCs that are given: the second epoch is the best of the first stage, and no epoch of the second is better."""
    aucs = iter([0.6, 0.7, 0.7, 0.65, 0.7, 0.1])

    def validate(*_: Any) -> dict[str, float]:
        return {"validation_loss": 1.0, "validation_label_auc": next(aucs)}

    monkeypatch.setattr("precordial.training.loop.validate", validate)
    stages = (Stage(epochs=10, peak=1e-3, patience=2, trains="head"), Stage(epochs=5, peak=1e-4, patience=2))
    notes: list[str] = []
    train(RUN.model_copy(update={"stages": stages}), *small_cohort(target=40), tmp_path, note=notes.append)
    assert [(row["epoch"], row["stage"]) for row in rows(tmp_path)] == [
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 1),
        (11, 2),
        (12, 2),
    ]
    assert json.loads((tmp_path / "done.json").read_text())["best_epoch"] == 2
    ends = [note.partition(": ")[2] for note in notes]
    assert ends == [
        "stage 1 ends after epoch 4, none being better than epoch 2",
        "stage 2 ends after epoch 12, none being better than epoch 2",
    ]


@pytest.mark.parametrize(("best_by", "kept"), [("paper", [1, 1, 3]), ("loss", [1, 2, 2])])
def test_what_makes_an_epoch_the_best(best_by: str, kept: list[int], tmp_path: Path) -> None:
    run, state = RUN.model_copy(update={"best_by": best_by}), Progress()
    network, found = create_model("cnn-20k", rate=100), []
    for epoch, (loss, auc) in enumerate([(0.7, 0.8), (0.6, 0.8), (0.9, 0.9)], start=1):
        keep_best(run, network, {"epoch": epoch, "validation_loss": loss, "validation_label_auc": auc}, state, tmp_path)
        found.append(state.best_epoch)
    assert found == kept


def test_the_mean_of_the_weights_by_hand() -> None:
    network = create_model("rn-900k", rate=100)
    mean = RunningMean(network, 0.5)
    weight = network.get_parameter("head.out.weight")
    expected = weight.detach().clone()
    for steps in (1, 2, 30):
        with torch.no_grad():
            weight += 1
            network.get_buffer("head.norm.running_mean").fill_(steps)
            network.get_buffer("head.norm.num_batches_tracked").fill_(steps)
        decay = min(0.5, (1 + steps) / (10 + steps))
        expected = decay * expected + (1 - decay) * weight.detach()
        mean.follow(steps)
    torch.testing.assert_close(mean.network.get_parameter("head.out.weight"), expected)
    assert 2 < float(mean.network.get_buffer("head.norm.running_mean")[0]) < 30
    assert int(mean.network.get_buffer("head.norm.num_batches_tracked")) == 30
    assert not any(parameter.requires_grad for parameter in mean.network.parameters())
    name = "body.stem.0.0.weight"  # what does not move has itself as its mean
    assert torch.equal(mean.network.get_parameter(name), network.get_parameter(name))


def test_the_mean_is_what_is_validated_and_kept(
    small_cohort: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("precordial.training.state.remove_state", lambda folder: None)
    made = small_cohort(target=40)
    train(RUN.model_copy(update={"ema": 0.99}), *made, tmp_path / "mean")
    train(RUN, *made, tmp_path / "plain")
    best, state = (load_tensors(tmp_path / "mean" / name)[0] for name in ("best.safetensors", "last.safetensors"))
    plain = load_tensors(tmp_path / "plain" / "best.safetensors")[0]
    for name, value in plain.items():
        assert torch.equal(state[f"model.{name}"], value), "the mean has an influence on the training"
        assert torch.equal(state[f"mean.{name}"], best[name])
    assert not torch.equal(best["head.out.weight"], plain["head.out.weight"])
    assert rows(tmp_path / "mean")[0]["train_loss"] == rows(tmp_path / "plain")[0]["train_loss"]
    assert rows(tmp_path / "mean")[0]["validation_loss"] != rows(tmp_path / "plain")[0]["validation_loss"]


def test_long_gradients_are_shortened(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """Adam hardly feels the length of all gradients; a large epsilon makes it do so."""
    made, lengths = small_cohort(target=40), {}
    for clip in (1e9, 1e-3):
        folder = tmp_path / str(clip)
        train(RUN.model_copy(update={"clip_norm": clip, "adam_epsilon": 1.0}), *made, folder)
        (row,) = rows(folder)
        assert row["gradient_norm"] > 1e-2  # as it was before it was shortened
        lengths[clip] = load_tensors(folder / "best.safetensors")[0]["head.out.bias"].abs().item()
    assert lengths[1e-3] < 0.2 * lengths[1e9]
    train(RUN, *made, tmp_path / "unclipped")
    assert "gradient_norm" not in rows(tmp_path / "unclipped")[0]


def test_class_weights_by_hand() -> None:
    truth = np.array([[1, 0], [0, np.nan], [0, 0], [0, 0]], np.float32)
    np.testing.assert_allclose(class_weights("balanced", truth, ["a", "b"]), [[4 / 6, 1], [2, 1]], rtol=1e-6)
    np.testing.assert_allclose(class_weights({"b": 3.0}, truth, ["a", "b"]), [[1, 1], [1, 3]])
    np.testing.assert_allclose(class_weights("balanced", truth[:, :1], ["age"]), [[1], [1]])


def test_weighted_and_smoothed_losses_by_hand() -> None:
    emphasis = Emphasis(torch.tensor([[0.5, 1.0], [4.0, 3.0]]), smoothing=0.2)
    outputs = torch.tensor([[0.3, -1.0], [2.0, 0.5]])
    truth = torch.tensor([[1.0, 0.0], [0.0, float("nan")]])

    def loss(logit: float, wanted: float) -> float:
        p = 1 / (1 + np.exp(-logit))
        return float(-wanted * np.log(p) - (1 - wanted) * np.log(1 - p))

    expected = [(4 * loss(0.3, 0.9) + 1 * loss(-1, 0.1)) / 2, 0.5 * loss(2, 0.1)]
    np.testing.assert_allclose(outcome_losses(outputs, truth, emphasis), expected, rtol=1e-5)
    of_sex = Emphasis(torch.tensor([[1.0, 0.5], [1.0, 4.0]]), smoothing=0.2)
    expected = [0.045 * 1.3 + 4 * loss(-1, 0.9), 0.045 * 2 + 0.5 * loss(0.5, 0.1)]
    losses = example_losses(outputs, torch.tensor([[-1.0, 1.0], [0.0, 0.0]]), {"age": 0.045, "sex": 1.0}, of_sex)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_the_validation_loss_is_the_plain_one(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """At a rate of nothing the weights stay, and so must the validation loss; the training loss is another one."""
    made = small_cohort(target=40)
    still = RUN.model_copy(update={"stages": (Stage(epochs=1, peak=1e-30),)})
    for name, changes in (("plain", {}), ("other", {"class_weights": "balanced", "label_smoothing": 0.3})):
        train(still.model_copy(update=changes), *made, tmp_path / name)
    (plain,), (other,) = rows(tmp_path / "plain"), rows(tmp_path / "other")
    assert plain["validation_loss"] == other["validation_loss"]
    assert plain["train_loss"] != other["train_loss"]


STUDY = """
name = "s"
[[grid]]
models = ["cnn-20k"]
pretraining = ["none", "sex"]
[training]
patience = 7
ema = 0.999
clip_norm = 1
best_by = "loss"
label_smoothing = 0.1
class_weights = { AMI = 10, sex = 2 }
save_every = 60
[training.models.cnn-20k]
scratch = [{ epochs = 5, peak = 1e-3, patience = 2 }, { epochs = 5, peak = 1e-4 }]
"""


def test_settings_of_a_study_reach_its_trainings(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(STUDY)
    study = load_study(tmp_path / "s.toml")
    source, scratch, tuned = make_plan(study, "", ("AMI", "MACE")).runs
    for run in (source, scratch, tuned):
        assert (run.ema, run.clip_norm, run.best_by, run.label_smoothing) == (0.999, 1.0, "loss", 0.1)
    assert [stage.patience for stage in scratch.stages] == [2, 7]
    assert {stage.patience for run in (source, tuned) for stage in run.stages} == {7}
    assert source.class_weights == {"sex": 2.0}
    assert scratch.class_weights == tuned.class_weights == {"AMI": 10.0}
    with pytest.raises(SettingsError, match=r"training\.class_weights.*no outcome 'AMI'.*the nearest is 'AM'"):
        make_plan(study, "", ("AM", "MACE"))


@pytest.mark.parametrize(
    "changes",
    [
        {"ema": 1.0},
        {"clip_norm": 0.0},
        {"label_smoothing": 1.0},
        {"class_weights": "even"},
        {"class_weights": {"a": 0}},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainingRun.model_validate(RUN.model_dump() | changes)
