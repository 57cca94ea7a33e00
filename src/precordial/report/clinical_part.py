"""What the clinical sections are made of: a part of the page, and the chapter of one outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from matplotlib.figure import Figure

from precordial.evaluation.calibration import Recalibration, recalibrate
from precordial.report.clinical_data import Reading
from precordial.report.clinical_figures import Line
from precordial.report.material import EvaluationLike
from precordial.report.style import name_of, series_of
from precordial.report.table import Table
from precordial.report.tables import SETS

NO_VALIDATION = (
    "There is no validation set to fix anything on: in a cross-validation each fold has its own, and one with too few "
    "ECGs is left out."
)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure with its name, what it shows for those who cannot see it, and its caption."""

    name: str
    figure: Figure
    alt: str
    caption: str


@dataclass(frozen=True, eq=False)
class Part:
    """One section of the clinical reading.

    Attributes:
        key, title: of the section.
        text: paragraphs, plain.
        tables: by the names of their files, in order.
        drawings: its figures.
        files: further tables, written but not on the page.
    """

    key: str
    title: str
    text: str = ""
    tables: Mapping[str, Table] = field(default_factory=dict)
    drawings: Sequence[Drawing] = ()
    files: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Chapter:
    """The reading of one outcome, and how it is to be shown.

    Attributes:
        reading: its runs and ECGs.
        suffix: behind the names of its files and anchors.
        words: behind the titles of its sections.
        evaluation: of the study.
        smallest: counts from 1 to one below it are not told.
    """

    reading: Reading
    suffix: str
    words: str
    evaluation: EvaluationLike
    smallest: int

    @cached_property
    def names(self) -> dict[str, str]:
        """Run → name to print."""
        return {row.run: name_of(row) for row in self.reading.runs}

    @cached_property
    def lines(self) -> dict[str, Line]:
        """Run → how it is drawn."""
        return {row.run: Line(name_of(row), series_of(row)) for row in self.reading.runs}

    @cached_property
    def recalibrations(self) -> dict[str, Recalibration | None]:
        """Run → what was fitted on the validation set; None where there is none, or nothing to be fitted."""
        validation = self.reading.validation
        return {
            run: recalibrate(validation.truth, validation.scores[run]) if validation else None for run in self.names
        }

    @property
    def level(self) -> float:
        """Of all intervals."""
        return self.evaluation.level

    @property
    def where(self) -> str:
        """The main test set in words."""
        return f"the {SETS.get(self.reading.main, self.reading.main).lower()} test set"

    def part(self, key: str, title: str, text: str, **more: Any) -> Part:
        """A part whose key has the outcome's suffix, and whose title has its name."""
        return Part(f"{key}{self.suffix}", title + self.words, text, **more)
