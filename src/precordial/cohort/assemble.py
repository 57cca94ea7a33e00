"""The last steps of both kinds of cohort: splits, fixed order of the patients, one table."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from precordial.cohort import visits as steps
from precordial.cohort.cohort import COLUMNS, Cohort
from precordial.cohort.counting import FlowChart
from precordial.cohort.settings import LabelsSettings, RegistersSettings
from precordial.cohort.splits import OLDER_VISIT, patient_order, source_splits, target_splits


def split_target(
    settings: RegistersSettings | LabelsSettings, visits: pl.DataFrame, time: str, chart: FlowChart
) -> pl.DataFrame:
    """Add `split`; older visits of temporal-test patients stay, with their own word."""
    split = target_splits(
        visits["patient_id"].to_list(),
        visits[time].to_numpy(),
        visits["visit_id"].to_list(),
        seed=settings.seed,
        temporal_test=settings.temporal_test,
        random_test=settings.random_test,
        validation=settings.validation,
    )
    visits = visits.with_columns(pl.Series("split", split.tolist(), pl.String))
    kept = steps.drop_older_visits(visits)
    chart.step("target", "splits", "in the four splits", visits, kept, "older, of temporal-test patients")
    chart.parts("target", kept)
    return visits


def assemble(
    settings: RegistersSettings | LabelsSettings, target: pl.DataFrame, source: pl.DataFrame, chart: FlowChart
) -> Cohort:
    """Both roles as one cohort, in the order that every build of it has."""
    split = source_splits(source["patient_id"].to_list(), seed=settings.seed, validation=settings.source_validation)
    source = source.with_columns(
        pl.col("patient_id").replace_strict(split, default=None, return_dtype=pl.String).alias("split"),
        pl.lit("").alias("visit_id"),
        pl.lit(None, pl.Float64).alias("label"),
    )
    chart.parts("source", source)
    tables = []
    for role, table in (("target", target.filter(pl.col("split") != OLDER_VISIT)), ("source", source)):
        splits = dict(table.select("patient_id", "split").unique().iter_rows())
        order = patient_order(splits, seed=settings.seed, role=role)
        tables.append(
            table.with_columns(
                pl.lit(role).alias("role"),
                pl.col("patient_id").replace_strict(order, default=None, return_dtype=pl.Int64).alias("order"),
            ).select(list(COLUMNS))
        )
    rows = pl.concat(tables).sort("role", "split", "patient_id", "prediction_time", "visit_id", "ecg_id")
    columns = {name: _numpy(rows[name], kind) for name, kind in COLUMNS.items()}
    return Cohort(**columns, flow=chart.flow(), settings=settings.model_dump(mode="json"))


def _numpy(column: pl.Series, kind: str) -> NDArray[Any]:
    if kind == "time":
        return column.to_numpy().astype("datetime64[s]")
    if kind == "float":
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if kind == "int":
        return column.to_numpy().astype(np.int64)
    return np.array(column.to_list(), np.str_)
