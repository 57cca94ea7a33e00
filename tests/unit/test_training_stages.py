"""Schedules and recipes: every number of RECIPE.md, and what the settings refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from precordial.training import RECIPES, Stage, scratch_stages, source_stages, target_stages
from precordial.training.stages import locate


@pytest.mark.parametrize(
    ("model", "epochs", "peak", "start", "end"),
    [
        ("cnn-20k", 200, 1e-4, 0.0, 1e-6),
        ("rn-900k", 100, 1e-3, 1e-4, 1e-5),
        ("rn-7m", 100, 5e-4, 0.0, 5e-6),
        ("rn-33m", 100, 5e-4, 0.0, 5e-6),
    ],
)
def test_pre_training_follows_the_paper(model: str, epochs: int, peak: float, start: float, end: float) -> None:
    (stage,) = source_stages(model)
    assert (stage.epochs, stage.warmup) == (epochs, 10)
    assert stage.rate(0) == pytest.approx(start)
    assert stage.rate(10) == pytest.approx(peak)
    assert stage.rate(epochs) == pytest.approx(end)


@pytest.mark.parametrize(("model", "end"), [("rn-900k", 0.01), ("rn-7m", 1e-6), ("rn-33m", 1e-6)])
def test_the_authors_code_ends_lower(model: str, end: float) -> None:
    (stage,) = source_stages(model, "authors-code")
    assert stage.rate(stage.epochs) / stage.peak == pytest.approx(end)


def test_the_authors_decay_of_cnn_20k_is_cut_after_190_of_200_epochs() -> None:
    (stage,) = source_stages("cnn-20k", "authors-code")
    assert stage.rate(200) / stage.peak == pytest.approx(0.0062, abs=5e-5)


@pytest.mark.parametrize(("model", "epochs"), [("cnn-20k", 200), ("rn-900k", 100), ("rn-7m", 100), ("rn-33m", 200)])
def test_from_scratch(model: str, epochs: int) -> None:
    (stage,) = scratch_stages(model)
    assert stage.epochs == epochs
    if model == "cnn-20k":
        assert {stage.rate(epoch) for epoch in (0, 1, 100, 200)} == {1e-4}
    else:
        assert stage.rate(epochs) == pytest.approx(RECIPES[model].peak / 100)


@pytest.mark.parametrize(("model", "total"), [("cnn-20k", 200), ("rn-900k", 400), ("rn-7m", 400), ("rn-33m", 200)])
def test_fine_tuning_is_40_epochs_of_the_head_and_then_everything(model: str, total: int) -> None:
    head, everything = target_stages(model, "age")
    assert (head.epochs, head.warmup, head.trains, head.awake) == (40, 10, "head", ())
    assert head.rate(0) == pytest.approx(1e-4 if model == "rn-900k" else 0.0)
    assert head.rate(10) == pytest.approx(1e-3)
    assert head.rate(40) == pytest.approx(1e-5)
    assert (everything.trains, head.epochs + everything.epochs) == ("all", total)
    assert everything.rate(0) == everything.rate(everything.epochs) == 1e-5


def test_rn_33m_pre_trained_on_sex_has_its_own_schedule() -> None:
    stages = target_stages("rn-33m", "sex")
    assert [stage.epochs for stage in stages] == [30, 10, 60]
    assert [stage.trains for stage in stages] == ["head", "head", "all"]
    assert stages[0].rate(10) == pytest.approx(1e-4)
    assert stages[0].rate(30) == pytest.approx(1e-5)
    assert locate(stages, 39) == (1, 9)
    assert locate(stages, 40) == (2, 0)


def test_the_authors_bodies_are_not_quite_asleep() -> None:
    assert target_stages("rn-7m", "age", "authors-code")[0].awake == ("dropout",)
    assert target_stages("rn-900k", "age", "authors-code")[0].awake == ("norm",)


@given(
    epochs=st.integers(1, 50),
    warmup=st.integers(0, 50),
    at=st.floats(0, 1),
    start=st.floats(0, 1e-3),
    end=st.floats(0, 1e-3),
)
def test_rates_stay_between_the_ends_and_the_peak(
    epochs: int, warmup: int, at: float, start: float, end: float
) -> None:
    stage = Stage(epochs=epochs, warmup=min(warmup, epochs), start=start, peak=1e-3, end=end)
    assert min(start, end) - 1e-12 <= stage.rate(at * epochs) <= 1e-3 + 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warmup": 11, "start": 0.0}, "does not fit"),
        ({"warmup": 5}, "needs a start rate"),
        ({"awake": ("norm",)}, "goes with trains"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"peek": 1.0}, "Extra inputs"),
    ],
)
def test_stages_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Stage.model_validate({"epochs": 10, "peak": 1e-3} | changes)
