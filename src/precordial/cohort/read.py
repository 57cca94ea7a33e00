"""Read the tables that a cohort's settings name, in the shape the steps take."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

import polars as pl

from precordial.cohort.cohort import LABEL
from precordial.cohort.labels import label_names
from precordial.cohort.outcomes import Sources
from precordial.cohort.schemes import ColumnSplit
from precordial.cohort.settings import LabelsSettings, RegistersSettings
from precordial.errors import RegisterError, SettingsError
from precordial.registers import (
    Account,
    read_adjudicated,
    read_deaths,
    read_diagnoses,
    read_id_key,
    read_patients,
    read_procedures,
    read_visits,
    translate_ids,
)
from precordial.registers.batches import Plan
from precordial.registers.joins import standing_twice
from precordial.registers.read import plan_of
from precordial.registers.tables import read_plan

DATES = {  # by which ids are looked up
    "visits": "arrival",
    "diagnoses": "date",
    "patients": None,
    "procedures": "date",
    "deaths": "date",
    "adjudicated": "arrival",
}
SHOWN = 12  # labels of a public set that a message lists
NO_PATIENTS = pl.DataFrame(
    schema={"patient_id": pl.String, "birth_date": pl.Datetime("us"), "sex": pl.Float64, "left": pl.Datetime("us")}
)


@dataclass
class Registers:
    """Every register of a cohort, with the patients' final ids.

    Attributes:
        visits, patients: as from `precordial.registers`; without a register of patients it is empty.
        outcomes: all that outcomes are made from.
        ids: the key of patient ids, None if there is none.
    """

    visits: pl.DataFrame
    patients: pl.DataFrame
    outcomes: Sources
    ids: pl.DataFrame | None


def read_registers(settings: RegistersSettings, account: Account) -> Registers:
    """Read everything that the settings name.

    Args:
        settings: with their files resolved.
        account: is told what was read, and what was dropped and why; decides whether the first problem ends it.

    Raises:
        RegisterError: a table cannot be understood.
    """
    words = {"female": settings.female_values, "male": settings.male_values}
    ids = read_id_key(settings.id_key, account) if settings.id_key else None
    codes = [code for outcome in settings.outcomes for code in outcome.all_codes]
    codes += settings.washout_codes if settings.eligibility.washout_days else ()
    operations = [code for outcome in settings.outcomes for code in outcome.all_procedures]
    reading: dict[str, Callable[[Account], pl.DataFrame]] = {
        "visits": lambda own: read_visits(settings.visits, own, **words),
        "diagnoses": lambda own: read_diagnoses(settings.diagnoses, own, prefixes=codes),
    }
    if settings.patients is not None:
        patients = settings.patients
        reading["patients"] = lambda own: read_patients(patients, own, **words)
    if settings.procedures is not None:
        procedures = settings.procedures
        reading["procedures"] = lambda own: read_procedures(procedures, own, prefixes=operations)
    if settings.deaths is not None:
        deaths = settings.deaths
        reading["deaths"] = lambda own: read_deaths(deaths, own)
    if settings.adjudicated is not None:
        adjudicated = settings.adjudicated
        reading["adjudicated"] = lambda own: read_adjudicated(adjudicated, own)
    tables = _read_together(reading, account)
    for name, table in tables.items():
        tables[name] = final_ids(table, ids, account, name, DATES[name])
    people = _one_person_once(tables.get("patients", NO_PATIENTS), settings, account)
    outcomes = Sources(
        tables["diagnoses"],
        procedures=tables.get("procedures"),
        deaths=tables.get("deaths"),
        left=people.select("patient_id", "left").drop_nulls(),
        registers=settings.diagnoses.registers,
        covered=_last_day(account, "diagnoses"),
    )
    if "adjudicated" in tables:
        outcomes.adjudicated = _by_visit(tables["adjudicated"], tables["visits"], settings)
    return Registers(tables["visits"], people, outcomes, ids)


def _read_together(
    reading: Mapping[str, Callable[[Account], pl.DataFrame]], account: Account
) -> dict[str, pl.DataFrame]:
    """All tables, two at a time: half of reading keeps one processor busy and no more.

    Each has an account of its own, and they are put together in the order of the tables.
    """
    own = {name: Account(account.collect) for name in reading}
    with ThreadPoolExecutor(2) as pool:
        read = {name: pool.submit(one, own[name]) for name, one in reading.items()}
        tables = {name: one.result() for name, one in read.items()}
    for part in own.values():
        account.tables |= part.tables
        account.problems += part.problems
    return tables


def final_ids(
    table: pl.DataFrame, ids: pl.DataFrame | None, account: Account, name: str, date_column: str | None
) -> pl.DataFrame:
    """The rows with the patients' final ids, if there is a key; see `precordial.registers.translate_ids`."""
    if ids is None:
        return table
    return translate_ids(table, ids, date_column=date_column, account=account, name=name)


def _last_day(account: Account, table: str) -> date | None:
    """The last day that stands in a register."""
    days = account.table(table).dates.get("date")
    return date.fromisoformat(days[1][:10]) if days else None


def _one_person_once(patients: pl.DataFrame, settings: RegistersSettings, account: Account) -> pl.DataFrame:
    """One row per person: of ids that were merged, what any of the rows knows; they must not differ."""
    if not standing_twice(patients, ["patient_id"]).any():
        return patients
    facts = ["birth_date", "sex"]
    differ = patients.group_by("patient_id").agg(pl.col(facts).drop_nulls().n_unique())
    wrong = differ.filter(pl.any_horizontal(pl.col(facts) > 1))
    if len(wrong) and settings.patients is not None:
        account.problem(
            RegisterError(
                f"{len(wrong)} persons whose ids the key merges have several birth dates or sexes",
                file=settings.patients.where,
                key="cohort.id_key",
                remedy="correct the key or the register of patients",
            )
        )
    known = [pl.col(name).drop_nulls().first() for name in facts]
    return patients.sort("row").group_by("patient_id").agg(pl.col("row").first(), *known, pl.col("left").max())


def _by_visit(decided: pl.DataFrame, visits: pl.DataFrame, settings: RegistersSettings) -> pl.DataFrame:
    """visit_id and the decided labels; visits that are named by patient and arrival are looked up."""
    assert settings.adjudicated is not None
    labels = list(settings.adjudicated.outcomes)
    if settings.adjudicated.columns.visit_id is None:
        named = visits.select("visit_id", "patient_id", "arrival").drop_nulls()
        decided = decided.drop("visit_id", strict=False).join(named, on=["patient_id", "arrival"])
    return decided.select("visit_id", *(pl.col(name).alias(LABEL + name) for name in labels))


def read_label_table(settings: LabelsSettings, table: pl.DataFrame | None, account: Account) -> pl.DataFrame:
    """row, file (or ecg_id), patient_id, recorded_at, age, sex (1 = female), site, device, fold, and the labels.

    Labels are columns "label:NAME" of 0, 1 or null.

    Args:
        settings: their `table` is read; of a public set's table, `settings.labels` are taken.
        table: a public set's table.
        account: is told what was read.

    Raises:
        RegisterError: a label is neither 0 nor 1.
        SettingsError: the set has no such label, or no folds.
    """
    if settings.table is not None:
        plan = plan_of(settings.table, "table", female=settings.female_values, male=settings.male_values)
        labels = {name: "outcome" for name in plan.columns if name.startswith(LABEL)}
        rows = read_plan(Plan(**{**vars(plan), "kinds": {**plan.kinds, **labels}}), account)
        # Of the two ways to name an ECG, the one that was not chosen is an empty column.
        return rows.drop("ecg_id" if settings.table.columns.file is not None else "file")
    if table is None or settings.labels is None:
        raise ValueError("the settings name a public set: pass its table")
    present = label_names(table.columns)
    chosen: dict[str, None] = {}
    for wanted in settings.labels:
        found = [name for name in present if name == wanted] or [n for n in present if fnmatchcase(n, wanted)]
        if not found:
            near = difflib.get_close_matches(wanted, present, SHOWN, 0.3) or present[:SHOWN]
            more = f" and {len(present) - len(near)} more" if len(near) < len(present) else ""
            raise SettingsError(
                f"{settings.dataset} has no label {wanted!r}",
                key="cohort.labels",
                remedy=f"choose of {', '.join(near)}{more}",
            )
        chosen |= dict.fromkeys(found)
    if isinstance(settings.split, ColumnSplit) and table["fold"].null_count() == len(table):
        raise SettingsError(
            f"{settings.dataset} has no folds of its own",
            key="cohort.split.scheme",
            remedy='choose "paper", "k-fold" or "sites"',
        )
    rest = [name for name in table.columns if name not in present]
    return table.select(*rest, *(pl.col(name).alias(LABEL + name) for name in chosen))
