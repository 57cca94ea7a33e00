"""The truth about the ECGs of the synthetic hospital, and the record list of its WFDB files, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from precordial.twin.blocks import Block
from precordial.twin.conditions import BLOCKS
from precordial.twin.ecg_files import Format, copy_name
from precordial.twin.faults import FAULTS, KINDS
from precordial.twin.people import Population
from precordial.twin.registers_csv import attack_columns, times, visit_ids

if TYPE_CHECKING:
    import polars as pl

WINDOW = (-2 * 3600, 3 * 3600)  # seconds from the arrival, in which the paper looks for a visit's ECG


def truth_table(population: Population, block: Block, names: list[str], kind: Format) -> pl.DataFrame:
    """One row per file of a block, two for an ECG that was exported twice; no names: without files.

    The waves of the heart are those without noise; premature beats are expected numbers, the ST vector is in
    Frank's axes (left, feet, back).
    """
    import polars as pl

    patients, recordings, heart = population.patients, population.recordings, block.heart
    who = recordings.patient[block.row]
    columns = {
        "file": pl.Series(
            [f"ecg/{name}{kind.suffix}" for name in names] if names else [None] * len(who), dtype=pl.String
        ),
        "patient_id": pl.Series(patients.id[who]),
        "visit_id": visit_ids(recordings.visit[block.row]),
        "recorded_at": times(recordings.time[block.row]),
        "age": block.age,
        "sex": np.where(patients.female[who], "female", "male"),
        "heart_years": block.persons.heart_years,
        **attack_columns(population, block.attack),
        "early_repolarisation_mv": block.persons.early_repolarisation,
        "hypertrophy": block.persons.hypertrophy,
        "st_t_changes": block.persons.st_t_changes,
        "bundle_branch": pl.Series(BLOCKS)[block.persons.bundle_branch],
        "atrial_ectopics_per_min": heart.ectopy[:, 0],
        "ventricular_ectopics_per_min": heart.ectopy[:, 1],
        "heart_rate": heart.heart_rate,
        "pr_ms": heart.pr,
        "qrs_ms": heart.qrs,
        "qt_ms": heart.qt,
        "axis_deg": heart.axis,
        **{f"st_{axis}_mv": heart.st[:, i] for i, axis in enumerate("xyz")},
        "fault": pl.Series([None, *FAULTS])[block.fault],
    }
    table = pl.DataFrame(columns)
    twice = np.flatnonzero(block.fault == KINDS.index("duplicate"))
    again = table[twice]
    if names:
        files = [f"ecg/{copy_name(names[i], kind)}{kind.suffix}" for i in twice]
        again = again.with_columns(pl.Series("file", files, dtype=pl.String))
    first = table.with_columns(pl.col("fault").replace("duplicate", None))
    order = np.argsort(np.concatenate([np.arange(len(table)), twice]), kind="stable")
    return pl.concat([first, again])[order]


def ecg_list(population: Population, block: Block) -> pl.DataFrame:
    """What an archive would know of the usable ECGs, for cohorts without files: id, patient, time, age, sex."""
    import polars as pl

    usable = np.isin(block.fault, [KINDS.index(kind) for kind in ("", "duplicate", "wrong-age")])
    row = block.row[usable]
    who = population.recordings.patient[row]
    columns = {
        "ecg_id": visit_ids(row).str.replace("V", "E"),
        "patient_id": pl.Series(population.patients.id[who]),
        "recorded_at": times(population.recordings.time[row]),
        "age": block.age[usable],
        "sex": np.where(population.patients.female[who], "female", "male"),
    }
    return pl.DataFrame(columns)


def label_table(population: Population, block: Block, names: list[str], label: NDArray[np.bool_]) -> pl.DataFrame:
    """The record list of files that do not say whose they are: patient, time, age, sex and label of each."""
    import polars as pl

    visits, recordings = population.visits, population.recordings
    who, visit, time = recordings.patient[block.row], recordings.visit[block.row], recordings.time[block.row]
    offset = (time - visits.arrival[visit]).astype(int)
    judged = (visit >= 0) & (visits.complaint[visit] == 0) & (offset >= WINDOW[0]) & (offset <= WINDOW[1])
    columns = {
        "file": names,
        "patient_id": pl.Series(population.patients.id[who]),
        "recorded_at": times(time),
        "age": block.age,
        "sex": np.where(population.patients.female[who], "female", "male"),
        "infarction": label[visit].astype(np.int8),
        "judged": judged,
        "fault": pl.Series(KINDS)[block.fault],
    }
    return pl.DataFrame(columns).select(
        "file",
        pl.when(pl.col("fault") != "no-patient-id").then("patient_id"),
        pl.when(pl.col("fault") != "no-time").then("recorded_at"),
        "age",
        "sex",
        pl.when("judged").then("infarction"),
    )
