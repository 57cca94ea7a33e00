"""The last steps of both kinds of cohort: splits, fixed order of the patients, one table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from precordial.cohort.assign import assign_splits
from precordial.cohort.cohort import COLUMNS, EVENT, LABEL, Cohort
from precordial.cohort.counting import FlowChart
from precordial.cohort.people import facts_of
from precordial.cohort.settings import LabelsSettings, RegistersSettings
from precordial.cohort.splits import NOT_IN_SPLIT, OLDER_VISIT, patient_order, source_splits
from precordial.registers.account import Account
from precordial.registers.table_settings import INPUT

FEW_WORDS = {"role", "split", "site", "device", "age_source", "sex_source"}  # columns of few different texts


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
    chart.parts("target", kept, settings.folds)
    return visits


def assemble(
    settings: RegistersSettings | LabelsSettings,
    target: pl.DataFrame,
    source: pl.DataFrame,
    chart: FlowChart,
    account: Account,
) -> Cohort:
    """Both roles as one cohort, in the order that every build of it has."""
    outcomes = [name.removeprefix(LABEL) for name in target.columns if name.startswith(LABEL)]
    inputs = [name for name in target.columns if name.startswith(INPUT)]
    people = source["patient_id"].unique().cast(pl.String).to_list()
    split = source_splits(people, seed=settings.seed, validation=settings.source_validation)
    source = source.with_columns(
        _for_each(source, split, "split", pl.String()),
        pl.lit("").alias("visit_id"),
        pl.lit(-1, pl.Int64).alias("fold"),
        *(pl.lit(None, pl.Float64).alias(LABEL + name) for name in outcomes),
        *(pl.lit(None, pl.Float64).alias(name) for name in inputs if name not in source.columns),
        *(pl.lit(None, pl.Datetime("us")).alias(EVENT + name) for name in outcomes),
    )
    chart.parts("source", source)
    target = target.filter(~pl.col("split").is_in([OLDER_VISIT, NOT_IN_SPLIT]))
    of_target = dict(target.select("patient_id", "split").unique().iter_rows())
    kinds = COLUMNS | {LABEL + name: "float" for name in outcomes} | {EVENT + name: "time" for name in outcomes}
    kinds |= dict.fromkeys(inputs, "float")
    tables = []
    for role, table, splits in (("target", target, of_target), ("source", source, split)):
        order = _for_each(table, patient_order(splits, seed=settings.seed, role=role), "order", pl.Int64())
        tables.append(table.with_columns(pl.lit(role).alias("role"), order).select(list(kinds)))
    rows = pl.concat(tables)
    del source, target, tables
    places = _order(rows)
    columns = {name: _numpy(rows[name], kind, places) for name, kind in kinds.items()}
    return Cohort(
        **{name: columns[name] for name in COLUMNS},
        labels={name: columns[LABEL + name] for name in outcomes},
        events={name: columns[EVENT + name] for name in outcomes},
        inputs={name.removeprefix(INPUT): columns[name] for name in inputs},
        flow=chart.flow(),
        account=account.as_json(),
        settings=settings.model_dump(mode="json"),
    )


def _for_each(table: pl.DataFrame, found: Mapping[str, Any], name: str, dtype: pl.DataType) -> pl.Series:
    """For each row what was found for its patient."""
    values = {"patient_id": list(found), name: list(found.values())}
    return facts_of(table["patient_id"], pl.DataFrame(values, schema={"patient_id": pl.String(), name: dtype}))[name]


def _order(rows: pl.DataFrame) -> NDArray[np.int64]:
    """The place of each row in the order of role, split, patient, prediction time, visit and ECG.

    Numbers are sorted many times faster than text. Visit and ECG decide only where all else is equal, which is seldom.
    """
    place = np.zeros(len(rows), np.int64)
    for name in ("role", "split", "patient_id"):
        words, number = _by_number(rows[name])
        rank = np.empty(len(words), np.int64)
        rank[np.argsort(words)] = np.arange(len(words))
        place = place * len(words) + rank[number]
    time = _numpy(rows["prediction_time"], "time").astype(np.int64)
    order = np.lexsort((time, place))
    same = (np.diff(place[order]) == 0) & (np.diff(time[order]) == 0)
    tied = np.append(same, False) | np.append(False, same)
    among = order[tied]
    visit, ecg = (_numpy(rows[name].gather(among), "text") for name in ("visit_id", "ecg_id"))
    order[tied] = among[np.lexsort((ecg, visit, time[among], place[among]))]
    return order


def _by_number(column: pl.Series) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """The different texts of a column, and which of them stands in each row."""
    texts = column.cast(pl.Categorical()).fill_null("")
    words = texts.unique()
    number = np.zeros(int(words.to_physical().max() or 0) + 1, np.int64)  # type: ignore[arg-type]
    number[words.to_physical().to_numpy()] = np.arange(len(words))
    return np.array(words.cast(pl.String).to_list(), np.str_), number[texts.to_physical().to_numpy()]


def _numpy(column: pl.Series, kind: str, places: NDArray[np.int64] | None = None) -> NDArray[Any]:
    """The cells at some places, by default all."""
    at = slice(None) if places is None else places
    values: NDArray[Any]
    if kind == "text":
        words, number = _by_number(column)
        return words[number[at]]
    if kind == "time":
        values = column.to_numpy().astype("datetime64[s]")
    elif kind == "float":
        values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    else:
        values = column.to_numpy().astype(np.int64)
    return values[at]
