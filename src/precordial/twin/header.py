"""What a synthetic ECG file says beside its samples, and its integers: the same in every file format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

UV_PER_UNIT = 4.88  # MUSE's
SITES = ("Emergency department", "Outpatient clinics")
DEVICES = ("MAC55", "MAC5K")


@dataclass(frozen=True)
class Header:
    """What the electrocardiograph knows.

    Attributes:
        patient_id: as in the registers; empty where nobody entered it.
        recorded_at: local time; None where the clock was not set.
        age: years, as the device believes it to be.
        sex: "FEMALE" or "MALE".
        heart_rate: beats per minute. pr, qrs, qt: ms. axis: degrees.
        site: index into `SITES`. device: index into `DEVICES`.
    """

    patient_id: str
    recorded_at: datetime | None
    age: int
    sex: str
    heart_rate: float
    pr: float
    qrs: float
    qt: float
    axis: float
    site: int = 0
    device: int = 0


def to_units(signal: NDArray[np.float32]) -> NDArray[np.int16]:
    """Millivolts to the file's integers of 4.88 µV."""
    return np.asarray(np.clip(np.rint(signal * (1000 / UV_PER_UNIT)), -32768, 32767), "<i2")
