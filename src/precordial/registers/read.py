"""The registers of a study as tables with our columns.

Each has `row` (in its file, the header being row 1), `part` (index of the file) where there are several files, and our
columns, empty where the register has none: ids and other texts as String, times as Datetime("us") in whole seconds,
age as Float64, sex as Float64 with 1 = female.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from precordial.errors import RegisterError
from precordial.registers import codes
from precordial.registers.account import Account
from precordial.registers.batches import CODE, Plan
from precordial.registers.joins import order_columns, standing_twice, two_rows
from precordial.registers.settings import (
    Adjudicated,
    Deaths,
    Diagnoses,
    Ecgs,
    Patients,
    Procedures,
    Visits,
)
from precordial.registers.table_settings import INPUT, KINDS, Kind, TableSettings
from precordial.registers.tables import read_plan
from precordial.registers.values import sex_words

NO_CODE = "no code"
NOT_ASKED = "no code that was asked for"
_ODD = "cells that do not look like a code"


def plan_of(
    settings: TableSettings, name: str, *, key: str = "", female: Sequence[str] = (), male: Sequence[str] = ()
) -> Plan:
    """What the settings ask to be read; columns of codes are left to the caller.

    Args:
        name: of the table in the account, and in the study file below `cohort`.
        key: of the table in the study file, if it is another.
        female, male: words of a sex column.
    """
    key = key or f"cohort.{name}"
    names = {ours: theirs for ours, theirs in settings.names().items() if ours not in ("code", "main")}
    joined = [ours for join in settings.joins for ours in join.columns]
    kinds: dict[str, Kind] = {ours: KINDS.get(ours, "text") for ours in [*names, *joined]}
    kinds |= {ours: "number" for ours in names if ours.startswith(INPUT)}
    columns = {ours: theirs for ours, theirs in names.items() if theirs is not None}
    return Plan(settings, name, key, columns, kinds, words=sex_words(female, male), columns_key=f"{key}.columns")


def read_visits(settings: Visits, account: Account, *, female: Sequence[str], male: Sequence[str]) -> pl.DataFrame:
    """visit_id, patient_id, arrival, complaint, discharge, age (years), sex, site, fold, and the inputs.

    Args:
        settings: with their files resolved.
        account: is told what was read and dropped.
        female, male: words of the sex column, in upper or lower case.

    Raises:
        RegisterError: the file cannot be understood; collected instead, where the account does that.
    """
    return _whole(plan_of(settings, "visits", female=female, male=male), account)


def read_diagnoses(settings: Diagnoses, account: Account, *, prefixes: Sequence[str] | None = None) -> pl.DataFrame:
    """patient_id, code, date, register, position (1 = main): one row per code, from wide tables too.

    Codes are cleaned (`precordial.registers.codes`).

    Args:
        settings, account: as of `read_visits`.
        prefixes: only codes that start with one of these are returned; the others are counted and their dates checked.

    Raises:
        RegisterError: as of `read_visits`.
    """
    return _coded(settings, "diagnoses", account, prefixes, codes.DIAGNOSIS)


def read_procedures(settings: Procedures, account: Account, *, prefixes: Sequence[str] | None = None) -> pl.DataFrame:
    """patient_id, code, date, position; as `read_diagnoses`."""
    return _coded(settings, "procedures", account, prefixes, codes.PROCEDURE)


def read_deaths(settings: Deaths, account: Account) -> pl.DataFrame:
    """patient_id, date, code, position: one row per cause, or one with an empty code.

    Raises:
        RegisterError: as of `read_visits`; or a patient died on two days.
    """
    table = _coded(settings, "deaths", account, None, codes.DIAGNOSIS, keep_empty=True)
    _check_once(
        table.unique(["patient_id", "date"], keep="first", maintain_order=True),
        ["patient_id"],
        settings,
        account,
        "patient_id",
        "the patient also died in {}, on another day",
    )
    return table


def read_patients(settings: Patients, account: Account, *, female: Sequence[str], male: Sequence[str]) -> pl.DataFrame:
    """patient_id, birth_date, sex, left; one row per patient. Rows that say the same are one.

    Raises:
        RegisterError: as of `read_visits`; or a patient stands in two rows that differ.
    """
    plan = plan_of(settings, "patients", female=female, male=male)
    table = read_plan(plan, account)
    log = account.table(plan.name)
    known = table.drop_nulls("patient_id")
    log.drop("no patient id", table.height - known.height)
    once = known
    if standing_twice(known, list(plan.kinds)).any():
        once = known.unique(list(plan.kinds), keep="first", maintain_order=True)
    log.drop("the same row again", known.height - once.height)
    problem = "the patient also stands in {}, with another birth date, sex or end"
    once = _check_once(once, ["patient_id"], settings, account, "patient_id", problem)
    log.kept = once.height
    return once


def read_ecgs(settings: Ecgs, account: Account, *, female: Sequence[str], male: Sequence[str]) -> pl.DataFrame:
    """ecg_id, patient_id, recorded_at, age (years), sex, site, device, waveform (UInt64, a digest).

    A digest is written as an unsigned integer; or in hex, if one of its column has a letter: then its first 16 digits
    count.

    Raises:
        RegisterError: as of `read_visits`; or an ECG stands twice, or has no id.
    """
    plan = plan_of(settings, "ecgs", female=female, male=male)
    table = _whole(plan, account)
    table = _with_digest(table, settings, account)
    empty = table.filter(pl.col("ecg_id").is_null())
    if empty.height:
        account.problem(
            RegisterError(
                f"the ECG has no id ({empty.height - 1} more like it)" if empty.height > 1 else "the ECG has no id",
                **_place(empty, settings),
                column=settings.names().get("ecg_id"),
                remedy="give each ECG an id of its own",
            )
        )
    return _check_once(table.drop_nulls("ecg_id"), ["ecg_id"], settings, account, "ecg_id", "the ECG also stands in {}")


def read_adjudicated(settings: Adjudicated, account: Account) -> pl.DataFrame:
    """visit_id, patient_id, arrival, and for each outcome a column of its name: 0, 1 or empty.

    Rows that say the same are one.

    Raises:
        RegisterError: as of `read_visits`; or a visit stands in two rows that differ.
    """
    plan = plan_of(settings, "adjudicated")
    kinds: dict[str, Kind] = {**plan.kinds, **dict.fromkeys(settings.outcomes, "outcome")}
    plan = Plan(**{**vars(plan), "columns": {**plan.columns, **settings.outcomes}, "kinds": kinds})
    table = _whole(plan, account)
    by = ["visit_id"] if settings.columns.visit_id is not None else ["patient_id", "arrival"]
    once = table.drop_nulls(by).unique([*by, *settings.outcomes], keep="first", maintain_order=True)
    once = _check_once(once, by, settings, account, by[0], "the visit also stands in {}, with another outcome")
    account.table(plan.name).kept = once.height
    return once


def _whole(plan: Plan, account: Account) -> pl.DataFrame:
    table = read_plan(plan, account)
    account.table(plan.name).kept = table.height
    return table


def _coded(
    settings: TableSettings,
    name: str,
    account: Account,
    prefixes: Sequence[str] | None,
    pattern: str,
    *,
    keep_empty: bool = False,
) -> pl.DataFrame:
    """A table of codes, one code a row, in the order of the rows and positions."""
    columns: Any = settings.columns  # type: ignore[attr-defined]
    given = () if columns.code is None else (columns.code,) if isinstance(columns.code, str) else columns.code
    plan = plan_of(settings, name)
    kinds = {ours: kind for ours, kind in plan.kinds.items() if ours != "position"}
    plan = Plan(**{**vars(plan), "kinds": kinds, "codes": given, "main": columns.main})
    wanted = None if prefixes is None else codes.clean_words(prefixes)
    main = [value.strip().lower() for value in settings.main_values]  # type: ignore[attr-defined]

    def select(frame: pl.DataFrame) -> pl.DataFrame:
        log = account.table(name)
        places = [column for column in frame.columns if column.startswith(CODE)]
        others = frame.drop(places, "position", strict=False)
        if columns.wide:
            positions = [pl.lit(int(column.removeprefix(CODE)), pl.Int32) for column in places]
        else:
            positions = [_position(frame, main)] * len(places)
        parts = []
        for column, position in zip(places, positions, strict=True):
            known, odd = _known(frame[column], wanted, pattern)
            log.note(_ODD, odd)
            part = frame.filter(frame[column].is_in(known["cell"].implode()))
            code = part[column].replace_strict(known["cell"], known["code"], return_dtype=pl.String)
            part = part.with_columns(code.alias("code"), position.alias("position"))
            parts.append(part.select(*others.columns, "code", "position"))
        empty = others.with_columns(pl.lit(None, pl.String).alias("code"), pl.lit(None, pl.Int32).alias("position"))
        rows = pl.concat([empty.head(0), *parts])
        if keep_empty:
            rows = pl.concat([rows, empty.join(rows, on="row", how="anti")])
        kept = rows["row"].n_unique()
        log.kept += kept
        log.drop(NO_CODE if wanted is None else NOT_ASKED, frame.height - kept)
        return rows.sort("row", "position", nulls_last=True)

    table = read_plan(plan, account, select)
    order = ("row", "part", "patient_id", "code", "date", "register", "position")
    return table.select(name for name in order if name in table.columns)


def _known(cells: pl.Series, prefixes: list[str] | None, pattern: str) -> tuple[pl.DataFrame, int]:
    """The different cells that are wanted codes, `cell` and `code`; and how many cells do not look like a code.

    There are some thousand codes in millions of rows, so that it is done with the different ones.
    """
    table = pl.DataFrame({"cell": cells.drop_nulls().unique()}).with_columns(codes.clean(pl.col("cell")).alias("code"))
    code = pl.col("code")
    odd = table.filter(~code.str.contains(pattern).fill_null(False))["cell"]
    if prefixes is not None:
        table = table.filter(pl.any_horizontal(pl.lit(False), *(code.str.starts_with(prefix) for prefix in prefixes)))
    count = int(cells.is_in(odd.implode()).sum()) if len(odd) else 0
    return table.drop_nulls("code"), count


def _position(frame: pl.DataFrame, main: list[str]) -> pl.Expr:
    """1 = main; of other positions the number, or 2."""
    if "position" not in frame.columns:
        return pl.lit(None, pl.Int32)
    text = pl.col("position").str.strip_suffix(".0").str.to_lowercase()
    number = pl.max_horizontal(text.cast(pl.Int32, strict=False), pl.lit(2, pl.Int32))
    return pl.when(text.is_in(main)).then(pl.lit(1, pl.Int32)).when(text.is_not_null()).then(number)


def _check_once(
    table: pl.DataFrame, by: list[str], settings: TableSettings, account: Account, column: str, problem: str
) -> pl.DataFrame:
    """The rows, each key once; a key that stands twice is a problem."""
    twice = table.filter(standing_twice(table, by)).drop_nulls(by)
    if not twice.height:
        return table
    twice = twice.sort(*by, *order_columns(table))
    account.problem(two_rows(twice, settings.paths(), settings.names().get(column), problem))
    return table.unique(by, keep="first", maintain_order=True)


def _place(rows: pl.DataFrame, settings: TableSettings) -> dict[str, Any]:
    """File and row of the first of some rows."""
    first = rows.sort(order_columns(rows)).row(0, named=True)
    return {"file": settings.paths()[first.get("part", 0)], "row": first["row"]}


def _with_digest(table: pl.DataFrame, settings: Ecgs, account: Account) -> pl.DataFrame:
    text = table["waveform"].str.to_lowercase().str.strip_prefix("0x")
    if text.str.contains("[a-f]").any():
        text = text.str.slice(0, 16).str.zfill(16)
        halves = [text.str.slice(start, 8).str.to_integer(base=16, strict=False).cast(pl.UInt64) for start in (0, 8)]
        digest = halves[0] * 2**32 + halves[1]
    else:
        digest = text.cast(pl.UInt64, strict=False)
    wrong = table.filter(text.is_not_null() & digest.is_null())
    if wrong.height:
        account.problem(
            RegisterError(
                "this is no digest" + (f" ({wrong.height - 1} more like it)" if wrong.height > 1 else ""),
                **_place(wrong, settings),
                column=settings.columns.waveform,
                remedy="write unsigned integers, or hex digits, or leave the cell empty",
            )
        )
    return table.with_columns(digest.alias("waveform"))
