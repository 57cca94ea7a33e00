"""Who is in each split: Table I as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from precordial.cohort import Cohort
from precordial.cohort.flow import NEVER, SPLITS, fold_text
from precordial.cohort.folds import fold_names
from precordial.report.disclosure import Counts, Share

MOST = {"site": 20, "device": 8}  # values with a line of their own; the rarer ones are "other"
PAPER_SPLITS = ("train", "validation", "random_test", "temporal_test")
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Column:
    """One split.

    Attributes:
        place: as in the flow chart, such as "target/train".
        title: of the column.
        rows: (n,) which of the cohort's rows are in it.
        ages: (m,) those that are known, years.
    """

    place: str
    title: str
    rows: Mask
    ages: NDArray[np.float64]

    @property
    def is_target(self) -> bool:
        """Whether its ECGs can have outcomes and visits."""
        return self.place.startswith("target/")


@dataclass(frozen=True)
class Line:
    """One row of Table I.

    Attributes:
        name: its first cell.
        kind: "count", "share" (per cent), "both", "age", or "heading" of the lines below it.
        of: what is counted.
        among: what a share is of, added up.
        digits: of a share.
        target_only: not for the source.
    """

    name: str
    kind: str = "heading"
    of: str = ""
    among: tuple[str, ...] = ("ecgs",)
    digits: int = 1
    target_only: bool = False


@dataclass(frozen=True)
class Characteristics:
    """Table I as numbers.

    Attributes:
        columns, lines: of the table.
        counts: by (place of the column, what is counted).
    """

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    counts: Counts

    def number(self, column: Column, what: str) -> int:
        """One count."""
        return self.counts.values[column.place, what]

    def share(self, column: Column, line: Line) -> Share | None:
        """The share that a cell shows; None where it shows none."""
        if line.kind not in ("share", "both") or (line.target_only and not column.is_target):
            return None
        if not sum(self.number(column, what) for what in line.among):
            return None
        among = tuple((column.place, what) for what in line.among)
        return Share((column.place, line.of), among, line.digits)


def characteristics(cohort: Cohort) -> Characteristics:
    """Count who is in each split.

    Shares and ages are over ECGs, not patients; an ECG whose sex, age or outcome is unknown is left out of that line.
    """
    groups = _groups(cohort)
    columns, lines, counts = tuple(_columns(cohort)), tuple(_lines(cohort, groups)), Counts()
    kinds = {line.of: line for line in lines}
    for column in columns:

        def add(what: str, count: int, column: Column = column) -> None:
            line = kinds.get(what)
            shown = line is not None and line.kind in ("count", "both") and (column.is_target or not line.target_only)
            missed = 9 if what in ("patients", "ecgs", "visits") else 1
            counts.add((column.place, what), count, missed=missed * shown)

        add("patients", len(np.unique(cohort.patient_id[column.rows])))
        add("ecgs", int(column.rows.sum()))
        counts.add_order((column.place, "patients"), (column.place, "ecgs"))
        if column.is_target and "visits" in kinds:
            add("visits", len(np.unique(cohort.visit_id[column.rows])))
            counts.add_sum((column.place, "ecgs"), (column.place, "visits"))
        for group in groups:
            for what, mask in group.items():
                add(what, int((mask & column.rows).sum()))
            counts.add_sum((column.place, "ecgs"), *((column.place, what) for what in group))
        for name in ("age", "sex"):  # what has no source is missing
            counts.add_sum((column.place, f"{name} missing"), (column.place, f"{name}_source: unknown"))
    numbers = Characteristics(columns, lines, counts)
    for column in columns:
        for line in lines:
            share = numbers.share(column, line)
            if share is not None:
                counts.shares[share] = 4 if line.kind == "share" else 1
    return numbers


def _columns(cohort: Cohort) -> Iterable[Column]:
    """The paper's columns; where the test set goes round, the folds in place of what there is not."""
    folds = cohort.split == "fold"
    found = set(cohort.split[cohort.role == "target"].tolist())
    for role in ("source", "target"):
        usual = PAPER_SPLITS[:2] if role == "source" else () if "fold" in found else PAPER_SPLITS
        for split, words in SPLITS.items():
            if split in usual or (role == "target" and split in found):
                train = split in ("train", "validation")
                title = f"{role} {split}" if train else words
                yield _column(cohort, f"{role}/{split}", title, (cohort.role == role) & (cohort.split == split))
    for number in range(int(cohort.fold[folds].max(initial=-1)) + 1):
        title = fold_text(number, fold_names(cohort))
        yield _column(cohort, f"target/fold-{number + 1}", title, folds & (cohort.fold == number))
    never = folds & (cohort.fold < 0)
    if never.any():
        yield _column(cohort, f"target/{NEVER[0]}", NEVER[1], never)


def _column(cohort: Cohort, place: str, title: str, rows: Mask) -> Column:
    ages = cohort.age[rows]
    return Column(place, title[0].upper() + title[1:], rows, ages[~np.isnan(ages)])


def _groups(cohort: Cohort) -> list[dict[str, Mask]]:
    """What is counted, as rows (n,) of the cohort; each group parts all ECGs of a split."""
    age, sex = cohort.age, cohort.sex
    groups = [
        {"female": sex == 1, "male": sex == 0, "sex missing": np.isnan(sex)},
        {"age": ~np.isnan(age), "age missing": np.isnan(age)},
    ]
    for name, label in cohort.labels.items():
        groups.append({f"with {name}": label == 1, f"without {name}": label == 0, f"unknown {name}": np.isnan(label)})
    timed = ~np.isnat(cohort.recorded_at) & ~np.isnat(cohort.arrival)
    if timed.any():
        early = cohort.recorded_at < cohort.arrival
        groups.append({"before arrival": early, "after arrival": timed & ~early, "times unknown": ~timed})
    for block in ("site", "device", "age_source", "sex_source"):
        values = getattr(cohort, block)
        tally = Counter(values.tolist())
        unknown = tally.pop("", 0)
        if not tally:
            continue
        most = sorted(tally, key=lambda value: (-tally[value], value))[: MOST.get(block)]
        group = {f"{block}={value}": values == value for value in sorted(most)}
        if len(most) < len(tally):
            group[f"{block}: other"] = ~np.isin(values, [*most, ""])
        if unknown:
            group[f"{block}: unknown"] = values == ""
        groups.append(group)
    return groups


def _lines(cohort: Cohort, groups: list[dict[str, Mask]]) -> Iterable[Line]:
    """The paper's five rows first."""
    yield Line("Patients", "count", "patients")
    yield Line("ECGs", "count", "ecgs")
    yield Line("Female sex, %", "share", "female", ("female", "male"))
    yield Line("Age, median (IQR)", "age")
    for name in cohort.outcomes:
        yield Line(f"{name}, %", "share", f"with {name}", (f"with {name}", f"without {name}"), 2, True)
    if not np.isnat(cohort.arrival).all():
        yield Line("Visits", "count", "visits", target_only=True)
    yield Line("Age missing, n (%)", "both", "age missing")
    yield Line("Sex missing, n (%)", "both", "sex missing")
    for name, label in cohort.labels.items():
        if np.isnan(label[cohort.role == "target"]).any():
            yield Line(f"{name} unknown, n (%)", "both", f"unknown {name}", target_only=True)
    things = {what for group in groups for what in group}
    if "before arrival" in things:
        among = ("before arrival", "after arrival")
        yield Line("ECG before arrival, n (%)", "both", "before arrival", among, target_only=True)
    headings = {"site": "Site", "device": "Device", "age_source": "Age from", "sex_source": "Sex from"}
    for block, heading in headings.items():
        values = [what for group in groups for what in group if what.startswith((f"{block}=", f"{block}:"))]
        if values:
            yield Line(f"{heading}, n (%)")
        for what in values:
            name = what[len(block) + 1 :].strip()
            yield Line(name.replace("-", " ") if block.endswith("_source") else name, "both", what)
