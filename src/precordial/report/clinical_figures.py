"""The figures of the clinical reading."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from precordial.evaluation.calibration import Calibration
from precordial.evaluation.decision import Benefit
from precordial.evaluation.learning import LearningCurve, Saved
from precordial.evaluation.subgroups import Factor
from precordial.report.clinical_tables import p_text
from precordial.report.figures import WIDTH
from precordial.report.style import GREY, LOOKS, OTHER
from precordial.report.table import grouped

# Rule-out, intermediate, rule-in: blue, grey and vermilion differ in lightness and hatching, too.
ZONE_LOOKS = (("Rule-out", "#56B4E9", ""), ("Intermediate", "#e3e3e3", ""), ("Rule-in", "#D55E00", "//"))


@dataclass(frozen=True)
class Line:
    """How one run is drawn: its name, and key of `LOOKS`."""

    name: str
    series: str

    @property
    def look(self) -> tuple[str, str]:
        """Colour and marker."""
        return LOOKS.get(self.series, OTHER)


def calibration_figure(runs: Sequence[tuple[Line, Calibration, Calibration | None]]) -> Figure:
    """Calibration curves as trained, and recalibrated where that was possible."""
    after = any(found is not None for _, _, found in runs)
    figure = Figure(figsize=(WIDTH, 4.6 if after else 5.4), layout="constrained")
    panels = figure.subplots(1, 2 if after else 1, squeeze=False)[0]
    for axes, number, title in zip(panels, (1, 2), ("As trained", "Recalibrated on the validation set"), strict=False):
        shown = [(run[0], run[number]) for run in runs]
        largest = 0.0
        for line, found in shown:
            if isinstance(found, Calibration):
                largest = max(largest, _draw_calibration(axes, line, found))
        end = min(1.0, 1.05 * largest) or 1.0
        axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.9, zorder=0)
        axes.set(xlim=(0, end), ylim=(0, end), aspect="equal", xlabel="predicted probability", ylabel="observed share")
        axes.set_title(title)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        axes.legend(loc="upper left", fontsize=7.5, frameon=True, framealpha=0.9, edgecolor="none")
    return figure


def _draw_calibration(axes: Axes, line: Line, found: Calibration) -> float:
    """One run's curve; the largest number that must be inside."""
    colour, marker = line.look
    ends = [0.0]
    if found.smooth is not None:
        smooth = found.smooth
        axes.fill_between(smooth.predicted, smooth.low, smooth.high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(smooth.predicted, smooth.observed, color=colour, linewidth=1.6)
        ends += [float(smooth.predicted[-1]), float(smooth.observed.max())]
    for part in found.bins:
        observed = part.observed
        axes.plot((part.predicted,) * 2, (observed.low, observed.high), color=colour, linewidth=0.9)
        axes.plot(part.predicted, observed.value, marker, color=colour, markersize=5)
        ends += [part.predicted, observed.value, min(observed.high, 1.3 * observed.value)]
    slope = found.slope.format(2)
    axes.plot([], [], "-" + marker, color=colour, linewidth=1.6, markersize=5, label=f"{line.name}\nslope {slope}")
    return max(ends)


def decision_figure(runs: Sequence[tuple[Line, Sequence[Benefit]]], prevalence: float) -> Figure:
    """Net benefit of each run, of treating all, and of treating nobody."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.add_subplot()
    last = min(0.5, max(0.2, 3 * prevalence))
    for line, curve in runs:
        colour, marker = line.look
        here = [one for one in curve if one.threshold <= last + 1e-9]
        x = [one.threshold for one in here]
        axes.fill_between(
            x, [one.model.low for one in here], [one.model.high for one in here], color=colour, alpha=0.13, linewidth=0
        )
        every = max(1, len(x) // 10)
        axes.plot(
            x,
            [one.model.value for one in here],
            "-" + marker,
            color=colour,
            linewidth=1.6,
            markersize=4.5,
            markevery=every,
            label=line.name,
        )
    here = [one for one in runs[0][1] if one.threshold <= last + 1e-9]
    axes.plot(
        [one.threshold for one in here],
        [one.treat_all.value for one in here],
        "--",
        color="#333333",
        linewidth=1.2,
        label="treat all",
    )
    axes.axhline(0, color="#333333", linewidth=1.0, linestyle=":", label="treat nobody")
    axes.set(xlim=(0, last), ylim=(-0.25 * prevalence, 1.1 * prevalence), xlabel="threshold probability")
    axes.set_ylabel("net benefit per ECG")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.legend(loc="upper right", fontsize=8, frameon=False)
    return figure


def zones_figure(bars: Sequence[tuple[str, Sequence[float], str]]) -> Figure:
    """A bar for each set: the shares of the three zones.

    Args:
        bars: (name, the three shares, whether the criteria were met).
    """
    figure = Figure(figsize=(WIDTH, 0.9 + 0.42 * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    for y, (_, shares, held) in enumerate(bars):
        left = 0.0
        for (name, colour, hatch), share in zip(ZONE_LOOKS, shares, strict=True):
            label = name if y == 0 else ""
            axes.barh(y, share, left=left, color=colour, hatch=hatch, edgecolor="#ffffff", height=0.68, label=label)
            if share >= 0.04:
                words: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
                box = {"facecolor": "#ffffff", "edgecolor": "none", "pad": 1.2, "alpha": 0.85}
                axes.text(left + share / 2, y, f"{100 * share:.0f} %", bbox=box, **words)
            left += share
        axes.text(1.01, y, held, va="center", fontsize=7.5)
    axes.text(1.01, -0.62, "criteria met", va="bottom", fontsize=7.5, color="#555555")
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1), ylim=(len(bars) - 0.5, -0.5), xlabel="share of the ECGs")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.spines["left"].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=8)
    return figure


def forest_figure(factors: Sequence[Factor], overall: float, *, counts: bool) -> Figure:
    """The AUC of each group with its interval, in words beside it; the line is the AUC of all."""
    lines: list[tuple[str, Any]] = []
    for factor in factors:
        lines.append((factor.name, factor))
        lines += [(group.name, group) for group in factor.groups]
    height = 0.85 + 0.235 * len(lines)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.33, 0.5 / height, 0.36, 1 - 0.55 / height))
    ends, colour = [overall], LOOKS["none"][0]

    def write(x: float, y: float, words: str, **how: Any) -> None:
        """At a share of the figure's width, on a line."""
        axes.annotate(words, (x, y), xycoords=("figure fraction", "data"), fontsize=8, va="center", **how)

    for y, (name, what) in enumerate(lines):
        if isinstance(what, Factor):
            write(0.01, y, name, weight="bold")
            write(0.90, y, p_text(what.p))
            continue
        write(0.025, y, _short(name))
        if counts:
            write(0.32, y, f"{grouped(what.events)} / {grouped(what.ecgs)}", ha="right")
        auc = what.auc
        write(0.71, y, auc.format() if auc else "too few")
        if auc is None:
            continue
        if not math.isnan(auc.low):
            axes.plot((auc.low, auc.high), (y, y), color=colour, linewidth=1.5)
            ends += [auc.low, auc.high]
        axes.plot(auc.value, y, "s", color=colour, markersize=5)
    axes.axvline(overall, color="#555555", linewidth=0.9, linestyle="--", zorder=0)
    axes.axvline(0.5, color=GREY, linewidth=0.8, zorder=0)
    if counts:
        write(0.32, -1.2, "Events / ECGs", ha="right", color="#555555")
    write(0.71, -1.2, "AUC", color="#555555")
    write(0.90, -1.2, "p of interaction", color="#555555")
    axes.set(xlim=(min(0.48, min(ends) - 0.02), min(1.01, max(ends) + 0.02)), ylim=(len(lines) - 0.4, -1.7))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("AUC")
    return figure


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def learning_figure(curves: Mapping[str, tuple[Line, LearningCurve]], saved: Saved | None) -> Figure:
    """AUC by the number of ECGs trained on, with the fitted laws; dashed where nothing was tried."""
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.add_subplot()
    largest = max(float(curve.sizes.max()) for _, curve in curves.values())
    reach = max(largest, min(2 * largest, max(curve.farthest for _, curve in curves.values())))
    bottom, top = 1.0, 0.0
    for line, curve in curves.values():
        colour, marker = line.look
        first, last = float(curve.sizes.min()), float(curve.sizes.max())
        for start, end, style in ((first, last, "-"), (last, min(reach, curve.farthest), "--")):
            if end > start:
                x = np.geomspace(start, end, 60)
                value, low, high = curve.at(x)
                axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
                axes.plot(x, value, style, color=colour, linewidth=1.6)
                bottom, top = min(bottom, float(value.min())), max(top, float(value.max()))
        axes.errorbar(
            curve.sizes,
            curve.aucs,
            1.96 * curve.errors,
            fmt=marker,
            color=colour,
            markersize=5,
            elinewidth=0.8,
            label=line.name,
        )
        bottom = min(bottom, float((curve.aucs - 1.96 * curve.errors).min()))
        top = max(top, float((curve.aucs + 1.96 * curve.errors).max()))
    if saved is not None and math.isfinite(saved.needed.value):
        y = saved.auc.value
        arrow = {"arrowstyle": "->", "color": "#333333", "linewidth": 1.2}
        axes.annotate("", (saved.needed.value, y), (saved.size, y), arrowprops=arrow)
    axes.set_ylim(bottom - 0.01, min(1.0, top + 0.01))
    axes.set_xscale("log")
    axes.tick_params(axis="x", which="both", length=3, pad=4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: grouped(round(x))))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda x, _: grouped(round(x)) if str(int(x))[0] in "25" else ""))
    axes.set(xlabel="ECGs of the target trained on", ylabel="AUC")
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    return figure
