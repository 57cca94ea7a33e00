"""The report: one HTML file with everything that a study found, made from its results, predictions and cohort."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Protocol

import numpy as np

from precordial.archive import Archive
from precordial.cohort import Cohort, age_sex_baseline
from precordial.cohort.cohort import MANIFEST, read_manifest
from precordial.cohort.flow import Flow
from precordial.errors import PrecordialError
from precordial.evaluation import Predictions, Row
from precordial.files import write_atomic
from precordial.report.clinical import clinical_parts, clinical_sections, write_clinical
from precordial.report.clinical_part import Part
from precordial.report.examples import TEST_SPLITS, best_run, example_figure, examples
from precordial.report.figures import Curve, interval_figure, roc_figure, training_figure
from precordial.report.flow_figure import flow_figure
from precordial.report.page import Section, bullets, definitions, figure, page, paragraphs, table
from precordial.report.runs import RunRecord, read_runs
from precordial.report.style import LOOKS, as_svg, drawing, name_of, series_of
from precordial.report.summary import key_results, listed, method_notes, table_stages, table_trainings
from precordial.report.tables import (
    MANY,
    MODELS,
    TESTS,
    TRAINED,
    at_largest,
    main_split,
    ordered,
    place,
    results_tables,
    suffixes,
)
from precordial.report.withheld import flow_and_table
from precordial.study.tables import read_predictions

NOTICE = "Research software, not a medical device: nothing here is for the diagnosis or treatment of a patient."
TEST_SETS = {"combined_test": TEST_SPLITS}


class EvaluationLike(Protocol):
    """How the intervals were made; see `precordial.study.settings.EvaluationSettings`."""

    @property
    def replicates(self) -> int: ...
    @property
    def level(self) -> float: ...
    @property
    def resample(self) -> str: ...
    @property
    def seed(self) -> int: ...


class PrivacyLike(Protocol):
    """What may be shown; see `precordial.study.settings.PrivacySettings`."""

    @property
    def smallest_cell(self) -> int: ...


class StudyLike(Protocol):
    """What the report needs of a study's settings; `precordial.study.Study` has it."""

    @property
    def name(self) -> str: ...
    @property
    def rules(self) -> str: ...
    @property
    def folder(self) -> Path: ...
    @property
    def archive_path(self) -> Path: ...
    @property
    def evaluation(self) -> EvaluationLike: ...
    @property
    def privacy(self) -> PrivacyLike: ...


def write_html(
    folder: str | Path,
    study: StudyLike,
    cohort: Cohort,
    rows: Sequence[Row],
    *,
    command: str = "precordial study run STUDY.toml",
    notes: Sequence[tuple[str, str]] = (),
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

    Returns:
        The file.

    Raises:
        PrecordialError: there are no results, or a training that they name is missing or damaged.
    """
    if not rows:
        raise PrecordialError("the study has no results yet", file=study.folder, remedy="precordial study run")
    path = Path(folder) / "report.html"
    with drawing():
        clinical = clinical_parts(
            cohort, rows, partial(_predictions, study.folder), study.evaluation, study.privacy.smallest_cell
        )
        write_clinical(folder, clinical)
        write_atomic(path, _document(study, cohort, list(rows), command, notes, clinical))
    return path


def _predictions(folder: Path, runs: Collection[str], outcome: str) -> Predictions:
    return read_predictions(folder, run=runs, target=outcome)


def _document(
    study: StudyLike,
    cohort: Cohort,
    rows: list[Row],
    command: str,
    notes: Sequence[tuple[str, str]],
    clinical: Sequence[Part],
) -> str:
    largest, note = at_largest(rows)
    runs = read_runs(study.folder, largest)
    outcomes, counts = cohort.outcomes, not study.privacy.smallest_cell
    flow, characteristics = flow_and_table(cohort, study.privacy.smallest_cell)
    tables = results_tables(rows, outcomes, counts=counts)
    sections = [
        Section("flow", "Flow chart", _flow(flow)),
        Section("patients", "Patients", table(characteristics)),
        Section("trainings", "Trainings", _trainings(runs, cohort, rows, note, counts)),
    ]
    trained = any(row.kind in TRAINED for row in largest)
    if trained and len(outcomes) > MANY:
        sections.append(Section("results", f"Finding {len(outcomes)} outcomes", table(tables["outcomes"])))
    elif trained:
        for outcome, suffix in zip(outcomes, suffixes(outcomes), strict=True):
            names = (f"table-3{suffix}", f"sizes{suffix}")
            shown = "\n".join(table(tables[name]) for name in names if name in tables)
            sections.append(Section(f"results{suffix}", f"Finding {outcome}", shown))
            sections += _roc_and_intervals(study, cohort, largest, runs, outcome, suffix)
    sections += clinical_sections(clinical)
    sections += [Section(f"note-{k}", title, paragraphs(text)) for k, (title, text) in enumerate(notes, start=1)]
    if "table-4" in tables:
        sections.append(Section("pre-training", "What pre-training learned", table(tables["table-4"])))
    sections.append(Section("curves", "Training curves", _curves(runs)))
    for outcome, suffix in zip(outcomes[: 1 if len(outcomes) > MANY else None], suffixes(outcomes), strict=False):
        sections += _examples(study, cohort, largest, runs, outcome, suffix)
    sections.append(Section("method", "Method", _method(study, cohort, rows, runs)))
    sections.append(Section("again", "Make it again", f"<pre><code>{escape(command)}</code></pre>"))
    found = f"{len(outcomes)} outcomes" if len(outcomes) > MANY else listed(outcomes)
    lead = (
        "<p>Transfer learning for finding "
        f"{escape(found)} in ECGs: models trained from scratch and after pre-training, compared on the same "
        f"test sets.</p>\n"
        f'<p class="notice" role="note">{NOTICE}</p>\n{bullets(key_results(largest, outcomes, counts=counts))}'
    )
    return page(f"Study {study.name}", lead, sections)


def _flow(flow: Flow) -> str:
    if not flow.steps:
        return paragraphs("The cohort came without a flow chart.")
    svg = as_svg(flow_figure(flow), "flow", f"Flow chart. {' '.join(flow.text().split())}")
    return figure(svg, "What each step keeps (left) and leaves out (right), and the splits, by patient.")


def _trainings(runs: Sequence[RunRecord], cohort: Cohort, rows: Sequence[Row], note: str, counts: bool) -> str:
    every = len({row.run for row in rows if row.kind in (*TRAINED, "pretrain")})
    rest = (
        f"{len(runs)} of the study's {every} trainings: those at the largest sizes{note}." if every > len(runs) else ""
    )
    return table(table_trainings(runs, cohort, counts=counts)) + paragraphs(rest)


def _roc_and_intervals(
    study: StudyLike, cohort: Cohort, rows: Sequence[Row], runs: Sequence[RunRecord], outcome: str, suffix: str
) -> list[Section]:
    rows = [row for row in rows if row.target == outcome]
    split = main_split(rows)
    aucs = [row for row in rows if row.metric == "auc" and row.kind in (*TRAINED, "baseline")]
    aucs.sort(key=_place)
    scores = {run.row.run: run.predictions() for run in runs if run.row.kind in TRAINED}
    scores |= {row.run: age_sex_baseline(cohort, row.target_fraction or 1) for row in aucs if row.kind == "baseline"}
    scores = {name: found.select(target=outcome) for name, found in scores.items()}
    panels = []
    for model in ordered((row.model for row in aucs if row.model), MODELS):
        here = [row for row in aucs if row.split == split and row.model in (model, "")]
        curves = _curves_of(here, scores, split)
        if curves:
            panels.append((MODELS.get(model, model), curves))
    where = {"validation": "validation set"}.get(split, f"{TESTS.get(split, split).lower()} test set")
    of = f": {outcome}" if len(cohort.outcomes) > 1 else ""
    counts = not study.privacy.smallest_cell
    sections = []
    if panels:
        alt = f"ROC curves on the {where}, one panel for each model. The areas stand in Table III."
        svg = as_svg(roc_figure(panels), f"roc{suffix}", alt)
        caption = f"ROC curves on the {where}, with AUC and interval; the diagonal is chance."
        sections.append(Section(f"roc{suffix}", f"ROC curves{of}", figure(svg, caption)))
    on_tests = [row for row in aucs if row.split in TESTS]
    if on_tests:
        alt = "AUC with interval by test set; numbers in Table III."
        svg = as_svg(interval_figure(on_tests, counts=counts), f"intervals{suffix}", alt)
        positive = ", and how many ECGs are positive" if counts else ""
        caption = f"AUC with its interval, by test set{positive}. The line at 0.5 is chance."
        sections.append(Section(f"intervals{suffix}", f"AUC by test set{of}", figure(svg, caption)))
    return sections


def _curves_of(rows: Sequence[Row], scores: dict[str, Predictions], split: str) -> list[Curve]:
    """The ROC curves of some rows; seeds of one series share the first's entry in the legend."""
    curves = []
    for name in dict.fromkeys(name_of(row) for row in rows):
        series = [row for row in rows if name_of(row) == name]
        for number, row in enumerate(series):
            table_ = scores[row.run]
            here = np.isin(table_.split, TEST_SETS.get(split, (split,))) & (table_.target == row.target)
            part = table_.rows(here & ~np.isnan(table_.truth))
            if len(np.unique(part.truth)) < 2:
                continue
            values = sorted(one.value for one in series)
            spread = f"{values[0]:.3f} to {values[-1]:.3f}, {len(series)} seeds"
            label = f"{name}\n{row.estimate if len(series) == 1 else spread}"
            curves.append(Curve(part.truth, part.score, series_of(row), "" if number else label))
    return curves


def _curves(runs: Sequence[RunRecord]) -> str:
    """Loss and metrics of the first seed's trainings."""
    seed = min((run.row.seed for run in runs), default=0)
    shown = [run for run in runs if run.row.seed == seed]
    parts = [
        paragraphs(
            "The ring marks the epoch that was kept: the lowest validation loss in pre-training, the highest "
            "validation AUC on the target. A dotted line parts the stages."
            + (f" Trainings of seed {seed}; the others are in the study's folder." if len(shown) < len(runs) else "")
        )
    ]
    for number, run in enumerate(shown, start=1):
        name = f"{run.model}, {run.what}"
        svg = as_svg(training_figure(run), f"training-{number}", f"Loss and validation metrics by epoch: {name}")
        parts.append(figure(svg, f"{name}. Best epoch: {run.done['best_epoch']} of {len(run.epochs)}."))
    return "\n".join(parts)


def _examples(
    study: StudyLike, cohort: Cohort, rows: Sequence[Row], runs: Sequence[RunRecord], outcome: str, suffix: str
) -> list[Section]:
    run = best_run(runs, rows, outcome)
    if run is None:
        return []
    title = "Example ECGs" + (f": {outcome}" if len(cohort.outcomes) > 1 else "")
    if not study.archive_path.is_dir():
        text = "The archive is not on this machine, so there are no examples."
        return [Section("examples", "Example ECGs", paragraphs(text))] if not suffix else []
    text = (
        f"Test ECGs that {run.model}, {run.what}, scored highest and lowest among those with {outcome} and those "
        f"without. A score is the model's probability, which is not calibrated."
    )
    parts = [paragraphs(text)]
    counts = not study.privacy.smallest_cell
    shown = examples(run.predictions(), cohort, Archive(study.archive_path), outcome, counts=counts)
    for number, example in enumerate(shown, start=1):
        alt = f"Twelve-lead ECG. {example.title}. {example.text}"
        svg = as_svg(example_figure(example), f"ecg{suffix}-{number}", alt)
        parts.append(f"<h3>{escape(example.title)}</h3>\n{figure(svg, example.text)}")
    return [Section(f"examples{suffix}", title, "\n".join(parts))] if shown else []


def _method(study: StudyLike, cohort: Cohort, rows: Sequence[Row], runs: Sequence[RunRecord]) -> str:
    folder = study.folder / "cohort"
    archive = read_manifest(folder)["archive"] if (folder / MANIFEST).exists() else {}
    return table(table_stages(runs)) + "\n" + definitions(method_notes(runs, rows, cohort, study, archive))


def _place(row: Row) -> tuple[object, ...]:
    """By model, then from scratch, the pre-trainings, and the baseline last."""
    return (row.kind == "baseline", place(row.model, MODELS), row.model, place(series_of(row), LOOKS), row.seed)
