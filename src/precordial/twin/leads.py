"""From the heart's dipole to the eight leads, and the electrical axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Leads V1 … V6, I, II (the order of precordial.ecg.EIGHT) from Frank's x, y, z: Dower, Machado & Osborne 1980, "On
# deriving the electrocardiogram from vectorcardiographic leads", Clin Cardiol 3:87.
DOWER = np.array(
    [
        (-0.515, 0.157, -0.917),
        (0.044, 0.164, -1.387),
        (0.882, 0.098, -1.277),
        (1.213, 0.127, -0.601),
        (1.125, 0.127, -0.086),
        (0.831, 0.076, 0.230),
        (0.632, -0.235, 0.059),
        (0.235, 1.066, -0.132),
    ],
    np.float32,
)
# Lead I and 2/√3·aVF: at right angles and of one gain in Einthoven's triangle. aVF = II - I/2.
LIMB = np.stack([DOWER[6], (DOWER[7] - DOWER[6] / 2) * np.float32(2 / 3**0.5)])


def frontal(axis: Array) -> Array:
    """Unit vector (n, 3) in the frontal plane that has this axis (n,) in the limb leads, degrees.

    >>> float(axis_of(frontal(np.array([30.0], np.float32)))[0].round(3))
    30.0
    """
    angle = np.radians(axis)
    flat = np.stack([np.cos(angle), np.sin(angle)], 1) @ np.linalg.inv(LIMB[:, :2]).T
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    return np.concatenate([flat, np.zeros((len(flat), 1))], 1).astype(np.float32)


def axis_of(vectors: Array) -> Array:
    """Axis (n,) of dipoles (n, 3) in the limb leads, degrees from -180 to 180."""
    first, foot = (vectors @ LIMB.T).T
    return np.asarray(np.degrees(np.arctan2(foot, first)), np.float32)
