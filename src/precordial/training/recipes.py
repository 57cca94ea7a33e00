"""The paper's schedules for each model, and where the authors' code differs from them.

Source: section II.C and Table II of the paper; the values the paper leaves open are those of the authors'
published experiments. `docs/method-notes.md` lists every difference between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from precordial.training.stages import Stage

Preset = Literal["paper", "authors-code"]
Pretraining = Literal["none", "age", "sex", "age-sex"]


@dataclass(frozen=True)
class Recipe:
    """One model's numbers.

    Attributes:
        epochs: of pre-training.
        peak, start: rates of pre-training.
        authors_end: end / peak of pre-training in the authors' code; 0.01 in the paper.
        scratch_epochs: of training from scratch on the target.
        target_epochs: of both fine-tuning stages together.
        target_start: first rate of fine-tuning.
        adam_epsilon: of the optimiser: Keras' default or PyTorch's.
        awake: what the authors' code leaves awake in a frozen body.
    """

    epochs: int
    peak: float
    start: float
    authors_end: float
    scratch_epochs: int
    target_epochs: int
    target_start: float
    adam_epsilon: float
    awake: Literal["dropout", "norm"]


_RN_900K = Recipe(100, 1e-3, 1e-4, 0.01, 100, 400, 1e-4, 1e-8, "norm")
RECIPES: dict[str, Recipe] = {
    "cnn-20k": Recipe(200, 1e-4, 0.0, 3e-6, 200, 200, 0.0, 1e-7, "dropout"),
    "rn-900k": _RN_900K,
    "rn-7m": Recipe(100, 5e-4, 0.0, 1e-6, 100, 400, 0.0, 1e-7, "dropout"),
    "rn-33m": Recipe(100, 5e-4, 0.0, 1e-6, 200, 200, 0.0, 1e-7, "dropout"),
    "rn-900k-se": _RN_900K,  # not in the paper
}
WARMUP = 10


def source_stages(model: str, preset: Preset = "paper") -> tuple[Stage, ...]:
    """Stage 1: pre-training on the source."""
    recipe = RECIPES[model]
    end, decay = recipe.peak / 100, None
    if preset == "authors-code":
        end = recipe.peak * recipe.authors_end
        decay = 200 if model == "cnn-20k" else None  # laid over 200 epochs and cut after 190
    return (
        Stage(
            epochs=recipe.epochs,
            warmup=WARMUP,
            start=recipe.start,
            peak=recipe.peak,
            end=end,
            decay_epochs=decay,
        ),
    )


def scratch_stages(model: str) -> tuple[Stage, ...]:
    """Training on the target without pre-training."""
    recipe = RECIPES[model]
    if model == "cnn-20k":
        return (Stage(epochs=recipe.scratch_epochs, peak=recipe.peak),)
    return (
        Stage(
            epochs=recipe.scratch_epochs,
            warmup=WARMUP,
            start=recipe.start,
            peak=recipe.peak,
            end=recipe.peak / 100,
        ),
    )


def target_stages(model: str, pretraining: Pretraining, preset: Preset = "paper") -> tuple[Stage, ...]:
    """Stages 2 and 3: the new head on a frozen body, then everything at the rate where stage 2 ended."""
    recipe = RECIPES[model]
    awake = (recipe.awake,) if preset == "authors-code" else ()
    start = recipe.target_start
    if model == "rn-33m" and pretraining == "sex":
        return (
            Stage(epochs=30, warmup=WARMUP, start=start, peak=1e-4, end=1e-5, trains="head", awake=awake),
            Stage(epochs=10, peak=1e-5, trains="head", awake=awake),
            Stage(epochs=60, peak=1e-5),
        )
    return (
        Stage(epochs=40, warmup=WARMUP, start=start, peak=1e-3, end=1e-5, trains="head", awake=awake),
        Stage(epochs=recipe.target_epochs - 40, peak=1e-5),
    )
