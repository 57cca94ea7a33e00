"""PTB-XL (Wagner et al., Scientific Data 7, 154, 2020) as a label table."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from precordial.errors import RegisterError

if TYPE_CHECKING:
    import polars as pl

DATABASE, STATEMENTS = "ptbxl_database.csv", "scp_statements.csv"
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
# The set hides ages above 89 as 300; they are taken for 90, and flagged.
HIDDEN_AGE, SHOWN_AGE = 300.0, 90.0


def ptbxl_table(folder: str | Path) -> pl.DataFrame:
    """The recordings of PTB-XL with one label per diagnostic superclass.

    A recording has a superclass if any of its SCP statements belongs to it, whatever the likelihood: 0 there
    means that the likelihood is unknown.

    Args:
        folder: holds ptbxl_database.csv and scp_statements.csv.

    Returns:
        As `precordial.datasets.load_dataset`: file is the 100 Hz recording, file_hr the 500 Hz one; the labels
        are NORM, MI, STTC, CD and HYP.

    Raises:
        RegisterError: a table is missing or cannot be understood.
    """
    import polars as pl

    from precordial.registers import read_table

    path = Path(folder) / DATABASE
    table = read_table(
        path,
        {
            "file": "filename_lr",
            "file_hr": "filename_hr",
            "patient_id": "patient_id",
            "recorded_at": "recording_date",
            "age": "age",
            "sex": "sex",
            "statements": "scp_codes",
        },
        types={"recorded_at": "date", "age": "number", "sex": "number"},
    )
    classes = superclasses(Path(folder))
    found = [
        {classes[code] for code in _codes(text, classes, path, row)}
        for row, text in table.select("row", "statements").iter_rows()
    ]
    above = pl.col("age") == HIDDEN_AGE
    return table.drop("statements").with_columns(
        pl.col("patient_id").str.replace(r"\.0$", ""),
        pl.when(above).then(SHOWN_AGE).otherwise(pl.col("age")).alias("age"),
        above.fill_null(False).alias("age_above_89"),
        *(pl.Series(name, [float(name in one) for one in found], pl.Float64) for name in SUPERCLASSES),
    )


def superclasses(folder: Path) -> dict[str, str]:
    """SCP statement → its diagnostic superclass, "" for statements of form and rhythm."""
    from precordial.registers import read_table

    path = folder / STATEMENTS
    # The first column, the statement itself, has no name.
    table = read_table(path, {"code": "", "superclass": "diagnostic_class"})
    return {code: superclass or "" for code, superclass in table.select("code", "superclass").iter_rows() if code}


def _codes(text: str | None, classes: dict[str, str], path: Path, row: int) -> list[str]:
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
            remedy="take the table as it was published",
        ) from None
    unknown = [code for code in codes if code not in classes]
    if unknown:
        raise RegisterError(
            f"{STATEMENTS} does not know one of the SCP statements",
            file=path,
            row=row,
            column="scp_codes",
            remedy="take both tables from one version of PTB-XL",
        )
    return list(codes)
