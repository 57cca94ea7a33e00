"""The reader of saved cohorts: the same as Python's csv module, for whatever stands in the cells."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.cohort import columns
from precordial.cohort.columns import read_columns

KINDS = {"first": "text", "when": "time", 'a, "b"': "text", "number": "int", "value": "float", "last": "text"}
TEXT = st.one_of(
    st.sampled_from(["", "train", "source", 'say ""', '"', ",", "\n", 'a,"b"\n', "å", "00012", " x "]),
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12),
)
TIMES = st.one_of(st.none(), st.datetimes().map(lambda when: when.replace(microsecond=0)))
ROWS = st.lists(
    st.tuples(
        TEXT,
        TIMES,
        TEXT,
        st.integers(-(10**12), 10**12),
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, 1.0])),
        TEXT,
    ),
    max_size=30,
)


def write(path: Path, rows: list[tuple[object, ...]]) -> None:
    types = dict(zip(KINDS, (pl.String, pl.Datetime("ms"), pl.String, pl.Int64, pl.Float64, pl.String), strict=True))
    frame = pl.DataFrame(rows, schema=types, orient="row").with_columns(
        pl.when(pl.col(name) != "").then(pl.col(name)) for name, kind in KINDS.items() if kind == "text"
    )
    path.write_text(frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S"), encoding="utf8", newline="")


@settings(deadline=None, max_examples=150)
@given(rows=ROWS, block=st.sampled_from([1, 40, 1 << 22]))
def test_it_reads_what_the_csv_module_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[object, ...]], block: int
) -> None:
    path = tmp_path_factory.mktemp("columns") / "table.csv"
    write(path, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "BLOCK", block)
        found = read_columns(path, KINDS)
    with path.open(encoding="utf8", newline="") as file:
        header, *cells = csv.reader(file)
    assert header == list(found)
    expected = list(zip(*cells, strict=True)) if cells else [()] * len(KINDS)
    for (name, kind), texts in zip(KINDS.items(), expected, strict=True):
        values = found[name]
        assert len(values) == len(rows)
        if kind == "text":
            assert values.tolist() == list(texts)
        elif kind == "time":
            assert values.dtype == "datetime64[s]"
            assert np.array_equal(values, np.array(texts, "datetime64[s]"), equal_nan=True)
        elif kind == "int":
            assert values.tolist() == [int(text) for text in texts]
        else:
            assert np.array_equal(values, [float(text) if text else np.nan for text in texts], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,x\n", "other columns"),
        ("a,c\n1,2,3\n", "too few or too many"),
        ("a,c\n1\n", "too few or too many"),
        ("a,c\n1,2,3\n1\n", "too few or too many"),
        ("a,c\n1,2\n\n", "too few or too many"),
        ('a,c\n"1,2\n', "no end"),
        ("a,c\nx,2\n", "invalid literal"),
        ("a,c\n1.5,2\n", "invalid literal"),
        ("a,c\n,2\n", "invalid literal"),
        ("", "other columns"),
    ],
)
def test_what_is_not_the_table_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(ValueError, match=problem):
        read_columns(tmp_path / "table.csv", {"a": "int", "c": "int"})


def test_what_is_no_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"a\n\xff\n")
    with pytest.raises(ValueError, match="decode"):
        read_columns(tmp_path / "table.csv", {"a": "text"})


def test_the_last_row_needs_no_line_feed(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,x\n-22,yy")
    found = read_columns(tmp_path / "table.csv", {"a": "int", "b": "text"})
    assert (found["a"].tolist(), found["b"].tolist()) == ([1, -22], ["x", "yy"])
