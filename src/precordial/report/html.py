"""The report: one HTML file with everything that a study found, and the same as files for a paper.

It is made from results, predictions and cohort, without torch, as often as one likes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from html import escape
from pathlib import Path

from precordial.cohort import Cohort
from precordial.errors import PrecordialError
from precordial.evaluation import Predictions, Row
from precordial.files import write_atomic
from precordial.report import tripod
from precordial.report.clinical import clinical_parts, clinical_sections, clinical_tables
from precordial.report.clinical_part import Part
from precordial.report.material import Material, StudyLike, gather
from precordial.report.methods import methods
from precordial.report.model_card import ModelCard, model_cards
from precordial.report.outcome_sections import outcome_sections
from precordial.report.page import Section, bullets, page, paragraphs, table
from precordial.report.prose import as_markdown
from precordial.report.results_text import results
from precordial.report.sections import (
    curves_section,
    examples_section,
    flow_section,
    models_section,
    models_table,
    pretraining_section,
    settings_section,
    stages_section,
    trainings_section,
    writing_sections,
)
from precordial.report.statistics import table_differences
from precordial.report.style import drawing
from precordial.report.summary import key_results, listed, table_stages, table_trainings
from precordial.report.table import Table, write_report
from precordial.report.tables import MANY, TRAINED, results_tables, suffixes
from precordial.study.tables import read_predictions

NOTICE = "Research software, not a medical device: nothing here is for the diagnosis or treatment of a patient."
FIGURES, CARDS = "figures", "model-cards"


def write_html(
    folder: str | Path,
    study: StudyLike,
    cohort: Cohort,
    rows: Sequence[Row],
    *,
    command: str = "precordial study run STUDY.toml",
    notes: Sequence[tuple[str, str]] = (),
    files: bool = False,
) -> Path:
    """Write ``report.html``, which needs no other file, no network and no script; equal inputs give equal bytes.

    It holds no id, no date and no age but by decade; but it does show a few patients' ECGs.

    Args:
        folder: of the report; made if it is not there.
        study: the settings; its folder holds the trainings that the rows name.
        cohort: the examples.
        rows: the results table.
        command: that makes the report again.
        notes: further sections, (title, text), after the results on the target.
        files: also write the tables, as text, CSV, Markdown and LaTeX; the figures, as SVG, PNG and PDF, in
            ``figures``; ``text.md``, methods and results in words; and the model cards, in ``model-cards``.

    Returns:
        The page.

    Raises:
        PrecordialError: there are no results, or a training that they name is missing or damaged.
    """
    if not rows:
        raise PrecordialError("the study has no results yet", file=study.folder, remedy="precordial study run")
    folder = Path(folder)
    with drawing():
        material = gather(study, cohort, rows)
        tables = report_tables(material)
        cards = model_cards(material)
        find = partial(_predictions, study.folder)
        clinical = clinical_parts(cohort, rows, find, study.evaluation, study.privacy.smallest_cell)
        tables |= clinical_tables(clinical)
        sections = _sections(material, tables, cards, clinical, command, notes)
        write_atomic(folder / "report.html", _document(material, sections))
        if files:
            _write_files(folder, material, tables, cards, [section.key for section in sections])
    return folder / "report.html"


def _predictions(folder: Path, runs: Collection[str], outcome: str) -> Predictions:
    return read_predictions(folder, run=runs, target=outcome)


def report_tables(material: Material) -> dict[str, Table]:
    """Tables I to IV and those beside them, by the names of their files; the checklist is not among them."""
    two = models_table(material)
    return {
        "table-1": material.table_one,
        **({"table-2": two} if two else {}),
        **results_tables(material.rows, material.cohort.outcomes, counts=material.counts, paper=True),
        **_differences(material),
        "stages": table_stages(material.runs),
        "trainings": table_trainings(material.runs, material.cohort, counts=material.counts),
    }


def _differences(material: Material) -> dict[str, Table]:
    """All comparisons with training from scratch; those at the largest sizes stand on the page."""
    outcomes = material.cohort.outcomes[:MANY]
    found = {
        f"differences{suffix}": table_differences(material.rows, outcome)
        for outcome, suffix in zip(outcomes, suffixes(outcomes), strict=True)
    }
    return {name: table for name, table in found.items() if table.rows}


def _sections(
    material: Material,
    tables: dict[str, Table],
    cards: Sequence[ModelCard],
    clinical: Sequence[Part],
    command: str,
    notes: Sequence[tuple[str, str]],
) -> list[Section]:
    outcomes = material.cohort.outcomes
    sections = [
        flow_section(material),
        Section("patients", "Patients", table(tables["table-1"])),
        *models_section(material),
        stages_section(material),
        trainings_section(material),
    ]
    trained = any(row.kind in TRAINED for row in material.largest)
    if trained and len(outcomes) > MANY:
        sections.append(Section("results", f"Finding {len(outcomes)} outcomes", table(tables["outcomes"])))
    elif trained:
        for outcome, suffix in zip(outcomes, suffixes(outcomes), strict=True):
            sections += outcome_sections(material, tables, outcome, suffix)
    sections += [Section(f"note-{k}", title, paragraphs(text)) for k, (title, text) in enumerate(notes, start=1)]
    if "table-4" in tables:
        sections.append(pretraining_section(material, tables["table-4"]))
    sections += clinical_sections(clinical, material.pictures.place)
    sections.append(curves_section(material))
    for outcome, suffix in zip(outcomes[: 1 if len(outcomes) > MANY else None], suffixes(outcomes), strict=False):
        sections += examples_section(material, outcome, suffix)
    checklist = tripod.checklist(material, [section.key for section in sections])
    sections += writing_sections(material, cards, checklist)
    sections.append(settings_section(material))
    return [*sections, Section("again", "Make it again", f"<pre><code>{escape(command)}</code></pre>")]


def _document(material: Material, sections: Sequence[Section]) -> str:
    outcomes = material.cohort.outcomes
    found = f"{len(outcomes)} outcomes" if len(outcomes) > MANY else listed(outcomes)
    lead = (
        "<p>Transfer learning for finding "
        f"{escape(found)} in ECGs: models trained from scratch and after pre-training, compared on the same "
        f"test sets.</p>\n"
        f'<p class="notice" role="note">{NOTICE}</p>\n'
        f"{bullets(key_results(material.largest, outcomes, counts=material.counts))}"
    )
    return page(f"Study {material.study.name}", lead, sections)


def _write_files(
    folder: Path, material: Material, tables: dict[str, Table], cards: Sequence[ModelCard], shown: Sequence[str]
) -> None:
    checklist = tripod.checklist(material, shown)
    write_report(folder, {**tables, "tripod-ai": checklist}, flow=material.flow.text())
    material.pictures.write(folder / FIGURES)
    text = [*methods(material), results(material)]
    write_atomic(folder / "text.md", as_markdown(f"Methods and results of the study {material.study.name}", text))
    for card in cards:
        write_atomic(folder / CARDS / f"{card.name}.md", as_markdown(f"Model card: {card.title}", card.parts))
