"""The ECG page in millimetres, and which boxes a flow chart has."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from precordial.cohort.flow import Flow, FlowStep
from precordial.ecg import TWELVE
from precordial.report.ecg_figure import BASELINES, HEIGHT, LEFT, WIDTH, draw_ecg
from precordial.report.flow_figure import boxes, flow_figure


def page(leads: np.ndarray, rate: float, **options: str) -> tuple[list[np.ndarray], list[str]]:
    """Its lines, (points, 2) in mm each, and its texts."""
    axes = Figure().add_subplot()
    draw_ecg(axes, leads, rate, **options)
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, WIDTH), (0, HEIGHT))
    return [np.asarray(line.get_xydata()) for line in axes.lines], [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(("rate", "samples"), [(500, 5000), (100, 1000)])
def test_an_ecg_is_drawn_at_25_mm_a_second_and_10_mm_a_millivolt(rate: int, samples: int) -> None:
    level = np.arange(12) / 10  # mV, each lead its own
    lines, texts = page(np.repeat(level[:, None], samples, axis=1), rate, note="synthetic")
    traces = [line for line in lines if len(line) > 6]
    order = ["I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6", "II"]
    assert texts[:13] == order
    assert texts[13] == "25 mm/s   10 mm/mV   synthetic"
    for number, (name, trace) in enumerate(zip(order, traces, strict=True)):
        row, column = divmod(number, 4)
        seconds = 10 if number == 12 else 2.5
        assert len(trace) == seconds * rate
        assert trace[0, 0] == pytest.approx(LEFT + 62.5 * column)
        assert np.ptp(trace[:, 0]) == pytest.approx(25 * (seconds - 1 / rate))
        assert trace[:, 1] == pytest.approx(BASELINES[row] + level[TWELVE.index(name)] * 10)
    pulses = [line for line in lines if len(line) == 6]
    assert [np.ptp(pulse[:, 1]) for pulse in pulses] == [10] * 4
    assert {pulse[3, 0] - pulse[1, 0] for pulse in pulses} == {5.0}


def test_only_twelve_leads_make_a_page() -> None:
    with pytest.raises(ValueError, match="should be"):
        draw_ecg(Figure().add_subplot(), np.zeros((8, 5000)), 500)


def test_steps_that_keep_everything_share_a_box() -> None:
    steps = (
        FlowStep("target", "visits", "visits", patients=2500, visits=3730),
        FlowStep("target", "complete", "complete", patients=2500, visits=3730, why="incomplete"),
        FlowStep(
            "target",
            "complaint",
            "for chest pain",
            patients=950,
            visits=1214,
            why="for another complaint",
            excluded_patients=1550,
            excluded_visits=2516,
            touched_patients=1689,
        ),
        FlowStep("target", "train", "training", patients=950, visits=1214, part=True),
        FlowStep(
            "archive",
            "usable",
            "usable",
            ecgs=90,
            why="unusable",
            excluded_ecgs=10,
            reasons={"unusable: flat-lead": 4, "unusable: unreadable": 6},
        ),
        FlowStep("source", "others", "others", ecgs=80, why="known", excluded_ecgs=10, reasons={"ECGs of theirs": 3}),
    )
    found = [(box.lines, box.out) for box in boxes(steps[:4])]
    assert found == [
        (("3 730 visits of 2 500 patients", "visits, complete"), ()),
        (
            ("1 214 visits of 950 patients", "for chest pain"),
            ("2 516 visits of 1 689 patients", "for another complaint (1 550 patients leave, 139 stay with others)"),
        ),
    ]
    assert [box.out for box in boxes(steps[4:5])] == [("10 ECGs", "unusable", "4 flat-lead", "6 unreadable")]
    assert [(box.lines, box.out) for box in boxes(steps[5:])] == [
        (("80 ECGs", "others", "3 ECGs of theirs"), ("10 ECGs", "known"))
    ]
    axes = flow_figure(Flow(steps)).axes[0]
    words = " ".join(text.get_text() for text in axes.texts).replace("\u00a0", " ")
    for part in ("Target", "ECG archive", "Source", "training", "2 516 visits", "6 unreadable", "3 ECGs of theirs"):
        assert part in words


def test_every_word_of_a_flow_chart_is_inside_its_box() -> None:
    long = FlowStep(
        "target", "a", "a step with a rather long description of what it keeps", patients=162903, ecgs=836972
    )
    parts = [FlowStep("target", str(k), "temporal test", ecgs=836972, patients=162903, part=True) for k in range(4)]
    out = FlowStep("target", "b", "next", ecgs=1, patients=1, why="a reason that is long, too", excluded_ecgs=836971)
    figure = flow_figure(Flow((long, out, *parts)))
    axes = figure.axes[0]
    renderer = FigureCanvasAgg(figure).get_renderer()
    inside = axes.transData.inverted()
    frames = [patch.get_window_extent(renderer).transformed(inside) for patch in axes.patches]
    assert len(frames) == 3 + 4
    texts = [text for text in axes.texts if text.get_text() not in ("", "Target")]
    assert len(texts) > 12
    for text in texts:
        extent = text.get_window_extent(renderer).transformed(inside)
        assert any(
            frame.x0 <= extent.x0 and extent.x1 <= frame.x1 and frame.y0 <= extent.y0 and extent.y1 <= frame.y1
            for frame in frames
        ), text.get_text()
