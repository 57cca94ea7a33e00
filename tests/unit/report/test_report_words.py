"""Methods, results, model cards and the checklist: filled with what was done, and marked where only authors know."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from made_study import Made, paper_study
from precordial.report import tripod
from precordial.report.html import write_html
from precordial.report.material import Material, gather
from precordial.report.methods import methods
from precordial.report.model_card import model_cards
from precordial.report.prose import Part, as_html, as_markdown, todo, todos
from precordial.report.results_text import results
from precordial.report.table import Table
from precordial.study import read_results_table

GRID = [{"models": ["rn-900k"], "pretraining": ["none", "age"], "target_fractions": [0.5, 1.0]}]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return paper_study(tmp_path_factory.mktemp("study"), target=300, source=100, replicates=20, grid=GRID)


@pytest.fixture(scope="module")
def material(made: Made) -> Material:
    return gather(made.study, made.cohort, made.rows)


def words(parts: list[Part]) -> str:
    return as_markdown("x", parts).replace("\\", "")


def test_methods_say_what_was_done(material: Material) -> None:
    parts = methods(material)
    text = words(parts)
    for part in (
        "Registers of visits, diagnoses and patients were joined with 400 ECGs of ten seconds, stored at 100 Hz.",
        "A visit takes part if its main complaint is “chest pain”.",
        "the first usable one within 3 h after arrival or, where there is none, the last within 2 h before it",
        "AMI: a diagnosis that begins with I21, from the day of arrival to 30 days after it",
        "Age is from the date of birth, the age at the first contact or else the ECG's header",
        "The newest visits of 15 % of the patients are the temporal test set",
        "Of the source's patients 5 % validate",
        "50 to 100 % of the target's training patients were used",
        "a convolutional network: RN-900k (887 329 parameters; Mehari and Strodthoff 2022)",
        "replaced by a dense layer of 100 with ReLU and dropout of 0.3",
        "95 % intervals, basic bootstrap, over 20 resamples of patients (seed 0)",
        "torch 2.13.0",
        "5 trainings took 7.5 min, on a processor (2 threads).",
    ):
        assert part in text, part
    assert parts[0].title == "Data"
    assert len(todos(parts)) == 5


def test_other_settings_make_other_methods(material: Material) -> None:
    settings = dict(material.cohort.settings) | {
        "complaint": None,
        "eligibility": {"min_age": 18, "max_age": None, "visits": "first", "washout_days": 30, "sites": ["A", "B"]},
        "split": {"scheme": "k-fold", "folds": 5},
        "before_hours": 1.0,
    }
    text = words(methods(replace(material, cohort=replace(material.cohort, settings=settings))))
    for part in (
        "Visits take part whatever their complaint. Patients are at least 18 years old at the index ECG.",
        "Visits to 2 of the sites take part. Of each patient the first visit takes part.",
        "Visits within 30 days after a diagnosis of I21 are left out.",
        "the last within 1 h before it",
        "Each of 5 folds is tested once",
    ):
        assert part in text, part
    assert "temporal test set; older visits" not in text


def test_results_are_those_of_the_table(material: Material) -> None:
    def auc(kind: str, fraction: float) -> float:
        wanted = (kind, "auc", "combined_test", fraction)
        return next(r.value for r in material.rows if (r.kind, r.metric, r.split, r.target_fraction) == wanted)

    text = words([results(material)])
    low, high = (
        f"at {100 * share:g} % {'AUC ' if share < 1 else ''}{auc('scratch', share):.3f}" for share in (0.5, 1.0)
    )
    assert low in text
    assert high in text
    assert f"{auc('finetune', 0.5):.3f} with pre-training on age" in text


def test_a_card_says_what_its_model_is(made: Made, material: Material) -> None:
    (card,) = model_cards(material)
    assert (card.name, card.title) == ("rn-900k", "RN-900k, fine-tuned after pre-training on age")
    assert [part.title for part in card.parts] == [
        "The model",
        "Intended use",
        "Data",
        "Performance",
        "Limits",
        "Training",
        "Provenance",
    ]
    text = words(list(card.parts))
    tuned = [r for r in made.rows if r.kind == "finetune" and r.target_fraction == 1.0]
    pretrained = {r.run for r in made.rows if r.kind == "pretrain"}
    combined = next(r for r in tuned if (r.split, r.metric) == ("combined_test", "auc"))
    assert f"Run {combined.run}, from pre-training {pretrained.pop()}." in text
    assert f"| Combined test | {combined.estimate} |" in text
    assert "| Training | 210 | 210 | 70 |" in text
    assert "the head, the body frozen, 40 epochs, rates up to 0.001" in text
    assert f"commit {'0' * 40}" in text
    assert "Not a medical device." in text
    assert len(todos(card.parts)) == 2


def test_the_checklist_has_every_part_of_the_27_items(material: Material) -> None:
    table = tripod.checklist(material, ["calibration", "subgroups"])
    numbers = [row[0] for row in table.rows]
    assert len(numbers) == len(set(numbers)) == 52
    assert list(dict.fromkeys(int(re.match(r"\d+", one)[0]) for one in numbers)) == list(range(1, 28))  # type: ignore[index]
    parts = {number: len([one for one in numbers if one.rstrip("abcdefg") == str(number)]) for number in range(1, 28)}
    several = {number: count for number, count in parts.items() if count > 1}
    assert several == {3: 3, 5: 2, 6: 3, 8: 3, 9: 3, 12: 7, 18: 6, 20: 3, 23: 2, 27: 3}
    known = {row[0]: row for row in table.rows}
    assert "“Calibration” and “Subgroups”" in known["12e"][3]
    assert known["24"][3] == "“Calibration”"
    assert known["8a"][3].startswith("AMI: a diagnosis that begins with I21")
    assert known["17"][3:] == ("", "committee, number, consent or waiver")
    for number, _, _, told, write in table.rows:  # nothing is left without either
        assert told or write, number
    assert set(tripod.answers(material, [])) <= set(numbers)
    assert dict(tripod.answers(material, []))["24"] == "not examined"


def test_small_counts_are_in_no_words(made: Made, tmp_path: Path) -> None:
    study = made.study.model_copy(update={"privacy": made.study.privacy.model_copy(update={"smallest_cell": 5})})
    whole = write_html(tmp_path, study, made.cohort, made.rows).read_text(encoding="utf-8")
    for told in (
        "400 ECGs",
        "20 events in",
        "<td>210</td><td>210</td>",
        "20 with AMI",
        "sites are named",
        "240 other patients",
    ):
        assert told not in whole, told
    assert "Numbers of patients and ECGs stand in Table I" in whole


def test_everything_is_written_as_files_from_the_two_tables_alone(made: Made, tmp_path: Path) -> None:
    write_html(tmp_path, made.study, made.cohort, read_results_table(made.study.folder), files=True)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    tables = ("table-1", "table-2", "table-3", "table-4", "sizes", "stages", "trainings", "tripod-ai", "calibration")
    assert {f"{name}{suffix}" for name in tables for suffix in (".txt", ".csv", ".md", ".tex")} <= names
    figures = ("flow", "stages", "roc", "precision-recall", "intervals", "fig-3", "calibration", "training-1", "ecg-1")
    assert {f"figures/{name}{suffix}" for name in figures for suffix in (".svg", ".png", ".pdf")} <= names
    assert {"report.html", "text.md", "model-cards/rn-900k.md", "flow.txt"} <= names
    with (tmp_path / "tripod-ai.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 52
    assert "longtable" in (tmp_path / "tripod-ai.tex").read_text(encoding="utf-8")


def test_a_curve_whose_steps_would_tell_a_hidden_count_is_left_out(made: Made, tmp_path: Path) -> None:
    privacy = made.study.privacy.model_copy(update={"smallest_cell": 15})  # ten cases in each test set
    study = made.study.model_copy(update={"privacy": privacy})
    page = write_html(tmp_path, study, made.cohort, made.rows).read_text(encoding="utf-8")
    assert "by their steps they would tell counts" in page
    assert "ROC curves on the" not in page


def test_marks_stand_out_in_html_and_markdown() -> None:
    part = Part(
        "Data <1>", (f"From A & B. {todo('name it')}", (f"one_two {todo('x')}",), Table("T", ("a",), (("b",),)))
    )
    page = as_html([part])
    assert "<h3>Data &lt;1&gt;</h3>" in page
    assert "<p>From A &amp; B. <mark>[AUTHORS: name it]</mark></p>" in page
    text = as_markdown("A title", [part])
    assert text.startswith("# A title\n\n## Data \\<1\\>\n\nFrom A & B. **\\[AUTHORS: name it\\]**\n")
    assert "- one\\_two **\\[AUTHORS: x\\]**\n" in text
    assert todos([part]) == ["name it", "x"]


def test_a_table_of_long_text_is_wrapped() -> None:
    table = Table("Long", ("A", "B"), (("1", "word " * 40), ("2", "short")), (0.1, 0.3))
    lines = table.text().splitlines()
    assert max(map(len, lines)) <= 15 + 2 + 45
    assert " ".join(" ".join(lines).split()).count("word") == 40
    assert r"\begin{longtable}{p{0.090\linewidth}p{0.270\linewidth}}" in table.latex()


def test_trainings_without_provenance_are_no_fault(made: Made, tmp_path: Path) -> None:
    """Trainings of older versions have none."""
    run = next(one for one in (made.study.folder / "runs").iterdir())
    kept = (run / "provenance.json").read_text()
    (run / "provenance.json").unlink()
    try:
        found = gather(made.study, made.cohort, made.rows)
        assert "4 trainings took" not in words(methods(found))
        assert "trainings took 6 min" in words(methods(found))
    finally:
        (run / "provenance.json").write_text(kept)
    assert json.loads(kept)["sessions"]
