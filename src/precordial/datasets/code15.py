"""CODE-15 % (Ribeiro et al., Zenodo 4916206) as a label table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from precordial.datasets.set_tables import AS_PUBLISHED, read_set_table
from precordial.errors import RegisterError

if TYPE_CHECKING:
    import polars as pl

EXAMS = "exams.csv"
# First degree AV block, right and left bundle branch block, sinus bradycardia and tachycardia, atrial fibrillation.
ABNORMALITIES = ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF")


def code15_table(folder: str | Path) -> pl.DataFrame:
    """The exams of CODE-15 % with a label for each of the six abnormalities.

    Args:
        folder: holds exams.csv.

    Returns:
        As `precordial.datasets.load_dataset`: file is that of the exam in an archive, such as
        ``exams_part13.hdf5#1169160``; the labels are `ABNORMALITIES`. There are no dates, sites, devices and folds.

    Raises:
        RegisterError: the table is missing or cannot be understood.
    """
    import polars as pl

    path = Path(folder) / EXAMS
    names = {
        "exam": "exam_id",
        "trace_file": "trace_file",
        "patient_id": "patient_id",
        "age": "age",
        "is_male": "is_male",
    }
    table = read_set_table(path, names | {label: label for label in ABNORMALITIES}, {"age": "number"})
    # An exam is known by its number alone where the table does not say in which part it is.
    file = pl.col("trace_file").fill_null("") + "#" + pl.col("exam").str.replace(r"\.0$", "")
    return table.select(
        "row",
        file.alias("file"),
        pl.col("patient_id").str.replace(r"\.0$", ""),
        pl.lit(None, pl.Datetime("us")).alias("recorded_at"),
        pl.when(pl.col("age").is_between(0, 125)).then(pl.col("age")).alias("age"),
        pl.lit(False).alias("age_above_89"),
        (1.0 - _truth(table, "is_male", path)).alias("sex"),
        *(pl.lit(None, pl.String).alias(name) for name in ("site", "device", "fold")),
        *(_truth(table, label, path) for label in ABNORMALITIES),
    )


def _truth(table: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """A column of True and False as 1 and 0; empty cells are null."""
    import polars as pl

    cells = table[column]
    values = cells.replace_strict({"True": 1.0, "False": 0.0}, default=None, return_dtype=pl.Float64)
    wrong = (cells.is_not_null() & values.is_null()).arg_true()
    if len(wrong):
        raise RegisterError(
            "this is neither True nor False",
            file=path,
            row=int(table["row"][int(wrong[0])]),
            column=column,
            remedy=AS_PUBLISHED,
        )
    return values
