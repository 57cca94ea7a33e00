"""From a table of labels to labelled ECGs: which row is which ECG, and which patients are target."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import polars as pl

from precordial.cohort.splits import draw
from precordial.errors import RegisterError

# The columns of a public set's table that are no labels; nor are those that begin with FILE.
NOT_LABELS = frozenset(
    {"row", "file", "patient_id", "recorded_at", "age", "age_above_89", "sex", "site", "device", "fold"}
)
FILE = "file_"
_BETWEEN = re.compile(r"/|#(?=[^/#]*$)")
_SUFFIX = re.compile(r"(\.[A-Za-z]{2,4})+$")


def label_names(columns: Iterable[str]) -> list[str]:
    """The labels among the columns of a public set's table.

    >>> label_names(["row", "file", "file_hr", "patient_id", "fold", "MI", "statement:NDT"])
    ['MI', 'statement:NDT']
    """
    return [name for name in columns if name not in NOT_LABELS and not name.startswith(FILE)]


def file_parts(path: str) -> tuple[str, ...]:
    """The components of an ECG's path, without its suffixes; of one of a file's several ECGs its name is the last.

    >>> file_parts("records100/00000/00001_lr.hea"), file_parts("E1.hea.orig"), file_parts("exams_part0.hdf5#1169160")
    (('records100', '00000', '00001_lr'), ('E1',), ('exams_part0.hdf5', '1169160'))
    """
    parts = _BETWEEN.split(_SUFFIX.sub("", path.replace("\\", "/")))
    return tuple(part for part in parts if part not in ("", "."))


def key_length(paths: Iterable[str]) -> int | None:
    """The smallest number of last components by which the paths differ; None if even whole paths do not."""
    parts = [file_parts(path) for path in paths]
    for length in range(1, max(map(len, parts), default=1) + 1):
        if len({path[-length:] for path in parts}) == len(parts):
            return length
    return None


def join_by_file(table: pl.DataFrame, ecgs: pl.DataFrame, *, file: Path | None = None) -> pl.DataFrame:
    """The rows of the table with the `ecg_id` of the ECG that was read from their file.

    Paths are compared without suffix, by as many of their last components as it takes to tell the archive's
    files apart, and the table's too; so it does not matter which folder of the two the ingest was given.

    Args:
        table: row, file; and file_… for other names of the same recording, the first found is taken.
        ecgs: ecg_id, source (the path relative to the ingested folder).
        file: the table's, for messages.

    Returns:
        The rows that have an ECG.

    Raises:
        RegisterError: two files of the archive cannot be told apart, or a path of the table is too short.
    """
    length = key_length(ecgs["source"].to_list())
    if length is None:
        raise RegisterError(
            "two ECGs of the archive were read from files of the same path",
            file=file,
            remedy="ingest the folder above both, or join by ecg_id",
        )
    names = [name for name in table.columns if name == "file" or name.startswith(FILE)]
    for name in names:
        own = key_length(table[name].drop_nulls().unique().to_list())
        length = max(length, own or 1)
    found = {file_parts(source)[-length:]: ecg_id for ecg_id, source in ecgs.select("ecg_id", "source").iter_rows()}
    ids: list[str | None] = []
    for row, *paths in table.select("row", *names).iter_rows():
        keys = [file_parts(path) for path in paths if path]
        if any(len(key) < length for key in keys):
            raise RegisterError(
                f"the path has fewer than {length} parts, which it takes to tell the archive's files apart",
                file=file,
                row=row,
                column="file",
                remedy="write paths as they are below the ingested folder, or join by ecg_id",
            )
        ids.append(next((found[key[-length:]] for key in keys if key[-length:] in found), None))
    joined = table.drop(names).with_columns(pl.Series("ecg_id", ids, pl.String))
    return _once(joined.drop_nulls("ecg_id"), file)


def join_by_id(table: pl.DataFrame, ecgs: pl.DataFrame, *, file: Path | None = None) -> pl.DataFrame:
    """The rows of the table whose `ecg_id` is in the archive.

    Raises:
        RegisterError: two rows are about the same ECG.
    """
    return _once(table.join(ecgs.select("ecg_id"), on="ecg_id", how="semi"), file)


def _once(table: pl.DataFrame, file: Path | None) -> pl.DataFrame:
    rows = table.filter(pl.col("ecg_id").is_duplicated()).sort("ecg_id", "row")["row"].to_list()
    if rows:
        raise RegisterError(
            f"this row is about the same ECG as row {rows[0]}",
            file=file,
            row=rows[1],
            remedy="keep one of them",
        )
    return table


def complete_from_archive(table: pl.DataFrame, ecgs: pl.DataFrame) -> pl.DataFrame:
    """Fill empty times, ages, sexes, sites and devices from the archive, and note where age and sex came from."""
    filled = ("recorded_at", "age", "sex", "site", "device")
    header = ecgs.select("ecg_id", *(pl.col(name).alias(f"header_{name}") for name in filled)).with_columns(
        pl.col("header_age", "header_sex").fill_nan(None)
    )
    above = pl.col("age_above_89").fill_null(False) if "age_above_89" in table.columns else pl.lit(False)
    return (
        table.join(header, on="ecg_id", how="left")
        .with_columns(
            _source("age", pl.when(above).then(pl.lit("table-above-89")).otherwise(pl.lit("table"))),
            _source("sex", pl.lit("table")),
        )
        .with_columns(pl.coalesce(name, f"header_{name}").alias(name) for name in filled)
        .drop(f"header_{name}" for name in filled)
    )


def _source(name: str, table: pl.Expr) -> pl.Expr:
    """Where a value comes from: the words for the table, "header", or nothing."""
    header = pl.when(pl.col(f"header_{name}").is_not_null()).then(pl.lit("header")).otherwise(pl.lit(""))
    return pl.when(pl.col(name).is_not_null()).then(table).otherwise(header).alias(f"{name}_source")


def target_patients(
    labelled: pl.DataFrame, *, label: str, controls_per_case: int | None, share: Fraction | None, seed: int
) -> set[str]:
    """The patients who are target: all who have a labelled ECG, a share of them, or cases and so many controls each.

    A case has at least one positive label; controls, as a share, are drawn by seeded hash.

    Args:
        labelled: patient_id and labels; ECGs without any label are not in it.
        label: the column that makes a case.
        controls_per_case, share, seed: of the settings.
    """
    everyone = set(labelled["patient_id"].to_list())
    if share is not None:
        return draw(everyone, int(share * len(everyone)), seed=seed, purpose="target")
    if controls_per_case is None:
        return everyone
    cases = set(labelled.filter(pl.col(label) == 1)["patient_id"].to_list())
    return cases | draw(everyone - cases, controls_per_case * len(cases), seed=seed, purpose="controls")
