"""Age and sex at each ECG, from the registers first and the ECG's header last."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from precordial.cohort.people import facts_of

BIRTH_YEAR_DAYS = 365.25
CONTACT_YEAR_DAYS = 365.125  # the authors' year


def first_contacts(visits: pl.DataFrame) -> pl.DataFrame:
    """Per patient the age at the first visit that has one, that visit's day, and the first known sex.

    Args:
        visits: patient_id, arrival, age (years), sex (1 = female).

    Returns:
        patient_id, contact_day, contact_age, contact_sex.
    """
    # Many registers know neither; those that do are sorted.
    known = pl.col("age").is_not_null() | pl.col("sex").is_not_null()
    rows = visits.select("patient_id", "arrival", "age", "sex").filter(known).drop_nulls(["patient_id", "arrival"])
    ordered = rows.sort("patient_id", "arrival", "age", "sex", nulls_last=True)
    age, sex = pl.col("age"), pl.col("sex")
    return ordered.group_by("patient_id").agg(
        pl.col("arrival").filter(age.is_not_null()).first().dt.date().alias("contact_day"),
        age.drop_nulls().first().alias("contact_age"),
        sex.drop_nulls().first().alias("contact_sex"),
    )


def add_age_and_sex(
    ecgs: pl.DataFrame,
    contacts: pl.DataFrame,
    patients: pl.DataFrame,
    *,
    age_from: Sequence[str],
    sex_from: Sequence[str],
) -> pl.DataFrame:
    """Set `age` and `sex` of each ECG, and `age_source` and `sex_source` ("" where there is none).

    birth-date: whole days from birth to the ECG's date, in years of 365.25 days. first-contact: as the
    authors, the age in completed years at the first contact plus half a year, as whole days in years of
    365.125 days, plus the whole days from the contact's date to the ECG's; a year is again 365.125 days.
    header: what the ECG's file says.

    Args:
        ecgs: patient_id, recorded_at, and the header's age and sex.
        contacts: as from `first_contacts`.
        patients: patient_id, birth_date, sex; one row each.
        age_from, sex_from: sources in the order of trust.
    """
    day = pl.col("recorded_at").dt.date()
    born = patients.select(
        "patient_id", pl.col("birth_date").dt.date().alias("birth_day"), pl.col("sex").alias("patient_sex")
    )
    table = pl.concat([ecgs, *(facts_of(ecgs["patient_id"], facts) for facts in (contacts, born))], how="horizontal")
    at_contact = ((pl.col("contact_age") + 0.5) * CONTACT_YEAR_DAYS).floor()
    ages = {
        "birth-date": (day - pl.col("birth_day")).dt.total_days() / BIRTH_YEAR_DAYS,
        "first-contact": (at_contact + (day - pl.col("contact_day")).dt.total_days()) / CONTACT_YEAR_DAYS,
        "header": pl.col("age").fill_nan(None),
    }
    sexes = {
        "register": pl.coalesce("patient_sex", "contact_sex"),
        "header": pl.col("sex").fill_nan(None),
    }
    return table.with_columns(
        pl.coalesce(ages[name] for name in age_from).alias("age"),
        _source(ages, age_from).alias("age_source"),
        pl.coalesce(sexes[name] for name in sex_from).alias("sex"),
        _source(sexes, sex_from).alias("sex_source"),
    ).drop("contact_day", "contact_age", "contact_sex", "birth_day", "patient_sex")


def _source(values: dict[str, pl.Expr], order: Sequence[str]) -> pl.Expr:
    """The name of the first source that has a value."""
    named = [pl.when(values[name].is_not_null()).then(pl.lit(name)) for name in order]
    return pl.coalesce(*named, pl.lit(""))
