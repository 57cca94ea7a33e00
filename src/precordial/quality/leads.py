"""Leads against each other: do the limb leads agree, and are electrodes likely to be interchanged?"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import EIGHT, LIMB, Signal
from precordial.quality.levels import slow_waves

# How far III, aVR, aVL and aVF may be from what I and II make them. Chosen: in the files at hand roundings add up to
# 7.5 µV, and a fault has 2.5 mV.
LIMB_MV = 0.05
LIMB_HZ = 125  # so many samples a second are compared: enough for any fault of 8 ms

# Interchanged limb electrodes turn P-QRS of I or II against V6 (Batchvarov 2007, Europace 9:1081). By how much: chosen.
OPPOSED = -0.4
# An interchange with the right leg leaves next to nothing of I, II or III: less than 0.1 mV in one limb lead alone (the
# "very low voltage" of the mnemonic REVERSE, PMC10902517, table 5). That its steps have less than half the size of the
# largest lead's: chosen.
FLAT_LIMB_MV = 0.1
FLAT_LIMB_PART = 0.5
# Neighbours on the chest resemble each other (matrices of correlations: Jekova 2016, Comput Methods Programs Biomed
# 134:31). The sum of 1 - r along V1 … V6, plus SLACK so that tiny sums do not count, must not fall below this part of
# itself when leads are exchanged. Chosen, for some 0.8 % of PTB-XL; among these are normal ECGs that do look exchanged.
DISORDER = 0.7
SLACK = 0.3

_V6, _I, _II = EIGHT.index("V6"), EIGHT.index("I"), EIGHT.index("II")
_FROM_I_II = np.array([LIMB[name] for name in ("I", "II", "III")], np.float32)


def limb_leads_differ(signal: Signal, leads: tuple[str, ...], rate: float) -> bool:
    """Whether the limb leads among `leads`, rows of (leads, samples) mV, contradict each other."""
    rule = _limb_rule(leads)
    if rule is None:
        return False
    rows, sums = rule
    differences = sums @ signal[rows, :: max(int(rate / LIMB_HZ), 1)]
    return bool(max(differences.max(), -differences.min()) > LIMB_MV)


@lru_cache(maxsize=64)
def _limb_rule(leads: tuple[str, ...]) -> tuple[list[int], Signal] | None:
    """Rows of the limb leads, and the sums (sums, limb leads) of them that should be zero; None if fewer than three."""
    limb = [name for name in LIMB if name in leads]
    if len(limb) < 3:
        return None
    factors = np.array([LIMB[name] for name in limb])
    predicted = factors[2:] @ np.linalg.inv(factors[:2])  # any two limb leads make the others
    sums = np.concatenate([-predicted, np.eye(len(predicted))], 1)
    return [leads.index(name) for name in limb], sums.astype(np.float32)


def likely_reversed(means: Signal, slow: Signal) -> bool:
    """Whether electrodes are likely to be interchanged.

    Args:
        means: (8, blocks) mV, see `precordial.quality.levels.short_means`.
        slow: (8, waves) mV, their wander, see `precordial.quality.levels.wander`.
    """
    steps = means[:, 1:] - means[:, :-1]
    products = steps @ steps.T
    sizes = np.sqrt(products.diagonal()) + np.float32(1e-9)
    alike = products / sizes / sizes[:, None]
    if alike[_V6, _I] < OPPOSED or alike[_V6, _II] < OPPOSED:
        return True
    unlike = 5 + SLACK - alike.take(_PAIRS).sum(1)
    if unlike.min() < DISORDER * unlike[0]:
        return True
    first, second = float(products[_I, _I]), float(products[_II, _II])
    energies = first, second, first + second - 2 * float(products[_I, _II])  # of I, II and III
    if min(energies) > FLAT_LIMB_PART**2 * max(energies):
        return False
    limb = _FROM_I_II @ (means[_I : _II + 1] - slow[_I : _II + 1] @ slow_waves(means.shape[1]).T)
    return bool((limb.max(1) - limb.min(1)).min() < FLAT_LIMB_MV)


def _orders() -> NDArray[np.intp]:
    """(orders, 5): where in a flat (8, 8) matrix neighbours on the chest meet.

    First as the leads are named, then with any two of them exchanged, then with V1-V3 for V4-V6.
    """
    orders = [list(range(6))]
    for a, b in combinations(range(6), 2):
        exchanged = list(range(6))
        exchanged[a], exchanged[b] = b, a
        orders.append(exchanged)
    orders.append([3, 4, 5, 0, 1, 2])
    table = np.array(orders)
    return np.asarray(table[:, :-1] * len(EIGHT) + table[:, 1:], np.intp)


_PAIRS = _orders()
