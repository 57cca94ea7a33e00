"""Draw the shaped registers and write them: CSV files, a study of them, and what must come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from precordial import __version__
from precordial.errors import PrecordialError
from precordial.twin.folder import whole_folder
from precordial.twin.registers_csv import append_csv
from precordial.twin.shaped import tables
from precordial.twin.shaped.chest_pain import draw_chest_pain
from precordial.twin.shaped.codes import draw_diagnoses, draw_ends, draw_procedures
from precordial.twin.shaped.ecgs import draw_ecgs
from precordial.twin.shaped.people import draw_people
from precordial.twin.shaped.shape import Shape
from precordial.twin.shaped.visits import draw_others, draw_register

if TYPE_CHECKING:
    import polars as pl

CHUNK = 500_000  # rows that are text at a time
SMALLEST, LARGEST = Fraction(1, 100), Fraction(100)
STUDY = "study.toml"


@dataclass(frozen=True)
class PaperRegisters:
    """What `make_paper_registers` made: the folder, rows of each file, and the counts that its cohort must have."""

    folder: Path
    rows: dict[str, int]
    expected: dict[str, int]

    def text(self) -> str:
        """What was made, in a few lines."""
        files = ", ".join(f"{count:,} {name}" for name, count in self.rows.items())
        lines = [f"{count:>10,} {name}" for name, count in self.expected.items()]
        return "\n".join([f"{self.folder}: {files}", f"what the cohort of {STUDY} must count:", *lines])


def make_paper_registers(out: str | Path, seed: int = 0, scale: float | Fraction = 1) -> PaperRegisters:
    """Write registers whose cohort, by the paper's rules, has the paper's flow chart to the last number.

    Equal arguments give equal files, byte for byte, on one machine. The folder appears only when it is complete.

    Args:
        out: the new folder; it must not exist, or be empty.
        seed: not negative.
        scale: from 0.01 to 100; all counts are so many times the paper's, rounded, and splits follow from the rules.

    Raises:
        PrecordialError: the folder is in use, a number is out of range, or the disk is full.
    """
    if seed < 0:
        raise PrecordialError("a seed is 0 or more")
    if not SMALLEST <= scale <= LARGEST:
        raise PrecordialError(f"scale is {scale}, and must be a number from {float(SMALLEST)} to {LARGEST}")
    exact = Fraction(str(scale))
    shape, out = Shape().times(exact), Path(out)
    room = "make room (the registers take about 0.45 GB times the scale), or ask for a smaller scale"
    with whole_folder(out, ("registers", "truth", STUDY), room) as partial:
        for name in ("registers", "truth"):
            (partial / name).mkdir(parents=True)
        rows = _write(partial / "registers", shape, seed)
        made = {"seed": seed, "scale": float(exact), "made_by": f"precordial {__version__}", "shape": asdict(shape)}
        for name, facts in (("settings", made), ("expected", shape.expected())):
            (partial / "truth" / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
        (partial / STUDY).write_bytes((Path(__file__).parent / STUDY).read_bytes())
    return PaperRegisters(out, rows, shape.expected())


def _write(folder: Path, shape: Shape, seed: int) -> dict[str, int]:
    """Draw table after table and write each; return their rows."""
    rows = {}

    def write(name: str, count: int, table: Callable[[slice], pl.DataFrame]) -> None:
        for first in range(0, count, CHUNK):
            append_csv(folder / f"{name}.csv", table(slice(first, min(first + CHUNK, count))))
        rows[name] = count

    rng = np.random.default_rng([seed, 3])
    people = draw_people(shape, rng)
    chest_pain = draw_chest_pain(shape, people, rng)
    others = draw_others(shape, chest_pain, rng)
    register = draw_register(shape, people, chest_pain, others, rng)
    ecgs = draw_ecgs(shape, chest_pain, others, rng)
    del others
    ids = tables.ids(people, 1 + int(ecgs.patient.max()))
    write("visits", shape.visit_rows, tables.visits(register, ids))
    write("ecgs", len(ecgs.time), tables.ecgs(ecgs, people, ids, seed))
    ends = draw_ends(shape, people, chest_pain, register, ecgs, rng)
    del ecgs
    write("patients", shape.patients, tables.patients(people, ends, ids, seed))
    write("deaths", int((ends.death >= 0).sum()), tables.deaths(ends, ids))
    procedures = draw_procedures(chest_pain, register, rng)
    write("procedures", len(procedures.patient), tables.procedures(procedures, ids))
    diagnoses = draw_diagnoses(shape, chest_pain, register, rng)
    write("diagnoses", shape.diagnosis_rows, tables.diagnoses(diagnoses, ids))
    return rows
