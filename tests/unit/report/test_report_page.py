"""The HTML report of a study whose trainings are made up: all of it there, nobody named, nothing from outside."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from precordial.archive.layout import Manifest
from precordial.archive.taken import take
from precordial.archive.writer import ArchiveWriter
from precordial.cohort import Cohort, age_sex_baseline
from precordial.cohort.flow import Flow, FlowStep
from precordial.ecg import EIGHT, Ecg
from precordial.errors import PrecordialError
from precordial.evaluation import Predictions, Row, auc
from precordial.report.examples import choose
from precordial.report.figures import Curve, roc, roc_figure
from precordial.report.html import write_html
from precordial.report.style import as_svg, drawing
from precordial.study import Study, make_plan, write_predictions_table, write_tables

CLINICAL = ["clinical", "calibration", "thresholds", "zones", "decision", "subgroups", "drift", "shortcut"]
SECTIONS = ["flow", "patients", "trainings", "results", "roc", "intervals", "pre-training", "curves", "examples"]
FLOW = Flow(
    (
        FlowStep("archive", "files", "ECG files", ecgs=310),
        FlowStep("archive", "usable", "usable", ecgs=300, patients=300, why="unusable", excluded_ecgs=10),
        FlowStep("target", "ecgs", "usable ECGs", ecgs=300, patients=300),
        FlowStep("target", "train", "training", ecgs=140, patients=140, part=True, reasons={"with the outcome": 47}),
        FlowStep("source", "ecgs", "usable ECGs", ecgs=100, patients=100),
    )
)
STUDY = {
    "name": "cost < $5 & $6",
    "grid": [{"models": ["cnn-20k", "rn-900k"], "pretraining": ["none", "age-sex"]}],
    "evaluation": {"replicates": 20},
    "training": {
        "models": {
            "cnn-20k": {
                "source": [{"epochs": 2, "peak": 1e-3}],
                "scratch": [{"epochs": 2, "peak": 1e-3}],
                "target": [{"epochs": 2, "peak": 1e-3, "trains": "head"}, {"epochs": 3, "peak": 1e-5}],
            }
        }
    },
}


@dataclass(frozen=True)
class Made:
    study: Study
    cohort: Cohort
    rows: list[Row]

    def write(self, folder: Path, **changes: object) -> str:
        rows = changes.pop("rows", self.rows)
        return write_html(folder, self.study, self.cohort, rows, **changes).read_text()  # type: ignore[arg-type]


def make_archive(folder: Path, n: int) -> None:
    draw = np.random.default_rng(5)
    with ArchiveWriter(folder, Manifest(rate=100, samples=1000)) as writer:
        for k in range(n):
            signal = np.outer(draw.uniform(0.2, 1.5, 8), np.sin(np.arange(1000) / draw.uniform(5, 20)))
            ecg = Ecg(signal.astype(np.float32), rate=100, leads=EIGHT, patient_id=f"PATIENT-{k:04}", source="test")
            writer.add(k, [take(ecg, ecg_id=k, source=f"{k}")])


def make_cohort(target: int = 200, source: int = 100, outcomes: Sequence[str] = ("AMI",)) -> Cohort:
    """Every third target ECG has the main outcome, and the older have it more surely; others are rarer."""
    n = target + source
    draw = np.random.default_rng(1)
    is_target = np.arange(n) < target
    names = {7: "validation", 8: "random_test", 9: "temporal_test"}
    split = [names.get(k % 10, "train") if k < target else ("validation" if k % 5 == 0 else "train") for k in range(n)]
    label = np.where(is_target, np.arange(n) % 3 == 0, np.nan).astype(float)
    return Cohort(
        ecg_id=np.array([f"{k:016x}" for k in range(n)]),
        patient_id=np.array([f"PATIENT-{k:04}" for k in range(n)]),
        visit_id=np.array([f"VISIT-{k:04}" if k < target else "" for k in range(n)]),
        prediction_time=np.datetime64("2017-03-01T08:15:00") + np.arange(n) * np.timedelta64(3, "h"),
        role=np.where(is_target, "target", "source"),
        split=np.array(split),
        order=np.arange(n),
        age=draw.uniform(15, 99, n) + 10 * np.nan_to_num(label),
        sex=draw.integers(0, 2, n).astype(float),
        labels={
            name: label if k == 0 else np.where(np.arange(n) % (3 + k), 0.0, label) for k, name in enumerate(outcomes)
        },
        age_source=np.full(n, "test"),
        sex_source=np.full(n, "test"),
        flow=FLOW,
        settings={"kind": "labels"},
    )


def make_study(folder: Path, outcomes: Sequence[str] = ("AMI",), **changes: object) -> Made:
    """A study's folder as `run_study` leaves it, with drawn predictions and metrics in place of trainings."""
    cohort = make_cohort(outcomes=outcomes)
    study = Study.model_validate(STUDY | {"out": folder} | changes)
    make_archive(study.archive_path, len(cohort))
    cohort.save(folder / "cohort", archive={"digest": "0123456789abcdef", "ecgs": 300, "rate": 100})
    plan = make_plan(study, cohort.digest, cohort.outcomes)
    for number, run in enumerate(plan.runs):
        place, draw = folder / "runs" / run.id, np.random.default_rng(number)
        place.mkdir(parents=True)
        (place / "run.json").write_text(run.model_dump_json())
        done = {"best_epoch": 2, "best": 0.7, "version": "0.1.0", "device": "cpu"}
        (place / "done.json").write_text(json.dumps(done))
        metrics = {f"validation_{name}_{'mae' if name == 'age' else 'auc'}": 0.7 for name in run.targets}
        row = {"stage": 1, "rate": 1e-3, "train_loss": 0.5, "validation_loss": 0.6, **metrics}
        lines = [json.dumps({"epoch": epoch + 1, **row}) + "\n" for epoch in range(run.epochs)]
        (place / "metrics.jsonl").write_text("".join(lines))
        part = cohort.select(role=run.role)
        part = part._rows(part.split != "train")
        tables = []
        for name in run.targets:
            truth = part.labels[name] if run.role == "target" else getattr(part, name)
            score = draw.uniform(20, 90, len(part)) if name == "age" else draw.beta(1 + np.nan_to_num(truth), 2)
            tables.append(Predictions(run.id, part.ecg_id, part.patient_id, part.split, name, truth, score))
        Predictions.concatenate(tables).save(place / "predictions.csv")
    return Made(study, cohort, write_tables(study, cohort, plan))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def text(made: Made, tmp_path_factory: pytest.TempPathFactory) -> str:
    notes = [("Bayes limit", "At best 0.83.\nNo <model> can do better.")]
    return made.write(tmp_path_factory.mktemp("report"), notes=notes, command="precordial study run 'a study.toml'")


class Page(HTMLParser):
    """Follows the tags of a page: every one closed where it should be."""

    VOID = frozenset({"meta", "br", "link", "img", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self.labels: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"] or ""] if "id" in values else []
        if tag == "svg":
            assert values["role"] == "img"
            self.labels.append(values["aria-label"] or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def sections(text: str) -> list[str]:
    return re.findall(r'<section id="([^"]+)">', text)


def test_everything_is_there(text: str) -> None:
    page = Page(text)
    assert sections(text) == [*SECTIONS[:6], *CLINICAL, "note-1", *SECTIONS[6:], "method", "again"]
    assert re.findall(r'<li><a href="#([^"]+)">', text) == sections(text)
    assert len(page.ids) == len(set(page.ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(page.ids)
    # The flow chart, ROC curves, intervals, six trainings, four ECGs: each told to those who cannot see it.
    assert len(page.labels) == 3 + 6 + 4
    assert all(len(label) > 20 for label in page.labels)
    assert [tag for tag in ("<caption>Table I.", "<caption>Table III.", "<caption>Table IV.") if tag not in text] == []
    assert "precordial study run 'a study.toml'" in "".join(page.words)


def test_it_needs_nothing_but_itself(text: str) -> None:
    assert not re.search(r"https?:|//[a-z]|<script|<link|<img|@import|src=", text)
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    assert len(text) < 3e6


def test_it_names_nobody(made: Made, text: str) -> None:
    cohort = made.cohort
    times = np.datetime_as_string(cohort.prediction_time)
    hidden = {*cohort.ecg_id, *cohort.patient_id, *cohort.visit_id, *times, *(time[:10] for time in times)} - {""}
    words = set(re.split(r"[^\w-]", text))
    assert not hidden & words
    assert not [name for name in ("PATIENT-", "VISIT-", "2017-", str(made.study.folder)) if name in text]
    assert not [age for age in cohort.age.tolist() if repr(age)[:6] in words]
    captions = re.findall(r"<figcaption>(Score.*)</figcaption>", text)
    band = r"(below 20|\d0–\d9|90) years old( or more)?\."
    wanted = re.compile(r"Score 0\.\d{3}, rank \d+ from the top among 40 test ECGs; " + band)
    assert len(captions) == 4
    assert all(wanted.fullmatch(caption) for caption in captions), captions


def test_the_words_are_the_numbers(made: Made, text: str) -> None:
    def one(kind: str, model: str) -> Row:
        wanted = (kind, model, "combined_test")
        return next(row for row in made.rows if (row.kind, row.model, row.split) == wanted)

    items = [re.sub(r"&amp;", "&", item) for item in re.findall(r"<li>([^<].*)</li>", text)]
    assert items[0].startswith("Combined test set: 40 ECGs of 40 patients, 14 with AMI")
    tuned, gain = one("finetune", "rn-900k"), one("difference", "rn-900k")
    assert items[2] == (
        f"RN-900k: AUC {one('scratch', 'rn-900k').estimate} from scratch, {tuned.estimate} after pre-training on "
        f"age & sex (paired difference {gain.estimate})."
    )
    assert "<title>Study cost &lt; $5 &amp; $6</title>" in text
    assert "No &lt;model&gt; can do better." in text
    rows = re.findall(r'<tr><th scope="row">CNN-20k</th>(.*)</tr>', text)
    cells = [re.findall(r"<td>([^<]*)</td>", row) for row in rows]
    assert ["from scratch", "0", "140", "140", "47", "2", "2", "256"] in cells


def test_equal_inputs_give_equal_bytes_whatever_the_users_settings(made: Made, tmp_path: Path) -> None:
    first = made.write(tmp_path / "one")
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "none", "lines.linestyle": ":"}):
        assert made.write(tmp_path / "two") == first
    assert mpl.rcParams["text.parse_math"]  # nothing is left behind


def test_examples_are_the_extremes() -> None:
    truth, score = np.array([0, 1, 1, 0, 1, 0]), np.array([0.9, 0.2, 0.8, 0.1, 0.8, 0.5])
    ids = ["f", "e", "d", "c", "b", "a"]
    table = Predictions("r", ids, ids, "random_test", "label", truth, score)
    chosen = {place: ids[row] for place, row in choose(table).items()}
    assert chosen == {(1, "highest"): "d", (1, "lowest"): "e", (0, "highest"): "f", (0, "lowest"): "c"}
    assert choose(table.rows(np.array([1]))) == {(1, "highest"): 0}


def test_a_study_that_only_pre_trains(tmp_path: Path) -> None:
    grid = [{"models": ["cnn-20k"], "pretraining": ["age"], "target_fractions": []}]
    made = make_study(tmp_path, grid=grid)
    text = made.write(tmp_path / "report")
    Page(text)
    assert sections(text) == ["flow", "patients", "trainings", "pre-training", "curves", "method", "again"]
    assert "No model was trained on the target." in text


def test_several_outcomes_have_a_heading_each(tmp_path: Path) -> None:
    grid = [{"models": ["cnn-20k"], "pretraining": ["none", "age"]}]
    made = make_study(tmp_path, outcomes=("AMI", "death < 30 d"), grid=grid)
    text = made.write(tmp_path / "report")
    page = Page(text)
    rare = [name for name in CLINICAL if name != "decision"]  # the validation set has none to recalibrate with
    extra = [f"{name}-death-30-d" for name in ("results", "roc", "intervals", *rare, "examples")]
    assert [one for one in sections(text) if one.endswith("-d")] == extra
    assert len(page.ids) == len(set(page.ids))
    assert {"Finding AMI", "Finding death < 30 d", "ROC curves: AMI"} <= set(page.headings)
    items = [item for item in re.findall(r"<li>([^<].*)</li>", text) if "with" in item or "CNN" in item]
    assert "14 with AMI" in items[0]
    assert items[1].startswith("AMI, CNN-20k: AUC 0.")
    assert "3 with death &lt; 30 d" in items[2]
    assert "Transfer learning for finding AMI and death &lt; 30 d in ECGs" in text
    assert "Without death &lt; 30 d, lowest score" in text
    assert "Validation AUC of AMI" not in text  # letters are shapes
    assert '<th scope="col">With death &lt; 30 d</th>' in text


def test_many_outcomes_have_one_table(tmp_path: Path) -> None:
    outcomes = [f"statement:{k}" for k in range(10)]
    made = make_study(tmp_path, outcomes=outcomes, grid=[{"models": ["cnn-20k"], "pretraining": ["none"]}])
    text = made.write(tmp_path / "report")
    assert sections(text) == [
        "flow",
        "patients",
        "trainings",
        "results",
        *CLINICAL,
        "curves",
        "examples",
        "method",
        "again",
    ]
    assert text.count("Macro-average") == 2
    means = [row.value for row in made.rows if (row.kind, row.split) == ("scratch", "combined_test")]
    assert f"CNN-20k: mean AUC {np.nanmean(means):.3f} from scratch." in text


def test_small_counts_are_left_out_of_the_page(tmp_path: Path) -> None:
    made = make_study(tmp_path, grid=[{"models": ["cnn-20k"], "pretraining": ["none"]}], privacy={"smallest_cell": 8})
    flow = Flow((*made.cohort.flow.steps[:-1], replace(made.cohort.flow.steps[-1], patients=7)))
    made = replace(made, cohort=replace(made.cohort, flow=flow))
    text = made.write(tmp_path / "report")
    assert "&lt; 8 patients" in text
    assert "are left out" in text
    for known in ("300 ECGs at", "300 ECGs, digest", "14 with AMI", "test ECGs;", '<th scope="col">With AMI</th>'):
        assert known not in text


def test_several_seeds_fractions_and_missing_pieces(tmp_path: Path) -> None:
    grid = [{"models": ["rn-900k"], "pretraining": ["none", "age"], "target_fractions": [0.5, 1.0]}]
    made = make_study(tmp_path, grid=grid, seeds=[3, 1])
    shutil.rmtree(made.study.archive_path)
    made = replace(made, cohort=replace(made.cohort, flow=Flow()))
    rows = [row for row in made.rows if row.kind != "difference" and row.split != "temporal_test"]
    text = made.write(tmp_path / "report", rows=rows)
    page = Page(text)
    words = "".join(page.words)
    assert "without a flow chart" in words
    assert "The archive is not on this machine" in words
    assert "6 of the study's 10 trainings" in words
    assert "AUCs from the lowest to the highest seed" in words
    assert "over 2 seeds after pre-training on age" in words
    assert "RN-900k (1)" in words and "RN-900k (3)" in words  # noqa: PT018
    assert len([label for label in page.labels if label.startswith("Loss")]) == 3  # the first seed's


def test_what_is_missing_is_said(made: Made, tmp_path: Path) -> None:
    with pytest.raises(PrecordialError, match="no results yet"):
        made.write(tmp_path, rows=[])
    folder = tmp_path / "study"
    shutil.copytree(made.study.folder, folder)
    moved = replace(made, study=made.study.model_copy(update={"out": folder}))
    run = next(row.run for row in made.rows if row.kind == "scratch")
    (folder / "predictions.parquet").unlink()
    with pytest.raises(PrecordialError, match=r"predictions\.parquet: the study has no results yet"):
        moved.write(tmp_path)
    write_predictions_table(folder, {})
    with pytest.raises(PrecordialError, match=r"predictions do not have a training that its results name"):
        moved.write(tmp_path)
    (folder / "runs" / run / "run.json").write_text("{")
    with pytest.raises(PrecordialError, match=f"{run}: a file of this training cannot be read"):
        moved.write(tmp_path)


def test_the_area_under_a_curve_is_its_auc(made: Made) -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 500).astype(float)
    for score in (draw.normal(truth), np.round(draw.normal(truth), 0), np.zeros(500)):
        false, true = roc(truth, score)
        assert np.trapezoid(true, false) == pytest.approx(auc(truth, score), abs=1e-12)
    table = age_sex_baseline(made.cohort)
    for split in ("random_test", "temporal_test"):
        part = table.select(split=split)
        false, true = roc(part.truth, part.score)
        row = next(row for row in made.rows if (row.kind, row.split) == ("baseline", split))
        assert np.trapezoid(true, false) == pytest.approx(row.value, abs=1e-12)


def test_a_figure_keeps_its_ids_to_itself() -> None:
    with drawing():
        panels = [("$x$", [Curve(np.array([0.0, 1]), np.array([0.1, 0.9]), "none", "<one>")])]
        svgs = [as_svg(roc_figure(panels), name, 'a "quoted" <word>') for name in ("first", "second")]
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in svgs]
    assert len(ids[0]) > 3
    assert not ids[0] & ids[1]
    assert 'aria-label="a &quot;quoted&quot; &lt;word&gt;"' in svgs[0]
    assert not re.search(r"<metadata|<style|<!--|xmlns|http", svgs[0])


def test_it_is_written_without_torch() -> None:
    code = "import sys; import precordial.report.html; sys.exit('torch' in sys.modules or 'polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
