"""The two tables of a study: its results, and all predictions of its runs. Everything shown is made from them.

They are Parquet files in the study's folder, read and written with Polars and without torch. The results stand beside
theirs as CSV, too, for people; nothing reads that file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from precordial.errors import PrecordialError
from precordial.evaluation import Predictions, Row, write_results
from precordial.evaluation.predictions import COLUMNS, IDS
from precordial.files import replacing

if TYPE_CHECKING:
    import polars as pl

RESULTS, RESULTS_CSV, PREDICTIONS = "results.parquet", "results.csv", "predictions.parquet"
ROWS_AT_ONCE = 32_768  # of a row group, some two runs of the paper: what is read to find one run
REMEDY = "precordial study run STUDY.toml, or precordial study results STUDY.toml where trainings are done"


def write_results_table(folder: Path, rows: Iterable[Row]) -> None:
    """Write the results of a study into its folder, each file whole or not at all.

    Args:
        folder: of the study.
        rows: in the order in which they are kept.
    """
    import polars as pl

    rows = list(rows)
    columns = {name: [getattr(row, name) for row in rows] for name in _types()}
    table = pl.DataFrame(columns, schema={name: _polars(kind) for name, kind in _types().items()})
    with replacing(folder / RESULTS) as path:
        table.write_parquet(path, compression="zstd")
    write_results(folder / RESULTS_CSV, rows)


def read_results_table(folder: str | Path) -> list[Row]:
    """The results of a study, from its folder.

    Raises:
        PrecordialError: there are none, or the file is damaged.
    """
    import polars as pl

    path = _there(Path(folder) / RESULTS)
    try:
        table = pl.read_parquet(path, columns=list(_types()))
    except (pl.exceptions.PolarsError, OSError):
        raise _damaged(path) from None
    return [Row(*values) for values in table.iter_rows()]


def write_predictions_table(folder: Path, runs: Mapping[str, Path]) -> None:
    """Put the predictions of many runs into one file, run by run, in bounded memory; whole or not at all.

    Args:
        folder: of the study.
        runs: id of each run, in order, and the CSV file of its predictions; of a cross-validation the file of all its
            folds, under the first's id.

    Raises:
        PrecordialError: a file is missing or damaged.
    """
    import polars as pl

    schema = {name: pl.String() if name in IDS else pl.Float64() for name in COLUMNS}
    whole_cells = (pl.col(IDS).fill_null(""), pl.col("truth", "score").fill_null(np.nan))
    parts = [pl.scan_csv(path, schema=schema).with_columns(whole_cells) for path in runs.values()]
    whole = pl.concat(parts) if parts else pl.LazyFrame(schema=schema)
    with replacing(folder / PREDICTIONS) as temporary:
        try:
            whole.sink_parquet(temporary, compression="zstd", row_group_size=ROWS_AT_ONCE, maintain_order=True)
        except (pl.exceptions.PolarsError, OSError):
            for path in runs.values():
                Predictions.load(path)  # says which, and what is wrong in it
            raise PrecordialError(
                "the predictions of the runs cannot be put together",
                file=folder / PREDICTIONS,
                remedy="see that there is room on the disk",
            ) from None


def scan_predictions(folder: str | Path) -> pl.LazyFrame:
    """All predictions of a study, as a lazy Polars table with the columns of `precordial.evaluation.Predictions`.

    Raises:
        PrecordialError: there are none.
    """
    import polars as pl

    return pl.scan_parquet(_there(Path(folder) / PREDICTIONS))


def read_predictions(
    folder: str | Path,
    *,
    run: str | Collection[str] | None = None,
    split: str | Collection[str] | None = None,
    target: str | Collection[str] | None = None,
) -> Predictions:
    """Predictions of a study, from its folder; only what is asked for is held in memory.

    Args:
        folder: of the study.
        run, split, target: one or several of each; None takes all. In a cross-validation the run is the first fold's.

    Returns:
        The rows in the order of the runs, and in each in the order in which they were predicted; none where nothing
        fits.

    Raises:
        PrecordialError: there is no such file, or it is damaged.
    """
    import polars as pl

    table = scan_predictions(folder)
    for name, wanted in (("run", run), ("split", split), ("target", target)):
        if wanted is not None:
            column = pl.col(name)
            table = table.filter(column == wanted if isinstance(wanted, str) else column.is_in(list(wanted)))
    try:
        found = table.select(COLUMNS).collect()
    except (pl.exceptions.PolarsError, OSError):
        raise _damaged(Path(folder) / PREDICTIONS) from None
    return Predictions(*(found[name].to_numpy() for name in COLUMNS))


def _types() -> dict[str, str]:
    """Columns of the results with the types of their values, as `Row` writes them."""
    return {field.name: str(field.type) for field in fields(Row)}


def _polars(kind: str) -> pl.DataType:
    import polars as pl

    kinds = {"str": pl.String(), "int": pl.Int64(), "float": pl.Float64()}
    return kinds[kind.removesuffix(" | None")]


def _there(path: Path) -> Path:
    if not path.is_file():
        raise PrecordialError("the study has no results yet", file=path, remedy=REMEDY)
    return path


def _damaged(path: Path) -> PrecordialError:
    return PrecordialError(
        "this file is damaged", file=path, remedy="make it again: precordial study results STUDY.toml"
    )
