"""Values beside the ECG from the cohort to the predictor: found where planted, and never what is to be predicted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from precordial.archive import Archive
from precordial.bedside import Predictor
from precordial.cohort import Cohort
from precordial.errors import ModelError, PrecordialError
from precordial.evaluation import auc
from precordial.models import Cropping, load_model
from precordial.training import Stage, TrainingRun, train

Made = tuple[Cohort, Archive]
PARENT = TrainingRun(
    model="cnn-20k", rate=100, role="source", task="sex", stages=(Stage(epochs=1, peak=1e-3),), batch=16
)
SCRATCH = TrainingRun(
    model="cnn-20k",
    rate=100,
    role="target",
    task="label",
    stages=(Stage(epochs=1, peak=1e-3),),
    batch=16,
    extra_inputs=("age", "sex"),
)


def changed(run: TrainingRun, **changes: object) -> TrainingRun:
    return TrainingRun.model_validate({**dict(run), **changes})


def planted(made: Made, seed: int = 7) -> Made:
    """Ages that no ECG shows, of which the label follows: above 55 years."""
    cohort, archive = made
    age = np.random.default_rng(seed).uniform(20, 90, len(cohort))
    return replace(cohort, age=age, labels={"label": (age > 55).astype(float)}, events={}), archive


def test_a_planted_dependence_on_age_is_found_beside_the_ecg(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """In the ECG alone there is nothing of it."""
    made = planted(small_cohort(target=300, effect=0.0))
    found = {}
    for names in ((), ("age",)):
        # Crops of one second leave few features, among which one more is soon found.
        crops, stages = Cropping(seconds=1, count=1), (Stage(epochs=6, peak=3e-3),)
        run = changed(SCRATCH, cropping=crops, stages=stages, extra_inputs=names)
        table = train(run, *made, tmp_path / f"run{len(names)}")
        table = table.rows(table.split != "validation")
        found[names] = auc(table.truth, table.score)
    assert found[("age",)] > 0.9
    assert found[()] < 0.5 + 4 * 0.076  # 60 test ECGs: the AUC's standard error without any effect


def test_a_column_of_the_cohort_is_read_like_the_age(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    cohort, archive = small_cohort(target=60)
    weight = 50 + np.arange(len(cohort)) / 2
    cohort = replace(cohort, inputs={"weight": weight})
    table = train(changed(SCRATCH, extra_inputs=("weight",)), cohort, archive, tmp_path / "run")
    network, _ = load_model(tmp_path / "run" / "best.safetensors")
    assert network.extra is not None
    training = cohort.select(role="target", split="train")
    assert float(network.extra.mean) == pytest.approx(training.inputs["weight"].mean(), rel=1e-6)
    row = cohort.ecg_id.tolist().index(table.ecg_id[0])
    said = Predictor.load(tmp_path / "run").score(archive[str(table.ecg_id[0])], {"weight": float(weight[row])})
    assert said["label"] == pytest.approx(table.score[0], abs=1e-6)


def test_a_target_head_gets_them_too_and_mean_and_deviation_are_the_training_set_s(
    small_cohort: Callable[..., Made], tmp_path: Path
) -> None:
    cohort, archive = small_cohort(target=60, source=60)
    age = cohort.age.copy()
    age[::3] = np.nan
    cohort = replace(cohort, age=age)
    train(PARENT, cohort, archive, tmp_path / "parent")
    run = changed(SCRATCH, parent=PARENT, head="target")
    table = train(run, cohort, archive, tmp_path / "child", parent=tmp_path / "parent" / "best.safetensors")
    network, card = load_model(tmp_path / "child" / "best.safetensors")
    assert card.extra_inputs == network.extra_inputs == ("age", "sex")
    assert load_model(tmp_path / "parent" / "best.safetensors")[1].extra_inputs == ()
    training = cohort.select(role="target", split="train")
    assert network.extra is not None
    expected = [[np.nanmean(training.age), training.sex.mean()], [np.nanstd(training.age), training.sex.std()]]
    np.testing.assert_allclose(torch.stack([network.extra.mean, network.extra.sd]), expected, rtol=1e-5)
    predictor = Predictor.load(tmp_path / "child")
    place = {ecg_id: row for row, ecg_id in enumerate(cohort.ecg_id.tolist())}
    unknown = 0
    for ecg_id, score in zip(table.ecg_id.tolist(), table.score.tolist(), strict=True):
        row = place[ecg_id]
        age_, sex = float(cohort.age[row]), float(cohort.sex[row])
        unknown += np.isnan(age_)
        said = predictor.score(archive[ecg_id], {"age": None if np.isnan(age_) else age_, "sex": sex})
        assert said["label"] == pytest.approx(score, abs=1e-6)
    assert unknown


def test_the_predictor_says_what_it_needs(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    cohort, archive = small_cohort(target=60)
    train(SCRATCH, cohort, archive, tmp_path / "run")
    predictor, ecg = Predictor.load(tmp_path / "run"), archive[str(cohort.ecg_id[0])]
    with pytest.raises(ModelError) as error:
        predictor.score(ecg)
    assert str(error.value) == (
        'this model also reads age, sex, and age is not given; score(ecg, {"age": …, "sex": …}); '
        "None says that a value is unknown"
    )
    with pytest.raises(ModelError, match="and sex is not given"):
        predictor.score(ecg, {"age": 50})
    with pytest.raises(ModelError, match="does not read height; give age, sex"):
        predictor.score(ecg, {"age": 50, "sex": 0, "height": 170})
    with pytest.raises(ModelError, match="age is not a number; give None if it is unknown"):
        predictor.score(ecg, {"age": float("nan"), "sex": 0})
    assert predictor.score(ecg, {"age": 50, "sex": 0}) != predictor.score(ecg, {"age": 90, "sex": 1})
    train(changed(SCRATCH, extra_inputs=()), cohort, archive, tmp_path / "plain")
    with pytest.raises(ModelError, match="does not read age; give the ECG alone"):
        Predictor.load(tmp_path / "plain").score(ecg, {"age": 50})


@pytest.mark.parametrize(
    ("run", "changes", "message"),
    [
        (PARENT, {"task": "age", "extra_inputs": ("age",)}, "age is to be predicted, and cannot be an extra input"),
        (PARENT, {"task": "age-sex", "extra_inputs": ("sex",)}, "sex is to be predicted"),
        (SCRATCH, {"outcomes": ("AMI", "age")}, "age is to be predicted"),
        (SCRATCH, {"extra_inputs": ("age", "age")}, "an extra input is named twice"),
        (SCRATCH, {"parent": PARENT, "cropping": Cropping(seconds=5)}, "the model and the crops of the one"),
        (SCRATCH, {"parent": PARENT, "model": "rn-7m"}, "the model and the crops of the one"),
    ],
)
def test_runs_that_cannot_be(run: TrainingRun, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        changed(run, **changes)


def test_sex_may_be_learned_with_the_age_beside_it() -> None:
    assert changed(PARENT, extra_inputs=("age",)).extra_inputs == ("age",)


@pytest.mark.parametrize("age", [60.0, np.nan])
def test_an_input_without_two_values_is_said(age: float, small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    cohort, archive = small_cohort(target=60)
    cohort = replace(cohort, age=np.full(len(cohort), age))
    with pytest.raises(PrecordialError, match=r"'training.extra_inputs'.*has not two values of the extra input 'age'"):
        train(SCRATCH, cohort, archive, tmp_path / "run")


def test_crops_stay_from_stage_to_stage(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    made, crops = small_cohort(target=60, source=60), Cropping(seconds=4, count=3)
    parent = changed(PARENT, cropping=crops)
    run = changed(SCRATCH, parent=parent, head="target", cropping=crops)
    train(parent, *made, tmp_path / "parent")
    table = train(run, *made, tmp_path / "child", parent=tmp_path / "parent" / "best.safetensors")
    network, card = load_model(tmp_path / "child" / "best.safetensors")
    assert network.crops is not None
    assert (network.crops.samples, network.crops.count, card.cropping) == (2025, 3, crops)
    ecg_id = str(table.ecg_id[0])
    row = made[0].ecg_id.tolist().index(ecg_id)
    told = {"age": float(made[0].age[row]), "sex": float(made[0].sex[row])}
    assert Predictor(network, card).score(made[1][ecg_id], told)["label"] == pytest.approx(table.score[0], abs=1e-6)
