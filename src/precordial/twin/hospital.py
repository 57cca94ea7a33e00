"""A synthetic hospital on disk, as a user would have one: ECG files in dated folders, and registers as CSV."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from precordial import __version__
from precordial.errors import PrecordialError
from precordial.processes import in_order
from precordial.twin.blocks import Block, blocks, draw_faults
from precordial.twin.ecg_files import BATCH, FORMATS, batches, file_names, write_batch
from precordial.twin.ecg_tables import ecg_list, label_table, truth_table
from precordial.twin.faults import FAULTS, KINDS
from precordial.twin.folder import whole_folder
from precordial.twin.people import DELAYED, Population, draw_population
from precordial.twin.registers_csv import append_csv, write_registers

FOLDERS = ("ecg", "registers", "truth")
RATES = (500, 100)


@dataclass(frozen=True)
class Hospital:
    """What `make_hospital` made.

    Attributes:
        folder: all of it. ecg: the files. registers: visits.csv, diagnoses.csv and patients.csv; for WFDB files
            also labels.csv.
        truth: truth.csv (one row per ECG file), visits.csv (one per visit) and settings.json: not for the study
            to see.
        patients: number of patients. visits: rows of visits.csv. ecgs: rows of truth.csv.
        chest_pain_visits: those with this complaint, each arrival counted once.
        infarctions: chest-pain visits with an I21 from the day of arrival to 30 days after.
        faults: files with each planted fault, see `FAULTS`.
        files: whether there are ECG files.
    """

    folder: Path
    ecg: Path
    registers: Path
    truth: Path
    patients: int
    visits: int
    ecgs: int
    chest_pain_visits: int
    infarctions: int
    faults: dict[str, int]
    files: bool = True

    def text(self) -> str:
        """What was made, in a few lines."""
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        ecgs = f"{self.ecgs:,} ECG files" if self.files else f"{self.ecgs:,} ECGs without files"
        return (
            f"{self.folder}: {self.patients:,} patients, {self.visits:,} visits, {ecgs}\n"
            f"{self.chest_pain_visits:,} visits with chest pain, {self.infarctions:,} of them with an infarction "
            f"within 30 days" + (f"\nplanted faults: {faults}" if self.files else "")
        )


def make_hospital(
    patients: int,
    seed: int,
    out: str | Path,
    *,
    chest_pain: float = 0.38,
    prevalence: float = 0.15,
    silent: float = 0.43,
    clinic_ecgs: float = 2.2,
    rate: int = 500,
    format: Literal["muse", "wfdb"] = "muse",
    registers_only: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Hospital:
    """Write a hospital.

    Everything but `workers` and `progress` decides about the content: equal arguments give equal files, byte
    for byte, on one machine. The registers do not depend on rate and format. The folder appears only when it is
    complete; what an error or Ctrl-C leaves unfinished is removed.

    Args:
        patients: how many; about 3.3 ECGs each, of 136 kB as MUSE XML and 121 kB as WFDB.
        seed: not negative.
        out: the new folder; it must not exist, or be empty.
        chest_pain: share of the patients who come with chest pain.
        prevalence: infarctions within 30 days among chest-pain visits (the paper's are 0.058).
        silent: share of the infarctions that no ECG shows.
        clinic_ecgs: ECGs from other clinics of a patient without chest pain, on average.
        rate: samples per second of the ECGs, 500 or 100.
        format: of the ECG files, GE MUSE XML or WFDB (12 leads in format 16).
        registers_only: no ECG files; the registers, ecgs.csv among them, which lists the usable ECGs as an archive
            would, and the truth with an empty column `file`.
        workers: processes; by default one per core where there are enough files for them. Call this with more
            than one from under ``if __name__ == "__main__":``, as any program that starts processes.
        progress: called with (ECGs done, ECGs in all).

    Raises:
        PrecordialError: the folder is in use, a number is out of range, or the disk is full.
    """
    given = {
        "patients": patients,
        "seed": seed,
        "chest_pain": chest_pain,
        "prevalence": prevalence,
        "silent": silent,
        "clinic_ecgs": clinic_ecgs,
        "rate": rate,
        "format": format,
        "registers_only": registers_only,
    }
    _check(given, workers)
    out = Path(out)
    room = "make room (a patient takes about 0.45 MB), or ask for fewer patients or registers only"
    with whole_folder(out, FOLDERS, room) as partial:
        for name in FOLDERS:
            (partial / name).mkdir(parents=True)
        made = {**given, "delayed": DELAYED, "made_by": f"precordial {__version__}"}
        (partial / "truth" / "settings.json").write_text(json.dumps(made, indent=1) + "\n")
        rng = np.random.default_rng([seed, 0])
        population = draw_population(
            patients, rng, chest_pain=chest_pain, prevalence=prevalence, silent=silent, clinic_ecgs=clinic_ecgs
        )
        rows, label = write_registers(partial, population, rng)
        faults = _write_ecgs(partial, population, label, given, workers, progress)
    return Hospital(
        folder=out,
        ecg=out / "ecg",
        registers=out / "registers",
        truth=out / "truth",
        patients=patients,
        visits=rows,
        ecgs=len(population.recordings.time) + faults["duplicate"],
        chest_pain_visits=int((population.visits.complaint == 0).sum()),
        infarctions=int(label[population.visits.complaint == 0].sum()),
        faults=faults,
        files=not registers_only,
    )


def _check(given: dict[str, Any], workers: int | None) -> None:
    if given["patients"] < 20:
        raise PrecordialError(f"a hospital needs at least 20 patients, not {given['patients']}")
    if given["seed"] < 0:
        raise PrecordialError("a seed is 0 or more")
    for name in ("chest_pain", "prevalence"):
        if not 0 < given[name] < 1:
            raise PrecordialError(f"{name} is {given[name]}, and must be a share between 0 and 1")
    if not 0 <= given["silent"] <= 1:
        raise PrecordialError(f"silent is {given['silent']}, and must be a share from 0 to 1")
    if not 0 <= given["clinic_ecgs"] <= 100:
        raise PrecordialError(f"clinic_ecgs is {given['clinic_ecgs']}, and must be a number from 0 to 100")
    if given["rate"] not in RATES:
        raise PrecordialError(f"ECGs are made with 500 or 100 samples per second, not {given['rate']}")
    if given["format"] not in FORMATS:
        raise PrecordialError(f"ECG files are written as {' or '.join(FORMATS)}, not '{given['format']}'")
    if workers is not None and workers < 1:
        raise PrecordialError("it takes at least one worker")


def _write_ecgs(
    folder: Path,
    population: Population,
    label: NDArray[np.bool_],
    given: dict[str, Any],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> dict[str, int]:
    """Write the truth about every ECG and, if wanted, the files; return the number of each planted fault."""
    n = len(population.recordings.time)
    everybody, fault = draw_faults(population, given["seed"])
    described = _describe(folder, population, label, given, blocks(population, everybody, fault, given["seed"]))
    if given["registers_only"]:
        counts = (len(block.row) for block, _ in described)
    else:
        target, same = folder / "ecg", (given["format"], given["rate"], given["seed"])
        jobs = (job for block, names in described for job in batches(target, population, block, names, *same))
        counts = in_order(write_batch, jobs, _processes(workers, n))
    done = 0
    with closing(counts):
        for count in counts:
            done += count
            if progress is not None:
                progress(done, n)
    return {name: int((fault == KINDS.index(name)).sum()) for name in FAULTS}


def _describe(
    folder: Path, population: Population, label: NDArray[np.bool_], given: dict[str, Any], every: Iterable[Block]
) -> Iterator[tuple[Block, list[str]]]:
    """Write down what is true about the ECGs of each block; pass the blocks on, with the names of their files."""
    kind = FORMATS[given["format"]]
    for block in every:
        names = [] if given["registers_only"] else file_names(population, block, kind)
        append_csv(folder / "truth" / "truth.csv", truth_table(population, block, names, kind))
        if given["registers_only"]:
            append_csv(folder / "registers" / "ecgs.csv", ecg_list(population, block))
        if names and given["format"] == "wfdb":
            append_csv(folder / "registers" / "labels.csv", label_table(population, block, names, label))
        yield block, names


def _processes(workers: int | None, n: int) -> int:
    """How many processes: not more than batches, and by default only where each has some seconds to work."""
    least = 1 if workers else 4
    return max(min(workers or os.cpu_count() or 1, math.ceil(n / BATCH) // least), 1)
