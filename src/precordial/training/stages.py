"""Stages: a training as a list of them, each with its epochs, its learning rates and what trains in it."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from precordial.training.options import Augment


class Stage(BaseModel):
    """Some epochs under one schedule.

    The rate rises in a line from `start` to `peak` over `warmup` epochs, then falls along a cosine to `end`.
    With ``start = peak = end`` it is constant.

    Attributes:
        epochs: how many, warm-up included.
        peak: highest learning rate.
        start: rate at the beginning of the warm-up.
        end: rate at the end of the decay; by default `peak`, which makes the rate constant after the warm-up.
        warmup: epochs of warm-up.
        decay_epochs: over how many epochs the decay is laid; by default all after the warm-up. A larger number
            cuts the decay short, as the authors' code does for cnn-20k.
        batch: ECGs in a step of this stage; by default the training's.
        trains: "all" parameters, or the "head" only, with the body frozen.
        awake: layers of a frozen body that are not asleep. None by default: neither weights nor batch-norm
            statistics nor dropout of the body move. The authors' code leaves "dropout" (Keras) or "norm" (PyTorch)
            awake.
        augment: how its ECGs are changed in training; by default not at all.
        patience: the stage ends after so many epochs without a better one, and the next begins, if there is one. By
            default it goes through all of its epochs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    epochs: int = Field(ge=1)
    peak: float = Field(gt=0)
    start: float | None = Field(default=None, ge=0)
    end: float | None = Field(default=None, ge=0)
    warmup: int = Field(default=0, ge=0)
    decay_epochs: int | None = Field(default=None, ge=1)
    batch: int | None = Field(default=None, ge=2)
    trains: Literal["all", "head"] = "all"
    awake: tuple[Literal["dropout", "norm"], ...] = ()
    augment: Augment | None = None
    patience: int | None = Field(default=None, ge=1)

    @field_validator("awake", mode="before")
    @classmethod
    def _from_a_list(cls, awake: Any) -> Any:
        return tuple(awake) if isinstance(awake, list) else awake  # as it stands in TOML and JSON

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.warmup > self.epochs:
            raise ValueError(f"warmup of {self.warmup} epochs does not fit into {self.epochs}")
        if self.warmup and self.start is None:
            raise ValueError("a warmup needs a start rate")
        if self.awake and self.trains == "all":
            raise ValueError('awake says what stays awake in a frozen body: it goes with trains = "head"')
        return self

    @property
    def body_is_fixed(self) -> bool:
        """Whether the body gives the same features of an ECG in each of its epochs."""
        return self.trains == "head" and not self.awake and not self.augment

    def rate(self, epoch: float) -> float:
        """Learning rate `epoch` epochs (a fraction, for steps within an epoch) after the stage began.

        >>> stage = Stage(epochs=30, warmup=10, start=0.0, peak=1e-3, end=1e-5)
        >>> [round(stage.rate(epoch), 6) for epoch in (0, 5, 10, 20, 30)]
        [0.0, 0.0005, 0.001, 0.000505, 1e-05]
        """
        if epoch < self.warmup:
            start = self.start or 0.0
            return start + (self.peak - start) * epoch / self.warmup
        end = self.peak if self.end is None else self.end
        decay = self.decay_epochs or max(self.epochs - self.warmup, 1)
        share = min((epoch - self.warmup) / decay, 1.0)
        return end + (self.peak - end) * 0.5 * (1 + math.cos(math.pi * share))


def locate(stages: tuple[Stage, ...], epoch: int) -> tuple[int, int]:
    """Which stage an epoch (counted over all stages from 0) lies in, and its number within that stage."""
    for number, stage in enumerate(stages):
        if epoch < stage.epochs:
            return number, epoch
        epoch -= stage.epochs
    raise ValueError("past the last stage")


def next_epoch(stages: tuple[Stage, ...], epoch: int, best_epoch: int) -> int:
    """The epoch after `epoch`, both counted over all stages from 0: the first of the next stage where patience is over.

    Epochs keep their numbers: what an early end leaves out is skipped in the count.

    Args:
        stages: of the training.
        epoch: the one that is finished.
        best_epoch: number of the best one so far, counted from 1; 0 for none.

    >>> stages = (Stage(epochs=30, peak=1e-3, patience=3), Stage(epochs=10, peak=1e-4))
    >>> next_epoch(stages, epoch=6, best_epoch=5), next_epoch(stages, epoch=7, best_epoch=5)
    (7, 30)
    """
    number, within = locate(stages, epoch)
    first, stage = epoch - within, stages[number]
    waited = epoch + 1 - max(first, best_epoch)
    return first + stage.epochs if stage.patience is not None and waited >= stage.patience else epoch + 1
