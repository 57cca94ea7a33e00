"""The judgement of one recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from precordial.ecg import Ecg, Flag, Signal, eight_leads
from precordial.quality.leads import likely_reversed, limb_leads_differ
from precordial.quality.levels import MAINS_UV, WANDER_UV, level_flags, mains, short_means, wander


@dataclass(frozen=True)
class Quality:
    """What `assess` found.

    Attributes:
        flags: of `Flag.FLAT_PART` and those after it.
        mains_uv: hum of 50 or 60 Hz in the lead that has most, root mean square, µV; NaN where the file's rate is too
            low to tell (134 Hz or less).
        wander_uv: content below 0.5 Hz, without the mean, in the lead that has most, root mean square, µV.
    """

    flags: Flag
    mains_uv: float
    wander_uv: float


def assess(signal: Signal, rate: float, recorded: Ecg) -> Quality:
    """Judge one recording.

    Standing still, saturation, amplitude and hum are looked for in the file's own samples, since resampling rounds
    plateaus and takes hum away; wander and reversal in the normalised signal.

    Args:
        signal: (8, samples) mV in the order of `precordial.ecg.EIGHT`, as `precordial.ecg.normalise` gives it.
        rate: samples per second, 500 or 100.
        recorded: the ECG as read from the file, any leads and rate, beginning where `signal` begins.

    >>> from precordial.ecg import EIGHT
    >>> t = np.arange(5000, dtype=np.float32) / 500
    >>> sizes = np.array([0.3, 0.6, 0.9, 1.2, 1.1, 1.0, 0.6, 1.0], np.float32)[:, None]
    >>> beats = sizes * np.exp(-(((t % 0.8 - 0.4) / 0.02) ** 2))
    >>> assess(beats, 500, Ecg(beats, 500, EIGHT)).flags
    <Flag: 0>
    >>> hum = beats + 0.05 * np.sin(2 * np.pi * 50 * t)
    >>> quality = assess(hum, 500, Ecg(hum, 500, EIGHT))
    >>> quality.flags, round(quality.mains_uv)
    (<Flag.MAINS: 8192>, 35)
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a file may say anything of its gain
        return _assess(signal, rate, recorded)


def _assess(signal: Signal, rate: float, recorded: Ecg) -> Quality:
    samples = round(signal.shape[1] * recorded.rate / rate)
    own = signal
    if recorded.rate != rate:
        own = eight_leads(recorded.signal[:, :samples], recorded.leads)[0]
    flags = level_flags(own, recorded.rate, recorded.uv_per_unit)
    if limb_leads_differ(recorded.signal[:, :samples], recorded.leads, recorded.rate):
        flags |= Flag.LIMB_LEADS
    mains_uv = mains(own, recorded.rate)
    if mains_uv > MAINS_UV:
        flags |= Flag.MAINS
    means = short_means(signal, rate)
    wander_uv, slow = wander(means)
    if wander_uv > WANDER_UV:
        flags |= Flag.WANDER
    if likely_reversed(means, slow):
        flags |= Flag.REVERSAL
    return Quality(flags, mains_uv, wander_uv)
