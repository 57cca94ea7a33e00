"""One ECG on paper: the 3 × 4 page that cardiologists read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as MplPath
from numpy.typing import NDArray

from precordial.ecg import LIMB, SECONDS, TWELVE, Ecg

Trace = NDArray[np.floating[Any]]

WIDTH, HEIGHT = 267, 110  # mm of paper; a figure of this ratio shows squares
LAYOUT = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
RHYTHM = "II"
BASELINES = (90, 65, 40, 13)  # mm from below, one for each row and for the rhythm strip
LEFT = 12  # mm; the calibration pulse stands left of it
SPEED, GAIN = 25, 10  # mm/s and mm/mV
COLUMN = SECONDS / 4  # seconds of a lead
PAPER, FINE, HEAVY = "#fffaf8", "#f8dcd6", "#eeb5aa"
INK: dict[str, Any] = {"color": "black", "linewidth": 0.75}
OFFSET = 1.0  # mV; a baseline further off is moved to its row, as the capacitor of an electrocardiograph does
BEYOND = 100.0  # mV; far outside the paper, and still a number for every program that shows pictures
MM = 1 / 25.4  # inch


@dataclass(frozen=True)
class Sheet:
    """How high the paper is, where on it the baselines of the rows and of the rhythm strip lie, and how far above them
    the leads' names; all in mm."""

    height: int = HEIGHT
    baselines: tuple[int, int, int, int] = BASELINES
    name: float = 8.5


A4 = (297, 210)  # mm, landscape
A4_SHEET = Sheet(190, (145, 105, 65, 25), 12.5)  # room for words above, and for tall waves among them


def draw_ecg(axes: Axes, leads: Trace, rate: float, *, note: str = "") -> None:
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
    draw_leads(axes, dict(zip(TWELVE, leads, strict=True)), rate, note=note)


def draw_leads(
    axes: Axes, leads: Mapping[str, Trace], rate: float, *, note: str = "", sheet: Sheet | None = None
) -> None:
    """Draw those of the twelve leads that there are, and a rhythm strip: lead II, or else the first lead.

    A lead has 2.5 s of the recording; the four columns follow one another where that is 10 s, and overlap in time
    where it is shorter. What goes beyond the paper is cut off.

    Args:
        axes: to draw on, in mm of paper; emptied of ticks and frame.
        leads: (samples,) mV of each lead, no more than 10 s.
        rate: samples per second, Hz.
        note: is added to the words below on the right; never anything that tells who it is.
        sheet: the paper; by default `WIDTH` by `HEIGHT`.
    """
    sheet = sheet or Sheet()
    _paper(axes, sheet.height)
    for base, row in zip(sheet.baselines, LAYOUT, strict=False):
        for column, name in enumerate(row):
            left = LEFT + column * COLUMN * SPEED
            if name not in leads:
                axes.text(left + 1.5, base + sheet.name, f"{name}  not recorded", fontsize=8, color="#666666")
                continue
            trace = leads[name]
            length = min(len(trace), round(COLUMN * rate))
            start = round(column * (len(trace) - length) / 3)
            _trace(axes, left, trace[start : start + length], rate, base, name, sheet)
            if column:  # where one lead ends and the next begins
                axes.plot((left, left), (base - 1.5, base + 1.5), **INK)
    rhythm = rhythm_lead(leads)
    _trace(axes, LEFT, leads[rhythm], rate, sheet.baselines[3], rhythm, sheet)
    for base in sheet.baselines:  # 1 mV for 0.2 s
        axes.plot((3, 4.5, 4.5, 9.5, 9.5, 11), base + GAIN * np.array((0, 0, 1, 1, 0, 0)), **INK)
    words = f"{SPEED} mm/s   {GAIN} mm/mV" + (f"   {note}" if note else "")
    axes.text(WIDTH - 3, 2.5, words, fontsize=7, ha="right", color="black")


def rhythm_lead(leads: Iterable[str]) -> str:
    """II where there is one, else the first."""
    names = list(leads)
    return RHYTHM if RHYTHM in names else names[0]


def _trace(axes: Axes, left: float, trace: Trace, rate: float, base: float, name: str, sheet: Sheet) -> None:
    at = left + np.arange(len(trace)) / rate * SPEED
    axes.plot(at, base + GAIN * trace, **INK, solid_joinstyle="round")
    _write(axes, left + 1.5, base + sheet.name, name[:20], fontsize=8, weight="bold", color="black")


def _paper(axes: Axes, height: int) -> None:
    """ECG paper: a line each mm, a heavier one each 5 mm."""
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), WIDTH, height, color=PAPER, linewidth=0, zorder=-3))
    for step, colour, thickness in ((1, FINE, 0.35), (5, HEAVY, 0.6)):
        ends = [end for x in range(0, WIDTH + 1, step) for end in ((x, 0), (x, height))]
        ends += [end for y in range(0, height + 1, step) for end in ((0, y), (WIDTH, y))]
        lines = MplPath(ends, [MplPath.MOVETO, MplPath.LINETO] * (len(ends) // 2))  # one path: a smaller file
        axes.add_patch(PathPatch(lines, fill=False, edgecolor=colour, linewidth=thickness, zorder=-2 + step / 10))


def ecg_page(ecg: Ecg, facts: Sequence[str], right: Sequence[str] = ()) -> Figure:
    """The first ten seconds of an ECG on A4 landscape, true to scale, unfiltered.

    Limb leads that the file lacks are derived where it has two of them. Call it inside
    `precordial.report.style.drawing`.

    Args:
        ecg: any leads, rate and length.
        facts: up to three lines to stand above on the left, the first in bold.
        right: up to three lines to stand above on the right.
    """
    shown = np.asarray(ecg.signal[:, : round(SECONDS * ecg.rate)], float)
    leads, derived = with_derived(dict(zip(ecg.leads, shown, strict=True)))
    moved = max(abs(_baseline(trace)) for trace in leads.values())
    if moved > OFFSET:  # all of them: who compares leads need not ask which ones were moved
        leads = {name: trace - _baseline(trace) for name, trace in leads.items()}
    leads = {name: np.clip(trace, -BEYOND, BEYOND) for name, trace in leads.items()}
    others = len(set(leads) - {*TWELVE, rhythm_lead(leads)})
    notes = [
        f"The first {SECONDS} s of {ecg.seconds:.1f} s." if ecg.seconds > SECONDS + 0.05 else "",
        f"{ecg.seconds:.1f} s recorded; the columns overlap in time." if ecg.seconds < SECONDS - 0.05 else "",
        f"{', '.join(derived)}: derived from the other limb leads." if derived else "",
        f"{others} other lead{'s' * (others > 1)} not drawn." if others else "",
        f"Baselines moved to their rows, by up to {moved:.3g} mV." if moved > OFFSET else "",
    ]
    figure = Figure(figsize=(A4[0] * MM, A4[1] * MM))
    width, height = WIDTH / A4[0], A4_SHEET.height / A4[1]
    axes = figure.add_axes(((1 - width) / 2, (1 - height) / 2, width, height))
    draw_leads(axes, leads, ecg.rate, note="unfiltered", sheet=A4_SHEET)
    top = A4_SHEET.height - 6.5
    for line, (text, size, weight) in enumerate(zip(facts, (10, 8, 8), ("bold", "normal", "normal"), strict=False)):
        _write(axes, 3, top - 5 * line, text, fontsize=size, weight=weight)
    for line, text in enumerate(right):
        _write(axes, WIDTH - 3, top - 5 * line, text, fontsize=8, ha="right")
    _write(axes, 3, 2.5, "   ".join(filter(None, notes)), fontsize=7)
    return figure


def _baseline(trace: Trace) -> float:
    return float(np.median(trace)) if len(trace) else 0.0


def with_derived(leads: Mapping[str, Trace]) -> tuple[dict[str, Trace], list[str]]:
    """The leads with the limb leads that follow from two others, and the names of these.

    >>> leads, derived = with_derived({"II": np.array([1.0]), "III": np.array([0.25])})
    >>> derived, leads["I"].round(9).tolist()
    (['I', 'aVR', 'aVL', 'aVF'], [0.75])
    """
    both = [name for name in ("I", "II") if name in leads]
    from_ = both if len(both) == 2 else [name for name in LIMB if name in leads]
    absent = [name for name in LIMB if name not in leads]
    if len(from_) < 2:
        return dict(leads), []
    mixing = np.array([LIMB[name] for name in absent]).reshape(-1, 2) @ np.linalg.pinv([LIMB[name] for name in from_])
    derived = mixing @ np.stack([leads[name] for name in from_])
    return {**leads, **dict(zip(absent, derived, strict=True))}, absent


def _write(axes: Axes, x: float, y: float, text: str, **looks: Any) -> None:
    """Text at a place in mm; a question mark for letters that the font lacks."""
    known = get_font(findfont("DejaVu Sans")).get_charmap()
    axes.text(x, y, "".join(letter if ord(letter) in known else "?" for letter in text), **looks)
