"""Crops by a setting. Nothing here takes torch: a study file is read without it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Cropping(BaseModel):
    """Crops of a chosen length, for any model: one at random in training, the mean over several in evaluation.

    Attributes:
        seconds: length of a crop. Of a model that flattens its last layer it is rounded up to whole steps of that
            layer: 0.45 s in `cnn-20k`, 0.64 s in `rn-7m` and `rn-33m`. As long as the recording means no crops.
        count: crops in evaluation, their starts equally spaced; of one alone it is the middle.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seconds: float = Field(ge=1, le=10)
    count: int = Field(default=10, ge=1)
