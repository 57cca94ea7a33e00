"""The last steps of both kinds of cohort: splits, fixed order of the patients, one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from precordial.cohort.assign import assign_splits
from precordial.cohort.cohort import COLUMNS, EVENT, LABEL, Cohort
from precordial.cohort.counting import FlowChart
from precordial.cohort.settings import LabelsSettings, RegistersSettings
from precordial.cohort.splits import NOT_IN_SPLIT, OLDER_VISIT, patient_order, source_splits
from precordial.registers.account import Account


def split_target(
    settings: RegistersSettings | LabelsSettings, visits: pl.DataFrame, time: str, chart: FlowChart
) -> pl.DataFrame:
    """Add `split` and `fold`; what is in no split (older visits of temporal-test patients) stays, with its own word."""
    table = settings.visits if isinstance(settings, RegistersSettings) else settings.table
    split, fold = assign_splits(
        settings.split,
        seed=settings.seed,
        patients=visits["patient_id"].to_list(),
        times=_numpy(visits[time], "time"),
        visit_ids=visits["visit_id"].to_list(),
        sites=_numpy(visits["site"], "text"),
        values=_numpy(visits["fold"], "text") if "fold" in visits.columns else None,
        rows=visits["row"].to_list(),
        file=Path(table.where) if table is not None else None,
        temporal_test=settings.temporal_test,
        random_test=settings.random_test,
        validation=settings.validation,
    )
    visits = visits.with_columns(pl.Series("split", split.tolist(), pl.String), pl.Series("fold", fold, pl.Int64))
    newer = visits.filter(pl.col("split") != OLDER_VISIT)
    chart.step("target", "splits", "in the splits", visits, newer, "older, of temporal-test patients")
    kept = newer.filter(pl.col("split") != NOT_IN_SPLIT)
    if len(kept) < len(newer):
        chart.step("target", "given", "of a split that is named", newer, kept, "of no split that is named")
    chart.parts("target", kept)
    return visits


def assemble(
    settings: RegistersSettings | LabelsSettings,
    target: pl.DataFrame,
    source: pl.DataFrame,
    chart: FlowChart,
    account: Account,
) -> Cohort:
    """Both roles as one cohort, in the order that every build of it has."""
    split = source_splits(source["patient_id"].to_list(), seed=settings.seed, validation=settings.source_validation)
    outcomes = [name.removeprefix(LABEL) for name in target.columns if name.startswith(LABEL)]
    source = source.with_columns(
        pl.col("patient_id").replace_strict(split, default=None, return_dtype=pl.String).alias("split"),
        pl.lit("").alias("visit_id"),
        pl.lit(-1, pl.Int64).alias("fold"),
        *(pl.lit(None, pl.Float64).alias(LABEL + name) for name in outcomes),
        *(pl.lit(None, pl.Datetime("us")).alias(EVENT + name) for name in outcomes),
    )
    chart.parts("source", source)
    kinds = COLUMNS | {LABEL + name: "float" for name in outcomes} | {EVENT + name: "time" for name in outcomes}
    tables = []
    for role, table in (
        ("target", target.filter(~pl.col("split").is_in([OLDER_VISIT, NOT_IN_SPLIT]))),
        ("source", source),
    ):
        splits = dict(table.select("patient_id", "split").unique().iter_rows())
        order = patient_order(splits, seed=settings.seed, role=role)
        tables.append(
            table.with_columns(
                pl.lit(role).alias("role"),
                pl.col("patient_id").replace_strict(order, default=None, return_dtype=pl.Int64).alias("order"),
            ).select(list(kinds))
        )
    rows = pl.concat(tables).sort("role", "split", "patient_id", "prediction_time", "visit_id", "ecg_id")
    columns = {name: _numpy(rows[name], kind) for name, kind in kinds.items()}
    return Cohort(
        **{name: columns[name] for name in COLUMNS},
        labels={name: columns[LABEL + name] for name in outcomes},
        events={name: columns[EVENT + name] for name in outcomes},
        flow=chart.flow(),
        account=account.as_json(),
        settings=settings.model_dump(mode="json"),
    )


def _numpy(column: pl.Series, kind: str) -> NDArray[Any]:
    if kind == "time":
        return column.to_numpy().astype("datetime64[s]")
    if kind == "float":
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if kind == "int":
        return column.to_numpy().astype(np.int64)
    return np.array(column.fill_null("").to_list(), np.str_)
