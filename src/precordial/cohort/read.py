"""Read the tables that a cohort's settings name, in the shape the steps take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from precordial.cohort.outcomes import Sources
from precordial.cohort.settings import RegistersSettings
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
from precordial.registers.codes import clean_words


@dataclass
class Registers:
    """Every register of a cohort, with the patients' final ids.

    Attributes:
        visits, patients: as from `precordial.registers`; patients may be empty.
        outcomes: all that outcomes are made from.
        ids: the key of patient ids, None if there is none.
    """

    visits: pl.DataFrame
    patients: pl.DataFrame
    outcomes: Sources
    ids: pl.DataFrame | None

    def translated(self, table: pl.DataFrame, account: Account, name: str, date_column: str | None) -> pl.DataFrame:
        """The table with the patients' final ids; see `precordial.registers.translate_ids`."""
        if self.ids is None:
            return table
        return translate_ids(table, self.ids, account, name, date_column=date_column)


def read_registers(settings: RegistersSettings, account: Account) -> Registers:
    """Read everything that the settings name.

    Args:
        settings: with their files resolved.
        account: is told what was read, and what was dropped and why; decides whether the first problem ends it.

    Raises:
        RegisterError: a table cannot be understood.
    """
    words = {"female": settings.female_values, "male": settings.male_values}
    ids = read_id_key(settings.ids, account) if settings.ids else None

    def own(table: pl.DataFrame, name: str, date_column: str | None) -> pl.DataFrame:
        return table if ids is None else translate_ids(table, ids, account, name, date_column=date_column)

    codes = [code for outcome in settings.outcomes for code in outcome.all_codes]
    codes += settings.washout_codes if settings.eligibility.washout_days else ()
    visits = own(read_visits(settings.visits, account, **words), "visits", "arrival")
    diagnoses = own(read_diagnoses(settings.diagnoses, account, prefixes=clean_words(codes)), "diagnoses", "date")
    patients = own(read_patients(settings.patients, account, **words), "patients", None)
    outcomes = Sources(
        diagnoses,
        registers=settings.diagnoses.registers,
        covered=_last_day(account, "diagnoses"),
        left=patients.select("patient_id", "left").drop_nulls(),
    )
    if settings.procedures is not None:
        operations = clean_words([code for outcome in settings.outcomes for code in outcome.all_procedures])
        table = read_procedures(settings.procedures, account, prefixes=operations)
        outcomes.procedures = own(table, "procedures", "date")
    if settings.deaths is not None:
        outcomes.deaths = own(read_deaths(settings.deaths, account), "deaths", "date")
    if settings.adjudicated is not None:
        outcomes.adjudicated = own(read_adjudicated(settings.adjudicated, account), "adjudicated", "arrival")
    return Registers(visits, patients, outcomes, ids)


def _last_day(account: Account, table: str) -> date | None:
    """The last day that stands in a register."""
    days = account.table(table).dates.get("date")
    return date.fromisoformat(days[1][:10]) if days else None
