"""PTB-XL (Wagner et al., Scientific Data 7, 154, 2020) as a label table."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from precordial.datasets.set_tables import AS_PUBLISHED, by_recording, indicators, plain_id, read_set_table
from precordial.errors import RegisterError

if TYPE_CHECKING:
    import polars as pl

DATABASE, STATEMENTS = "ptbxl_database.csv", "scp_statements.csv"
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
# The set hides ages above 89 as 300; they are taken for 90, and flagged.
HIDDEN_AGE, SHOWN_AGE = 300.0, 90.0


def ptbxl_table(folder: str | Path) -> pl.DataFrame:
    """The recordings of PTB-XL with a label for each diagnostic superclass, subclass and SCP statement.

    A recording has a label if any of its statements belongs to it, whatever the likelihood: 0 there means that the
    likelihood is unknown.

    Args:
        folder: holds ptbxl_database.csv and scp_statements.csv.

    Returns:
        As `precordial.datasets.load_dataset`: file is the 100 Hz recording, file_hr the 500 Hz one; the labels are
        NORM, MI, STTC, CD and HYP, then ``subclass:IMI`` and so on, then ``statement:NDT`` and so on, in the order of
        scp_statements.csv; fold is the set's strat_fold, "1" to "10".

    Raises:
        RegisterError: a table is missing or cannot be understood.
    """
    import polars as pl

    path = Path(folder) / DATABASE
    table = read_set_table(
        path,
        {
            "file": "filename_lr",
            "file_hr": "filename_hr",
            "patient_id": "patient_id",
            "recorded_at": "recording_date",
            "age": "age",
            "sex": "sex",
            "site": "site",
            "device": "device",
            "fold": "strat_fold",
            "statements": "scp_codes",
        },
        {"recorded_at": "date", "age": "number", "sex": "number"},
    )
    labels = statement_labels(Path(folder))
    found = [
        {label for code in _codes(text, labels, path, row) for label in labels[code]}
        for row, text in table.select("row", "statements").iter_rows()
    ]
    by_kind = dict.fromkeys(label for some in labels.values() for label in some)
    subclasses, statements = (
        [label for label in by_kind if label.startswith(kind)] for kind in ("subclass:", "statement:")
    )
    above = pl.col("age") == HIDDEN_AGE
    return table.drop("statements").with_columns(
        *(pl.col(name).str.replace(r"\.0$", "") for name in ("patient_id", "site", "fold")),
        pl.when(above).then(SHOWN_AGE).otherwise(pl.col("age")).alias("age"),
        above.fill_null(False).alias("age_above_89"),
        *indicators(found, [*SUPERCLASSES, *subclasses, *statements]),
    )


def statement_labels(folder: Path) -> dict[str, tuple[str, ...]]:
    """SCP statement → the labels that it gives: itself, and its super- and subclass unless it is of form or rhythm."""
    # The first column, the statement itself, has no name.
    names = {"code": "", "superclass": "diagnostic_class", "subclass": "diagnostic_subclass"}
    rows = read_set_table(folder / STATEMENTS, names, {}).select("code", "superclass", "subclass").iter_rows()
    return {
        code: (f"statement:{code}", *filter(None, [superclass, subclass and f"subclass:{subclass}"]))
        for code, superclass, subclass in rows
        if code
    }


def ptbxl_patients(folder: Path) -> dict[str, str] | None:
    """Patient by the number of the recording, from PTB-XL's own table; None where that is not there.

    Raises:
        RegisterError: the table cannot be understood.
    """
    if not (folder / DATABASE).is_file():
        return None
    names = {"source": "ecg_id", "patient_id": "patient_id"}
    table = read_set_table(folder / DATABASE, names, {})
    return by_recording(table, folder / DATABASE, names, lambda row: plain_id(row["patient_id"]))


def _codes(text: str | None, known: dict[str, tuple[str, ...]], path: Path, row: int) -> list[str]:
    """The SCP statements of one recording, written as a Python dict {statement: likelihood}."""
    try:
        codes = ast.literal_eval(text or "")
        if not isinstance(codes, dict) or not all(isinstance(code, str) for code in codes):
            raise ValueError
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise RegisterError(
            "this is no list of SCP statements such as {'NORM': 100.0}",
            file=path,
            row=row,
            column="scp_codes",
            remedy=AS_PUBLISHED,
        ) from None
    unknown = [code for code in codes if code not in known]
    if unknown:
        raise RegisterError(
            f"{STATEMENTS} does not know one of the SCP statements",
            file=path,
            row=row,
            column="scp_codes",
            remedy="take both tables from one version of PTB-XL",
        )
    return list(codes)
