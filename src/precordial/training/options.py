"""Values that settings of trainings may have. Nothing here takes torch: a study file is read without it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ClassWeights = Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]]
TrackerName = Literal["tensorboard", "mlflow"]
Precision = Literal["fp32", "bf16"]


class Augment(BaseModel):
    """How strongly the ECGs of a stage are changed; what is 0 is not done.

    Attributes:
        noise_mv: standard deviation in mV of white noise, in each lead by itself.
        wander_mv: highest amplitude in mV of a wandering baseline, in each lead by itself: three sines of 0.05 to
            0.5 Hz, whose amplitudes together are drawn between 0 and this.
        lead_dropout: chance of each of the eight stored leads to be all zero. At least one lead of an ECG stays.
        scale: the whole ECG is multiplied by a number drawn between 1 - scale and 1 + scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    noise_mv: float = Field(default=0.0, ge=0)
    wander_mv: float = Field(default=0.0, ge=0)
    lead_dropout: float = Field(default=0.0, ge=0, lt=1)
    scale: float = Field(default=0.0, ge=0, lt=1)

    def __bool__(self) -> bool:
        return any(value > 0 for _, value in self)
