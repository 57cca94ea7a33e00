"""Fig. 2 of the paper, drawn from the stages that were run: what trains in each, and where the head is replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from precordial.report.figures import WIDTH
from precordial.report.runs import RunRecord, rate_text
from precordial.report.tables import PRETRAINING

TRAINS, FROZEN = ("#0072B2", "#eaf3fa"), ("#777777", "#efefef")
NEW = "#D55E00"
HEADS = {
    "own": "its own",
    "target": "dense 100",
    "target-authors": "dense 100",
}
TALL, TOP = 1.16, 0.55  # inches of a line of boxes, and of what stands above them


@dataclass(frozen=True)
class Box:
    """One stage of one chain.

    Attributes:
        data: "source" or "target".
        outputs: what the head says; empty on the source, where the chain says it.
        head: layers of the head in words.
        new: whether the head is fresh in this stage.
        frozen: whether the body keeps its weights.
        awake: what goes on working in a frozen body, such as "dropout".
        lines: epochs, rates and batch in words.
    """

    data: str
    outputs: str
    head: str
    new: bool
    frozen: bool
    awake: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Chain:
    """The stages of fine-tuned trainings that differ in nothing that the figure shows but their pre-training.

    Attributes:
        model: the paper's name.
        tasks: of pre-training, in words; they stand below the model's name.
        boxes: one for each stage, pre-training first.
    """

    model: str
    tasks: tuple[str, ...]
    boxes: tuple[Box, ...]


def chains(runs: Iterable[RunRecord]) -> list[Chain]:
    """The chains of the fine-tuned runs, equal ones once."""
    found: dict[tuple[str, tuple[Box, ...]], dict[str, None]] = {}
    for run in runs:
        parent = run.settings.get("parent")
        if parent is None:
            continue
        before = [_box(parent, number, ()) for number in range(len(parent["stages"]))]
        own = [_box(run.settings, number, run.settings["outcomes"]) for number in range(len(run.settings["stages"]))]
        task = PRETRAINING.get(run.row.pretraining, run.row.pretraining).lower()
        found.setdefault((run.model, (*before, *own)), {})[task] = None
    return [Chain(model, tuple(tasks), boxes) for (model, boxes), tasks in found.items()]


def _box(settings: Mapping[str, Any], number: int, outputs: Sequence[str]) -> Box:
    data, stage = settings["role"], settings["stages"][number]
    head = HEADS[settings["head"]]
    if settings["head"] == "target-authors" and settings["model"] == "cnn-20k":
        head = "dense 10, dense 100"
    if settings.get("extra_inputs"):
        head += f"; and {', '.join(settings['extra_inputs'])}"
    warm, peak = stage["warmup"], stage["peak"]
    end = peak if stage["end"] is None else stage["end"]
    rates = [stage["start"], peak, end] if warm else [peak, end]
    steps = [rate_text(value) for place, value in enumerate(rates) if place == 0 or value != rates[place - 1]]
    batch = stage.get("batch") or settings["batch"]
    words = f"{stage['epochs']} epochs" + (f", {warm} of warm-up" if warm else "")
    return Box(
        data=data,
        outputs=outputs[0] if len(outputs) == 1 else f"{len(outputs)} outcomes" if outputs else "",
        head=head,
        new=data == "target" and number == 0,
        frozen=stage["trains"] == "head",
        awake=" and ".join(stage["awake"]),
        lines=(words, f"rate {' → '.join(steps)}{', constant' if len(steps) == 1 else ''}; batch {batch}"),
    )


def stages_figure(found: Sequence[Chain]) -> Figure:
    """A line of boxes for each chain, from pre-training on the left to fine-tuning on the right.

    Args:
        found: see `chains`; at least one.
    """
    across = max(len(chain.boxes) for chain in found)
    height = TOP + TALL * len(found)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(-height, 0))
    left, gap = 1.05, 0.42
    width = min((WIDTH - left - 0.06 - gap * (across - 1)) / across, 3.1)
    for number in range(across):
        x = left + number * (width + gap)
        data = {chain.boxes[number].data for chain in found if number < len(chain.boxes)}
        what = "pre-training on the source" if data == {"source"} else "fine-tuning on the target"
        axes.text(x, -0.2, f"Stage {number + 1}", weight="bold", fontsize=8.5, va="center")
        axes.text(x, -0.37, what, fontsize=8, va="center")
    for line, chain in enumerate(found):
        y = -TOP - TALL * line
        axes.text(0.06, y - 0.2, chain.model, weight="bold", fontsize=9, va="center")
        axes.text(0.06, y - 0.34, "\n".join(chain.tasks), fontsize=7.5, va="top", linespacing=1.3)
        for number, box in enumerate(chain.boxes):
            x = left + number * (width + gap)
            _draw(axes, box, x, y, width)
            if number:
                _arrow(axes, x - gap, x, y - 0.37, chain.boxes[number - 1].data != box.data)
    return figure


def _draw(axes: Axes, box: Box, x: float, y: float, width: float) -> None:
    body, high = width * 0.46, 0.7
    state = FROZEN if box.frozen else TRAINS
    frozen = f"frozen{f', {box.awake} awake' if box.awake else ''}"
    parts = (
        (x, body, state, "Body", frozen if box.frozen else "trains", box.frozen),
        (
            x + body + 0.06,
            width - body - 0.06,
            TRAINS,
            f"Head: {box.outputs}" if len(box.outputs) in range(1, 9) else "Head",
            box.head,
            False,
        ),
    )
    for left, wide, (edge, face), title, words, hatched in parts:
        fresh = box.new and title.startswith("Head")
        patch = FancyBboxPatch(
            (left + 0.03, y - high + 0.03),
            wide - 0.06,
            high - 0.06,
            boxstyle="round,pad=0.03,rounding_size=0.06",
            fc=face,
            ec=NEW if fresh else edge,
            linewidth=2.2 if fresh else 1.1,
            linestyle="--" if hatched else "-",
        )
        axes.add_patch(patch)
        if hatched:
            bars = Rectangle((left, y - high), wide, high, fc="none", ec="#d2d2d2", hatch="////", linewidth=0)
            axes.add_patch(bars)
            bars.set_clip_path(patch)
        middle = left + wide / 2
        box_ = {"fc": face, "ec": "none", "pad": 1.2}
        axes.text(middle, y - 0.2, title, ha="center", va="center", fontsize=7.8, weight="bold", bbox=box_)
        lines = [words] if len(words) < 22 else words.split("; ")
        text = "\n".join([*lines, *(["new"] if fresh else ["trains"] if title != "Body" else [])])
        axes.text(middle, y - 0.48, text, ha="center", va="center", fontsize=6.6, linespacing=1.15, bbox=box_)
    for number, words in enumerate(box.lines):
        axes.text(x, y - high - 0.11 - 0.135 * number, words, fontsize=6.8, va="center", color="#333333")


def _arrow(axes: Axes, start: float, end: float, y: float, to_target: bool) -> None:
    look: dict[str, Any] = {"arrowstyle": "-|>,head_length=0.4,head_width=0.2", "fc": "black", "lw": 1.0}
    axes.annotate("", (end, y), (start, y), arrowprops=look | {"shrinkA": 2, "shrinkB": 2})
    words = "best\nepoch" if to_target else "last\nepoch"
    axes.text((start + end) / 2, y + 0.18, words, ha="center", va="center", fontsize=6, linespacing=1.0)
