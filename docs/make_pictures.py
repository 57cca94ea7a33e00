"""Draw the pictures of the documentation.

    python docs/make_pictures.py [STUDY]

``docs/images/demo.png`` shows the results of the demo, from the folder of its study: ``work/demo/study`` (``make demo``
makes it), unless another is named. ``docs/images/ecg.png`` shows one synthetic ECG, ``docs/images/twin-*.png``
what the hearts of the synthetic hospital may have, and ``docs/images/flow.png`` a flow chart, that of the tutorial.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from precordial.cohort import Cohort, age_sex_baseline
from precordial.ecg import twelve_leads
from precordial.evaluation import Predictions, Row, read_results
from precordial.report import ecg_figure
from precordial.report.figures import Curve, interval_figure, roc_figure
from precordial.report.flow_figure import flow_figure
from precordial.report.style import LOOKS, drawing, name_of, series_of
from precordial.report.tables import MODELS, TESTS
from precordial.study import checked_cohort, ecg_source, load_study
from precordial.twin import Infarctions, make_hospital, synthetic_ecgs
from precordial.twin.heart import TERRITORIES, beats
from precordial.twin.persons import draw_persons
from precordial.twin.signal import record
from precordial.watcher import Watcher

REPOSITORY = Path(__file__).parents[1]
IMAGES = REPOSITORY / "docs" / "images"
WIDTH = 8.0  # inches of an ECG
PIXELS = 1600  # of the width of every picture: twice the 800 at which the pages show them


def draw_demo(study: Path, picture: Path) -> None:
    """ROC curves on the combined test set, one panel for each model, above the AUCs on each test set."""
    rows = [row for row in read_results(study / "results.csv") if row.metric == "auc" and row.split in TESTS]
    rows = [row for row in rows if row.kind in ("scratch", "finetune", "baseline")]
    rows.sort(key=lambda row: ([*MODELS, ""].index(row.model), list(LOOKS).index(series_of(row))))
    alone = age_sex_baseline(Cohort.load(study / "cohort"))

    def curve(row: Row) -> Curve:
        table = alone if row.kind == "baseline" else Predictions.load(study / "runs" / row.run / "predictions.csv")
        tests = table.rows(np.isin(table.split, ("random_test", "temporal_test")))
        return Curve(tests.truth, tests.score, series_of(row), f"{name_of(row)}\n{row.estimate}")

    combined = [row for row in rows if row.split == "combined_test"]
    panels = [
        (f"{MODELS[model]}, both test sets together", [curve(row) for row in combined if row.model in (model, "")])
        for model in dict.fromkeys(row.model for row in combined if row.model)
    ]
    with drawing():
        parts = [_drawn(roc_figure(panels)), _drawn(interval_figure(rows))]
    whole = Image.new("RGB", (parts[0].width, sum(part.height for part in parts)), "white")
    whole.paste(parts[0], (0, 0))
    whole.paste(parts[1], (0, parts[0].height))
    _write(whole, picture)


def draw_example(picture: Path) -> None:
    """Twelve leads of a synthetic ECG on paper."""
    infarction = Infarctions(np.array([2], np.int8), np.array([0.28], np.float32), np.array([2.0], np.float32))
    leads = twelve_leads(synthetic_ecgs([62], [0], infarction, seed=1, rate=500)[0])
    with drawing():
        figure = Figure(figsize=(WIDTH, WIDTH * ecg_figure.HEIGHT / ecg_figure.WIDTH))
        ecg_figure.draw_ecg(figure.add_axes((0, 0, 1, 1)), leads, 500, note="synthetic")
        _write(_drawn(figure), picture)


@dataclass(frozen=True)
class Example:
    """One synthetic ECG of the docs: whose it is, and what is wrong with the heart."""

    words: str
    age: float
    female: bool
    seed: int
    condition: dict[str, Any] = field(default_factory=dict)
    infarction: tuple[str, float, float] = ("none", 0.0, 0.0)


EXAMPLES = {
    "man-25": Example("Healthy man of 25", 25, False, 1),
    "woman-70": Example("Healthy woman of 70", 70, True, 2),
    "early-repolarisation": Example("Early repolarisation", 28, False, 3, {"early_repolarisation": 0.14}),
    "hypertrophy": Example("Left-ventricular hypertrophy with strain", 66, False, 4, {"hypertrophy": 0.9}),
    "right-block": Example("Right bundle-branch block", 72, False, 5, {"bundle_branch": 1}),
    "left-block": Example("Left bundle-branch block", 70, True, 26, {"bundle_branch": 2}),
    "ectopics": Example("Ventricular premature beats", 63, False, 47, {"ectopy": (0, 10)}),
    "anterior": Example("Anterior infarction, 2 hours old", 58, False, 8, {}, ("anterior", 0.35, 2)),
    "inferior": Example("Inferior infarction, 2 hours old", 61, True, 9, {}, ("inferior", 0.25, 2)),
    "subendocardial": Example("Subendocardial infarction, 3 hours old", 69, False, 10, {}, ("subendocardial", 0.2, 3)),
    "anterior-late": Example("Anterior infarction, 30 hours old", 58, False, 8, {}, ("anterior", 0.35, 30)),
    "inferior-old": Example("Inferior infarction, 3 years old", 64, True, 9, {}, ("inferior", 0.25, 26_000)),
}


def draw_twin(example: Example, picture: Path) -> None:
    """One synthetic ECG on paper, its true values above it."""
    rng = np.random.default_rng(example.seed)
    age, sex = np.array([example.age]), np.array([int(example.female)])
    persons = draw_persons(age, sex, rng, np.zeros(1, np.float32))  # a heart as old as the person
    # Half as far from the mean as people are: the pictures show conditions, not the spread of people.
    halves = {name: getattr(persons, name) / 2 for name in ("traits", "loops", "torso", "coronaries")}
    healthy = {"early_repolarisation": 0, "hypertrophy": 0, "st_t_changes": 0, "bundle_branch": 0, "ectopy": (0, 0)}
    wanted = {
        name: np.array([value], getattr(persons, name).dtype) for name, value in (healthy | example.condition).items()
    }
    persons = replace(persons, **halves, **wanted)
    territory, severity, hours = example.infarction
    code = np.array([TERRITORIES.index(territory)], np.int8)
    infarction = Infarctions(code, np.array([severity], np.float32), np.array([hours], np.float32))
    heart = beats(age, sex, persons, infarction, rng)
    leads = twelve_leads(record(heart, persons, rng, rate=500)[0][0])
    corrected = heart.qt[0] * np.cbrt(heart.heart_rate[0] / 60)
    x, y, z = 1000 * heart.st[0]
    values = (
        f"rate {heart.heart_rate[0]:.0f}/min   PR {heart.pr[0]:.0f}   QRS {heart.qrs[0]:.0f}   "
        f"QTc {corrected:.0f} ms   axis {heart.axis[0]:.0f}°   ST {x:+.0f} left, {y:+.0f} down, {z:+.0f} back (µV)"
    )
    head = 9  # mm above the paper
    with drawing():
        height = ecg_figure.HEIGHT + head
        figure = Figure(figsize=(WIDTH, WIDTH * height / ecg_figure.WIDTH))
        axes = figure.add_axes((0, 0, 1, ecg_figure.HEIGHT / height))
        ecg_figure.draw_ecg(axes, leads, 500, note="synthetic")
        figure.text(0.012, 1 - 0.5 * head / height, example.words, va="center", weight="bold", fontsize=8)
        figure.text(0.988, 1 - 0.5 * head / height, values, va="center", ha="right", fontsize=7)
        _write(_drawn(figure), picture)


# The tutorial docs/tutorials/own-hospital.md has this hospital.
TUTORIAL = """
name = "tutorial"

[archive]
sources = ["hospital/ecg"]

[cohort]
kind = "registers"
complaint = ["chest pain"]
visits = { file = "hospital/registers/visits.csv", columns = { discharge = "discharge" } }
diagnoses = { file = "hospital/registers/diagnoses.csv" }
patients = { file = "hospital/registers/patients.csv", columns = { birth_date = "birth_date", sex = "sex" } }

[[grid]]
models = ["cnn-20k"]
"""


def draw_flow(picture: Path) -> None:
    """The flow chart of the tutorial's cohort."""
    with TemporaryDirectory() as folder:
        make_hospital(300, 4, Path(folder) / "hospital")
        study = Path(folder) / "study.toml"
        study.write_text(TUTORIAL)
        settings, watcher = load_study(study), Watcher()
        flow = checked_cohort(settings, ecg_source(settings, watcher), watcher).flow
    with drawing():
        _write(_drawn(flow_figure(flow)), picture)


def _drawn(figure: Figure) -> Image.Image:
    """A figure as pixels, twice as many as the pages show."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=PIXELS / figure.get_figwidth())
    return Image.open(drawn).convert("RGB")


def _write(image: Image.Image, picture: Path) -> None:
    picture.parent.mkdir(parents=True, exist_ok=True)
    # A palette halves the file, and 64 colours are enough for lines.
    image.quantize(64, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Draw all of them."""
    study = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "work" / "demo" / "study"
    draw_example(IMAGES / "ecg.png")
    draw_flow(IMAGES / "flow.png")
    for name, example in EXAMPLES.items():
        draw_twin(example, IMAGES / f"twin-{name}.png")
    if not (study / "results.csv").exists():
        sys.exit(f"there are no results in {study}: run make demo first")
    draw_demo(study, IMAGES / "demo.png")


if __name__ == "__main__":
    main()
