"""The numbers behind the paper's figures, and what is drawn of them, on results without trainings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

from precordial.evaluation import Estimate, Result, Row, result_rows
from precordial.report.curves import POINTS, precision_band, precision_recall, roc, roc_band
from precordial.report.figures import Curve, precision_figure
from precordial.report.pictures import Pictures
from precordial.report.sizes_figures import (
    gains,
    gains_figure,
    learning,
    learning_figure,
    surface_figure,
    surfaces,
)
from precordial.report.stages_figure import chains, stages_figure
from precordial.report.style import drawing

SOURCES = (0.02, 0.1, 1.0)
TARGETS = (0.1, 0.5, 1.0)


def row(kind: str, value: float, split: str, metric: str = "auc", target: str = "AMI", **about: Any) -> Row:
    estimate = Estimate(value, value - 0.02, value + 0.03, n=100, events=20)
    (made,) = result_rows([Result(split, target, metric, estimate)], run="r", kind=kind, **about)
    return made


def planted(source: float, target: float, seed: int = 0) -> float:
    return 0.7 + 0.1 * source + 0.05 * target + 0.001 * seed


def grid(seeds: tuple[int, ...] = (0,)) -> list[Row]:
    """RN-900k on every pair of fractions, CNN-20k at full source, both from scratch."""
    rows = []
    for seed in seeds:
        for target in TARGETS:
            for model in ("rn-900k", "cnn-20k"):
                about: dict[str, Any] = {"model": model, "seed": seed, "target_fraction": target}
                rows.append(row("scratch", planted(0, target, seed), "combined_test", **about))
                rows.append(row("scratch", 0.1, "random_test", **about))
                for source in SOURCES if model == "rn-900k" else SOURCES[-1:]:
                    tuned = about | {"pretraining": "age", "source_fraction": source}
                    rows.append(row("finetune", planted(source, target, seed), "combined_test", **tuned))
        for source in SOURCES:
            told: dict[str, Any] = {"pretraining": "age", "source_fraction": source, "seed": seed, "target": "age"}
            for model in ("rn-900k", "cnn-20k"):
                rows.append(row("pretrain", 9 - source + 0.1 * seed, "validation", "mae", model=model, **told))
                rows.append(row("pretrain", 0.5 + source / 10, "validation", "r2", model=model, **told))
    return rows


def test_gains_are_from_without_to_with_all_of_the_source() -> None:
    found = gains(grid(), "AMI")
    assert found is not None
    assert (found.task, found.split, list(found.models)) == ("age", "combined_test", ["cnn-20k", "rn-900k"])
    without, after = found.models["rn-900k"][0.5]
    assert (without.value, after.value) == pytest.approx((planted(0, 0.5), planted(1, 0.5)))
    assert (after.low, after.high) == pytest.approx((after.value - 0.02, after.value + 0.03))
    assert gains([one for one in grid() if one.target_fraction == 1.0], "AMI") is None
    assert gains(grid(), "death") is None


def test_seeds_are_put_together_and_kept() -> None:
    found = gains(grid((0, 4)), "AMI")
    assert found is not None
    without, _ = found.models["cnn-20k"][0.1]
    assert without.value == pytest.approx(planted(0, 0.1, 2))
    assert without.seeds == pytest.approx((planted(0, 0.1), planted(0, 0.1, 4)))


def test_a_bar_for_each_model_and_fraction() -> None:
    worse = [
        one for one in grid() if not (one.kind == "scratch" and one.model == "cnn-20k" and one.target_fraction == 0.1)
    ]
    worse.append(row("scratch", 0.95, "combined_test", model="cnn-20k", target_fraction=0.1))
    found = gains(worse, "AMI")
    assert found is not None
    axes = gains_figure(found, {0.1: 1234, 0.5: 2, 1.0: 3}).axes[0]
    bars = [patch for patch in axes.patches if patch.get_height()]
    ends = {(round(bar.get_y(), 4), round(bar.get_y() + bar.get_height(), 4)) for bar in bars}
    assert len(bars) == 6
    assert (round(planted(0, 1), 4), round(planted(1, 1), 4)) in ends
    (down,) = [bar for bar in bars if bar.get_height() < 0]
    assert down.get_facecolor()[:3] == (1, 1, 1)  # empty, where pre-training made it worse
    assert len({bar.get_hatch() for bar in bars}) == 2  # models differ without colour, too
    assert axes.get_xticklabels()[0].get_text() == "10 %\n1 234"
    assert gains_figure(found, {}).axes[0].get_xticklabels()[0].get_text() == "10 %"
    low, high = axes.get_ylim()
    assert low > 0.5
    assert high > 0.98


def test_the_error_of_age_by_source_fraction() -> None:
    found = learning(grid((0, 1)))
    assert found is not None
    assert list(found.models) == ["mae", "r2"]
    assert {s: p.value for s, p in found.models["mae"]["rn-900k"].items()} == pytest.approx(
        {s: 9.05 - s for s in SOURCES}
    )
    panels = learning_figure(found, {1.0: 794694}).axes
    lines = [line for line in panels[0].lines if len(line.get_xdata()) == 3]
    assert np.allclose(lines[0].get_xdata(), [2, 10, 100])
    assert len({line.get_marker() for line in lines}) == 2
    assert "794 694 ECGs" in panels[0].get_xlabel()
    assert learning([one for one in grid() if one.source_fraction == 1.0]) is None


def test_the_surface_has_no_pre_training_in_its_bottom_row() -> None:
    found = surfaces(grid(), "AMI")
    assert list(found) == [("rn-900k", "age")]
    cells = found["rn-900k", "age"]
    assert len(cells) == 12
    assert cells[0.0, 0.5].value == pytest.approx(planted(0, 0.5))
    axes = surface_figure(cells, {0.02: 5, 0.1: 6, 1.0: 7}, {0.1: 1, 0.5: 2, 1.0: 3456}).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["none", "5", "6", "7"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3 456"]
    texts = {tuple(text.get_position()): text.get_text() for text in axes.texts}
    assert texts[0.5, 0.5] == f"{planted(0, 0.1):.3f}"
    assert texts[2.5, 3.5] == f"{planted(1, 1):.3f}"
    hidden = surface_figure(cells, {}, {}).axes[0]
    assert [label.get_text() for label in hidden.get_yticklabels()] == ["none", "2 %", "10 %", "100 %"]


def test_a_surface_with_a_gap_is_drawn() -> None:
    cells = surfaces(grid(), "AMI")["rn-900k", "age"]
    del cells[0.1, 0.5]
    assert len(surface_figure(cells, {}, {}).axes[0].texts) == 11


@dataclass
class Fake:
    """What `chains` needs of a `RunRecord`."""

    row: Row
    settings: dict[str, Any]
    model: str = "RN-900k"


def stage(**about: Any) -> dict[str, Any]:
    return {"epochs": 10, "warmup": 0, "start": None, "peak": 1e-3, "end": None, "trains": "all", "awake": []} | about


def tuned(task: str, **about: Any) -> Fake:
    parent = {
        "role": "source",
        "head": "own",
        "model": "rn-900k",
        "batch": 256,
        "stages": [stage(warmup=2, start=0.0, end=1e-5)],
    }
    settings: dict[str, Any] = {
        "role": "target",
        "head": "target",
        "model": "rn-900k",
        "batch": 32,
        "outcomes": ["AMI"],
        "parent": parent,
        "stages": [stage(trains="head", awake=["dropout"]), stage(peak=1e-5, epochs=30)],
    }
    found = row("finetune", 0.8, "combined_test", model="rn-900k", pretraining=task)
    return Fake(found, settings | about)


def test_the_stages_are_those_of_the_runs() -> None:
    scratch = Fake(row("scratch", 0.7, "combined_test", model="rn-900k"), {"parent": None})
    found = chains([scratch, tuned("age"), tuned("sex"), tuned("age-sex", batch=64)])  # type: ignore[list-item]
    assert [chain.tasks for chain in found] == [("age", "sex"), ("age & sex",)]
    first, second, third = found[0].boxes
    assert (first.data, first.frozen, first.new, first.lines) == (
        "source",
        False,
        False,
        ("10 epochs, 2 of warm-up", "rate 0 → 0.001 → 1e-5; batch 256"),
    )
    assert (second.data, second.frozen, second.new, second.awake) == ("target", True, True, "dropout")
    assert (third.frozen, third.new, third.lines[1]) == (False, False, "rate 1e-5, constant; batch 32")
    with drawing():
        axes = stages_figure(found).axes[0]
    words = " ".join(text.get_text() for text in axes.texts)
    for part in ("RN-900k", "age\nsex", "Head: AMI", "frozen, dropout awake", "new", "Stage 3", "best\nepoch"):
        assert part in words, part


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    truth = (draw.random(600) < 0.2).astype(float)
    return truth, np.round(draw.normal(size=600) + truth, 1), np.repeat(np.arange(300), 2).astype(str)


def test_curves_are_those_of_scikit_learn(scored: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, score, _ = scored
    false, true, _ = roc_curve(truth, score, drop_intermediate=False)
    assert np.allclose(roc(truth, score), (false, true))
    precision, recall, _ = precision_recall_curve(truth, score)
    ours = precision_recall(truth, score)
    assert np.allclose(ours[0], recall[:-1][::-1])
    assert np.allclose(ours[1], precision[:-1][::-1])
    area = np.sum(np.diff(ours[0], prepend=0) * ours[1])
    assert area == pytest.approx(average_precision_score(truth, score))


def test_bands_are_percentiles_over_patients(scored: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Against a loop that draws patients and goes through scikit-learn; both are random, so they agree roughly."""
    truth, score, patients = scored
    rates, precisions = [], []
    draw = np.random.default_rng(8)
    x = np.linspace(0, 1, POINTS)
    for _ in range(400):
        rows = (2 * draw.integers(0, 300, 300)[:, None] + np.arange(2)).ravel()
        false, true, _ = roc_curve(truth[rows], score[rows])
        rates.append(np.interp(x, false, true))
        recall, precision = precision_recall(truth[rows], score[rows])
        precisions.append(precision[np.searchsorted(recall, x[1:] - 1e-9)])
    for band, values in (
        (roc_band(truth, score, patients, 400, 0.95, 0), np.array(rates)),
        (precision_band(truth, score, patients, 400, 0.95, 0), np.array(precisions)),
    ):
        low, high = np.quantile(values, [0.025, 0.975], axis=0)
        middle = slice(20, 90)  # where the curve is no step
        assert np.abs(band.low - low)[middle].max() < 0.05
        assert np.abs(band.high - high)[middle].max() < 0.05
        assert (band.low <= band.high).all()


def test_a_band_without_a_case_is_nothing() -> None:
    band = roc_band(np.zeros(4), np.arange(4.0), np.array(list("abcd")), 10, 0.95, 0)
    assert np.isnan(band.low).all()


def test_chance_in_precision_is_the_share_of_cases(scored: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, score, _ = scored
    figure = precision_figure([("one", [Curve(truth, score, "age", precision_label="Age")])])
    flat = [line for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1]
    assert [line.get_ydata()[0] for line in flat if len(line.get_ydata()) == 2][-1] == pytest.approx(truth.mean())


def test_equal_pictures_are_equal_files_of_every_kind(tmp_path: Path) -> None:
    found = learning(grid())
    assert found is not None
    written = []
    for name in ("a", "b"):
        with drawing():
            pictures = Pictures()
            text = pictures.place("fig", learning_figure(found, {}), "what it shows", "A < B")
            paths = pictures.write(tmp_path / name)
        assert "A &lt; B" in text
        assert [path.name for path in paths] == ["fig.svg", "fig.png", "fig.pdf"]
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
    assert [data[:4] for data in written[0]] == [b"<?xm", b"\x89PNG", b"%PDF"]
