"""The steps from a visit register and an archive to labelled visits; tables in, tables out.

A visit table has visit_id, patient_id, arrival, complaint, discharge; an ECG table has ecg_id, patient_id,
recorded_at. Times are local and in whole seconds. No step depends on the order of the rows.
"""

from __future__ import annotations

import polars as pl

from precordial.cohort.people import among
from precordial.cohort.splits import OLDER_VISIT
from precordial.registers.joins import standing_twice


def complete_visits(visits: pl.DataFrame, *, complaint: bool = True) -> pl.DataFrame:
    """The rows that have all that a visit needs: visit id, patient id, arrival and, if asked for, complaint."""
    return visits.drop_nulls(["visit_id", "patient_id", "arrival", *(["complaint"] if complaint else [])])


def merge_same_second(visits: pl.DataFrame) -> pl.DataFrame:
    """One visit of those of a patient in the same second: the one with the latest discharge.

    A visit without a discharge counts as the earliest; equal ones are decided by the lowest visit id.
    """
    key = ["patient_id", "arrival"]
    twice = standing_twice(visits, key)
    if not twice.any():
        return visits
    ids = id_order("visit_id")
    backward = [False, False, True] + [False] * len(ids)
    ordered = visits.filter(twice).sort(*key, "discharge", *ids, descending=backward, nulls_last=True)
    kept = ordered.unique(key, keep="first", maintain_order=True)
    # Few visits stand twice: only they are sorted.
    return pl.concat([visits.filter(~twice), kept])


def identified_ecgs(ecgs: pl.DataFrame) -> pl.DataFrame:
    """The ECGs whose patient and time are known."""
    return ecgs.drop_nulls(["patient_id", "recorded_at"])


def merge_same_second_ecgs(ecgs: pl.DataFrame) -> pl.DataFrame:
    """One ECG of those of a patient in the same second: the one with the smallest ecg_id; those without a time stay."""
    key = ["patient_id", "recorded_at"]
    twice = standing_twice(ecgs, key) & ecgs["recorded_at"].is_not_null()
    if not twice.any():
        return ecgs
    kept = ecgs.filter(twice).sort("ecg_id").unique(key, keep="first", maintain_order=True)
    return pl.concat([ecgs.filter(~twice), kept])


def index_ecgs(
    visits: pl.DataFrame,
    ecgs: pl.DataFrame,
    *,
    before_seconds: int,
    after_seconds: int,
    ends_belong: bool = True,
) -> pl.DataFrame:
    """The visits that have an index ECG, with its `ecg_id` and `recorded_at`.

    It is the first in [arrival, arrival + after]; where there is none, the last in [arrival − before,
    arrival). With `ends_belong` false the two outer ends are left out.
    """
    offset = pl.col("offset")
    inside = offset.is_between(-before_seconds, after_seconds, closed="both" if ends_belong else "none")
    chosen = (
        visits.select("visit_id", "patient_id", "arrival")
        .join(ecgs.select("ecg_id", "patient_id", "recorded_at"), on="patient_id")
        .with_columns((pl.col("recorded_at") - pl.col("arrival")).dt.total_seconds().alias("offset"))
        .filter(inside)
        # First and last are both the nearest to the arrival, each on its side.
        .sort(offset < 0, offset.abs(), "ecg_id")
        .unique("visit_id", keep="first", maintain_order=True)
    )
    return visits.join(chosen.select("visit_id", "ecg_id", "recorded_at"), on="visit_id")


def one_visit_per_ecg(visits: pl.DataFrame, *, lowest_visit_id: bool = False) -> pl.DataFrame:
    """The visits that keep their index ECG where several share one: the earliest arrival.

    With `lowest_visit_id` (the authors' code) it is the lowest visit id instead, ids of digits as numbers.
    """
    keys = id_order("visit_id")
    ordered = visits.sort(*([] if lowest_visit_id else ["arrival"]), *keys)
    return ordered.unique("ecg_id", keep="first", maintain_order=True)


def drop_older_visits(visits: pl.DataFrame) -> pl.DataFrame:
    """Without the visits of temporal-test patients that came before the walk; `split` is given."""
    return visits.filter(pl.col("split") != OLDER_VISIT)


def known_patients(ecgs: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    """The ECGs of patients who stand in the visit register, with whatever visit."""
    return ecgs.filter(among(ecgs["patient_id"], visits["patient_id"]))


def without_patients(ecgs: pl.DataFrame, excluded: pl.DataFrame) -> pl.DataFrame:
    """The ECGs of patients who are not in the table `excluded`."""
    return ecgs.filter(~among(ecgs["patient_id"], excluded["patient_id"]))


def id_order(column: str) -> list[pl.Expr]:
    """Sort keys that order ids as `precordial.cohort.splits.id_key` does."""
    name = pl.col(column)
    digits = name.str.contains(r"^[0-9]+$")
    number = pl.when(digits).then(name.str.strip_chars_start("0")).otherwise(pl.lit(""))
    return [~digits, number.str.len_bytes(), number, name]
