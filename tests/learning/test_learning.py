"""Does it learn? Memorise 32 ECGs, find a planted effect, and find nothing where there is nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from precordial.archive import Archive
from precordial.cohort import Cohort, age_sex_baseline
from precordial.evaluation import Predictions, auc
from precordial.models import create_model
from precordial.training import Stage, TrainingRun, train
from precordial.training.layout import BEST

Made = tuple[Cohort, Archive]
FAST = ["cnn-20k", "rn-900k"]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("rn-7m", "rn-33m")]


@pytest.mark.parametrize("name", [*FAST, *SLOW])
def test_every_model_memorises_32_ecgs(name: str) -> None:
    """Random labels on 32 noise ECGs: only memory can fit them."""
    torch.manual_seed(0)
    model = create_model(name, rate=100)
    draw = np.random.default_rng(0)
    ecgs = model.spec.prepare(torch.from_numpy(draw.standard_normal((32, 8, 1000)).astype(np.float32)))
    labels = torch.from_numpy((np.arange(32) % 2).astype(np.float32))
    rate, steps = {"cnn-20k": (3e-3, 60), "rn-900k": (2e-3, 60), "rn-7m": (5e-4, 30), "rn-33m": (5e-4, 30)}[name]
    optimiser = torch.optim.Adam(model.parameters(), rate)
    for module in model.modules():  # dropout is there to hinder memory
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.train()
    for _ in range(steps):
        optimiser.zero_grad()
        # rn-900k sees the same crop each time, or it would have 751 times as much to remember.
        torch.manual_seed(1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(ecgs)[:, 0], labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    torch.manual_seed(1)
    with torch.no_grad():
        remembered = auc(labels.numpy(), model(ecgs)[:, 0].numpy())
    assert remembered > 0.99


STAGES = {
    "cnn-20k": (Stage(epochs=5, peak=3e-3),),
    "rn-900k": (Stage(epochs=4, peak=1e-3),),
}


def a_run(name: str, seed: int = 0) -> TrainingRun:
    return TrainingRun(model=name, rate=100, role="target", task="label", stages=STAGES[name], batch=16, seed=seed)


@pytest.mark.parametrize("name", FAST)
def test_a_planted_effect_is_found(name: str, small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """Labelled ECGs have a taller T wave."""
    cohort, archive = small_cohort(target=300, effect=2.0)
    predictions = train(a_run(name), cohort, archive, tmp_path / "run")
    for split in ("random_test", "temporal_test"):
        test = predictions.select(split=split)
        assert auc(test.truth, test.score) > 0.9


def test_one_network_finds_two_planted_effects(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """Taller T waves with one outcome, taller beats with the other, of which a third is unknown."""
    cohort, archive = small_cohort(target=300, effect=2.0)
    second = np.where(np.arange(300) % 3 == 1, np.nan, cohort.sex)
    cohort = replace(cohort, labels={"tall T": cohort.label, "tall R": second}, events={})
    run = a_run("rn-900k").model_copy(update={"outcomes": ("tall T", "tall R")})
    predictions = train(run, cohort, archive, tmp_path / "run")
    for outcome in run.outcomes:
        tests = predictions.select(target=outcome).rows(predictions.select(target=outcome).split != "validation")
        assert auc(tests.truth, tests.score) > 0.9


def surprise(predictions: Predictions) -> float:
    """How many standard errors the AUC on both test sets is from 0.5, where it would be if nothing were known."""
    test = predictions.rows(np.isin(predictions.split, ("random_test", "temporal_test")))
    events = test.truth.sum()
    error = np.sqrt((1 / events + 1 / (len(test) - events)) / 12)
    assert error < 0.07
    return abs(auc(test.truth, test.score) - 0.5) / float(error)


@pytest.mark.parametrize("name", [*FAST, *SLOW])
def test_no_pipeline_finds_anything_in_shuffled_labels(
    name: str, small_cohort: Callable[..., Made], tmp_path: Path
) -> None:
    """From scratch, and pre-trained on age and sex, which the ECGs do show."""
    cohort, archive = small_cohort(target=500, source=150, effect=0.0)
    draw = np.random.default_rng(1)
    rest = cohort.label[500:]
    labels = {name: np.concatenate([draw.permutation(cohort.label[:500]), rest]) for name in ("label", "other")}
    cohort = replace(cohort, labels=labels, events={})
    both = TrainingRun(
        model=name,
        rate=100,
        role="target",
        task="label",
        outcomes=("label", "other"),
        stages=(Stage(epochs=2, peak=1e-3),),
        batch=32,
    )
    scratch = train(both, cohort, archive, tmp_path / "scratch")
    assert all(surprise(scratch.select(target=outcome)) < 4 for outcome in labels)
    one = both.model_copy(update={"outcomes": ("label",)})
    parent = one.model_copy(update={"role": "source", "task": "age-sex", "age_bias": "median"})
    train(parent, cohort, archive, tmp_path / "parent")
    tuned = one.model_copy(update={"parent": parent, "head": "target"})
    predictions = train(tuned, cohort, archive, tmp_path / "tuned", parent=tmp_path / "parent" / BEST)
    assert surprise(predictions) < 4


def test_age_and_sex_find_nothing_in_shuffled_labels(small_cohort: Callable[..., Made]) -> None:
    cohort, _ = small_cohort(target=500, effect=0.0)
    assert surprise(age_sex_baseline(cohort)) < 4


def test_age_is_learned_from_the_ecg(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """The T wave falls with age in these ECGs: the pre-training finds it, and stage 2 keeps the body as it was."""
    cohort, archive = small_cohort(target=60, source=400)
    run = TrainingRun(
        model="rn-900k",
        rate=100,
        role="source",
        task="age-sex",
        stages=(Stage(epochs=6, peak=2e-3),),
        batch=32,
        age_bias="median",
    )
    predictions = train(run, cohort, archive, tmp_path / "run").select(target="age")
    error = np.abs(predictions.truth - predictions.score).mean()
    spread = np.abs(predictions.truth - np.median(predictions.truth)).mean()
    assert error < 0.8 * spread


@pytest.mark.parametrize("name", FAST)
def test_bfloat16_learns_what_float32_learns(name: str, small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """Two trainings that differ in their numbers only: they rank the test ECGs alike, and are not the same."""
    cohort, archive = small_cohort(target=300, effect=2.0)
    single, half = (
        train(a_run(name).model_copy(update={"precision": precision}), cohort, archive, tmp_path / precision)
        for precision in ("fp32", "bf16")
    )
    tests = [table.rows(table.split == "random_test") for table in (single, half)]
    assert not np.array_equal(tests[0].score, tests[1].score)
    assert min(auc(table.truth, table.score) for table in tests) > 0.9
    assert np.corrcoef(tests[0].score, tests[1].score)[0, 1] > 0.9
