"""Ids that became others: of patients who had several (merged), and ids that were given to several patients (reused).

A key has rows "`old` became `new`", which may hold for some days only. An id is looked up by the day of its row until
it leads no further. Ids that are not in the key stay as they are; an id that is in the key but not at that day belongs
to nobody, and its row is kept out.
"""

from __future__ import annotations

import polars as pl

from precordial.errors import RegisterError
from precordial.registers.account import Account
from precordial.registers.joins import order_columns, two_rows
from precordial.registers.read import plan_of
from precordial.registers.settings import IdKey
from precordial.registers.tables import read_plan

NOT_VALID = "id not valid at that date"
TRANSLATED = "rows whose id became another"
_FIRST, _LAST = -(2**30), 2**30  # days that stand for no limit


def read_id_key(settings: IdKey, account: Account) -> pl.DataFrame:
    """The key, with chains followed to their ends.

    Returns:
        old, new, first_day, last_day (whole days since 1970, both included): the person that an id belongs to on these
        days, which do not overlap for one id. An id that leads to nobody on any day has the days from 1 to 0.

    Raises:
        RegisterError: the file cannot be understood, ids lead in a circle, or an id belongs to two persons on a day.
    """
    plan = plan_of(settings, "id_key")
    rows = read_plan(plan, account)
    log = account.table(plan.name)
    key = rows.drop_nulls(["old", "new"])
    log.drop("no id", rows.height - key.height)
    day = [pl.col(name).dt.date().cast(pl.Int32) for name in ("valid_from", "valid_to")]
    key = key.with_columns(day[0].fill_null(_FIRST).alias("first_day"), day[1].fill_null(_LAST).alias("last_day")).drop(
        "valid_from", "valid_to"
    )
    backward = key.filter(pl.col("first_day") > pl.col("last_day"))
    if backward.height:
        first = {"part": 0, **backward.sort(order_columns(key)).row(0, named=True)}
        account.problem(
            RegisterError(
                "the period ends before it begins",
                file=settings.paths()[first["part"]],
                row=first["row"],
                column=settings.columns.valid_to,
                remedy="correct it",
            )
        )
        key = key.filter(pl.col("first_day") <= pl.col("last_day"))
    log.kept = key.height
    periods = _without_conflicts(_followed(key, settings, account), settings, account)
    nowhere = key.join(periods, on="old", how="anti").select("old", pl.lit("").alias("new")).unique()
    never = (pl.lit(1, pl.Int32).alias("first_day"), pl.lit(0, pl.Int32).alias("last_day"))
    return pl.concat([periods, nowhere.with_columns(never)]).sort("old", "first_day")


def translate_ids(
    table: pl.DataFrame,
    key: pl.DataFrame,
    *,
    id_column: str = "patient_id",
    date_column: str | None = None,
    account: Account | None = None,
    name: str = "",
) -> pl.DataFrame:
    """The rows with the ids of persons, in their order, without those whose id is not valid at their date.

    An id that belongs to one person on every day needs no date. An empty id stays empty.

    Args:
        table: any of the registers, or the ECGs of an archive.
        key: as from `read_id_key`.
        date_column: the date by which rows are looked up; None: the table has none.
        account, name: are told, under this name, how many rows changed and how many were kept out.
    """
    day = pl.col(date_column).dt.date().cast(pl.Int32) if date_column is not None else pl.lit(None, pl.Int32)
    rows = table.select(pl.col(id_column).alias("old"), day.alias("day")).with_row_index("place")
    touched = rows.join(key.select("old").unique(), on="old", how="semi")
    always = (pl.col("first_day") == _FIRST) & (pl.col("last_day") == _LAST)
    valid = touched.join(key, on="old").filter(always | pl.col("day").is_between("first_day", "last_day"))
    changed = valid.filter(pl.col("new") != pl.col("old"))
    lost = touched.join(valid, on="place", how="anti")
    if changed.height:
        new = rows.join(changed.select("place", "new"), on="place", how="left", maintain_order="left")
        table = table.with_columns(new["new"].fill_null(new["old"]).alias(id_column))
    if lost.height:
        stays = rows.select(~pl.col("place").is_in(lost["place"].implode())).to_series()
        table = table.filter(stays)
    if account is not None:
        log = account.table(name)
        log.note(TRANSLATED, changed.height)
        log.drop(NOT_VALID, lost.height)
        log.kept = max(log.kept - lost.height, 0)
    return table


def _followed(key: pl.DataFrame, settings: IdKey, account: Account) -> pl.DataFrame:
    """The rows with `new` at the end of its chain, as many as there are ways to it, each with its days.

    Chains are doubled: each step goes as far as all before, so that 20 are enough for a million ids.
    """
    place = order_columns(key)
    ends = (pl.col("old") == pl.col("new")) | ~pl.col("new").is_in(key["old"].implode())
    chains = key.select(*place, "old", "new", "first_day", "last_day", ends.alias("done"))
    for _ in range(key.height.bit_length() + 1):
        going = chains.filter(~pl.col("done"))
        if not going.height:
            return chains
        steps = chains.drop(place).unique()
        gone = (
            going.join(steps, left_on="new", right_on="old", suffix="_next")
            .with_columns(
                pl.max_horizontal("first_day", "first_day_next").alias("first_day"),
                pl.min_horizontal("last_day", "last_day_next").alias("last_day"),
            )
            .filter(pl.col("first_day") <= pl.col("last_day"))
            .with_columns(pl.col("new_next").alias("new"), pl.col("done_next").alias("done"))
            .select(chains.columns)
        )
        chains = pl.concat([chains.filter("done"), gone]).unique()
    circling = chains.filter(~pl.col("done"))
    if circling.height:
        account.problem(_circle(key, circling, settings))
    return chains.filter("done")


def _circle(key: pl.DataFrame, circling: pl.DataFrame, settings: IdKey) -> RegisterError:
    """The error of one circle: the row that closes it."""
    place = order_columns(key)
    start = circling.sort(place).row(0, named=True)
    on_that_day = (pl.col("first_day") <= start["first_day"]) & (pl.col("last_day") >= start["first_day"])
    edges = key.filter(on_that_day).sort(place)
    inside = circling.filter(on_that_day).select(pl.col("old").alias("new")).unique()
    edges = edges.join(inside, on="new", how="semi", maintain_order="left")
    onward = {row["old"]: {"part": 0, **row} for row in reversed(edges.to_dicts())}
    seen: dict[str, dict[str, object]] = {}
    at = start["old"]
    while at not in seen:
        seen[at] = onward[at]
        at = onward[at]["new"]
    opening, closing = seen[at], list(seen.values())[-1]
    return RegisterError(
        f"the ids lead in a circle, from row {opening['row']} to this one and back",
        file=settings.paths()[closing["part"]],  # type: ignore[call-overload]
        row=closing["row"],  # type: ignore[arg-type]
        column=settings.columns.new,
        remedy="remove the row that is wrong",
    )


def _without_conflicts(chains: pl.DataFrame, settings: IdKey, account: Account) -> pl.DataFrame:
    """Each id's persons with their days; days of one person that touch or overlap are one period."""
    last_before = pl.col("last_day").cum_max().shift(1).over("old", "new")
    periods = (
        chains.sort("old", "new", "first_day", "last_day")
        .with_columns((pl.col("first_day") > last_before + 1).fill_null(True).cum_sum().alias("period"))
        .group_by("old", "new", "period")
        .agg(pl.col("first_day").min(), pl.col("last_day").max())
        .drop("period")
        .sort("old", "first_day")
    )
    # Periods of one person being apart, two that overlap are neighbours of two persons.
    overlaps = pl.col("first_day") <= pl.col("last_day").shift(1).over("old")
    torn = periods.filter(overlaps)["old"].unique()
    if len(torn):
        place = order_columns(chains)
        rows = chains.filter(pl.col("old").is_in(torn.implode())).sort(place).with_row_index("nth")
        pairs = rows.join(rows, on="old", suffix="_other").filter(
            (pl.col("new") != pl.col("new_other"))
            & (pl.col("first_day") <= pl.col("last_day_other"))
            & (pl.col("first_day_other") <= pl.col("last_day"))
            & (pl.col("nth") > pl.col("nth_other"))
            & pl.any_horizontal(pl.col(name) != pl.col(f"{name}_other") for name in place)
        )
        later = pairs.sort("nth", "nth_other").head(1)
        both = pl.concat([later.select(pl.col(f"{name}_other").alias(name) for name in place), later.select(place)])
        problem = "the id also belongs to another person in {}, on the same days"
        account.problem(two_rows(both, settings.paths(), settings.columns.old, problem))
    return periods.filter(~pl.col("old").is_in(torn.implode())).select("old", "new", "first_day", "last_day")
