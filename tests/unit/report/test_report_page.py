"""The HTML report of a study whose trainings are made up: all of it there, nobody named, nothing from outside."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from made_study import Made, make_study
from precordial.cohort import age_sex_baseline
from precordial.cohort.flow import Flow
from precordial.errors import PrecordialError
from precordial.evaluation import Predictions, Row, auc
from precordial.report.curves import roc
from precordial.report.examples import choose
from precordial.report.figures import Curve, roc_figure
from precordial.report.style import as_svg, drawing
from precordial.study import write_predictions_table

START = ["flow", "patients", "models", "stages", "trainings"]
CLINICAL = ["clinical", "calibration", "thresholds", "zones", "decision", "subgroups", "drift", "shortcut"]
END = ["methods", "cards", "tripod", "method", "again"]


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
    assert sections(text) == [
        *START,
        "results",
        "roc",
        "intervals",
        "note-1",
        "pre-training",
        *CLINICAL,
        "curves",
        "examples",
        *END,
    ]
    assert re.findall(r'<li><a href="#([^"]+)">', text) == sections(text)
    assert len(page.ids) == len(set(page.ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(page.ids)
    # Each told to those who cannot see it: flow chart, stages, ROC and precision–recall curves, intervals; calibration,
    # zones, decision curve, subgroups; six trainings; four ECGs.
    assert len(page.labels) == 5 + 4 + 6 + 4
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
    assert sections(text) == [*START, "pre-training", "curves", "methods", *END[2:]]
    assert "No model was trained on the target." in text


def test_several_outcomes_have_a_heading_each(tmp_path: Path) -> None:
    grid = [{"models": ["cnn-20k"], "pretraining": ["none", "age"]}]
    made = make_study(tmp_path, outcomes=("AMI", "death < 30 d"), grid=grid)
    text = made.write(tmp_path / "report")
    page = Page(text)
    clinical = [name for name in CLINICAL if name != "decision"]  # for which there are too few cases
    extra = [f"{name}-death-30-d" for name in ("results", "roc", "intervals", *clinical, "examples")]
    assert [one for one in sections(text) if one.endswith("-d")] == extra
    assert len(page.ids) == len(set(page.ids))
    assert {"Finding AMI", "Finding death < 30 d", "ROC and precision–recall curves: AMI"} <= set(page.headings)
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
    assert sections(text) == [*START, "results", *CLINICAL, "curves", "examples", *END]
    assert text.count("Macro-average") == 2
    wanted = ("scratch", "combined_test", "auc")
    means = [row.value for row in made.rows if (row.kind, row.split, row.metric) == wanted]
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
