"""The PhysioNet/CinC Challenge 2021 as a label table: what the headers of its recordings say."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from precordial.datasets.ptbxl import HIDDEN_AGE, SHOWN_AGE, ptbxl_patients
from precordial.datasets.set_tables import AS_PUBLISHED, indicators
from precordial.errors import RegisterError
from precordial.formats.reader import parse_number, parse_sex, plausible_age
from precordial.formats.wfdb import read_comments

if TYPE_CHECKING:
    import polars as pl

# The folders of the Challenge's training set, one for each place that the recordings came from.
CINC_PARTS = frozenset(
    {
        "chapman_shaoxing",
        "cpsc_2018",
        "cpsc_2018_extra",
        "georgia",
        "ningbo",
        "ptb",
        "ptb-xl",
        "st_petersburg_incart",
    }
)
SCORED = "snomed-challenge-2021-1.csv"
UNKNOWN = {"", "unknown", "nan"}


def cinc_table(folder: str | Path) -> pl.DataFrame:
    """The recordings of the Challenge with a label for each diagnosis that it scores, and for every other one met.

    A recording has a label if its header lists a code of it. That is how the Challenge counts, though not every
    collection looked for every diagnosis. A header without diagnoses leaves all labels of its recording empty.

    Args:
        folder: holds the collections' folders, or ``training`` with them; ptbxl_database.csv too, if the patients of
            the collection ptb-xl are to be told apart.

    Returns:
        As `precordial.datasets.load_dataset`: the labels are the Challenge's abbreviations, equal diagnoses merged
        (`scored_codes`), then ``snomed:164865005`` and so on, by number; site is the collection. A patient is the
        recording itself, but for ptb-xl where its table is there: then the recordings that it lacks are left out.

    Raises:
        RegisterError: there are no such folders, or a diagnosis is no SNOMED CT code.
        UnusableEcg: a header cannot be read.
    """
    import polars as pl

    folder = Path(folder)
    patients, scored = ptbxl_patients(folder), scored_codes()
    rows: list[tuple[str, str, float | None, bool, float | None, str]] = []
    found: list[set[str] | None] = []
    for source in cinc_headers(folder):
        patient = cinc_patient(source, patients)
        if patient is None:
            continue
        comments = read_comments(folder / source)
        age, sex = parse_number(comments.get("age")), parse_sex(comments.get("sex"))
        hidden = age == HIDDEN_AGE
        shown = SHOWN_AGE if hidden else plausible_age(age)
        rows.append(
            (source, patient, shown, hidden, None if sex is None else float(sex == "female"), cinc_part(source))
        )
        codes = _codes(comments.get("dx", ""), folder / source)
        found.append(None if codes is None else {scored.get(code, f"snomed:{code}") for code in codes})
    names = set[str]().union(*filter(None, found))
    others = sorted((name for name in names if name.startswith("snomed:")), key=lambda name: int(name[7:]))
    schema = {
        "file": pl.String,
        "patient_id": pl.String,
        "age": pl.Float64,
        "age_above_89": pl.Boolean,
        "sex": pl.Float64,
        "site": pl.String,
    }
    return pl.DataFrame(rows, schema, orient="row").with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("row"),
        pl.lit(None, pl.Datetime("us")).alias("recorded_at"),
        pl.lit(None, pl.String).alias("device"),
        pl.lit(None, pl.String).alias("fold"),
        *indicators(found, [*dict.fromkeys(scored.values()), *others]),
    )


def scored_codes() -> dict[str, str]:
    """SNOMED CT code → the Challenge's abbreviation, for the diagnoses that it scores: 30 codes, 26 labels.

    Equal ones have the label of the one that the Challenge names first: CLBBB is also LBBB, CRBBB also RBBB, PAC also
    SVPB, PVC also VPB.
    """
    text = files("precordial.datasets").joinpath(SCORED).read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["code"]: row["label"] for row in rows}


def cinc_headers(folder: Path) -> list[str]:
    """The headers of the Challenge's recordings, as POSIX paths below the folder, in a fixed order."""
    found = (header for part in cinc_parts(folder) for header in part.rglob("*.hea"))
    return sorted(header.relative_to(folder).as_posix() for header in found)


def cinc_parts(folder: Path) -> list[Path]:
    """The collections' folders that are there.

    Raises:
        RegisterError: there is none.
    """
    parts = [base / part for base in (folder, folder / "training") for part in sorted(CINC_PARTS)]
    found = [part for part in parts if part.is_dir()]
    if not found:
        raise RegisterError(
            "none of the Challenge's folders is here", file=folder, remedy="give the folder that holds training/"
        )
    return found


def is_cinc(path: str) -> bool:
    """Whether a file is the header of one of the Challenge's recordings, by its POSIX path below the set's folder."""
    return path.endswith(".hea") and not CINC_PARTS.isdisjoint(PurePosixPath(path).parts[:-1])


def cinc_part(source: str) -> str:
    """The collection of a recording, by its path."""
    return next(part for part in PurePosixPath(source).parts if part in CINC_PARTS)


def cinc_patient(source: str, patients: Mapping[str, str] | None) -> str | None:
    """The patient of a recording: the recording itself, since none are published.

    The record ``HR00017`` is number 17 of PTB-XL, whose own table, where it is there, knows the patient.

    Args:
        source: the recording's path.
        patients: of PTB-XL by number, if known.

    Returns:
        None where PTB-XL's table does not have the recording: it was withdrawn.
    """
    name = PurePosixPath(source).stem
    if patients is None or cinc_part(source) != "ptb-xl":
        return name
    return patients.get(name.removeprefix("HR").lstrip("0"))


def _codes(text: str, path: Path) -> Iterable[str] | None:
    """The SNOMED CT codes of a header; None where it has none."""
    codes = [code.strip() for code in text.split(",")]
    known = [code for code in codes if code.lower() not in UNKNOWN]
    if not all(code.isdecimal() for code in known):
        raise RegisterError(
            "a diagnosis is no SNOMED CT code such as 164889003", file=path, column="Dx", remedy=AS_PUBLISHED
        )
    return known or None
