"""ROC curves, AUCs with their intervals, and training curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from precordial.evaluation import Row
from precordial.report.curves import Band, precision_recall, roc
from precordial.report.runs import RunRecord
from precordial.report.style import GREY, LOOKS, OTHER, name_of, series_of
from precordial.report.table import grouped
from precordial.report.tables import TESTS

Floats = NDArray[np.float64]
WIDTH = 9.4  # inches of a figure as wide as the page
METRICS = {"age_mae": "MAE of age, years", "sex_auc": "AUC of sex"}


@dataclass(frozen=True)
class Curve:
    """One ROC or precision–recall curve.

    Attributes:
        truth: (n,) 0 or 1.
        score: (n,) higher for a 1.
        series: key of `LOOKS`.
        label: for the legend; empty for none.
        band: of the ROC curve, where it is shown.
        precision_label, precision_band: the same of the precision–recall curve.
    """

    truth: Floats
    score: Floats
    series: str
    label: str = ""
    band: Band | None = None
    precision_label: str = ""
    precision_band: Band | None = None


def draw_roc(axes: Axes, curves: Sequence[Curve]) -> None:
    """ROC curves on one square."""
    for number, curve in enumerate(curves):
        _draw_curve(axes, *roc(curve.truth, curve.score), curve, curve.band, curve.label, number)
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, zorder=0)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel="1 − specificity", ylabel="sensitivity")
    axes.legend(loc="lower right", fontsize=7.5, handlelength=2.6, frameon=True, framealpha=0.9, edgecolor="none")


def draw_precision(axes: Axes, curves: Sequence[Curve]) -> None:
    """Precision–recall curves on one square; the grey line is the share of positive ECGs, which is chance."""
    for number, curve in enumerate(curves):
        recall, precision = precision_recall(curve.truth, curve.score)
        reached = np.flatnonzero(np.diff(recall, prepend=0) > 0)  # the highest precision of each recall
        band, label = curve.precision_band, curve.precision_label
        _draw_curve(axes, recall[reached], precision[reached], curve, band, label, number)
    for share in {float(curve.truth.mean()) for curve in curves}:
        axes.axhline(share, color=GREY, linewidth=0.8, zorder=0)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel="recall (sensitivity)")
    axes.set_ylabel("precision (positive predictive value)")
    common = any(curve.truth.mean() > 0.2 for curve in curves)  # then the curves are above, else below
    axes.legend(
        loc="lower left" if common else "upper right",
        fontsize=7.5,
        handlelength=2.6,
        frameon=True,
        framealpha=0.9,
        edgecolor="none",
    )


def _draw_curve(axes: Axes, x: Floats, y: Floats, curve: Curve, band: Band | None, label: str, number: int) -> None:
    """A line with the marker of its series here and there, for who prints in grey, and its band."""
    colour, marker = LOOKS.get(curve.series, OTHER)
    line = "--" if curve.series == "baseline" else "-"
    if band is not None:
        axes.fill_between(band.x, band.low, band.high, color=colour, alpha=0.13, linewidth=0)
    axes.plot(x, y, line, color=colour, linewidth=1.5)
    at = (0.12 + 0.05 * number + 0.25 * np.arange(4)) % 1
    axes.plot(at, np.interp(at, x, y), marker, color=colour, markersize=4)
    if label:  # in the legend with the marker that the intervals have
        axes.plot([], [], line + marker, color=colour, linewidth=1.5, markersize=5, label=label)


def roc_figure(panels: Sequence[tuple[str, Sequence[Curve]]]) -> Figure:
    """One square for each (title, curves), two in a row."""
    return _squares(panels, draw_roc)


def precision_figure(panels: Sequence[tuple[str, Sequence[Curve]]]) -> Figure:
    """One square for each (title, curves), two in a row."""
    return _squares(panels, draw_precision)


def _squares(panels: Sequence[tuple[str, Sequence[Curve]]], draw: Callable[[Axes, Sequence[Curve]], None]) -> Figure:
    columns = min(len(panels), 2)
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 4.5 * lines), layout="constrained")
    for number, (title, curves) in enumerate(panels, start=1):
        axes = figure.add_subplot(lines, columns, number)
        draw(axes, curves)
        axes.set_title(title)
        if len(panels) == 1:  # there is room beside it
            axes.legend(loc="center left", bbox_to_anchor=(1.05, 0.5), frameon=False, fontsize=9, labelspacing=1.2)
    return figure


def interval_figure(rows: Sequence[Row], *, counts: bool = True) -> Figure:
    """A dot and its interval for each model, pre-training and test set; several seeds stand on one line.

    Args:
        rows: AUCs on the test sets, in the order of the lines.
        counts: whether to say how many ECGs and events there are.
    """
    names = list(dict.fromkeys(name_of(row) for row in rows))
    splits = [split for split in TESTS if any(row.split == split for row in rows)]
    seeds = sorted({row.seed for row in rows if row.kind != "baseline"})
    height = 1.0 + max(0.32, 0.14 * len(seeds)) * len(names)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(1, len(splits), sharex=True, sharey=True, squeeze=False)[0]
    for axes, split in zip(panels, splits, strict=True):
        here = [row for row in rows if row.split == split and not math.isnan(row.value)]
        for row in here:
            colour, marker = LOOKS.get(series_of(row), OTHER)
            shift = 0.0 if row.kind == "baseline" else _shift(seeds.index(row.seed), len(seeds))
            y = names.index(name_of(row)) + shift
            axes.plot((row.low, row.high), (y, y), color=colour, linewidth=1.6)
            axes.plot(row.value, y, marker, color=colour, markersize=6 if len(seeds) == 1 else 4.5)
            if len(seeds) == 1:
                above: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
                axes.annotate(f"{row.value:.2f}", (row.value, y), fontsize=7, **above)
        events = f"\n{grouped(here[0].events or 0)} of {grouped(here[0].n)} ECGs" if here and counts else ""
        axes.set_title(f"{TESTS[split]} test{events}", fontsize=8.5)
        axes.axvline(0.5, color=GREY, linewidth=0.8, zorder=0)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("AUC")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.4, -0.7)
    return figure


def training_figure(run: RunRecord) -> Figure:
    """Loss, and each metric of the validation set, by epoch; the best epoch is ringed."""
    if run.row.kind == "pretrain":
        shown = METRICS
    else:  # of several outcomes, the mean
        outcomes = run.settings["outcomes"]
        shown = {f"{outcomes[0]}_auc": "AUC"} if len(outcomes) == 1 else {"auc": f"AUC, mean of {len(outcomes)}"}
    metrics = [key for key in shown if any(f"validation_{key}" in row for row in run.epochs)]
    figure = Figure(figsize=(WIDTH, 2.1), layout="constrained")
    panels = figure.subplots(1, 1 + len(metrics), squeeze=False)[0]
    epochs = [row["epoch"] for row in run.epochs]
    best: int = run.done["best_epoch"]
    grey, colour = "#555555", LOOKS.get(run.row.pretraining, OTHER)[0]

    def line(axes: Axes, key: str, look: str, colour: str, label: str, ring: bool) -> None:
        values = [row.get(key, math.nan) for row in run.epochs]
        dots: dict[str, Any] = {"marker": ".", "markersize": 3.5} if len(epochs) <= 60 else {}
        axes.plot(epochs, values, look, color=colour, linewidth=1.4, label=label, **dots)
        if ring and best in epochs:
            axes.plot(best, values[epochs.index(best)], "o", color=colour, mfc="none", markersize=8, mew=1.3)

    line(panels[0], "train_loss", "--", grey, "training", False)
    line(panels[0], "validation_loss", "-", colour, "validation", not metrics or run.row.kind == "pretrain")
    panels[0].legend(fontsize=7.5, frameon=False)
    panels[0].set_title("Loss", fontsize=8.5)
    for axes, key in zip(panels[1:], metrics, strict=True):
        line(axes, f"validation_{key}", "-", colour, "validation", True)
        axes.set_title(f"Validation {shown[key]}", fontsize=8.5)
    for axes in panels:
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_xlim(0.5, max(epochs, default=1) + 0.5)
        _stages(axes, run)
    return figure


def _stages(axes: Axes, run: RunRecord) -> None:
    """A dotted line where a stage ends, and what trains on either side of it."""
    stages = run.settings["stages"]
    begin = 0
    for number, stage in enumerate(stages):
        if number:
            axes.axvline(begin + 0.5, color=GREY, linewidth=1, linestyle=":", zorder=0)
        if len(stages) > 1:
            words = {"head": "head only", "all": "all layers"}.get(stage["trains"], stage["trains"])
            at: dict[str, Any] = {
                "xycoords": ("data", "axes fraction"),
                "fontsize": 6.5,
                "ha": "center",
                "color": "#777777",
            }
            axes.annotate(words, (begin + 0.5 + stage["epochs"] / 2, 0.985), va="top", **at)
        begin += stage["epochs"]
    if len(stages) > 1:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.1 * (high - low))  # room for the words


def _shift(number: int, of: int) -> float:
    """Where the dot of one seed stands around its line."""
    return 0.0 if of == 1 else 0.6 * (number / (of - 1) - 0.5)
