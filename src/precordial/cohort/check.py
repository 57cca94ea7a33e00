"""What `precordial cohort check` says: every table read to its end, and whether the tables fit together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from precordial.cohort import eligibility
from precordial.cohort import visits as steps
from precordial.cohort.build import build_cohort
from precordial.cohort.flow import number_text
from precordial.cohort.from_registers import none_left
from precordial.cohort.labels import join_by_file, join_by_id
from precordial.cohort.outcomes import diagnosed
from precordial.cohort.read import Registers, final_ids, read_label_table, read_registers
from precordial.cohort.settings import LabelsSettings, RegistersSettings
from precordial.errors import PrecordialError
from precordial.registers.account import Account

SHOWN_COMPLAINTS = 12
SHOWN_VALUES = 12
FEWEST = 10  # a complaint of fewer visits is not shown: free text could tell who somebody is
NEAR_HOURS = 24


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes:
        account: of every table.
        facts: what was seen between the tables, a line each.
        problems: what must be mended before the cohort can be built, a line each.
        warnings: what should be looked at.
    """

    account: Account
    facts: tuple[str, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    def text(self) -> str:
        """All of it, to be printed."""
        read = Account(tables=self.account.tables).text()
        blocks = [read] if read else []
        for name, lines in (
            ("together", self.facts),
            ("worth a look", self.warnings),
            ("to be mended", self.problems),
        ):
            if lines:
                blocks.append("\n".join([name, *(f"  {line}" for line in lines)]))
        blocks.append("the cohort can be built" if not self.problems else f"{len(self.problems)} to be mended")
        return "\n\n".join(blocks)


class _Findings:
    def __init__(self) -> None:
        self.facts: list[str] = []
        self.warnings: list[str] = []

    def fact(self, count: int, of: int | None, what: str, warn: bool = False) -> None:
        share = "" if of is None else f" of {number_text(of)}"
        line = f"{number_text(count)}{share} {what}"
        (self.warnings if warn else self.facts).append(line)


def check_cohort(
    settings: RegistersSettings | LabelsSettings,
    ecgs: pl.DataFrame | None,
    *,
    table: pl.DataFrame | None = None,
    account: Account | None = None,
) -> Check:
    """Read everything that a cohort's settings name, and build nothing.

    Args:
        settings: with their files resolved.
        ecgs: as for `precordial.cohort.build_cohort`; None if there is no archive yet.
        table: label table of a public set.
        account: in which problems are collected; a new one if none is given.
    """
    account = account if account is not None else Account(collect=True)
    found = _Findings()
    problems: list[str] = []
    if isinstance(settings, RegistersSettings):
        registers = read_registers(settings, account)
        if not account.problems:
            _check_visits(settings, registers, found, problems)
            _check_diagnoses(settings, registers, found)
            _check_patients(registers, found)
            if ecgs is not None:
                _check_ecgs(settings, registers, ecgs, account, found)
    else:
        _check_labels(settings, ecgs, table, account, found, problems)
    if ecgs is None:
        found.warnings.append("there is no archive of ECGs yet: whether the tables fit to it was not checked")
    return Check(account, tuple(found.facts), (*account.problems, *problems), tuple(found.warnings))


def _check_visits(settings: RegistersSettings, registers: Registers, found: _Findings, problems: list[str]) -> None:
    visits = registers.visits
    complete = steps.complete_visits(visits, complaint=settings.complaint is not None)
    found.fact(len(complete), len(visits), "visits have all that a visit needs", warn=len(complete) < len(visits) / 2)
    merged = steps.merge_same_second(complete)
    if len(merged) < len(complete):
        found.fact(len(complete) - len(merged), None, "visits are second rows of the same patient and second")
    twice = merged.filter(pl.col("visit_id").is_duplicated()).height
    if twice:
        found.fact(twice, None, "visits share their id with a visit of another patient or arrival", warn=True)
    if settings.complaint is None:
        return
    contains = settings.complaint_match == "contains"
    chest = eligibility.with_complaint(merged, settings.complaint, contains=contains)
    found.fact(len(chest), len(merged), "visits are for one of the study's complaints", warn=not len(chest))
    if not len(chest):
        problems.append(str(none_left(settings, "complaint", len(merged), "for another complaint")))
    counts = merged.group_by(pl.col("complaint").str.to_lowercase()).len().filter(pl.col("len") >= FEWEST)
    most = counts.sort(["len", "complaint"], descending=[True, False]).head(SHOWN_COMPLAINTS)
    listed = ", ".join(f"{text} ({number_text(count)})" for text, count in most.iter_rows())
    if listed:
        found.facts.append(f"most frequent complaints: {listed}")


def _check_diagnoses(settings: RegistersSettings, registers: Registers, found: _Findings) -> None:
    sources = registers.outcomes
    for outcome in settings.outcomes:
        if not outcome.all_codes:
            continue
        rows = diagnosed(
            sources.diagnoses,
            outcome.all_codes,
            exclude=outcome.all_exclusions,
            registers=outcome.registers or sources.registers,
            main_only=outcome.position == "main",
        )
        patients = rows["patient_id"].drop_nulls().n_unique()
        words = f"diagnoses of {number_text(patients)} patients are {outcome.name}"
        found.fact(len(rows), None, words, warn=not len(rows))
        undated = rows["date"].null_count()
        if undated:
            found.fact(undated, len(rows), f"diagnoses of {outcome.name} have no date and cannot count", warn=True)
    covered, last = settings.follow_up.complete_until or sources.covered, registers.visits["arrival"].max()
    if covered is not None and last is not None:
        days = max(outcome.days for outcome in settings.outcomes)
        late = registers.visits.filter(pl.col("arrival").dt.date() + timedelta(days=days) > covered).height
        if late:
            words = f"visits are less than {days} days before {covered}, where the diagnoses end"
            found.fact(late, len(registers.visits), words, warn=True)


def _check_patients(registers: Registers, found: _Findings) -> None:
    visits, patients = registers.visits.select("patient_id").drop_nulls().unique(), registers.patients
    if len(patients):
        known = visits.join(patients, on="patient_id", how="semi")
        found.fact(len(known), len(visits), "patients with visits stand in the register of patients")
        born = patients["birth_date"].null_count()
        if born:
            found.fact(born, len(patients), "patients have no birth date")
    if registers.outcomes.deaths is not None:
        died = registers.outcomes.deaths.group_by("patient_id").agg(pl.col("date").min().dt.date())
        after = registers.visits.join(died, on="patient_id").filter(pl.col("arrival").dt.date() > pl.col("date"))
        if len(after):
            found.fact(len(after), None, "visits are after the patient's death", warn=True)


def _check_ecgs(
    settings: RegistersSettings, registers: Registers, ecgs: pl.DataFrame, account: Account, found: _Findings
) -> None:
    """Whether ids and times of the ECGs fit to those of the visits."""
    own = steps.identified_ecgs(final_ids(ecgs, registers.ids, account, "ECGs", "recorded_at"))
    found.fact(len(own), len(ecgs), "ECGs have patient and time", warn=len(own) < len(ecgs) / 2)
    visits = registers.visits.drop_nulls(["patient_id", "arrival"])
    if settings.complaint is not None:
        contains = settings.complaint_match == "contains"
        visits = eligibility.with_complaint(visits, settings.complaint, contains=contains)
    patients = visits.select("patient_id").unique()
    having = patients.join(own, on="patient_id", how="semi")
    words = "patients with such a visit have an ECG"
    found.fact(len(having), len(patients), words, warn=len(having) < len(patients) / 2)
    hours = (pl.col("recorded_at") - pl.col("arrival")).dt.total_seconds() / 3600
    near = (
        visits.select("visit_id", "patient_id", "arrival")
        .join(own.select("patient_id", "recorded_at"), on="patient_id")
        .select("visit_id", hours.alias("hours"))
        .filter(pl.col("hours").abs() <= NEAR_HOURS)
        .sort(pl.col("hours").abs(), "hours")
        .unique("visit_id", keep="first", maintain_order=True)["hours"]
    )
    if len(near):
        low, middle, high = (float(near.quantile(q) or 0) for q in (0.25, 0.5, 0.75))
        line = (
            f"the ECG nearest to arrival, within {NEAR_HOURS} h: median {middle:+.2f} h (quartiles {low:+.2f} to "
            f"{high:+.2f} h) in {number_text(len(near))} visits"
        )
        odd = not -settings.before_hours <= middle <= settings.after_hours
        (found.warnings if odd else found.facts).append(line + ("; do both clocks tell local time?" if odd else ""))


def _check_labels(
    settings: LabelsSettings,
    ecgs: pl.DataFrame | None,
    table: pl.DataFrame | None,
    account: Account,
    found: _Findings,
    problems: list[str],
) -> None:
    try:
        rows = read_label_table(settings, table, account)
        for name in (name for name in rows.columns if name.startswith("label:")):
            positive = int((rows[name] == 1).sum())
            known = len(rows) - rows[name].null_count()
            words = f"labels of {name.removeprefix('label:')} are 1"
            found.fact(positive, known, words, warn=positive in (0, known))
        found.fact(rows["patient_id"].drop_nulls().n_unique(), None, f"patients in {number_text(len(rows))} rows")
        for name in ("site", "fold") if settings.dataset else ():
            found.facts += _values(rows, name)
        if ecgs is not None:
            join = join_by_file if "file" in rows.columns else join_by_id
            file = Path(settings.table.where) if settings.table else settings.folder
            joined = join(rows, ecgs, file=file)
            found.fact(len(joined), len(rows), "rows have an ECG in the archive", warn=len(joined) < len(rows) / 2)
            build_cohort(settings, ecgs, table=table)
    except PrecordialError as error:
        problems.append(str(error))


def _values(rows: pl.DataFrame, name: str) -> list[str]:
    """What stands in a column of a public set, the most frequent first, as one line; none of an empty column."""
    counts = rows.select(pl.col(name).drop_nulls()).group_by(name).len().sort(["len", name], descending=[True, False])
    shown = ", ".join(f"{value} ({number_text(count)})" for value, count in counts.head(SHOWN_VALUES).iter_rows())
    more = f" and {len(counts) - SHOWN_VALUES} more" if len(counts) > SHOWN_VALUES else ""
    return [f"{name}s: {shown}{more}"] if shown else []
