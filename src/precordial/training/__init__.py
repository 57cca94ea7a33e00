"""Training: stages, schedules, losses, the loop, and its state on disk."""

from precordial.training.augment import Augment
from precordial.training.loop import train
from precordial.training.recipes import RECIPES, scratch_stages, source_stages, target_stages
from precordial.training.run import TASKS, TrainingRun
from precordial.training.stages import Stage
from precordial.training.steps import Step, derive_seed

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
