"""What each augmentation does to an ECG, and that it is done in training alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.training import Augment, Stage, TrainingRun, train
from precordial.training.augment import WANDER_HZ, augment

RATE = 100
Made = tuple[Cohort, Archive]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ecgs(n: int = 16) -> torch.Tensor:
    return 0.5 * torch.randn(n, 8, 1000, generator=seeded(99))


def change(x: torch.Tensor, seed: int = 0, **how: float) -> torch.Tensor:
    before = x.clone()
    changed = augment(x, Augment(**how), seeded(seed), rate=RATE)
    assert torch.equal(x, before)  # the batch itself stays
    assert changed.shape == x.shape
    assert changed.dtype == torch.float32
    return changed


def test_noise_is_white_and_of_its_strength() -> None:
    noise = change(torch.zeros(16, 8, 1000), noise_mv=0.02)
    assert noise.std().item() == pytest.approx(0.02, rel=0.02)  # of 128 000 samples: five times the error of 0.2 %
    assert abs(noise.mean().item()) < 5 * 0.02 / math.sqrt(128_000)
    after = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    between = (noise[:, 0] * noise[:, 1]).mean() / noise.square().mean()
    assert abs(after) < 0.02
    assert abs(between) < 5 / math.sqrt(16_000)


def test_wander_is_slow_and_within_its_amplitude() -> None:
    x = ecgs()
    wander = change(x, wander_mv=0.2) - x
    assert wander.abs().amax() <= 0.2 + 1e-6
    highest = wander.abs().amax(dim=2)
    assert highest.amax() > 0.12  # and not all of them much less
    assert highest.amin() < 0.08
    steepest = 0.2 * 2 * math.pi * WANDER_HZ[1] / RATE  # mV from sample to sample, of a sine of the highest frequency
    assert wander.diff(dim=2).abs().amax() <= steepest + 1e-5
    assert len(highest.flatten().round(decimals=6).unique()) == highest.numel()  # each lead of each ECG has its own


def test_a_dropped_lead_is_zero_and_the_others_are_as_they_were() -> None:
    x = ecgs(400)
    changed = change(x, lead_dropout=0.1)
    dropped = (changed == 0).all(dim=2)
    assert torch.equal(changed[~dropped], x[~dropped])
    assert dropped.float().mean().item() == pytest.approx(0.1, abs=5 * math.sqrt(0.1 * 0.9 / 3200))
    assert dropped.any(dim=0).all()
    emptied = (change(x, lead_dropout=0.99) == 0).all(dim=2)
    assert emptied.sum(dim=1).amax() == 7  # one lead always stays


def test_a_gain_is_one_number_for_the_whole_ecg() -> None:
    x = ecgs(200)
    gains = (change(x, scale=0.2) / x).flatten(1)
    torch.testing.assert_close(gains, gains[:, :1].expand_as(gains), rtol=1e-4, atol=0)
    assert 0.8 - 1e-6 <= gains.amin() < 0.82
    assert 1.18 < gains.amax() <= 1.2 + 1e-6
    assert gains[:, 0].mean().item() == pytest.approx(1, abs=5 * 0.4 / math.sqrt(12 * 200))


EVERYTHING = {"noise_mv": 0.02, "wander_mv": 0.2, "lead_dropout": 0.1, "scale": 0.2}


def test_equal_seeds_change_alike_and_others_do_not() -> None:
    x = ecgs(4)
    assert torch.equal(change(x, 1, **EVERYTHING), change(x, 1, **EVERYTHING))
    assert not torch.equal(change(x, 1, **EVERYTHING), change(x, 2, **EVERYTHING))


@pytest.mark.parametrize("strength", [{name: value} for name, value in EVERYTHING.items()] + [EVERYTHING])
def test_a_part_of_a_batch_gets_what_it_gets_in_the_whole(strength: dict[str, float]) -> None:
    x, how = ecgs(7), Augment(**strength)
    whole = augment(x, how, seeded(), rate=RATE)
    parts = [augment(x[a:b], how, seeded(), rate=RATE, rows=(a, 7)) for a, b in ((0, 3), (3, 7))]
    assert torch.equal(torch.cat(parts), whole)


def test_nothing_asked_for_is_nothing_done_and_nothing_drawn() -> None:
    x, generator = ecgs(2), seeded()
    assert not Augment()
    assert augment(x, Augment(), generator, rate=RATE) is x
    assert torch.equal(generator.get_state(), seeded().get_state())


@pytest.mark.parametrize("how", [{"noise_mv": -1.0}, {"lead_dropout": 1.0}, {"scale": 1.0}, {"noise": 0.1}])
def test_what_cannot_be_is_refused(how: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Augment(**how)


def run_with(how: Augment | None, peak: float = 1e-3, epochs: int = 1) -> TrainingRun:
    stage = Stage(epochs=epochs, peak=peak, augment=how)
    return TrainingRun(model="cnn-20k", rate=100, role="target", task="label", stages=(stage,), batch=16)


def test_it_is_for_training_alone(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """Under a rate of nothing the weights stay: the loss of validation, and what is predicted, must too."""
    made, scores, rows = small_cohort(target=60), [], []
    for name, how in (("plain", None), ("changed", Augment(**EVERYTHING))):
        scores.append(train(run_with(how, peak=1e-30), *made, tmp_path / name).score.tolist())
        rows.append(json.loads((tmp_path / name / "metrics.jsonl").read_text()))
    assert scores[0] == scores[1]
    assert rows[0]["validation_loss"] == rows[1]["validation_loss"]
    assert rows[0]["train_loss"] != rows[1]["train_loss"]


def test_each_step_and_seed_draws_anew_and_a_second_training_the_same(
    small_cohort: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def seen(x: torch.Tensor, how: Augment, generator: torch.Generator, **options: Any) -> torch.Tensor:
        drawn.append(generator.initial_seed())
        return augment(x, how, generator, **options)

    monkeypatch.setattr("precordial.training.steps.augment", seen)
    made, run = small_cohort(target=60), run_with(Augment(scale=0.2), epochs=2)
    scores = [train(run, *made, tmp_path / name).score.tolist() for name in ("a", "b")]
    assert scores[0] == scores[1]
    assert len(drawn) == 12  # 42 ECGs in batches of 16, twice; and again
    assert drawn[:6] == drawn[6:]
    assert len(set(drawn)) == 6


def test_an_augmented_training_is_another_one() -> None:
    ids = {run_with(how).id for how in (None, Augment(scale=0.1), Augment(scale=0.2))}
    assert len(ids) == 3
