"""Presets: the tables of a public set as details of each recording, for `precordial.archive.ingest`.

The layouts are those of the published sets (docs/tutorials/public-sets.md says where each was looked up).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from precordial.archive.details import Details
from precordial.datasets.cinc import cinc_part, cinc_parts, cinc_patient, is_cinc
from precordial.datasets.ptbxl import DATABASE, HIDDEN_AGE, SHOWN_AGE, ptbxl_patients
from precordial.datasets.set_tables import (
    AS_PUBLISHED,
    Metadata,
    by_recording,
    is_header,
    look_up,
    plain_id,
    read_set_table,
    shared,
)
from precordial.ecg import Flag, Sex
from precordial.errors import RegisterError, SettingsError
from precordial.formats.reader import parse_number, parse_sex, plausible_age

PTBXL_SEX: dict[float | None, Sex] = {0.0: "male", 1.0: "female"}
CODE15_SEX: dict[str | None, Sex] = {"True": "male", "False": "female"}  # column is_male
LUDB_DEVICE = "Cardiovit AT-101"  # all of the set was recorded with it
MIMIC_HOSP = "mimic-iv/hosp"
MIMIC_HIDDEN_AGE = 91.0  # stands for every age above 89 in MIMIC-IV's anchor_age


@dataclass(frozen=True)
class Preset:
    """A set whose tables can be read: its title, and how, from its folder and the archive's rate in Hz."""

    title: str
    load: Callable[[Path, int], Metadata]


def preset_metadata(name: str, folder: str | Path, *, rate: int = 500) -> Metadata:
    """Read the tables of a public set.

    Args:
        name: one of `PRESETS`.
        folder: the set's own folder, which holds its tables and is the one to be ingested.
        rate: Hz of the archive; PTB-XL has each recording at 100 and at 500 Hz, and one of them is wanted.

    Raises:
        SettingsError: there is no such preset.
        RegisterError: a table or the recordings of this rate are missing, or a table cannot be understood.
    """
    if name not in PRESETS:
        raise SettingsError(f"there is no preset {name!r}", remedy=f"choose one of {', '.join(PRESETS)}")
    return PRESETS[name].load(Path(folder), rate)


def _ptbxl(folder: Path, rate: int) -> Metadata:
    column = "filename_lr" if rate == 100 else "filename_hr"
    names = {"source": column, "patient_id": "patient_id", "recorded_at": "recording_date", "age": "age", "sex": "sex"}
    table = read_set_table(
        folder / DATABASE,
        names | {"site": "site", "device": "device"},
        {"recorded_at": "date", "age": "number", "sex": "number"},
    )
    if not (folder / f"records{rate}").is_dir():
        raise RegisterError(
            "there is no such folder",
            file=folder / f"records{rate}",
            remedy=f"download it, or make an archive of {600 - rate} Hz",
        )

    def details(row: Mapping[str, Any]) -> Details:
        hidden = row["age"] == HIDDEN_AGE
        return Details(
            patient_id=plain_id(row["patient_id"]),
            recorded_at=row["recorded_at"],
            age=SHOWN_AGE if hidden else plausible_age(row["age"]),
            sex=PTBXL_SEX.get(row["sex"]),
            device=shared(row["device"]),
            site=None if row["site"] is None else plain_id(row["site"]),
            flags=Flag.AGE_ABOVE_89 if hidden else Flag(0),
        )

    rows = by_recording(table, folder / DATABASE, names, details)
    return Metadata(partial(is_header, below=f"records{rate}/"), partial(look_up, rows=rows, key=_record))


def _code15(folder: Path, rate: int) -> Metadata:
    names = {"source": "exam_id", "patient_id": "patient_id", "age": "age", "sex": "is_male"}
    table = read_set_table(folder / "exams.csv", names, {"age": "number"})

    def details(row: Mapping[str, Any]) -> Details:
        return Details(plain_id(row["patient_id"]), age=plausible_age(row["age"]), sex=CODE15_SEX.get(row["sex"]))

    rows = by_recording(table, folder / "exams.csv", names, details)
    return Metadata(partial(fnmatchcase, pat="exams_part*.hdf5"), partial(look_up, rows=rows, key=_exam))


def _ludb(folder: Path, rate: int) -> Metadata:
    names = {"source": "ID", "age": "Age", "sex": "Sex"}
    path = folder / "ludb.csv"

    def details(row: Mapping[str, Any]) -> Details:
        hidden = row["age"] == ">89"
        age = SHOWN_AGE if hidden else plausible_age(parse_number(row["age"]))
        if row["age"] is not None and age is None:
            raise RegisterError("this is not an age", file=path, row=row["row"], column="Age", remedy=AS_PUBLISHED)
        flags = Flag.AGE_ABOVE_89 if hidden else Flag(0)
        # One recording a patient.
        return Details(row["source"], age=age, sex=parse_sex(row["sex"]), device=LUDB_DEVICE, flags=flags)

    rows = by_recording(read_set_table(path, names, {}), path, names, details)
    return Metadata(partial(is_header, below="data/"), partial(look_up, rows=rows, key=_name))


def _mimic(folder: Path, rate: int) -> Metadata:
    names = {"source": "path", "patient_id": "subject_id", "recorded_at": "ecg_time"}
    path = folder / "record_list.csv"
    people = _mimic_people(folder)

    def details(row: Mapping[str, Any]) -> Details:
        sex, anchor_age, anchor_year = people.get(row["patient_id"], (None, None, None))
        age, flags, time = None, Flag(0), row["recorded_at"]
        if anchor_age is not None and anchor_age >= MIMIC_HIDDEN_AGE:
            age, flags = SHOWN_AGE, Flag.AGE_ABOVE_89
        elif anchor_age is not None and anchor_year is not None and isinstance(time, datetime):
            age = plausible_age(anchor_age + time.year - anchor_year)
        return Details(plain_id(row["patient_id"]), recorded_at=time, age=age, sex=sex, flags=flags)

    rows = by_recording(read_set_table(path, names, {"recorded_at": "date"}), path, names, details)
    return Metadata(partial(is_header, below="files/"), partial(look_up, rows=rows, key=_record))


def _mimic_people(folder: Path) -> dict[str, tuple[Sex | None, float | None, float | None]]:
    """Sex, age and its year by patient, from MIMIC-IV's table of patients; empty where that is nowhere.

    It is looked for beside record_list.csv, and in MIMIC-IV's own folder beside the set's.
    """
    places = (folder, folder.absolute().parent / MIMIC_HOSP)
    found = [path for place in places for path in (place / "patients.csv", place / "patients.csv.gz") if path.is_file()]
    if not found:
        return {}
    path = found[0]
    names = {"patient_id": "subject_id", "sex": "gender", "age": "anchor_age", "year": "anchor_year"}
    table = read_set_table(path, names, {"age": "number", "year": "number"}).select("patient_id", "sex", "age", "year")
    return {patient: (parse_sex(sex), age, year) for patient, sex, age, year in table.iter_rows() if patient}


def _cinc(folder: Path, rate: int) -> Metadata:
    cinc_parts(folder)
    return Metadata(is_cinc, partial(_find_cinc, patients=ptbxl_patients(folder)))


def _find_cinc(source: str, patients: Mapping[str, str] | None) -> Details | None:
    """Ages and sexes stand in the headers; the headers' times are those of their conversion."""
    patient = cinc_patient(source, patients) if is_cinc(source) else None
    return None if patient is None else Details(patient, site=cinc_part(source))


def _record(source: str) -> str:
    return source.removesuffix(".hea")


def _name(source: str) -> str:
    return PurePosixPath(source).stem


def _exam(source: str) -> str:
    return source.rpartition("#")[2]


PRESETS: dict[str, Preset] = {
    "ptb-xl": Preset("PTB-XL 1.0.3", _ptbxl),
    "code-15": Preset("CODE-15 %", _code15),
    "cinc2021": Preset("PhysioNet/CinC Challenge 2021", _cinc),
    "ludb": Preset("Lobachevsky University Database 1.0.1", _ludb),
    "mimic-iv-ecg": Preset("MIMIC-IV-ECG 1.0", _mimic),
}
