"""Figs. 3, 4 and 5 of the paper: how much data, of the target and of the source, with and without pre-training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from precordial.evaluation import Row
from precordial.report.figures import WIDTH
from precordial.report.style import MODEL_LOOKS, OTHER_MODEL
from precordial.report.table import grouped
from precordial.report.tables import MODELS, TRAINED, main_split, ordered

TASKS = ("age", "age-sex", "sex")  # the paper's figures are of age; without it, of what there is
Key = tuple[float, float]  # source and target fraction; 0 is no pre-training
Counts = Mapping[float, int]  # training ECGs by fraction; empty where they must not be told


@dataclass(frozen=True)
class Point:
    """A metric at one place of the grid.

    Attributes:
        value: the mean over the seeds.
        low, high: ends of the interval; of several seeds, the means of their ends.
        seeds: the value of each seed.
    """

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]


def points(rows: Iterable[Row]) -> dict[Key, Point]:
    """Rows of one model, metric and set by source and target fraction; seeds are put together."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        if not math.isnan(row.value):
            found.setdefault((row.source_fraction or 0.0, row.target_fraction or 0.0), []).append(row)
    return {
        key: Point(
            statistics.fmean(row.value for row in here),
            statistics.fmean(row.low for row in here),
            statistics.fmean(row.high for row in here),
            tuple(row.value for row in here),
        )
        for key, here in sorted(found.items())
    }


@dataclass(frozen=True)
class Gains:
    """What Fig. 3 shows.

    Attributes:
        task: of the pre-training.
        split: the test set.
        models: name → target fraction → AUC without and with pre-training on all of the source.
    """

    task: str
    split: str
    models: Mapping[str, Mapping[float, tuple[Point, Point]]]


def gains(rows: Sequence[Row], outcome: str) -> Gains | None:
    """The numbers of Fig. 3; None where no model has two target fractions with and without pre-training.

    Args:
        rows: results of one study.
        outcome: the rows' target.
    """
    aucs = [row for row in rows if row.metric == "auc" and row.target == outcome and row.kind in TRAINED]
    split = main_split(aucs)
    for task in TASKS:
        models = {}
        for model in ordered((row.model for row in aucs), MODELS):
            here = [row for row in aucs if row.model == model and row.split == split]
            tuned = points(row for row in here if row.kind == "finetune" and row.pretraining == task)
            full = max((source for source, _ in tuned), default=0.0)
            scratch = points(row for row in here if row.kind == "scratch")
            pairs = {t: (scratch[0.0, t], tuned[full, t]) for _, t in scratch if (full, t) in tuned}
            if len(pairs) > 1:
                models[model] = pairs
        if models:
            return Gains(task, split, models)
    return None


def gains_figure(found: Gains, counts: Counts) -> Figure:
    """Fig. 3: a bar from the AUC without to the AUC with pre-training, for each model and share of the target."""
    fractions = sorted({fraction for pairs in found.models.values() for fraction in pairs})
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(found.models)
    for number, (model, pairs) in enumerate(found.models.items()):
        colour, marker, hatch = MODEL_LOOKS.get(model, OTHER_MODEL)
        for fraction, (without, after) in pairs.items():
            x = fractions.index(fraction) + (number - (len(found.models) - 1) / 2) * width
            worse = after.value < without.value
            axes.bar(
                x,
                after.value - without.value,
                0.62 * width,
                without.value,
                facecolor="white" if worse else colour,
                edgecolor=colour if worse else "white",
                hatch=hatch,
                linewidth=0.8,
                alpha=1.0 if worse else 0.85,
                zorder=2,
            )
            for point, face, shift in ((without, "white", -0.17), (after, colour, 0.17)):
                at = x + shift * width
                axes.plot((at, at), (point.low, point.high), color="#333333", linewidth=0.8, zorder=3)
                axes.plot(x, point.value, marker, color=colour, mfc=face, mec=colour, markersize=4.2, zorder=5)
                if len(point.seeds) > 1:
                    axes.plot([at] * len(point.seeds), point.seeds, "_", color="black", markersize=3.5, zorder=4)
        name = MODELS.get(model, model)
        axes.bar(0, 0, facecolor=colour, edgecolor="white", hatch=hatch, label=name, alpha=0.85)
    grey = "#555555"
    axes.plot([], [], "o", color=grey, mfc="white", markersize=4.2, label="no pre-training")
    axes.plot([], [], "o", color=grey, markersize=4.2, label="pre-trained")
    words = [f"{100 * fraction:g} %" for fraction in fractions]
    if counts:
        words = [f"{word}\n{grouped(counts[fraction])}" for word, fraction in zip(words, fractions, strict=True)]
    axes.set_xticks(range(len(fractions)), words)
    axes.tick_params(axis="x", length=0)
    ends = [end for pairs in found.models.values() for pair in pairs.values() for p in pair for end in (p.low, p.high)]
    room = 0.04 * (max(ends) - min(ends))
    axes.set_ylim(min(ends) - room, max(ends) + room)
    axes.set(xlabel="Target training patients" + (", and their ECGs" if counts else ""), ylabel="AUC")
    axes.grid(axis="y", color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, ncols=len(found.models) + 2, fontsize=8)
    return figure


@dataclass(frozen=True)
class Learning:
    """What Fig. 4 shows.

    Attributes:
        task: of the pre-training.
        models: metric ("mae", "r2") → name → source fraction → value.
    """

    task: str
    models: Mapping[str, Mapping[str, Mapping[float, Point]]]


def learning(rows: Sequence[Row]) -> Learning | None:
    """The numbers of Fig. 4; None where no model was pre-trained on two fractions of the source."""
    rows = [row for row in rows if row.kind == "pretrain" and row.split == "validation" and row.target == "age"]
    for task in TASKS[:2]:
        metrics: dict[str, dict[str, dict[float, Point]]] = {}
        for metric in ("mae", "r2"):
            here = [row for row in rows if row.metric == metric and row.pretraining == task]
            for model in ordered((row.model for row in here), MODELS):
                found = {s: point for (s, _), point in points(row for row in here if row.model == model).items()}
                if len(found) > 1:
                    metrics.setdefault(metric, {})[model] = found
        if metrics:
            return Learning(task, metrics)
    return None


def learning_figure(found: Learning, counts: Counts) -> Figure:
    """Fig. 4: error of the age, and how much of its variance is explained, by share of the source."""
    titles = {"mae": "Mean absolute error of age, years (lower is better)", "r2": "r² of age (higher is better)"}
    figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
    panels = figure.subplots(1, len(found.models), squeeze=False)[0]
    for axes, (metric, models) in zip(panels, found.models.items(), strict=True):
        for model, values in models.items():
            colour, marker, _ = MODEL_LOOKS.get(model, OTHER_MODEL)
            x = [100 * fraction for fraction in values]
            line = [point.value for point in values.values()]
            low, high = ([getattr(point, end) for point in values.values()] for end in ("low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(
                x, line, "-", marker=marker, color=colour, linewidth=1.4, markersize=5, label=MODELS.get(model, model)
            )
            for at, point in zip(x, values.values(), strict=True):
                if len(point.seeds) > 1:
                    axes.plot([at] * len(point.seeds), point.seeds, "_", color=colour, markersize=6)
        axes.set_title(titles[metric], fontsize=8.5)
        whole = f" (100 % are {grouped(counts[1.0])} ECGs)" if 1.0 in counts else ""
        axes.set_xlabel(f"Source training patients, %{whole}")
        axes.set_xlim(0, 102)
        axes.grid(color="#e9e9e9", linewidth=0.6)
        axes.set_axisbelow(True)
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def surfaces(rows: Sequence[Row], outcome: str) -> dict[tuple[str, str], dict[Key, Point]]:
    """The numbers of Fig. 5 by model and pre-training: those with two source and two target fractions.

    Of each, the AUC by source and target fraction; source fraction 0 is no pre-training.
    """
    aucs = [row for row in rows if row.metric == "auc" and row.target == outcome and row.kind in TRAINED]
    split = main_split(aucs)
    aucs = [row for row in aucs if row.split == split]
    found = {}
    for model in ordered((row.model for row in aucs), MODELS):
        for task in TASKS:
            tuned = [row for row in aucs if (row.model, row.kind, row.pretraining) == (model, "finetune", task)]
            grid = points(tuned)
            if min(len({source for source, _ in grid}), len({target for _, target in grid})) > 1:
                scratch = points(row for row in aucs if (row.model, row.kind) == (model, "scratch"))
                targets = {target for _, target in grid}
                found[model, task] = {key: p for key, p in scratch.items() if key[1] in targets} | grid
    return found


def surface_figure(grid: Mapping[Key, Point], source: Counts, target: Counts) -> Figure:
    """Fig. 5: the AUC as a heat map, target across and source upwards, without pre-training in the bottom row."""
    sources, targets = (sorted({key[place] for key in grid}) for place in (0, 1))
    values = np.full((len(sources), len(targets)), np.nan)
    for (s, t), point in grid.items():
        values[sources.index(s), targets.index(t)] = point.value
    figure = Figure(figsize=(WIDTH, 1.3 + 0.33 * len(sources)), layout="constrained")
    axes = figure.add_subplot()
    mesh = axes.pcolormesh(np.ma.masked_invalid(values), cmap="cividis", edgecolors="white", linewidth=0.6)
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        if not math.isnan(value):
            ink = "white" if value < middle else "black"
            axes.text(column + 0.5, row + 0.5, f"{value:.3f}", ha="center", va="center", fontsize=7.2, color=ink)
    axes.set_xticks(np.arange(len(targets)) + 0.5, [_size(fraction, target) for fraction in targets])
    axes.set_yticks(np.arange(len(sources)) + 0.5, [_size(fraction, source) for fraction in sources])
    of = {True: "ECGs in the {} training set", False: "Share of the {} training patients"}
    axes.set(xlabel=of[bool(target)].format("target"), ylabel=of[bool(source)].format("source"))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if 0.0 in sources:  # no pre-training stands apart
        axes.axhline(1, color="black", linewidth=1.6)
    bar = figure.colorbar(mesh, ax=axes, label="AUC", pad=0.015)
    bar.outline.set_visible(False)
    return figure


def _size(fraction: float, counts: Counts) -> str:
    if not fraction:
        return "none"
    return grouped(counts[fraction]) if counts else f"{100 * fraction:g} %"
