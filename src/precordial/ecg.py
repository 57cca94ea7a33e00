"""One ECG, its leads, and the one way in which ECGs are prepared for a model.

Signals are leads first, ``(leads, samples)``, float32 millivolts. The study uses eight independent leads in
the order of the paper, `EIGHT`; the other four are sums of I and II (`twelve_leads`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntFlag
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from precordial.errors import ModelError, UnusableEcg

if TYPE_CHECKING:
    import torch

EIGHT = ("V1", "V2", "V3", "V4", "V5", "V6", "I", "II")
TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
SECONDS = 10

# Each limb lead as a multiple of (I, II): Einthoven's and Goldberger's definitions.
LIMB: dict[str, tuple[float, float]] = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}
_CANONICAL = {name.upper(): name for name in TWELVE}

Sex = Literal["female", "male"]
Signal = NDArray[np.float32]


class Flag(IntFlag):
    """What was noticed about an ECG, or done to it, that does not make it unusable."""

    RESAMPLED = 1  # recorded at another rate
    CROPPED = 2  # longer than the archive's length: the first seconds are kept
    EMPTY_ROWS = 4  # samples at which all leads are zero
    CLIPPED = 8  # a value beyond 16 bits
    MISSING_SAMPLES = 16  # the file marks samples as missing; they are zero here
    COMPLETED_LEADS = 32  # I or II was derived from the other limb leads
    AGE_ABOVE_89 = 64  # the source hides ages above 89; 90 stands for them
    NO_CHECKSUM = 128  # the format has checksums and this file has none
    FLAT_PART = 256  # a lead stands still for a while; see `precordial.quality` for this and what follows
    SATURATED = 512  # a lead stands at its highest or lowest value, as of an amplifier at its end
    AMPLITUDE = 1024  # a lead is implausibly high or low
    LIMB_LEADS = 2048  # the file's limb leads contradict each other
    REVERSAL = 4096  # electrodes are likely to be interchanged
    MAINS = 8192  # hum of 50 or 60 Hz
    WANDER = 16384  # the baseline wanders


FLAGS: dict[Flag, str] = {
    Flag.RESAMPLED: "It was recorded at another rate, and resampled.",
    Flag.CROPPED: "The recording is longer; its first seconds are kept.",
    Flag.EMPTY_ROWS: "At some samples all leads are zero, as where a recording was cut short.",
    Flag.CLIPPED: "A value beyond 16 bits was cut off.",
    Flag.MISSING_SAMPLES: "The file marks samples as missing; they are zero here.",
    Flag.COMPLETED_LEADS: "Lead I or II was derived from the other limb leads.",
    Flag.AGE_ABOVE_89: "The source hides ages above 89; 90 stands for them.",
    Flag.NO_CHECKSUM: "The format has checksums, and this file has none.",
    Flag.FLAT_PART: "A lead stands still for a while.",
    Flag.SATURATED: "A lead stands at its highest or lowest value, as of an amplifier at its end.",
    Flag.AMPLITUDE: "A lead is implausibly high or low.",
    Flag.LIMB_LEADS: "The file's limb leads contradict each other.",
    Flag.REVERSAL: "Electrodes are likely to be interchanged.",
    Flag.MAINS: "There is hum of 50 or 60 Hz.",
    Flag.WANDER: "The baseline wanders.",
}


@dataclass(frozen=True, eq=False)
class Ecg:
    """One recording.

    Attributes:
        signal: (leads, samples), float32 mV.
        rate: samples per second, Hz.
        leads: name of each row of `signal`, as in `TWELVE`.
        patient_id: the file's patient id; None where the file has none.
        recorded_at: local date and time; None where the file has none.
        age: years, from the header, to be trusted last.
        sex: from the header, to be trusted last.
        device: model of the electrocardiograph, None if unknown.
        site: where it was recorded, such as a hospital or ward; None if unknown.
        uv_per_unit: µV per unit of the file where all leads share one gain; None otherwise.
        flags: see `Flag`.
        source: name of the reader's format, such as ``"muse"``.

    >>> import numpy as np
    >>> ecg = Ecg(np.zeros((2, 5000), np.float32), rate=500, leads=("I", "II"))
    >>> ecg.seconds
    10.0
    """

    signal: Signal
    rate: float
    leads: tuple[str, ...]
    patient_id: str | None = None
    recorded_at: datetime | None = None
    age: float | None = None
    sex: Sex | None = None
    device: str | None = None
    site: str | None = None
    uv_per_unit: float | None = None
    flags: Flag = field(default=Flag(0))
    source: str = ""

    def __post_init__(self) -> None:
        if self.signal.ndim != 2 or self.signal.shape[0] != len(self.leads):
            raise ValueError(f"signal of shape {self.signal.shape} does not have one row for each of {self.leads}")

    @property
    def seconds(self) -> float:
        """Length of the recording in seconds."""
        return float(self.signal.shape[1] / self.rate)


def canonical_lead(name: str) -> str:
    """The lead's name as in `TWELVE`, or the name itself if it is none of the twelve.

    >>> canonical_lead("AVR"), canonical_lead("v1"), canonical_lead("MLII")
    ('aVR', 'V1', 'MLII')
    """
    return _CANONICAL.get(name.strip().upper(), name.strip())


def eight_leads(signal: Signal, leads: tuple[str, ...]) -> tuple[Signal, bool]:
    """Reduce any set of leads to the eight of the study.

    I and II are taken where they stand; a missing one is solved from any two limb leads.

    Args:
        signal: (leads, samples) mV.
        leads: names of the rows.

    Returns:
        (8, samples) mV in the order of `EIGHT`, and whether I or II had to be derived.

    Raises:
        UnusableEcg: a chest lead is missing, or I and II cannot be derived.
    """
    row = {name: i for i, name in enumerate(leads)}
    missing = [name for name in EIGHT if name not in row]
    if not missing:
        return np.ascontiguousarray(signal[[row[name] for name in EIGHT]]), False
    limb = [name for name in LIMB if name in row]
    if any(name.startswith("V") for name in missing) or len(limb) < 2:
        raise UnusableEcg("missing-lead", f"lead {', '.join(missing)} is missing")
    # Any two limb leads are independent, so least squares gives I and II (exactly, but for rounding).
    solve = np.linalg.pinv(np.array([LIMB[name] for name in limb]))
    derived = (solve @ signal[[row[name] for name in limb]]).astype(np.float32)
    both = {"I": derived[0], "II": derived[1]}
    return np.stack([signal[row[name]] if name in row else both[name] for name in EIGHT]), True


def twelve_leads(signal: Signal) -> Signal:
    """The twelve standard leads (12, samples) in the order of `TWELVE`, from the eight of `EIGHT`."""
    limb = np.array([LIMB[name] for name in TWELVE[:6]], np.float32) @ signal[6:8]
    return np.concatenate([limb, signal[:6]]).astype(np.float32)


def resample(signal: Signal, rate: float, to_rate: float) -> Signal:
    """Resample (leads, samples) from one rate to another (polyphase, the ends extended along a line)."""
    from scipy.signal import resample_poly  # 4 s to import: only when a rate differs

    ratio = Fraction(to_rate / rate).limit_denominator(1000)
    out = resample_poly(signal, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    return np.asarray(out, np.float32)


def normalise(ecg: Ecg, *, rate: int = 500, samples: int = 5000, squeeze: bool = False) -> Ecg:
    """Bring an ECG to the eight leads, one rate and one length.

    Another rate is resampled, a longer recording gives its first seconds; both are flagged, as are rows
    at which all leads are zero.

    Args:
        ecg: any leads, rate and length.
        rate, samples: what comes out.
        squeeze: resample any length to `samples`, whatever its rate, as the authors' code does; the time axis is
            then wrong for anything but 10 s.

    Raises:
        UnusableEcg: a lead is missing or entirely flat, or the recording is too short.
    """
    signal, completed = eight_leads(ecg.signal, ecg.leads)
    flags = ecg.flags | (Flag.COMPLETED_LEADS if completed else Flag(0))
    from_rate = rate * signal.shape[1] / samples if squeeze else ecg.rate
    needed = round(samples * from_rate / rate)
    if signal.shape[1] < needed:
        raise UnusableEcg(
            "too-short", f"{signal.shape[1] / ecg.rate:.2f} s recorded where {samples / rate:g} s are needed"
        )
    if signal.shape[1] > needed:
        flags |= Flag.CROPPED
    uv_per_unit = ecg.uv_per_unit
    if from_rate != rate:
        # One more second than needed goes in, so that the end is not an edge of the resampler.
        signal = resample(signal[:, : needed + round(from_rate)], from_rate, rate)
        flags |= Flag.RESAMPLED
        uv_per_unit = None
    signal = signal[:, :samples]
    if signal.shape[1] < samples:
        raise UnusableEcg("too-short", f"{signal.shape[1]} samples where {samples} are needed")
    still = signal.min(axis=1) == signal.max(axis=1)
    if still.any():
        flat = [lead for lead, is_flat in zip(EIGHT, still.tolist(), strict=True) if is_flat]
        raise UnusableEcg("flat-lead", f"lead {', '.join(flat)} is flat")
    zeros = np.flatnonzero(signal[0] == 0)
    if not signal[:, zeros].any(axis=0).all():
        flags |= Flag.EMPTY_ROWS
    return replace(
        ecg,
        signal=np.ascontiguousarray(signal),
        rate=rate,
        leads=EIGHT,
        uv_per_unit=uv_per_unit,
        flags=flags,
    )


class InputSpec(BaseModel):
    """What a model takes, and how ECGs become that: the only preprocessing there is.

    It is saved in every checkpoint; training, evaluation and prediction prepare input through it.

    Attributes:
        leads: the rows of the input, in order.
        rate: Hz of the ECGs that come in.
        samples: samples of the ECGs that come in.
        model_rate: Hz inside the model; another rate than `rate` is reached by Fourier resampling, as in the paper.
        model_samples: samples inside the model; the difference is zeros, half on either side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    leads: tuple[str, ...] = EIGHT
    rate: int = 500
    samples: int = 5000
    model_rate: int = 500
    model_samples: int = 5000

    def prepare(self, batch: torch.Tensor) -> torch.Tensor:
        """Prepare a whole batch on its own device.

        Args:
            batch: (batch, leads, samples) float32 mV at `rate`.

        Returns:
            (batch, leads, model_samples) float32 mV at `model_rate`.

        Raises:
            ModelError: the batch has another shape.
        """
        if batch.ndim != 3 or batch.shape[1:] != (len(self.leads), self.samples):
            raise ModelError(
                f"this model takes ECGs of {len(self.leads)} leads × {self.samples} samples at {self.rate} Hz, "
                f"not {tuple(batch.shape[1:])}",
                remedy="bring them there with precordial.ecg.normalise, or make the model with another rate",
            )
        if self.model_rate != self.rate:
            batch = fourier_resample(batch, self.samples * self.model_rate // self.rate)
        padding = self.model_samples - batch.shape[2]
        if padding:
            import torch

            batch = torch.nn.functional.pad(batch, (padding // 2, padding - padding // 2))
        return batch


def fourier_resample(batch: torch.Tensor, samples: int) -> torch.Tensor:
    """Resample the last axis to `samples` in the Fourier domain; equal to `scipy.signal.resample`."""
    import torch

    n = batch.shape[-1]
    kept = min(n, samples)
    spectrum = torch.fft.rfft(batch)[..., : kept // 2 + 1].clone()
    if kept % 2 == 0 and n != samples:  # the Nyquist term stands for two, of which one appears or vanishes
        spectrum[..., kept // 2] *= 2.0 if samples < n else 0.5
    resampled: torch.Tensor = torch.fft.irfft(spectrum, n=samples) * (samples / n)
    return resampled
