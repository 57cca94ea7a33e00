"""Training: stages, schedules, losses, the loop, and its state on disk.

Each name is loaded when it is first used: settings and stages take no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOME = {
    "RECIPES": "recipes",
    "TASKS": "run",
    "Augment": "options",
    "Stage": "stages",
    "Step": "steps",
    "TrainingRun": "run",
    "derive_seed": "steps",
    "scratch_stages": "recipes",
    "source_stages": "recipes",
    "target_stages": "recipes",
    "train": "loop",
}
__all__ = [
    "RECIPES",
    "TASKS",
    "Augment",
    "Stage",
    "Step",
    "TrainingRun",
    "derive_seed",
    "scratch_stages",
    "source_stages",
    "target_stages",
    "train",
]

if TYPE_CHECKING:
    from precordial.training.loop import train
    from precordial.training.options import Augment
    from precordial.training.recipes import RECIPES, scratch_stages, source_stages, target_stages
    from precordial.training.run import TASKS, TrainingRun
    from precordial.training.stages import Stage
    from precordial.training.steps import Step, derive_seed


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'precordial.training' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"precordial.training.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
