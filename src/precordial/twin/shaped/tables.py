"""The shaped registers as tables. Each function gives another: from a slice of its rows to a table of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from precordial.twin.header import DEVICES
from precordial.twin.people import COMPLAINTS
from precordial.twin.registers_csv import times
from precordial.twin.shaped.codes import ALL_CODES, CAUSES, PROCEDURES, REGISTERS, Diagnoses, Ends, Procedures
from precordial.twin.shaped.ecgs import NO_PATIENT, NO_TIME, Ecgs, digests
from precordial.twin.shaped.people import DAY, FIRST, SITES, Ints, People
from precordial.twin.shaped.visits import NO_ARRIVAL, NO_COMPLAINT, NO_ID, Register
from precordial.twin.shaped.visits import NO_PATIENT as NO_VISITOR

if TYPE_CHECKING:
    import polars as pl

Table = Callable[[slice], "pl.DataFrame"]
SITE_NAMES = tuple(f"Hospital {letter}" for letter in SITES)
SPELLINGS = (*COMPLAINTS, *(name.capitalize() for name in COMPLAINTS))  # one visit in 37 has a capital letter
WITHOUT_BIRTH_DATE = 0.002  # of the patients
SEXES = ("male", "female")


def ids(people: People, count: int) -> pl.Series:
    """The ids of the patients, and of those whom no register knows."""
    return _numbered("P", people.id_numbers(np.arange(count)))


def visits(rows: Register, ids: pl.Series) -> Table:
    """visit_id (the hospital's letter and a running number), patient_id, arrival, discharge, complaint, site."""
    import polars as pl

    def table(some: slice) -> pl.DataFrame:
        part, number = rows.take(some), np.arange(some.start, some.stop)
        capital = np.where(number % 37 == 0, len(COMPLAINTS), 0)
        columns = {
            "visit_id": _named(SITES, part.site, part.missing == NO_ID) + _numbered("", number),
            "patient_id": _named(ids, part.patient, part.missing == NO_VISITOR),
            "arrival": _times(np.where(part.missing == NO_ARRIVAL, -1, part.arrival)),
            "discharge": _times(part.discharge),
            "complaint": _named(SPELLINGS, part.complaint + capital, part.missing == NO_COMPLAINT),
            "site": _named(SITE_NAMES, part.site),
        }
        return pl.DataFrame(columns)

    return table


def ecgs(rows: Ecgs, people: People, ids: pl.Series, seed: int) -> Table:
    """ecg_id, patient_id, recorded_at, age and sex as the device has them, site, device, waveform (a digest)."""
    import polars as pl

    def table(some: slice) -> pl.DataFrame:
        rng = np.random.default_rng([seed, 4, some.start])
        patient, time, missing = rows.patient[some], rows.time[some], rows.missing[some]
        number, n = np.arange(some.start, some.stop), len(patient)
        who = np.minimum(patient, len(people.born) - 1)  # strangers borrow somebody's age, sex and hospital
        age = np.floor(people.age(who, time // DAY))
        columns = {
            "ecg_id": _numbered("E", number),
            "patient_id": _named(ids, patient, missing == NO_PATIENT),
            "recorded_at": _times(np.where(missing == NO_TIME, -1, time)),
            "age": pl.Series(np.where(rng.random(n) < 0.02, np.nan, age), nan_to_null=True).cast(pl.Int16),
            "sex": _named(SEXES, people.female[who], rng.random(n) < 0.02),
            "site": _named(SITE_NAMES, people.home[who], rng.random(n) < 0.05),
            "device": _named(DEVICES, rng.integers(len(DEVICES), size=n), rng.random(n) < 0.03),
            "waveform": digests(number, seed),
        }
        return pl.DataFrame(columns)

    return table


def patients(people: People, ends: Ends, ids: pl.Series, seed: int) -> Table:
    """patient_id, birth_date (a few are unknown), sex, left (the day of emigration)."""
    import polars as pl

    def table(some: slice) -> pl.DataFrame:
        unknown = np.random.default_rng([seed, 5, some.start]).random(some.stop - some.start) < WITHOUT_BIRTH_DATE
        columns = {
            "patient_id": ids[some],
            "birth_date": _days(people.born[some], unknown),
            "sex": _named(SEXES, people.female[some]),
            "left": _days(ends.left[some], ends.left[some] < 0),
        }
        return pl.DataFrame(columns)

    return table


def deaths(ends: Ends, ids: pl.Series) -> Table:
    """patient_id, date, cause."""
    import polars as pl

    dead = np.flatnonzero(ends.death >= 0)

    def table(some: slice) -> pl.DataFrame:
        who = dead[some]
        columns = {
            "patient_id": _named(ids, who),
            "date": _days(ends.death[who]),
            "cause": _named(CAUSES, ends.cause[who]),
        }
        return pl.DataFrame(columns)

    return table


def procedures(rows: Procedures, ids: pl.Series) -> Table:
    """patient_id, code, date."""
    import polars as pl

    def table(some: slice) -> pl.DataFrame:
        columns = {
            "patient_id": _named(ids, rows.patient[some]),
            "code": _named(PROCEDURES, rows.code[some]),
            "date": _days(rows.day[some]),
        }
        return pl.DataFrame(columns)

    return table


def diagnoses(rows: Diagnoses, ids: pl.Series) -> Table:
    """patient_id, code, date, position (1 = main), register."""
    import polars as pl

    def table(some: slice) -> pl.DataFrame:
        columns = {
            "patient_id": _named(ids, rows.patient[some]),
            "code": _named(ALL_CODES, rows.code[some]),
            "date": _days(rows.day[some]),
            "position": rows.position[some],
            "register": _named(REGISTERS, rows.register[some]),
        }
        return pl.DataFrame(columns)

    return table


def _numbered(letter: str, numbers: Ints) -> pl.Series:
    """A letter and eight digits."""
    import polars as pl

    return pl.select(letter + pl.lit(pl.Series(numbers)).cast(pl.String).str.zfill(8)).to_series()


def _named(
    names: Sequence[str] | pl.Series, index: NDArray[np.generic], unknown: NDArray[np.bool_] | None = None
) -> pl.Series:
    """The names with these numbers, null where they are unknown."""
    import polars as pl

    number = pl.Series(np.asarray(index, np.uint32))
    if unknown is not None:
        number = pl.select(pl.when(~pl.lit(pl.Series(unknown))).then(pl.lit(number))).to_series()
    return pl.Series(names).gather(number)


def _times(seconds: Ints) -> pl.Series:
    """Times, null where negative."""
    return times(np.where(seconds < 0, np.datetime64("NaT"), FIRST + seconds.astype("timedelta64[s]")))


def _days(days: Ints, unknown: NDArray[np.bool_] | None = None) -> pl.Series:
    """Dates, null where they are unknown."""
    import polars as pl

    dates = FIRST.astype("datetime64[D]") + days.astype("timedelta64[D]")
    return pl.Series(dates if unknown is None else np.where(unknown, np.datetime64("NaT"), dates))
