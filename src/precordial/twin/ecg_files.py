"""The files of the synthetic hospital: in which formats, under which names, and how a batch of them is written.

A batch has a random stream of its own and knows all that it needs, so that any process can write it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from precordial.twin.blocks import Block
from precordial.twin.faults import KINDS, spoil
from precordial.twin.header import Header, to_units
from precordial.twin.heart import Beats
from precordial.twin.muse_writer import muse_files
from precordial.twin.people import Population, take
from precordial.twin.persons import Persons
from precordial.twin.registers_csv import times
from precordial.twin.signal import record
from precordial.twin.wfdb_writer import wfdb_files

BATCH = 128  # ECGs; part of what a seed means


class Format(NamedTuple):
    """A file format: its writer, the pattern of names below ecg/, the suffix of the file that is read."""

    write: Callable[..., dict[str, bytes]]
    name: str
    copy: str  # where a second export of the same ECG goes: of a WFDB record the name must stay
    suffix: str


FORMATS = {
    "muse": Format(muse_files, "%Y/%m/MUSE_%Y%m%d_%H%M%S_", "{folder}/{name}_copy", ".xml"),
    "wfdb": Format(wfdb_files, "%Y/%m/ECG_%Y%m%d_%H%M%S_", "{folder}/copy/{name}", ".hea"),
}


@dataclass(frozen=True)
class Batch:
    """The files that one process writes at a time; `names` are paths below `folder` without suffix."""

    folder: Path
    format: str
    rate: int
    stream: tuple[int, int, int]
    names: list[str]
    headers: list[Header]
    faults: list[str]
    persons: Persons
    heart: Beats


def file_names(population: Population, block: Block, kind: Format) -> list[str]:
    """Paths of a block's files below ecg/, without suffix."""
    when = times(population.recordings.time[block.row]).dt.strftime(kind.name).to_list()
    return [f"{name}{row:06d}" for name, row in zip(when, block.row.tolist(), strict=True)]


def copy_name(name: str, kind: Format) -> str:
    """Path of the second export of an ECG."""
    folder, _, own = name.rpartition("/")
    return kind.copy.format(folder=folder, name=own)


def batches(
    folder: Path, population: Population, block: Block, names: list[str], kind: str, rate: int, seed: int
) -> Iterator[Batch]:
    """The files of a block, to be written below `folder`; `kind` is a name of `FORMATS`."""
    patients, recordings = population.patients, population.recordings
    for start in range(0, len(block.row), BATCH):
        part = np.arange(start, min(start + BATCH, len(block.row)))
        row, heart = block.row[part], take(block.heart, part)
        who = recordings.patient[row]
        headers = zip(
            patients.id[who].tolist(),
            recordings.time[row].tolist(),
            block.age[part].astype(int).tolist(),
            np.where(patients.female[who], "FEMALE", "MALE").tolist(),
            *(column.tolist() for column in (heart.heart_rate, heart.pr, heart.qrs, heart.qt, heart.axis)),
            (recordings.visit[row] < 0).astype(int).tolist(),
            block.device[part].tolist(),
            strict=True,
        )
        yield Batch(
            folder=folder,
            format=kind,
            rate=rate,
            stream=(seed, 3, int(row[0])),
            names=[names[i] for i in part],
            headers=[Header(*columns) for columns in headers],
            faults=[KINDS[i] for i in block.fault[part]],
            persons=block.persons.take(part),
            heart=heart,
        )


def write_batch(batch: Batch) -> int:
    """Make the signals of a batch and write its files; return how many ECGs it has."""
    rng, kind = np.random.default_rng(batch.stream), FORMATS[batch.format]
    signal, template = record(batch.heart, batch.persons, rng, rate=batch.rate)
    rhythm, median = to_units(signal), to_units(template)
    for j, (name, header, fault) in enumerate(zip(batch.names, batch.headers, batch.faults, strict=True)):
        if fault == "flat-lead":
            rhythm[j, rng.integers(8)] = 0
        own = name.rpartition("/")[2]
        files = kind.write(own, rhythm[j], median[j], spoil(header, fault, rng), batch.rate, fault)
        for place in (name, copy_name(name, kind)) if fault == "duplicate" else (name,):
            path = batch.folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            for suffix, data in files.items():
                path.with_name(path.name + suffix).write_bytes(data)
    return len(batch.names)
