"""The parts of the page that are about one outcome: tables, curves, intervals, and how they depend on sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from precordial.cohort import age_sex_baseline
from precordial.evaluation import Predictions, Row
from precordial.report import page
from precordial.report.curves import Band, precision_band, roc_band
from precordial.report.examples import TEST_SPLITS
from precordial.report.figures import Curve, interval_figure, precision_figure, roc_figure
from precordial.report.material import EvaluationLike, Material
from precordial.report.page import Section, paragraphs
from precordial.report.sizes_figures import gains, gains_figure, surface_figure, surfaces
from precordial.report.statistics import table_differences
from precordial.report.style import LOOKS, name_of, series_of
from precordial.report.table import Table
from precordial.report.tables import MODELS, PRETRAINING, TESTS, TRAINED, main_split, ordered, place

TEST_SETS = {"combined_test": TEST_SPLITS}
WITHHELD = "ROC and precision–recall curves are left out: by their steps they would tell counts that must not be known."


def outcome_sections(material: Material, tables: Mapping[str, Table], outcome: str, suffix: str) -> list[Section]:
    """Everything about one outcome.

    Args:
        material: of the study.
        tables: its results tables by the names of their files.
        outcome: of the cohort.
        suffix: behind the names of its anchors and files.
    """
    of = f": {outcome}" if len(material.cohort.outcomes) > 1 else ""
    rows = [row for row in material.largest if row.target == outcome]
    aucs = [row for row in rows if row.metric == "auc" and row.kind in (*TRAINED, "baseline")]
    aucs.sort(key=_place)
    shown = [tables[f"table-3{suffix}"], table_differences(rows, outcome)]
    return [
        Section(f"results{suffix}", f"Finding {outcome}", "\n".join(page.table(one) for one in shown if one.rows)),
        *_curves(material, aucs, outcome, suffix, of),
        *_intervals(material, aucs, suffix, of),
        *_sizes(material, tables, outcome, suffix, of),
    ]


def _curves(material: Material, aucs: Sequence[Row], outcome: str, suffix: str, of: str) -> list[Section]:
    title = f"ROC and precision–recall curves{of}"
    if not material.tells_events(outcome):
        return [Section(f"roc{suffix}", title, paragraphs(WITHHELD))]
    split = main_split(aucs)
    drawn = _drawn(material, [row for row in aucs if row.split == split], outcome)
    panels = []
    for model in ordered((row.model for row in aucs if row.model), MODELS):
        curves = [
            drawn[row.run] for row in aucs if row.run in drawn and row.split == split and row.model in (model, "")
        ]
        if curves:
            panels.append((MODELS.get(model, model), curves))
    if not panels:
        return []
    where = {"validation": "validation set"}.get(split, f"{TESTS.get(split, split).lower()} test set")
    level = f"{100 * material.study.evaluation.level:g} %"
    bands = f"Bands hold {level} of the resampled curves at each place."
    put = material.pictures.place
    body = put(
        f"roc{suffix}",
        roc_figure(panels),
        f"ROC curves on the {where}, one panel for each model. The areas stand in Table III.",
        f"ROC curves on the {where}, with AUC and interval; the diagonal is chance. {bands}",
    )
    body += put(
        f"precision-recall{suffix}",
        precision_figure(panels),
        f"Precision–recall curves on the {where}, one panel for each model.",
        f"Precision–recall curves on the {where}, with average precision and interval; the grey line is the share of "
        f"ECGs with the outcome, which is chance. {bands}",
    )
    return [Section(f"roc{suffix}", title, body)]


def _drawn(material: Material, rows: Iterable[Row], outcome: str) -> dict[str, Curve]:
    """The curves of some rows by run; seeds of one series share the first's entry in the legend, and have no bands."""
    evaluation, rows = material.study.evaluation, list(rows)
    runs = {run.row.run: run for run in material.runs}
    found: dict[str, Curve] = {}
    for name in dict.fromkeys(name_of(row) for row in rows):
        series = [row for row in rows if name_of(row) == name]
        for number, row in enumerate(series):
            every = runs[row.run].predictions() if row.run in runs else _baseline(material, row)
            part = _known(every, row.split, outcome)
            if len(np.unique(part.truth)) < 2:
                continue
            values = sorted(one.value for one in series)
            spread = f"{values[0]:.3f} to {values[-1]:.3f}, {len(series)} seeds"
            label = f"{name}\n{row.estimate if len(series) == 1 else spread}"
            bands = _bands(part, evaluation) if len(series) == 1 else (None, None)
            labels = ("", "") if number else (label, _precision_label(material, series, name))
            found[row.run] = Curve(part.truth, part.score, series_of(row), labels[0], bands[0], labels[1], bands[1])
    return found


def _precision_label(material: Material, series: Sequence[Row], name: str) -> str:
    """A series without its model, which the panel names, and its average precision."""
    places = {(row.run, row.split, row.target) for row in series}
    rows = [row for row in material.largest if row.metric == "average_precision"]
    found = [row for row in rows if (row.run, row.split, row.target) in places]
    values = sorted(row.value for row in found)
    spread = f"{values[0]:.3f} to {values[-1]:.3f}, {len(values)} seeds" if len(values) > 1 else ""
    short = name.split(", ", 1)[-1]
    return f"{short[0].upper()}{short[1:]}\n{spread or found[0].estimate}" if found else short


def _bands(part: Predictions, how: EvaluationLike) -> tuple[Band, Band]:
    groups = part.patient_id if how.resample == "patients" else part.ecg_id
    of, options = (part.truth, part.score, groups), (how.replicates, how.level, how.seed)
    return roc_band(*of, *options), precision_band(*of, *options)


def _baseline(material: Material, row: Row) -> Predictions:
    return age_sex_baseline(material.cohort, row.target_fraction or 1)


def _known(table: Predictions, split: str, outcome: str) -> Predictions:
    """The rows of a test set whose outcome is known."""
    here = np.isin(table.split, TEST_SETS.get(split, (split,))) & (table.target == outcome)
    return table.rows(here & ~np.isnan(table.truth))


def _intervals(material: Material, aucs: Sequence[Row], suffix: str, of: str) -> list[Section]:
    rows = [row for row in aucs if row.split in TESTS]
    if not rows:
        return []
    positive = ", and how many ECGs are positive" if material.counts else ""
    body = material.pictures.place(
        f"intervals{suffix}",
        interval_figure(rows, counts=material.counts),
        "AUC with interval by test set; numbers in Table III.",
        f"AUC with its interval, by test set{positive}. The line at 0.5 is chance.",
    )
    return [Section(f"intervals{suffix}", f"AUC by test set{of}", body)]


def _sizes(material: Material, tables: Mapping[str, Table], outcome: str, suffix: str, of: str) -> list[Section]:
    """Figs. 3 and 5, and the numbers of Fig. 3."""
    parts = []
    found = gains(material.rows, outcome)
    target = material.ecgs("target")
    if found:
        task, where = PRETRAINING[found.task].lower(), TESTS.get(found.split, found.split).lower()
        parts.append(
            material.pictures.place(
                f"fig-3{suffix}",
                gains_figure(found, target),
                f"AUC without and with pre-training on {task}, by size of the target's training set and by model.",
                f"Fig. 3. AUC on the {where} test set by size of the target's training set. Each bar goes from the AUC "
                f"without pre-training (open) to that after pre-training on {task} with all of the source (filled); a "
                "bar that is empty goes down. Thin lines are the intervals, dashes single seeds.",
            )
        )
    if f"sizes{suffix}" in tables:
        parts.append(page.table(tables[f"sizes{suffix}"]))
    for (model, task), grid in surfaces(material.rows, outcome).items():
        name, on = MODELS.get(model, model), PRETRAINING[task].lower()
        parts.append(
            material.pictures.place(
                f"fig-5-{model}-{task}{suffix}",
                surface_figure(grid, material.ecgs("source"), target),
                f"Heat map of the AUC of {name} by size of the source and of the target.",
                f"Fig. 5. AUC of {name}, pre-trained on {on}, by size of the target's training set (across) and of the "
                "source's (upwards). The bottom row is without pre-training.",
            )
        )
    return [Section(f"size{suffix}", f"How much data{of}", "\n".join(parts))] if parts else []


def _place(row: Row) -> tuple[object, ...]:
    """By model, then from scratch, the pre-trainings, and the baseline last."""
    return (row.kind == "baseline", place(row.model, MODELS), row.model, place(series_of(row), LOOKS), row.seed)
