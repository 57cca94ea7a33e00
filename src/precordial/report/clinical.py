"""The clinical reading of a study's best run: sections of the report, with their tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from matplotlib.figure import Figure

from precordial.cohort import Cohort
from precordial.evaluation import Row
from precordial.report.clinical_accuracy import (
    calibration_part,
    decision_part,
    discrimination_part,
    thresholds_part,
    zones_part,
)
from precordial.report.clinical_data import Source, read
from precordial.report.clinical_groups import drift_part, shortcut_part, subgroups_part
from precordial.report.clinical_learning import learning_part
from precordial.report.clinical_part import Chapter, Part
from precordial.report.material import EvaluationLike
from precordial.report.page import Section, figure, paragraphs, table
from precordial.report.style import as_svg
from precordial.report.table import Table
from precordial.report.tables import MANY, suffixes

Place = Callable[[str, Figure, str, str], str]


def clinical_parts(
    cohort: Cohort, rows: Sequence[Row], predictions: Source, evaluation: EvaluationLike, smallest: int = 0
) -> list[Part]:
    """Read the best fine-tuned run of each outcome, and its twin from scratch; call it inside `style.drawing`.

    Of more outcomes than `MANY`, the main one is read.

    Args:
        cohort: that was trained on.
        rows: the results table.
        predictions: see `precordial.report.clinical_data.Source`.
        evaluation: of the study.
        smallest: counts from 1 to one below it are not told.
    """
    outcomes = cohort.outcomes
    parts: list[Part | None] = []
    for outcome, suffix in zip(outcomes[: 1 if len(outcomes) > MANY else None], suffixes(outcomes), strict=False):
        reading = read(cohort, rows, predictions, outcome, smallest)
        if reading is None:
            continue
        this = Chapter(reading, suffix, f": {outcome}" if len(outcomes) > 1 else "", evaluation, smallest)
        parts += [
            discrimination_part(this, rows),
            calibration_part(this),
            thresholds_part(this),
            zones_part(this),
            decision_part(this),
            subgroups_part(this),
            drift_part(this),
            shortcut_part(this),
            learning_part(this, cohort, rows, predictions),
        ]
    return [part for part in parts if part is not None]


def clinical_sections(parts: Iterable[Part], place: Place | None = None) -> list[Section]:
    """The parts as sections of the page.

    Args:
        parts: see `clinical_parts`.
        place: makes HTML of (name, figure, alt, caption); inline SVG by default.
    """
    put = place or _inline
    return [
        Section(
            part.key,
            part.title,
            "\n".join(
                [
                    paragraphs(part.text),
                    *(put(one.name, one.figure, one.alt, one.caption) for one in part.drawings),
                    *(table(one) for one in part.tables.values()),
                ]
            ),
        )
        for part in parts
    ]


def clinical_tables(parts: Iterable[Part]) -> dict[str, Table]:
    """All tables of the parts by the names of their files."""
    return {name: one for part in parts for name, one in {**part.tables, **part.files}.items()}


def _inline(name: str, drawn: Figure, alt: str, caption: str) -> str:
    return figure(as_svg(drawn, name, alt), caption)
