"""What is wrong with a recording, measured in a tenth of a millisecond: flags, and the level of hum and wander.

Nothing here looks for single beats. The QRS complex is what changes fastest, so differences of short means stand for
it: their correlation between leads says whether two leads point the same way. docs/quality.md has what each flag means, where its
threshold comes from, and how often real recordings get it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import EIGHT, LIMB, Ecg, Flag, Signal, eight_leads

# "Chosen" is said of a number for which no source was found; what it was looked at on stands in docs/quality.md.

# A lead stands still where it stays within this range for this long. Chosen: on the real recordings the quietest
# second of any lead spans 21 µV, but half a second between slow beats can span 10 µV.
STILL_MV = 0.010
STILL_SECONDS = 1.0

# A lead is saturated where it holds its highest or lowest value for this long in all, that far from its median, in
# runs of at least so many samples. Chosen. Runs at either end count only from END_SECONDS on: many PTB-XL files hold
# their last value for some 0.1 s.
PLATEAU_SECONDS = 0.020
PLATEAU_SAMPLES = 4
PLATEAU_RUN = 3
PLATEAU_MV = 1.0
END_SECONDS = 0.2
INT16 = 32767

# Electrocardiographs need to take in 10 mV from peak to peak (±5 mV: AAMI EC11, IEC 60601-2-25). "Low voltage" is less
# than 0.5 mV in the limb leads and 1 mV in the chest leads; no lead of 0.5 mV at all is rather a wrong
# gain. A single lead of less than 0.1 mV: chosen, from the limit for the limb leads below.
HIGH_MV = 10.0
LOW_BEST_MV = 0.5
LOW_LEAD_MV = 0.1

# How far III, aVR, aVL and aVF may be from what I and II make them. Chosen: roundings of 4.88 µV add up to 7.5 µV in
# the files at hand, faults to millivolts.
LIMB_MV = 0.05

# Reversed limb electrodes turn P-QRS of I or II against V6 (Batchvarov 2007, Europace 9:1081). By how much: chosen.
OPPOSED = -0.4
# An exchange with the right leg leaves almost nothing of I, II or III: below 0.1 mV in one limb lead alone (the "very
# low voltage" of the mnemonic REVERSE, PMC10902517, table 5). That the other two have twice as much: chosen.
FLAT_LIMB_MV = 0.1
# Neighbours on the chest resemble each other (correlation matrices: Jekova 2016, Comput Methods Programs Biomed 134:31).
# The sum of 1 − r along V1 … V6, plus SLACK so that tiny sums do not count, must not fall to less than this part of itself
# when leads are exchanged. Chosen, for some 0.8 % of PTB-XL, among them normal ECGs that look exchanged.
DISORDER = 0.7
SLACK = 0.3

# Root mean square, of the worst lead. 18 µV is a sine of 0.05 mV from peak to peak, half a millimetre on paper at 10 mm/mV; the
# electrocardiograph itself may add 0.03 mV of noise (AAMI EC11). Chosen.
MAINS_UV = 18.0
# Below 0.5 Hz. Chosen: as many of the PTB-XL recordings have it as their cardiologists noted a drifting baseline in.
WANDER_UV = 300.0
WANDER_HZ = 0.5

BLOCK_SECONDS = 0.02  # a period of 50 Hz, which the mean over it takes away; a QRS complex has four or five
_HUM_HZ = (45, 50, 55, 60, 65)  # the two mains frequencies, and what lies on either side of them
_V6, _I, _II = EIGHT.index("V6"), EIGHT.index("I"), EIGHT.index("II")
_FROM_I_II = np.array([LIMB[name] for name in ("I", "II", "III")], np.float32)


@dataclass(frozen=True)
class Quality:
    """What `assess` found.

    Attributes:
        flags: `Flag.FLAT_PART` and those after it.
        mains_uv: hum of 50 or 60 Hz in the lead that has most, root mean square, µV; NaN where the file's rate is too
            low to tell (134 Hz or less).
        wander_uv: content below 0.5 Hz in the lead that has most, without its mean, root mean square, µV.
    """

    flags: Flag
    mains_uv: float
    wander_uv: float


def assess(signal: Signal, rate: float, recorded: Ecg) -> Quality:
    """Judge one recording.

    Standing still, saturation, amplitude and hum are looked at in the file's own samples, since resampling rounds plateaus and
    takes hum away; the rest in the normalised signal.

    Args:
        signal: (8, samples) mV in the order of `precordial.ecg.EIGHT`, as `precordial.ecg.normalise` gives it.
        rate: samples per second, 500 or 100.
        recorded: the ECG as read from the file, any leads, rate and length.

    >>> from precordial.ecg import EIGHT
    >>> t = np.arange(5000, dtype=np.float32) / 500
    >>> beats = np.exp(-(((t % 0.8 - 0.4) / 0.02) ** 2)) * np.ones((8, 1), np.float32)
    >>> assess(beats, 500, Ecg(beats, 500, EIGHT)).flags
    <Flag: 0>
    >>> hum = beats + 0.05 * np.sin(2 * np.pi * 50 * t)
    >>> quality = assess(hum, 500, Ecg(hum, 500, EIGHT))
    >>> quality.flags, round(quality.mains_uv)
    (<Flag.MAINS: 8192>, 35)
    """
    own = _own_samples(signal, rate, recorded)
    flags = _level_flags(own, recorded.rate if own is not signal else rate, recorded.uv_per_unit)
    if _limb_leads_differ(recorded, round(signal.shape[1] * recorded.rate / rate)):
        flags |= Flag.LIMB_LEADS
    mains = _mains(own, recorded.rate if own is not signal else rate)
    if mains > MAINS_UV:
        flags |= Flag.MAINS
    means = _block_means(signal, round(rate * BLOCK_SECONDS))
    slow = _slow_waves(means.shape[1])
    levels = means @ slow
    wander = 1000 * float(np.sqrt((levels * levels).sum(1).max() / means.shape[1]))
    if wander > WANDER_UV:
        flags |= Flag.WANDER
    if _opposed_or_out_of_order(means) or _flat_limb_lead(means, levels, slow):
        flags |= Flag.REVERSAL
    return Quality(flags, mains, wander)


def _own_samples(signal: Signal, rate: float, recorded: Ecg) -> Signal:
    """The same eight leads and seconds as in the file, before any resampling."""
    if recorded.rate == rate:
        return signal
    samples = round(signal.shape[1] * recorded.rate / rate)
    return eight_leads(recorded.signal[:, :samples], recorded.leads)[0]


def _block_means(signal: Signal, length: int) -> Signal:
    """(leads, blocks): means over `length` samples; what is left over at the end is not looked at."""
    leads, samples = signal.shape
    blocks = samples // length
    parts = np.ascontiguousarray(signal[:, : blocks * length]).reshape(leads * blocks, length)
    return (parts @ np.full(length, 1 / length, np.float32)).reshape(leads, blocks)  # faster than mean(axis=2)


# ---- levels of single leads


def _level_flags(signal: Signal, rate: float, uv_per_unit: float | None) -> Flag:
    """Flags of amplitude, saturation and standing still."""
    rows = np.arange(len(signal))
    low, high = signal[rows, signal.argmin(1)], signal[rows, signal.argmax(1)]  # faster than min and max
    spans = high - low
    flags = Flag(0)
    if spans.max() > HIGH_MV or spans.max() < LOW_BEST_MV or spans.min() < LOW_LEAD_MV:
        flags |= Flag.AMPLITUDE
    limit = np.inf if uv_per_unit is None else (INT16 - 0.5) * uv_per_unit / 1000
    if high.max() >= limit or low.min() <= -limit or _has_plateau(signal, high, rate) or _has_plateau(signal, low, rate):
        flags |= Flag.SATURATED
    if _stands_still(signal, rate, spans):
        flags |= Flag.FLAT_PART
    return flags


def _has_plateau(signal: Signal, extreme: Signal, rate: float) -> bool:
    needed = max(round(PLATEAU_SECONDS * rate), PLATEAU_SAMPLES)
    at = signal == extreme[:, None]
    if np.count_nonzero(at) < needed:
        return False
    for lead, here, value in zip(signal, at, extreme, strict=True):
        if np.count_nonzero(here) < needed or abs(value - np.median(lead)) < PLATEAU_MV:
            continue
        edges = np.flatnonzero(np.diff(here, prepend=False, append=False))
        starts, ends = edges[::2], edges[1::2]
        length = ends - starts
        inside = (starts > 0) & (ends < len(lead))
        if length[np.where(inside, length >= PLATEAU_RUN, length >= END_SECONDS * rate)].sum() >= needed:
            return True
    return False


def _stands_still(signal: Signal, rate: float, spans: Signal) -> bool:
    step = max(round(rate * BLOCK_SECONDS), 1)
    thin = signal[:, ::step]
    half = int(STILL_SECONDS * rate / step) // 2  # any second that is still has a half of this grid in it
    windows = thin.shape[1] // half
    parts = thin[:, : windows * half].reshape(len(signal), windows, half)
    quiet = (parts.max(2) - parts.min(2)).min(1, initial=np.inf) <= STILL_MV
    for lead in np.flatnonzero(quiet & (spans > STILL_MV)):
        every = np.lib.stride_tricks.sliding_window_view(signal[lead], round(STILL_SECONDS * rate))[::step]
        if (every.max(1) - every.min(1)).min() <= STILL_MV:
            return True
    return False


# ---- hum and wander


@lru_cache(maxsize=16)
def _hum_waves(rate: float) -> Signal:
    """(samples of a second, 10): cosine and sine of each of `_HUM_HZ` under a Hann window, scaled to µV (r.m.s.)."""
    time = np.arange(round(rate)) / rate
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(time)) / len(time))
    angle = 2 * np.pi * np.array(_HUM_HZ)[:, None] * time
    waves = np.stack([np.cos(angle), np.sin(angle)], 1).reshape(-1, len(time))
    return np.ascontiguousarray((waves * window * (1000 * np.sqrt(2) / window.sum())).T, np.float32)


def _mains(signal: Signal, rate: float) -> float:
    """Hum of the worst lead, µV.

    Each second is measured by itself, since the mains do not keep their frequency to a tenth of a Hz; of the
    seconds the median counts, so that a burst or a large beat does not. What muscle and QRS have beside 50 and 60 Hz is subtracted.
    """
    length = round(rate)
    seconds = signal.shape[1] // max(length, 1)
    if rate <= 2 * (_HUM_HZ[-1] + 2) or seconds == 0:
        return float("nan")
    parts = np.ascontiguousarray(signal[:, : seconds * length]).reshape(len(signal) * seconds, length)
    parts = parts @ _hum_waves(rate)
    power = (parts * parts).reshape(len(signal), seconds, len(_HUM_HZ), 2).sum(3)
    power.sort(axis=1)
    middle = power[:, seconds // 2]
    above = middle[:, 1::2] - (middle[:, :-1:2] + middle[:, 2::2]) / 2
    return float(np.sqrt(max(above.max(), 0.0)))


@lru_cache(maxsize=16)
def _slow_waves(blocks: int) -> Signal:
    """(blocks, waves): orthonormal cosines of whole half periods, 0.05 to 0.5 Hz in 10 s; unlike a Fourier series, they can follow a ramp."""
    count = round(2 * blocks * BLOCK_SECONDS * WANDER_HZ)
    place = (np.arange(blocks) + 0.5)[:, None] * np.arange(1, count + 1)
    return np.asarray(np.cos(np.pi / blocks * place) * np.sqrt(2 / blocks), np.float32)


# ---- leads against each other


@lru_cache(maxsize=64)
def _limb_rule(leads: tuple[str, ...]) -> tuple[list[int], list[int], Signal] | None:
    """Rows of two limb leads, rows of the others, and the others (others, 2) as multiples of the two."""
    limb = [name for name in LIMB if name in leads]
    if len(limb) < 3:
        return None
    factors = np.array([LIMB[name] for name in limb])
    rows = [leads.index(name) for name in limb]
    return rows[:2], rows[2:], np.asarray(factors[2:] @ np.linalg.inv(factors[:2]), np.float32)


def _limb_leads_differ(recorded: Ecg, samples: int) -> bool:
    rule = _limb_rule(recorded.leads)
    if rule is None:
        return False
    two, others, factors = rule
    part = recorded.signal[:, :samples]
    differences = part[others] - factors @ part[two]
    return bool(max(differences.max(), -differences.min()) > LIMB_MV)


def _orders() -> NDArray[np.intp]:
    """Places in a flat (6, 6) matrix of the five pairs of neighbours: as they are, any two exchanged, V1–V3 for V4–V6."""
    orders = [list(range(6))]
    for a, b in combinations(range(6), 2):
        exchanged = list(range(6))
        exchanged[a], exchanged[b] = b, a
        orders.append(exchanged)
    orders.append([3, 4, 5, 0, 1, 2])
    table = np.array(orders)
    return np.asarray(table[:, :-1] * 6 + table[:, 1:], np.intp)


_PAIRS = _orders()


def _opposed_or_out_of_order(means: Signal) -> bool:
    steps = means[:, 1:] - means[:, :-1]
    products = steps @ steps.T
    sizes = np.sqrt(products.diagonal()) + np.float32(1e-9)
    alike = products / sizes / sizes[:, None]
    if alike[_V6, _I] < OPPOSED or alike[_V6, _II] < OPPOSED:
        return True
    sums = (1 - alike[:6, :6]).ravel()[_PAIRS].sum(1) + SLACK
    return bool(sums.min() < DISORDER * sums[0])


def _flat_limb_lead(means: Signal, levels: Signal, slow: Signal) -> bool:
    """Whether one of I, II, III has next to nothing while the others have, once the wander is taken away."""
    limb = _FROM_I_II @ (means[_I : _II + 1] - levels[_I : _II + 1] @ slow.T)
    spans = np.sort(limb.max(1) - limb.min(1))
    return bool(spans[0] < FLAT_LIMB_MV and spans[1] > 2 * FLAT_LIMB_MV)
