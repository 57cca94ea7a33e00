"""Outcomes of visits, from diagnoses, procedures, deaths and adjudication; tables in, tables out.

Each outcome becomes two columns of the visits: `label:NAME` (1, 0, or null where it is not known) and `event:NAME`, the
day of the first event. Days are whole calendar days, counted from the day of arrival.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from precordial.cohort.cohort import EVENT, LABEL
from precordial.cohort.definitions import FollowUp, Outcome
from precordial.registers.codes import clean_words


@dataclass
class Sources:
    """What outcomes are made from; a register that is not there is None.

    Attributes:
        diagnoses: patient_id, code (cleaned), date, register, position (1 = main).
        procedures: patient_id, code (cleaned), date.
        deaths: patient_id, date, code (cleaned; null if the cause is not known).
        left: patient_id, left: the day until which the patient could be followed.
        adjudicated: visit_id and, for some outcomes, `label:NAME`.
        registers: of the diagnoses that count where an outcome does not name its own.
        covered: the last day that the registers cover.
    """

    diagnoses: pl.DataFrame
    procedures: pl.DataFrame | None = None
    deaths: pl.DataFrame | None = None
    left: pl.DataFrame | None = None
    adjudicated: pl.DataFrame | None = None
    registers: Sequence[str] | None = None
    covered: date | None = None


def diagnosed(
    diagnoses: pl.DataFrame,
    codes: Sequence[str],
    *,
    exclude: Sequence[str] = (),
    registers: Sequence[str] | None = None,
    main_only: bool = False,
) -> pl.DataFrame:
    """The diagnoses (or procedures) whose code starts with one of the prefixes, and with none of `exclude`."""
    wanted = _starts_with(codes)
    if exclude:
        wanted &= ~_starts_with(exclude)
    if registers is not None:
        wanted &= pl.col("register").is_in(list(registers))
    if main_only:
        wanted &= pl.col("position") == 1
    return diagnoses.filter(wanted)


def add_outcome(
    visits: pl.DataFrame, outcome: Outcome, sources: Sources, follow_up: FollowUp, notes: Counter[str]
) -> pl.DataFrame:
    """The visits with the two columns of one outcome; see `Outcome` and `FollowUp`.

    Args:
        visits: visit_id, patient_id, arrival; a row each.
        outcome: what counts.
        sources: the registers.
        follow_up: what becomes of visits whose days are not all covered.
        notes: counts, by words for the flow chart, the labels that are not simply what the registers say.
    """
    label, event = LABEL + outcome.name, EVENT + outcome.name
    first = _first_events(visits, _events(outcome, sources), outcome)
    table = visits.join(first.rename({"date": event}), on="visit_id", how="left")
    value = pl.when(pl.col(event).is_not_null()).then(1.0).otherwise(0.0)
    table = table.with_columns(value.alias(label))
    if outcome.death == "competing" and sources.deaths is not None:
        died = _first_events(visits, _dated(sources.deaths), outcome).rename({"date": "died"})
        table = table.join(died, on="visit_id", how="left")
        before = pl.col("died").is_not_null() & (pl.col(event).is_null() | (pl.col("died") < pl.col(event)))
        notes[f"died before {outcome.name} could be seen, label empty"] += table.filter(before).height
        table = table.with_columns(
            pl.when(~before).then(pl.col(label)).alias(label), pl.when(~before).then(pl.col(event)).alias(event)
        ).drop("died")
    table = _with_follow_up(table, outcome, sources, follow_up, notes)
    table = _with_adjudication(table, outcome, sources, notes)
    return table.with_columns(pl.col(event).cast(pl.Datetime("us")))


def _events(outcome: Outcome, sources: Sources) -> pl.DataFrame:
    """Patient and day of everything that is the outcome."""
    parts = []
    if outcome.all_codes:
        found = diagnosed(
            sources.diagnoses,
            outcome.all_codes,
            exclude=outcome.all_exclusions,
            registers=outcome.registers or sources.registers,
            main_only=outcome.position == "main",
        )
        parts.append(_dated(found))
    if outcome.all_procedures and sources.procedures is not None:
        parts.append(_dated(diagnosed(sources.procedures, outcome.all_procedures)))
    if outcome.death == "event" and sources.deaths is not None:
        deaths = sources.deaths
        if outcome.death_causes is not None:
            deaths = deaths.filter(_starts_with(outcome.death_causes).fill_null(False))
        parts.append(_dated(deaths))
    return pl.concat(parts).unique() if parts else _dated(sources.diagnoses.head(0))


def _dated(table: pl.DataFrame) -> pl.DataFrame:
    return table.select("patient_id", pl.col("date").dt.date()).drop_nulls()


def _first_events(visits: pl.DataFrame, events: pl.DataFrame, outcome: Outcome) -> pl.DataFrame:
    """visit_id and date of the first event of the patient that lies in the outcome's days."""
    apart = (pl.col("date") - pl.col("arrival").dt.date()).dt.total_days()
    return (
        visits.select("visit_id", "patient_id", "arrival")
        .join(events, on="patient_id")
        .filter(apart.is_between(outcome.from_days, outcome.days))
        .group_by("visit_id")
        .agg(pl.col("date").min())
    )


def _with_follow_up(
    table: pl.DataFrame, outcome: Outcome, sources: Sources, follow_up: FollowUp, notes: Counter[str]
) -> pl.DataFrame:
    """Count, and if asked for leave empty, the labels of those who could not be followed to the last day."""
    label, end = LABEL + outcome.name, pl.col("arrival").dt.date() + timedelta(days=outcome.days)
    covered = follow_up.complete_until or sources.covered
    short = pl.lit(False) if covered is None else end > pl.lit(covered)
    joined = table
    if sources.left is not None:
        joined = joined.join(sources.left.select("patient_id", pl.col("left").dt.date()), on="patient_id", how="left")
        short |= (pl.col("left") < end).fill_null(False)
    if sources.deaths is not None:  # nothing more can happen to the dead
        died = _dated(sources.deaths).group_by("patient_id").agg(pl.col("date").min().alias("died"))
        joined = joined.join(died, on="patient_id", how="left")
        last = pl.lit(covered) if covered is not None else end
        short &= ~(pl.col("died") <= pl.min_horizontal(end, last)).fill_null(False)
    short &= pl.col(label) == 0
    kept = "label 0" if follow_up.incomplete == "keep" else "label empty"
    count = joined.filter(short).height
    notes[f"not followed for all days of {outcome.name}, {kept}"] += count
    if follow_up.incomplete == "unknown" and count:
        joined = joined.with_columns(pl.when(~short).then(pl.col(label)).alias(label))
    return joined.select(table.columns)


def _with_adjudication(table: pl.DataFrame, outcome: Outcome, sources: Sources, notes: Counter[str]) -> pl.DataFrame:
    """Labels that somebody has decided stand above the registers'."""
    label, event = LABEL + outcome.name, EVENT + outcome.name
    if sources.adjudicated is None or label not in sources.adjudicated.columns:
        return table
    decided = sources.adjudicated.select("visit_id", pl.col(label).alias("decided")).drop_nulls()
    joined = table.join(decided, on="visit_id", how="left")
    is_decided, changed = pl.col("decided").is_not_null(), pl.col("decided").ne_missing(pl.col(label))
    for words, which in (
        ("labels adjudicated", is_decided),
        ("of them from 0 to 1", is_decided & (pl.col(label) == 0) & (pl.col("decided") == 1)),
        ("of them from 1 to 0", is_decided & (pl.col(label) == 1) & (pl.col("decided") == 0)),
        ("of them from empty", is_decided & pl.col(label).is_null()),
    ):
        notes[f"{outcome.name}: {words}"] += joined.filter(which).height
    day = pl.when(pl.col("decided") == 1).then(pl.coalesce(event, pl.col("arrival").dt.date()))
    return joined.with_columns(
        pl.when(is_decided & changed).then(day).otherwise(pl.col(event)).alias(event),
        pl.coalesce("decided", label).alias(label),
    ).drop("decided")


def _starts_with(prefixes: Sequence[str]) -> pl.Expr:
    return pl.any_horizontal(pl.col("code").str.starts_with(prefix) for prefix in clean_words(list(prefixes)))
