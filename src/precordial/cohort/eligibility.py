"""Who is eligible: one step for each criterion; tables in, tables out, and no step depends on the order of rows."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from precordial.cohort.definitions import Day
from precordial.cohort.visits import id_order


def with_complaint(visits: pl.DataFrame, complaints: Sequence[str], *, contains: bool = False) -> pl.DataFrame:
    """The visits whose main complaint is one of these words, or contains one; in upper or lower case."""
    words = [word.strip().lower() for word in complaints]
    complaint = pl.col("complaint").str.to_lowercase()
    return visits.filter(complaint.str.contains_any(words) if contains else complaint.is_in(words))


def at_sites(visits: pl.DataFrame, sites: Sequence[str]) -> pl.DataFrame:
    """The visits to some sites."""
    return visits.filter(pl.col("site").is_in(list(sites)))


def in_period(visits: pl.DataFrame, first_day: Day | None, last_day: Day | None) -> pl.DataFrame:
    """The visits that began between two days, both included."""
    day = pl.col("arrival").dt.date()
    if first_day is not None:
        visits = visits.filter(day >= first_day)
    return visits if last_day is None else visits.filter(day <= last_day)


def of_age(visits: pl.DataFrame, min_age: float | None, max_age: float | None) -> pl.DataFrame:
    """The visits of patients of some completed years; of unknown age none."""
    years = pl.col("age").floor()
    low, high = min_age if min_age is not None else 0, max_age if max_age is not None else float("inf")
    return visits.filter(years.is_between(low, high).fill_null(False))


def washed_out(visits: pl.DataFrame, earlier: pl.DataFrame, days: int) -> pl.DataFrame:
    """The visits without one of these diagnoses in so many days before the day of arrival, which does not count itself.

    Args:
        visits: visit_id, patient_id, arrival.
        earlier: patient_id, date of the diagnoses.
        days: how far back they count.
    """
    before = (pl.col("arrival").dt.date() - pl.col("date")).dt.total_days()
    known = earlier.select("patient_id", pl.col("date").dt.date()).drop_nulls().unique()
    hit = (
        visits.select("visit_id", "patient_id", "arrival")
        .join(known, on="patient_id")
        .filter(before.is_between(1, days))
        .select("visit_id")
        .unique()
    )
    return visits.join(hit, on="visit_id", how="anti")


def first_of_patient(visits: pl.DataFrame) -> pl.DataFrame:
    """The earliest visit of each patient; of equal ones that with the lowest visit id."""
    ordered = visits.sort("arrival", *id_order("visit_id"))
    return ordered.unique("patient_id", keep="first", maintain_order=True)
