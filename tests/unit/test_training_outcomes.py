"""Several outcomes in one network, and folds: what is masked, what is measured, what is put together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.errors import PrecordialError
from precordial.evaluation import Predictions
from precordial.models import load_model
from precordial.training import Stage, TrainingRun, train
from precordial.training.examples import check_examples, examples_of
from precordial.training.objectives import example_losses, outcome_losses
from precordial.training.scoring import validate

Made = tuple[Cohort, Archive]
ODD = 'statement: NST_, "x" / ä'
RUN = TrainingRun(
    model="cnn-20k",
    rate=100,
    role="target",
    task="label",
    outcomes=("label", ODD),
    stages=(Stage(epochs=2, peak=1e-3),),
    batch=16,
)


def with_second(cohort: Cohort, second: np.ndarray | None = None) -> Cohort:
    """The cohort with a second outcome: the sex, unless another is given."""
    second = np.where(cohort.role == "target", cohort.sex, np.nan) if second is None else second
    return replace(cohort, labels={**cohort.labels, ODD: second}, events={})


def test_the_loss_of_one_outcome_is_its_cross_entropy_to_the_last_bit() -> None:
    draw = torch.Generator().manual_seed(0)
    outputs = torch.randn(37, 1, generator=draw, requires_grad=True)
    truth = (torch.rand(37, 1, generator=draw) < 0.5).float()
    other = outputs.detach().clone().requires_grad_()
    one, as_before = outcome_losses(outputs, truth), example_losses(other, truth, {"label": 1.0})
    assert torch.equal(one, as_before)
    one.mean().backward()
    as_before.mean().backward()
    assert torch.equal(outputs.grad, other.grad)  # type: ignore[arg-type]


def test_what_is_unknown_counts_nothing() -> None:
    """The loss is the mean of the known outcomes', whatever stands at the unknown; nothing flows back from there."""
    outputs = torch.tensor([[1.0, -2.0, 0.5], [0.3, 4.0, -1.0]], requires_grad=True)
    truth = torch.tensor([[1.0, float("nan"), 0.0], [float("nan"), float("nan"), 1.0]])
    loss = outcome_losses(outputs, truth)
    expected = [(np.log1p(np.exp(-1.0)) + np.log1p(np.exp(0.5))) / 2, np.log1p(np.exp(1.0))]
    np.testing.assert_allclose(loss.detach().numpy(), expected, rtol=1e-6)
    loss.sum().backward()
    assert outputs.grad is not None
    assert torch.equal(outputs.grad == 0, truth.isnan())


def test_an_ecg_needs_one_known_outcome(small_cohort: Callable[..., Made]) -> None:
    cohort, archive = small_cohort(target=60)
    first, second = cohort.label.copy(), np.arange(60) % 2.0
    first[:5], second[3:8] = np.nan, np.nan
    part = with_second(replace(cohort, labels={"label": first}), second)
    examples = examples_of(RUN, part, archive)
    assert len(examples) == 58
    assert np.isnan(examples.truth).sum() == 6


def test_a_run_of_two_outcomes_with_unknown_ones(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    cohort, archive = small_cohort(target=100)
    second = cohort.sex.copy()
    second[::7] = np.nan
    predictions = train(RUN, with_second(cohort, second), archive, tmp_path / "run")
    assert set(predictions.target) == {"label", ODD}
    assert np.isfinite(predictions.score).all()
    assert np.isfinite(predictions.truth).all()
    again = Predictions.load(tmp_path / "run" / "predictions.csv")
    assert again.target.tolist() == predictions.target.tolist()
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    each = [[row["validation_label_auc"], row[f"validation_{ODD}_auc"]] for row in rows]
    assert [row["validation_auc"] for row in rows] == pytest.approx(np.mean(each, axis=1).tolist())
    done = json.loads((tmp_path / "run" / "done.json").read_text())
    assert done["best"] == pytest.approx(max(row["validation_auc"] for row in rows))
    network, card = load_model(tmp_path / "run" / "best.safetensors")
    assert card.targets == ("label", ODD)
    assert network.outputs == 2
    assert TrainingRun.model_validate_json(json.dumps(card.settings)) == RUN


def test_an_outcome_of_one_value_is_said_and_left_out(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    cohort, archive = small_cohort(target=100)
    lone = with_second(cohort, np.where(cohort.split == "train", cohort.sex, 0.0))
    said: list[str] = []
    train(RUN, lone, archive, tmp_path / "run", note=said.append)
    assert said == [
        f"{RUN.describe()}: all ECGs of the validation set have the same {ODD}; no help in picking the best epoch"
    ]
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert f"validation_{ODD}_auc" not in row
    assert row["validation_auc"] == row["validation_label_auc"]
    training, validation = (examples_of(RUN, lone.select(split=s), archive) for s in ("validation", "train"))
    assert check_examples(RUN, training, validation)[0].endswith("nothing to learn there")
    nothing = replace(lone, labels=dict.fromkeys(lone.labels, np.zeros(100)))
    with pytest.raises(PrecordialError, match="all ECGs of the training set have the same label, statement"):
        train(RUN, nothing, archive, tmp_path / "nothing")


def test_validation_measures_the_known(small_cohort: Callable[..., Made]) -> None:
    """Each outcome by itself, on the ECGs of which it is known."""
    from precordial.evaluation import auc
    from precordial.training.loop import build_network
    from precordial.training.scoring import forward

    cohort, archive = small_cohort(target=100)
    second = cohort.sex.copy()
    second[::3] = np.nan
    examples = examples_of(RUN, with_second(cohort, second), archive)
    network, place = build_network(RUN, examples, None), torch.device("cpu")
    row = validate(RUN, network, examples, place)
    logits = forward(network, examples, place)[:, 1].numpy()
    known = ~np.isnan(second)
    assert row[f"validation_{ODD}_auc"] == pytest.approx(auc(second[known], logits[known]), abs=1e-9)


def test_a_description_with_defaults_keeps_its_id_and_others_have_their_own() -> None:
    """Ids of runs that were trained before there were outcomes and folds; and a group is a run without its fold."""
    one = RUN.model_copy(update={"outcomes": ("label",)})
    assert one.id == "ca7757e1a76d"
    others = [RUN, one.model_copy(update={"fold": "1"}), one.model_copy(update={"fold": "2"})]
    assert len({run.id for run in [one, *others]}) == 4
    assert {run.group for run in others[1:]} == {one.id}
    assert one.describe() == "cnn-20k, from scratch on label, target fraction 1, seed 0"
    assert others[2].describe() == "cnn-20k, from scratch on label, target fraction 1, seed 0, fold 2"
    assert RUN.describe() == "cnn-20k, from scratch on 2 outcomes, target fraction 1, seed 0"
