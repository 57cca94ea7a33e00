"""One ECG on paper: the 3 × 4 page that cardiologists read."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as MplPath
from numpy.typing import NDArray

from precordial.ecg import TWELVE

WIDTH, HEIGHT = 267, 110  # mm of paper; a figure of this ratio shows squares
LAYOUT = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
RHYTHM = "II"
BASELINES = (90, 65, 40, 13)  # mm from below, one for each row and for the rhythm strip
LEFT = 12  # mm; the calibration pulse stands left of it
SPEED, GAIN = 25, 10  # mm/s and mm/mV
PAPER, FINE, HEAVY = "#fffaf8", "#f8dcd6", "#eeb5aa"
INK: dict[str, Any] = {"color": "black", "linewidth": 0.75}


def draw_ecg(axes: Axes, leads: NDArray[np.floating[Any]], rate: float, *, note: str = "") -> None:
    """Draw twelve leads: three rows of four, a quarter of the recording each, and lead II whole below.

    The axes are in mm of paper at 25 mm/s and 10 mm/mV; `WIDTH` by `HEIGHT` is their ratio.

    Args:
        axes: to draw on; emptied of ticks and frame.
        leads: (12, samples) mV in the order of `precordial.ecg.TWELVE`, 10 s of them.
        rate: samples per second, Hz.
        note: is added to the words below on the right; never anything that tells who it is.

    Raises:
        ValueError: not twelve leads.
    """
    leads = np.asarray(leads)
    if leads.ndim != 2 or len(leads) != len(TWELVE):
        raise ValueError(f"leads of shape {leads.shape} should be (12, samples)")
    lead = dict(zip(TWELVE, leads, strict=True))
    samples = leads.shape[1]
    at = LEFT + np.arange(samples) / rate * SPEED
    _paper(axes)
    for base, row in zip(BASELINES, LAYOUT, strict=False):
        for column, name in enumerate(row):
            part = slice(column * samples // 4, (column + 1) * samples // 4)
            _trace(axes, at[part], lead[name][part], base, name)
            if column:  # where one lead ends and the next begins
                axes.plot((at[part.start],) * 2, (base - 1.5, base + 1.5), **INK)
    _trace(axes, at, lead[RHYTHM], BASELINES[3], RHYTHM)
    for base in BASELINES:  # 1 mV for 0.2 s
        axes.plot((3, 4.5, 4.5, 9.5, 9.5, 11), base + GAIN * np.array((0, 0, 1, 1, 0, 0)), **INK)
    words = f"{SPEED} mm/s   {GAIN} mm/mV" + (f"   {note}" if note else "")
    axes.text(WIDTH - 3, 2.5, words, fontsize=7, ha="right", color="black")


def _trace(axes: Axes, at: NDArray[np.floating[Any]], trace: NDArray[np.floating[Any]], base: float, name: str) -> None:
    axes.plot(at, base + GAIN * trace, **INK, solid_joinstyle="round")
    axes.text(at[0] + 1.5, base + 8.5, name, fontsize=8, weight="bold", color="black")


def _paper(axes: Axes) -> None:
    """ECG paper: a line each mm, a heavier one each 5 mm."""
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), WIDTH, HEIGHT, color=PAPER, linewidth=0, zorder=-3))
    for step, colour, thickness in ((1, FINE, 0.35), (5, HEAVY, 0.6)):
        ends = [end for x in range(0, WIDTH + 1, step) for end in ((x, 0), (x, HEIGHT))]
        ends += [end for y in range(0, HEIGHT + 1, step) for end in ((0, y), (WIDTH, y))]
        lines = MplPath(ends, [MplPath.MOVETO, MplPath.LINETO] * (len(ends) // 2))  # one path: a smaller file
        axes.add_patch(PathPatch(lines, fill=False, edgecolor=colour, linewidth=thickness, zorder=-2 + step / 10))
