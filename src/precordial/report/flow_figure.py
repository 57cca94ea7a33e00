"""The flow chart as a picture, in the manner of the paper's Fig. 1."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import text_to_path

from precordial.cohort.flow import BRANCHES, Count, Flow, FlowStep, counts_text, number_text, who_stays

# Inches. A column is a chain of boxes with what was left out at its right side.
BOX, SIDE, BETWEEN, MARGIN = 2.55, 1.85, 0.25, 0.06
COLUMN = BOX + BETWEEN + SIDE
LINE, PAD, GAP, INDENT = 0.152, 0.06, 0.2, 0.09
SIZE = 8.0  # points
FONT = "DejaVu Sans"
PARTS = 4  # side by side; more go on in the next line
UNUSABLE = "unusable: "
LOOKS = {"kept": ("#eef4fa", "#4a6f94"), "out": ("#f7f3ee", "#a08a6c"), "part": ("#eaf5ef", "#4c8a6c")}


@dataclass(frozen=True)
class Box:
    """A box of the chart: its lines, the first of them bold, and what was left out on the way to it."""

    lines: tuple[str, ...]
    out: tuple[str, ...] = ()


def flow_figure(flow: Flow) -> Figure:
    """Draw the flow chart: the target on the left, the archive and below it the source on the right.

    A step that keeps everything stands in one box with the step before it.
    """
    branches = {name: [step for step in flow.steps if step.branch == name] for name in BRANCHES}
    columns = [[name for name in names if branches[name]] for names in (("target",), ("archive", "source"))]
    columns = [names for names in columns if names]
    width = COLUMN * len(columns) + 0.4 * (len(columns) - 1) + 2 * MARGIN
    figure = Figure()
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    bottom = 0.0
    for number, names in enumerate(columns):
        y, above = -MARGIN, None
        for name in names:
            y = _branch(axes, MARGIN + number * (COLUMN + 0.4), y, BRANCHES[name], branches[name], above)
            bottom = min(bottom, y)
            above, y = y, y - 2 * GAP  # the source is taken from the archive above it
    figure.set_size_inches(width, MARGIN - bottom)
    axes.set(xlim=(0, width), ylim=(bottom - MARGIN, 0))
    return figure


def boxes(steps: Sequence[FlowStep]) -> Iterator[Box]:
    """The boxes of a branch, without its parts."""
    kept: list[FlowStep] = []
    for step in (step for step in steps if not step.part):
        if kept and (step.reasons or step.excluded_visits or step.excluded_ecgs or _size(step) != _size(kept[-1])):
            yield _box(kept)
            kept = []
        kept.append(step)
    if kept:
        yield _box(kept)


def _size(step: FlowStep) -> tuple[Count | None, ...]:
    return step.patients, step.visits, step.ecgs


def _box(steps: Sequence[FlowStep]) -> Box:
    first = steps[0]
    reasons = [f"{number_text(count)} {reason.removeprefix(UNUSABLE)}" for reason, count in first.reasons.items()]
    why_out = _about_those_left_out(first)
    lines = [counts_text(first.visits, first.ecgs, first.patients), ", ".join(step.text for step in steps)]
    out = []
    if first.excluded_visits or first.excluded_ecgs:
        counts = counts_text(first.excluded_visits, first.excluded_ecgs, first.touched_patients)
        out = [counts, f"{first.why}{who_stays(first)}", *(reasons if why_out else ())]
    return Box((*lines, *(() if why_out else reasons)), tuple(out))


def _about_those_left_out(step: FlowStep) -> bool:
    """Whether the reasons say why, by adding up to what was left out; else they are about those who stay."""
    if all(reason.startswith(UNUSABLE) for reason in step.reasons):
        return True
    counts = [count for count in step.reasons.values() if isinstance(count, int)]
    return len(counts) == len(step.reasons) and sum(counts) in (step.excluded_visits, step.excluded_ecgs)


def _branch(axes: Axes, x: float, y: float, name: str, steps: Sequence[FlowStep], above: float | None = None) -> float:
    """Draw a branch below y, with an arrow from what ends at `above`; where it ends itself."""
    axes.text(x, y - LINE, name, fontsize=SIZE + 2, weight="bold", va="center")
    y -= 2 * LINE
    for number, box in enumerate(boxes(steps)):
        side = _height(box.out, SIDE) if box.out else 0.0
        if number:
            y -= max(GAP, side + 2 * PAD)
        if above is not None:
            _arrow(axes, (x + BOX / 2, above), (x + BOX / 2, y))
        if box.out:
            middle = ((above if above is not None else y) + y) / 2
            _arrow(axes, (x + BOX / 2, middle), (x + BOX + BETWEEN, middle))
            _draw(axes, x + BOX + BETWEEN, middle + side / 2, SIDE, box.out, "out")
        y -= _draw(axes, x, y, BOX, box.lines, "kept")
        above = y
    return _parts(axes, x, y, [step for step in steps if step.part], above is not None)


def _parts(axes: Axes, x: float, y: float, parts: Sequence[FlowStep], after: bool) -> float:
    """Draw the splits side by side below y, in as many lines as it takes; where they end."""
    across = min(len(parts), PARTS)
    if not across:
        return y
    width = min((COLUMN - 0.1 * (across - 1)) / across, 1.6)
    stem, turn = x + BOX / 2, y - GAP * 0.8  # one line down, one across, an arrow to each
    for start in range(0, len(parts), across):
        here = parts[start : start + across]
        texts = [_part(step) for step in here]
        top, centres = y - 2 * GAP, [x + width / 2 + k * (width + 0.1) for k in range(len(here))]
        if after:
            axes.plot((stem, stem), (turn if start else y, y - GAP * 0.8), color="black", linewidth=0.8)
            turn = y - GAP * 0.8
            ends = min(centres[0], stem), max(centres[-1], stem)
            axes.plot(ends, (turn, turn), color="black", linewidth=0.8)
            for centre in centres:
                _arrow(axes, (centre, turn), (centre, top))
        height = max(_height(lines, width) for lines in texts)
        for centre, lines in zip(centres, texts, strict=True):
            _draw(axes, centre - width / 2, top, width, lines, "part", height)
        y, stem = top - height, x + COLUMN / 2  # further down, the line runs between the second and the third
    return y


def _part(step: FlowStep) -> tuple[str, ...]:
    counts = [counts_text(step.visits, step.ecgs, None), counts_text(None, None, step.patients)]
    return (step.text, *counts, *(f"{number_text(count)} {reason}" for reason, count in step.reasons.items()))


def _draw(
    axes: Axes, x: float, y: float, width: float, lines: Sequence[str], look: str, height: float | None = None
) -> float:
    """Draw a box whose left upper corner is (x, y); its height."""
    face, edge = LOOKS[look]
    height = height or _height(lines, width)
    corner = (x + 0.03, y - height + 0.03)
    style = "round,pad=0.03,rounding_size=0.05"
    axes.add_patch(FancyBboxPatch(corner, width - 0.06, height - 0.06, boxstyle=style, fc=face, ec=edge, linewidth=0.8))
    at = y - PAD - LINE / 2
    for number, text in enumerate(lines):
        for line in _wrapped(text, width, number == 0):
            weight = "normal" if number else "bold"
            axes.text(x + INDENT, at, line, fontsize=SIZE, va="center_baseline", weight=weight)
            at -= LINE
    return height


def _height(lines: Sequence[str], width: float) -> float:
    return 2 * PAD + LINE * sum(len(_wrapped(line, width, number == 0)) for number, line in enumerate(lines))


def _wrapped(text: str, width: float, bold: bool) -> list[str]:
    """The text in lines that fit into a box; a number keeps its thousands, its sign and its hours."""
    lines = [""]
    for word in re.sub(r"(?<=\d) (?=\d{3}\b)|(?<=[<≥]) (?=\d)|(?<=\d) (?=h\b)", "\u00a0", text).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer, bold) > width - 2 * INDENT:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


@cache
def _width(text: str, bold: bool) -> float:
    font = FontProperties(family=FONT, size=SIZE, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0]) / 72


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>,head_length=0.35,head_width=0.18", "fc": "black", "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=look)
