"""Draw the pictures of the documentation.

    python docs/make_pictures.py

``docs/images/demo.png`` shows the results of the demo and needs ``work/demo`` (``make demo`` makes it);
``docs/images/ecg.png`` shows one synthetic ECG.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray
from PIL import Image

from precordial.cohort import Cohort
from precordial.ecg import TWELVE, twelve_leads
from precordial.evaluation import Predictions, Row, read_results
from precordial.report.tables import MODELS, PRETRAINING, TESTS
from precordial.study.results import age_sex_baseline
from precordial.twin import Infarctions, synthetic_ecgs

REPOSITORY = Path(__file__).parents[1]
IMAGES = REPOSITORY / "docs" / "images"
WIDTH = 8.0  # inches; at 200 dpi twice the 800 px at which the pages show them
DPI = 200

# Okabe and Ito's colours, told apart by all kinds of colour vision; the markers say the same once more.
LOOKS = {
    "none": ("#0072B2", "s"),
    "age": ("#009E73", "^"),
    "sex": ("#CC79A7", "v"),
    "age-sex": ("#D55E00", "o"),
    "baseline": ("#777777", "D"),
}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
}


def series_of(row: Row) -> str:
    """Which series a row belongs to: its pre-training, or the baseline."""
    return "baseline" if row.kind == "baseline" else row.pretraining


def name_of(row: Row) -> str:
    """A series in words."""
    if row.kind == "baseline":
        return "Age and sex alone"
    model, pretraining = MODELS.get(row.model, row.model), PRETRAINING[row.pretraining].lower()
    return f"{model}, {pretraining if row.pretraining == 'none' else f'pre-trained on {pretraining}'}"


def roc(truth: NDArray[np.float64], score: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rates at every threshold, from (0, 0) to (1, 1)."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)  # ties move together
    positive = np.cumsum(truth[order])[last]
    negative = 1 + last - positive
    return np.append(0, negative / negative[-1]), np.append(0, positive / positive[-1])


def draw_demo(study: Path, picture: Path) -> None:
    """ROC curves on the combined test set, and the AUC on each test set, of one study."""
    rows = [row for row in read_results(study / "results.csv") if row.metric == "auc" and row.split in TESTS]
    rows = [row for row in rows if row.kind in ("scratch", "finetune", "baseline")]
    combined = [row for row in rows if row.split == "combined_test"]
    combined.sort(key=lambda row: list(LOOKS).index(series_of(row)))
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.7), width_ratios=(1, 1.12), layout="constrained")
        for row in combined:
            if row.kind == "baseline":
                table = age_sex_baseline(Cohort.load(study / "cohort"))
            else:
                table = Predictions.load(study / "runs" / row.run / "predictions.csv")
            tests = table.rows(np.isin(table.split, ("random_test", "temporal_test")))
            colour, marker = LOOKS[series_of(row)]
            line = "--" if row.kind == "baseline" else "-"
            left.plot(*roc(tests.truth, tests.score), line, color=colour, linewidth=1.6)
            look = f"{line}{marker}"  # in the legend with the marker of the right side
            left.plot([], [], look, color=colour, linewidth=1.6, markersize=5, label=f"{name_of(row)}\n{row.estimate}")
        left.plot((0, 1), (0, 1), color="#bbbbbb", linewidth=0.8, zorder=0)
        left.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel="1 − specificity", ylabel="sensitivity")
        left.set_title("ROC curves, both test sets together")
        left.legend(loc="lower right", fontsize=7, handlelength=2.6, frameon=True, framealpha=0.9, edgecolor="none")
        _intervals(right, rows, combined)
        _write(figure, picture)


def _intervals(axes: Axes, rows: list[Row], order: list[Row]) -> None:
    """A dot and its interval for each series and test set."""
    names = [name_of(row) for row in order]
    gap = len(names) + 1
    for row in rows:
        colour, marker = LOOKS[series_of(row)]
        y = list(TESTS).index(row.split) * gap + names.index(name_of(row))
        axes.plot((row.low, row.high), (y, y), color=colour, linewidth=1.6)
        axes.plot(row.value, y, marker, color=colour, markersize=6)
        axes.annotate(f"{row.value:.2f}", (row.value, y), (0, 5), textcoords="offset points", ha="center", fontsize=7)
    ticks = [k * gap + (len(names) - 1) / 2 for k in range(len(TESTS))]
    sets = [next(row for row in rows if row.split == split) for split in TESTS]
    labels = [f"{TESTS[row.split]}\n{row.events} of {row.n}" for row in sets]
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(TESTS) * gap - 1.2, -0.9)
    axes.axvline(0.5, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.set(xlabel="AUC with 95 % interval", title="By test set (events of ECGs)")


def draw_ecg(picture: Path) -> None:
    """Twelve leads on paper: three rows of four leads, 2.5 s each, and lead II as the rhythm strip below."""
    rate = 500
    infarction = Infarctions(np.array([2], np.int8), np.array([0.28], np.float32), np.array([2.0], np.float32))
    signal = twelve_leads(synthetic_ecgs([62], [0], infarction, seed=5, rate=rate)[0])
    lead = dict(zip(TWELVE, signal, strict=True))
    layout = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
    left, width, height = 12, 267, 110  # mm
    baselines = (90, 65, 40, 13)  # mm from below
    quarter = signal.shape[1] // 4
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(WIDTH, WIDTH * height / width))
        axes = figure.add_axes((0, 0, 1, 1))
        _paper(axes, width, height)
        ink: dict[str, Any] = {"color": "black", "linewidth": 0.75}
        for row, base in zip(layout, baselines, strict=False):
            for column, name in enumerate(row):
                part = slice(column * quarter, (column + 1) * quarter)
                x = left + np.arange(part.start, part.stop) / rate * 25
                axes.plot(x, base + 10 * lead[name][part], **ink)
                axes.text(x[0] + 1.5, base + 8.5, name, fontsize=8, weight="bold")
                if column:
                    axes.plot((x[0], x[0]), (base - 1.5, base + 1.5), **ink)
        axes.plot(left + np.arange(signal.shape[1]) / rate * 25, baselines[3] + 10 * lead["II"], **ink)
        axes.text(left + 1.5, baselines[3] + 8.5, "II", fontsize=8, weight="bold")
        for base in baselines:  # 1 mV for 0.2 s
            axes.plot((3, 4.5, 4.5, 9.5, 9.5, 11), np.array((0, 0, 10, 10, 0, 0)) + base, **ink)
        axes.text(width - 3, 2.5, "25 mm/s   10 mm/mV   synthetic", fontsize=7, ha="right")
        _write(figure, picture)


def _paper(axes: Axes, width: int, height: int) -> None:
    """ECG paper: a line each mm, a heavier one each 5 mm."""
    axes.set(xlim=(0, width), ylim=(0, height), facecolor="#fffaf8")
    axes.set_axis_off()
    axes.add_patch(mpl.patches.Rectangle((0, 0), width, height, color="#fffaf8", zorder=-3))
    for step, colour, thickness in ((1, "#f8dcd6", 0.35), (5, "#eeb5aa", 0.6)):
        lines = [((x, 0), (x, height)) for x in range(0, width + 1, step)]
        lines += [((0, y), (width, y)) for y in range(0, height + 1, step)]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=thickness, zorder=-2 + step / 10))


def _write(figure: mpl.figure.Figure, picture: Path) -> None:
    picture.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI)
    plt.close(figure)
    # A palette halves the file, and 64 colours are enough for lines.
    Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(f"{picture.relative_to(REPOSITORY)}: {picture.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Draw both."""
    mpl.use("agg")
    draw_ecg(IMAGES / "ecg.png")
    study = REPOSITORY / "work" / "demo"
    if not (study / "results.csv").exists():
        sys.exit("there are no results in work/demo: run make demo first")
    draw_demo(study, IMAGES / "demo.png")


if __name__ == "__main__":
    main()
