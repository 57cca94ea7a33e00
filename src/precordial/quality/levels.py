"""Levels of single leads: amplitude, saturation, standing still, hum and wander."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from precordial.ecg import Flag, Signal

# A lead stands still where it stays within this range for this long. Chosen: on the real recordings the quietest
# second of any lead spans 21 µV, but half a second between slow beats can span 10 µV.
STILL_MV = 0.010
STILL_SECONDS = 1.0

# A lead is saturated where it holds its highest or lowest value for this long in all, that far from its mean, in
# runs of at least so many samples. Chosen. Runs at either end count only from END_SECONDS on: most of the PTB-XL files
# at 500 Hz hold their last value for some 0.1 s. To save time a lead is passed over if it does not stay the first time.
PLATEAU_SECONDS = 0.020
PLATEAU_SAMPLES = 4
PLATEAU_RUN = 3
PLATEAU_MV = 1.0
END_SECONDS = 0.2
INT16 = 32767

# Electrocardiographs are made for ±5 mV (IEC 60601-2-25; its text was not at hand). "Low voltage" is less than 0.5 mV
# in all limb leads and 1 mV in all chest leads; where no lead at all has 0.5 mV, the gain is rather wrong. A single
# lead of less than 0.1 mV: chosen, as the limit of the limb leads in `precordial.quality.leads`.
HIGH_MV = 10.0
LOW_BEST_MV = 0.5
LOW_LEAD_MV = 0.1

# 18 µV is a sine of 0.05 mV from peak to peak, half a millimetre on paper at 10 mm/mV. Chosen; the electrocardiograph
# itself may add noise of 0.03 mV from peak to peak (AAMI EC11).
MAINS_UV = 18.0
# Chosen: as many of the PTB-XL recordings at 500 Hz have it as were noted for a drifting baseline. The device
# itself may drift by 0.5 mV in two minutes (AAMI EC11).
WANDER_UV = 300.0
WANDER_HZ = 0.5

BLOCK_SECONDS = 0.02  # a period of 50 Hz, which the mean over it takes away; a QRS complex has four or five
_HUM_HZ = (45, 50, 55, 60, 65)  # the two mains frequencies, and what lies on either side of them


def level_flags(signal: Signal, rate: float, uv_per_unit: float | None) -> Flag:
    """Flags of amplitude, saturation and standing still.

    Args:
        signal: (leads, samples) mV. rate: Hz.
        uv_per_unit: µV per unit of a 16-bit file, whose limits then count as saturation.
    """
    rows, at_low, at_high = np.arange(len(signal)), signal.argmin(1), signal.argmax(1)
    low, high = signal[rows, at_low], signal[rows, at_high]  # faster than min and max
    spans = high - low
    flags = Flag(0)
    if spans.max() > HIGH_MV or spans.max() < LOW_BEST_MV or spans.min() < LOW_LEAD_MV:
        flags |= Flag.AMPLITUDE
    limit = np.inf if uv_per_unit is None else (INT16 - 0.5) * uv_per_unit / 1000
    if high.max() >= limit or low.min() <= -limit:
        flags |= Flag.SATURATED
    mean = signal @ _weights(signal.shape[1])
    for extreme, at in ((high, at_high), (low, at_low)):
        stays = signal[rows, np.minimum(at + 1, signal.shape[1] - 1)] == extreme
        for row in np.flatnonzero(stays & (abs(extreme - mean) >= PLATEAU_MV)):
            if _has_plateau(signal[row], extreme[row], rate):
                flags |= Flag.SATURATED
    if _stands_still(signal, rate, spans):
        flags |= Flag.FLAT_PART
    return flags


def _has_plateau(lead: Signal, extreme: np.float32, rate: float) -> bool:
    needed = max(round(PLATEAU_SECONDS * rate), PLATEAU_SAMPLES)
    there = lead == extreme
    if np.count_nonzero(there) < needed:
        return False
    edges = np.flatnonzero(np.diff(there, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    inside = (starts > 0) & (ends < len(lead))
    lengths = ends - starts
    return bool(lengths[lengths >= np.where(inside, PLATEAU_RUN, END_SECONDS * rate)].sum() >= needed)


def _stands_still(signal: Signal, rate: float, spans: Signal) -> bool:
    step = max(round(rate * STILL_SECONDS / 10), 1)
    windows = signal.shape[1] // (5 * step)
    thin = signal[:, : windows * 5 * step : step]  # any second that is still has a whole window of five of these in it
    thin = np.ascontiguousarray(thin.reshape(-1, 5).T)
    quiet = (thin.max(0) - thin.min(0)) <= STILL_MV
    needed = round(rate * STILL_SECONDS)
    if not quiet.any() or signal.shape[1] < needed:
        return False
    for row, window in zip(*np.divmod(np.flatnonzero(quiet), windows), strict=True):
        first, last = window * 5 * step, (window * 5 + 4) * step
        if np.ptp(signal[row, first : last + 1]) > STILL_MV or spans[row] <= STILL_MV:
            continue
        around = signal[
            row, max(last - needed, 0) : first + needed + 1
        ]  # any still second with this window lies in here
        every = np.lib.stride_tricks.sliding_window_view(around, needed)
        if (every.max(1) - every.min(1)).min() <= STILL_MV:
            return True
    return False


@lru_cache(maxsize=16)
def _hum_waves(rate: float) -> Signal:
    """(samples of a second, 10): cosines, then sines of `_HUM_HZ` under a Hann window, scaled to µV (r.m.s.)."""
    time = np.arange(round(rate)) / rate
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(time)) / len(time))
    angle = 2 * np.pi * np.array(_HUM_HZ)[:, None] * time
    waves = np.concatenate([np.cos(angle), np.sin(angle)])
    return np.ascontiguousarray((waves * window * (1000 * np.sqrt(2) / window.sum())).T, np.float32)


def mains(signal: Signal, rate: float) -> float:
    """Hum of the worst lead of (leads, samples) mV, µV r.m.s.

    Every other second is measured by itself, since the mains do not keep their frequency to a tenth of a Hz; the
    median of these counts, so that a burst does not. What muscle and QRS have beside 50 and 60 Hz is taken off. NaN
    where the rate is too low, or there are less than two seconds.
    """
    length = round(rate)
    pairs = signal.shape[1] // max(2 * length, 1)
    if rate <= 2 * (_HUM_HZ[-1] + 2) or pairs == 0:
        return float("nan")
    parts = np.ascontiguousarray(signal[:, : pairs * 2 * length]).reshape(len(signal) * pairs, 2 * length)
    waves = parts[:, :length] @ _hum_waves(rate)
    waves *= waves
    power = (waves[:, : len(_HUM_HZ)] + waves[:, len(_HUM_HZ) :]).reshape(len(signal), pairs, len(_HUM_HZ))
    power.sort(axis=1)
    middle = power[:, pairs // 2]
    above = middle[:, 1::2] - (middle[:, :-1:2] + middle[:, 2::2]) / 2
    return float(np.sqrt(max(above.max(), 0.0)))


def short_means(signal: Signal, rate: float) -> Signal:
    """(leads, blocks): means over 20 ms; what is left over at the end is not looked at."""
    length = round(rate * BLOCK_SECONDS)
    leads, samples = signal.shape
    blocks = samples // length
    parts = np.ascontiguousarray(signal[:, : blocks * length]).reshape(leads * blocks, length)
    return np.asarray((parts @ _weights(length)).reshape(leads, blocks))  # six times faster than mean(axis=2)


@lru_cache(maxsize=16)
def _weights(samples: int) -> Signal:
    """What makes a mean of as many samples."""
    return np.full(samples, 1 / samples, np.float32)


def wander(means: Signal) -> tuple[float, Signal]:
    """Content of (leads, blocks of 20 ms) mV below 0.5 Hz: the worst lead's, µV r.m.s., and (leads, `slow_waves`)."""
    sizes = means @ slow_waves(means.shape[1])
    worst = np.sqrt((sizes * sizes).sum(1).max() / means.shape[1])
    return 1000 * float(worst), np.asarray(sizes)


@lru_cache(maxsize=16)
def slow_waves(blocks: int) -> Signal:
    """(blocks, waves): orthonormal cosines of whole half periods, 0.05 … 0.5 Hz for 10 s.

    Unlike the waves of a Fourier series they can follow a ramp.
    """
    count = round(2 * blocks * BLOCK_SECONDS * WANDER_HZ)
    place = (np.arange(blocks) + 0.5)[:, None] * np.arange(1, count + 1)
    return np.asarray(np.cos(np.pi / blocks * place) * np.sqrt(2 / blocks), np.float32)
