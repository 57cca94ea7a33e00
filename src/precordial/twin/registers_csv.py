"""The registers of the synthetic hospital as CSV files, and the truth about its visits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from precordial.twin.diagnoses import diagnoses, infarction_within
from precordial.twin.heart import TERRITORIES
from precordial.twin.people import COMPLAINTS, Population, Rows, Times

if TYPE_CHECKING:
    import polars as pl

TIME = "%Y-%m-%d %H:%M:%S"


def write_registers(folder: Path, population: Population, rng: np.random.Generator) -> tuple[int, NDArray[np.bool_]]:
    """Write visits.csv, diagnoses.csv and patients.csv, and the truth about the visits.

    Returns:
        Rows of visits.csv, and which of the population's visits are followed by an infarction within 30 days.
    """
    import polars as pl

    patients, visits = population.patients, population.visits
    registers, ids = folder / "registers", pl.Series(patients.id)
    sex = np.where(patients.female, "female", "male")
    people = {"patient_id": ids, "birth_date": patients.born, "sex": sex}
    append_csv(registers / "patients.csv", pl.DataFrame(people))

    # A few arrivals were registered twice, the second time with an earlier discharge.
    v = len(visits.patient)
    twice = np.sort(rng.choice(v, math.ceil(0.003 * v), replace=False))
    rows = np.concatenate([np.arange(v), twice])
    arrival, discharge = visits.arrival[rows], visits.discharge[rows]
    discharge[v:] = arrival[v:] + (discharge[v:] - arrival[v:]) // 2
    table = {
        "visit_id": visit_ids(np.arange(len(rows))),
        "patient_id": ids[visits.patient[rows]],
        "arrival": times(arrival),
        "discharge": times(discharge),
        "complaint": pl.Series(COMPLAINTS)[visits.complaint[rows]],
    }
    append_csv(registers / "visits.csv", pl.DataFrame(table))

    patient, code, day = diagnoses(visits, population.attacks, rng)
    append_csv(registers / "diagnoses.csv", pl.DataFrame({"patient_id": ids[patient], "code": code, "date": day}))

    label = infarction_within(visits, patient, code, day)
    append_csv(folder / "truth" / "visits.csv", _visit_truth(population, label))
    return len(rows), label


def _visit_truth(population: Population, label: NDArray[np.bool_]) -> pl.DataFrame:
    import polars as pl

    visits, attacks = population.visits, population.attacks
    struck = np.flatnonzero(attacks.visit >= 0)
    attack = np.full(len(visits.patient), -1)
    attack[attacks.visit[struck]] = struck
    about = attack_columns(population, attack)
    columns = {
        "visit_id": visit_ids(np.arange(len(attack))),
        "patient_id": pl.Series(population.patients.id)[visits.patient],
        "infarction": label.astype(np.int8),
        **about,
        "delayed": (about["onset"] > times(visits.arrival)).fill_null(False).cast(pl.Int8),
        "risk": population.risk,
    }
    return pl.DataFrame(columns)


def attack_columns(population: Population, attack: Rows) -> dict[str, pl.Series]:
    """Territory, severity in mV (0: silent) and onset of these rows of the infarctions; row -1 is none."""
    import polars as pl

    attacks, some = population.attacks, attack >= 0
    row = pl.Series(np.where(some, attack, len(attacks.patient)))
    return {
        "territory": pl.Series(TERRITORIES)[pl.Series(np.append(attacks.territory, 0))[row].to_numpy()],
        "severity_mv": pl.Series(np.append(attacks.severity, np.nan), nan_to_null=True)[row],
        "onset": times(np.append(attacks.onset, np.datetime64("NaT")))[row],
    }


def visit_ids(rows: Rows) -> pl.Series:
    """Ids of visits; null for row -1."""
    import polars as pl

    row = pl.col("row")
    named = pl.when(row >= 0).then("V" + (row + 1).cast(pl.String).str.zfill(7))
    return pl.DataFrame({"row": rows}).select(named).to_series()


def times(values: Times) -> pl.Series:
    """Times in whole seconds, as Polars knows them; null for none."""
    import polars as pl

    return pl.Series(values.astype("datetime64[ms]"))


def append_csv(path: Path, table: pl.DataFrame) -> None:
    """Append a table to a CSV file; the header stands before the first."""
    # Written by Python and not by Polars: then a full disk is an OSError like any other.
    with path.open("ab") as file:
        text = table.write_csv(include_header=file.tell() == 0, datetime_format=TIME, float_precision=6)
        file.write(text.encode())
