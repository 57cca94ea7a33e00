"""All that a report is made from, gathered once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from precordial.cohort import Cohort, named_fold
from precordial.cohort.cohort import MANIFEST, read_manifest
from precordial.cohort.flow import Flow
from precordial.evaluation import Row
from precordial.report.disclosure import Hidden
from precordial.report.pictures import Pictures
from precordial.report.runs import RunRecord, read_runs
from precordial.report.table import Table
from precordial.report.table_one import as_table
from precordial.report.tables import at_largest
from precordial.report.withheld import withhold


class EvaluationLike(Protocol):
    """How the intervals were made; see `precordial.study.settings.EvaluationSettings`."""

    @property
    def replicates(self) -> int: ...
    @property
    def level(self) -> float: ...
    @property
    def interval(self) -> str: ...
    @property
    def stratify(self) -> bool: ...
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


@dataclass(frozen=True, eq=False)
class Material:
    """What a study has, for those who write and draw its report.

    Attributes:
        study: its settings.
        cohort: the examples.
        rows: the results table.
        largest: of it, the rows at the largest fractions.
        note: words for largest fractions other than 1.
        runs: the trainings that the largest name.
        flow: the flow chart as it may be shown.
        table_one: Table I as it may be shown.
        hidden: what of it must not be shown.
        pictures: the figures drawn so far.
    """

    study: StudyLike
    cohort: Cohort
    rows: Sequence[Row]
    largest: Sequence[Row]
    note: str
    runs: Sequence[RunRecord]
    flow: Flow
    table_one: Table
    hidden: Hidden
    pictures: Pictures = field(default_factory=Pictures)

    @property
    def counts(self) -> bool:
        """Whether numbers of patients, ECGs and events may be told outside of Table I."""
        return not self.study.privacy.smallest_cell

    @cached_property
    def archive(self) -> Mapping[str, Any]:
        """What the cohort says of the archive; empty where it says nothing."""
        folder = self.study.folder / "cohort"
        found: Mapping[str, Any] = read_manifest(folder)["archive"] if (folder / MANIFEST).exists() else {}
        return found

    @cached_property
    def every_run(self) -> Sequence[RunRecord]:
        """All trainings of the study, those at smaller fractions too."""
        return read_runs(self.study.folder, self.rows)

    def tells_events(self, outcome: str) -> bool:
        """Whether the number of test ECGs with an outcome may be known: a curve tells it by its steps."""
        if self.counts:
            return True
        words = (f"with {outcome}", f"without {outcome}", f"unknown {outcome}", "ecgs")
        known = [key for key in self.hidden.counts if isinstance(key, tuple)]
        shares = [share.of for share in self.hidden.shares if isinstance(share.of, tuple)]
        return not any(str(key[0]).startswith("target/") and key[-1] in words for key in (*known, *shares))

    def ecgs(self, role: str) -> dict[float, int]:
        """ECGs that trainings of a role can use, by fraction; empty where that must not be told."""
        if not self.counts:
            return {}
        fold = next((run.settings["fold"] for run in self.runs if run.settings.get("fold") is not None), None)
        cohort = self.cohort if fold is None else named_fold(self.cohort, fold)
        found = {}
        for fraction in {getattr(row, f"{role}_fraction") for row in self.rows}:
            if fraction:
                part = cohort.select(role=role, split="train", fraction=str(fraction))
                labels = [part.age] if role == "source" else list(part.labels.values())
                found[fraction] = int((~np.isnan(labels).all(axis=0)).sum())
        return found


def gather(study: StudyLike, cohort: Cohort, rows: Sequence[Row], *, paper: bool = True) -> Material:
    """Read what the report needs beside its arguments: what the trainings' folders say.

    Args:
        study: the settings; its folder holds the trainings that the rows name.
        cohort: the examples.
        rows: the results table.
        paper: put the paper's numbers beside those of Table I.

    Raises:
        PrecordialError: a training that the rows name is missing or damaged.
    """
    largest, note = at_largest(list(rows))
    flow, numbers, hidden = withhold(cohort, study.privacy.smallest_cell)
    table = as_table(numbers, hidden, paper=paper)
    return Material(study, cohort, rows, largest, note, read_runs(study.folder, largest), flow, table, hidden)
