"""Counting an archive's flags by device, site and year, and what was not taken by reason."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from precordial.archive.quality_table import quality_table, quality_text, reject_table
from precordial.ecg import Flag
from precordial.errors import PrecordialError

SCHEMA = {
    "ecg_id": pl.String,
    "recorded_at": pl.Datetime("us"),
    "device": pl.String,
    "site": pl.String,
    "flags": pl.Int64,
    "mains_uv": pl.Float64,
    "wander_uv": pl.Float64,
}
NAMES = [str(flag.name).lower() for flag in Flag]


def archive_table(*rows: tuple[str | None, str | None, int | None, Flag, float | None, float | None]) -> pl.DataFrame:
    """Rows of device, site, year, flags, mains and wander, as `Archive.table` has them."""
    cells = [
        (f"{i:016x}", year and datetime(year, 5, 1), device, site, int(flags), mains, wander)
        for i, (device, site, year, flags, mains, wander) in enumerate(rows)
    ]
    return pl.DataFrame(cells, schema=SCHEMA, orient="row")


FEW = archive_table(
    ("MAC 55", "A", 2015, Flag.WANDER | Flag.MAINS, 20.0, 500.0),
    ("MAC 55", "A", 2015, Flag.WANDER, 2.0, 400.0),
    ("MAC 55", "A", 2015, Flag(0), 4.0, 100.0),
    ("MAC 55", "A", 2016, Flag.RESAMPLED, None, 50.0),
    (None, "A", 2016, Flag.REVERSAL, float("nan"), 60.0),
    ("AT-6", None, None, Flag(0), 1.0, None),
)


def test_counts_shares_and_levels_of_each_group() -> None:
    table = quality_table(FEW)
    assert table.select("device", "site", "year", "ecgs").rows() == [
        ("AT-6", None, None, 1),
        ("MAC 55", "A", 2015, 3),
        ("MAC 55", "A", 2016, 1),
        (None, "A", 2016, 1),
    ]
    row = table.row(1, named=True)
    assert (row["wander"], row["mains"], row["reversal"]) == (2, 1, 0)
    assert row["wander_share"] == pytest.approx(2 / 3)
    assert (row["mains_median_uv"], row["wander_median_uv"]) == (4, 400)
    assert row["mains_p95_uv"] == pytest.approx(np.percentile([20, 2, 4], 95))
    assert table["mains_median_uv"].to_list() == [1, 4, None, None]
    assert table["wander_median_uv"].to_list() == [None, 400, 50, 60]
    assert set(NAMES) | {f"{name}_share" for name in NAMES} <= set(table.columns)


def test_other_groups_and_none() -> None:
    assert quality_table(FEW, by=["site"]).select("site", "ecgs").rows() == [("A", 5), (None, 1)]
    (row,) = quality_table(FEW, by=()).rows(named=True)
    assert (row["ecgs"], row["wander"], row["wander_median_uv"]) == (6, 2, 100)
    with pytest.raises(PrecordialError, match=r"cannot be counted by 'ward'; by any of .*device.*year"):
        quality_table(FEW, by=["ward"])


def test_an_empty_archive_has_an_empty_table() -> None:
    assert len(quality_table(FEW.head(0))) == 0
    (row,) = quality_table(FEW.head(0), by=()).rows(named=True)
    assert row["ecgs"] == 0
    assert quality_text(quality_table(FEW.head(0)), reject_table([])).startswith("device  site  year  ECGs")


def test_small_cells_are_blanked() -> None:
    table = quality_table(FEW, suppress_below=2)
    row = table.row(1, named=True)
    assert (row["ecgs"], row["wander"], row["mains"], row["mains_share"]) == (3, 2, None, None)
    assert row["reversal"] == 0  # nobody is not somebody
    for few in (table.row(0, named=True), table.row(3, named=True)):
        assert {value for name, value in few.items() if name not in ("device", "site", "year")} == {None}
    assert_frame_equal(quality_table(FEW, suppress_below=1), quality_table(FEW))


def test_rejects_by_reason() -> None:
    rejects = [{"source": f"{i}.xml", "reason": reason} for i, reason in enumerate(["no-time", "too-short", "no-time"])]
    table = reject_table(rejects)
    assert table.select("reason", "rejects").rows() == [("no-time", 2), ("too-short", 1)]
    assert table["meaning"][1].startswith("the recording is shorter")
    assert reject_table(rejects, suppress_below=2)["rejects"].to_list() == [2, None]
    assert reject_table([]).shape == (0, 3)


def test_text() -> None:
    rejects = reject_table([{"reason": "too-short"}] * 12 + [{"reason": "no-time"}])
    text = quality_text(quality_table(FEW, by=["device"]), rejects)
    assert text.splitlines()[:4] == [
        "device   ECGs  resampled    reversal      mains     wander  mains median, µV  mains p95, µV  "
        "wander median, µV  wander p95, µV",
        "AT-6        1          0           0          0          0                 1              1",
        "MAC 55      4  1 (25.0%)           0  1 (25.0%)  2 (50.0%)                 4             18  "
        "              250             485",
        "unknown     1          0  1 (100.0%)          0          0                                 "
        "                 60              60",
    ]
    assert "\nNo ECG has: cropped, empty_rows, clipped" in text
    assert text.splitlines()[-3:] == [
        "not taken",
        "too-short  12  the recording is shorter than the archive's length",
        "no-time     1  the date or time is missing or is not a date",
    ]
    few = quality_text(
        quality_table(FEW, by=["device"], suppress_below=3),
        reject_table([{"reason": "no-time"}], suppress_below=3),
        suppress_below=3,
    )
    assert [line.split() for line in few.splitlines()[:4]] == [
        few.splitlines()[0].split(),
        ["AT-6", "<3"],
        ["MAC", "55", "4", "<3", "<3", "<3", "4", "18", "250", "485"],
        ["unknown", "<3"],
    ]
    assert "In groups of 3 or more, no ECG has: cropped" in few
    assert "reversal" not in few.splitlines()[0]
    assert few.splitlines()[-1].split()[:2] == ["no-time", "<3"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B", None]),
            st.sampled_from(["x", None]),
            st.sampled_from([2014, 2015, None]),
            st.integers(0, 2 * max(Flag) - 1).map(Flag),
            st.none() | st.floats(0, 100),
            st.none() | st.floats(0, 1000),
        ),
        min_size=1,
    ),
    st.integers(0, 5),
)
def test_groups_add_up_and_nothing_small_is_shown(rows: list[tuple[object, ...]], suppress_below: int) -> None:
    table = archive_table(*rows)  # type: ignore[arg-type]
    groups, (whole,) = quality_table(table), quality_table(table, by=()).rows(named=True)
    assert whole["ecgs"] == len(rows)
    for name in ("ecgs", *NAMES):
        assert groups[name].sum() == whole[name]
    for flag in Flag:
        assert whole[str(flag.name).lower()] == sum(flag in row[3] for row in rows)  # type: ignore[operator]
    hidden = quality_table(table, suppress_below=suppress_below)
    for name in ("ecgs", *NAMES):
        shown = hidden[name].drop_nulls().to_list()
        assert not any(0 < count < suppress_below for count in shown)
    assert hidden.select("device", "site", "year").equals(groups.select("device", "site", "year"))


def test_names_cannot_move_the_cursor() -> None:
    table = quality_table(archive_table(("MAC\x1b[2J\n", "A", 2015, Flag(0), 1.0, 1.0)))
    assert "MAC?[2J?  A" in quality_text(table, reject_table([]))
