"""The same register in every kind of file, and files that break: the error names file and row, never a cell."""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.errors import RegisterError
from precordial.registers import Account, TableSettings, Visits, csv_files, read_table, read_visits, stat_files
from precordial.registers.settings import VisitColumns
from precordial.registers.values import trimmed
from sas_files import write_sas

COLUMNS = VisitColumns(
    visit_id="visit", patient_id="LopNr", arrival="IN", complaint="ORSAK", discharge="UT", age="ALDER", sex="KON"
)
EXPECTED = {
    "row": [2, 3, 4],
    "visit_id": ["1", "2", "3"],
    "patient_id": ["001", "22", None],
    "arrival": [datetime(2017, 3, 31, 14, 5, 9), datetime(1950, 1, 2), None],
    "complaint": ["BröstSm", "x", "y"],
    "discharge": [datetime(2017, 4, 1), None, datetime(1959, 12, 31)],
    "age": [47.0, None, 0.5],
    "sex": [0.0, 1.0, None],
    "site": [None, None, None],
    "fold": [None, None, None],
}


def visits(account: Account | None = None, **options: object) -> pl.DataFrame:
    settings = Visits.model_validate({"columns": COLUMNS, **options})
    return read_visits(settings, account or Account(), female=["Kvinna"], male=["man"])


def frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "visit": [1, 2, 3],
            "LopNr": ["001", " 22", ""],
            "IN": [datetime(2017, 3, 31, 14, 5, 9), datetime(1950, 1, 2), None],
            "ORSAK": ["BröstSm", "x ", "y"],
            "UT": [date(2017, 4, 1), None, date(1959, 12, 31)],
            "ALDER": [47.0, None, 0.5],
            "KON": ["Man", "Kvinna", None],
        }
    )


def as_csv(path: Path) -> dict[str, object]:
    frame().write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S", quote_style="non_numeric")
    return {}


def as_swedish_csv(path: Path) -> dict[str, object]:
    text = frame().write_csv(separator=";", datetime_format="%d.%m.%Y %H:%M:%S", date_format="%Y%m%d")
    path.write_bytes(text.replace("0.5", "0,5").replace("47.0", "47,0").replace("x ", '"x "').encode("cp1252"))
    dates = {"arrival": "%d.%m.%Y %H:%M:%S", "discharge": "%Y%m%d"}
    return {"separator": ";", "encoding": "cp1252", "decimal": ",", "date_format": dates}


def as_utf16_tabs(path: Path) -> dict[str, object]:
    text = frame().write_csv(separator="\t", datetime_format="%Y-%m-%dT%H:%M:%S.999", line_terminator="\r\n")
    path.write_bytes(text.encode("utf-16"))
    return {"separator": "\t", "encoding": "utf-16"}


def as_gzip(path: Path) -> dict[str, object]:
    path.write_bytes(gzip.compress(frame().write_csv(datetime_format="%Y-%m-%d %H:%M:%S").encode("utf-8-sig")))
    return {}


def as_parquet(path: Path) -> dict[str, object]:
    frame().with_columns(pl.col("KON").cast(pl.Categorical)).write_parquet(path)
    return {"date_format": "%d.%m.%Y"}  # is for text, not for dates that are dates


def as_sas(path: Path) -> dict[str, object]:
    columns = {
        "visit": [1, 2, 3],
        "LopNr": ["001", " 22", ""],
        "IN": [1806588309.9, -315446400, None],
        "ORSAK": ["BröstSm", "x", "y"],
        "UT": [20910, None, -1],
        "ALDER": [47, None, 0.5],
        "KON": [1, 2, None],
    }
    formats = {"IN": "DATETIME20", "UT": "YYMMDD10", "KON": "KONF"}
    write_sas(path, columns, formats=formats)
    write_sas(path.with_suffix(".sas7bcat"), {}, labels={"KONF": {1: "Man", 2: "Kvinna"}})
    return {"catalog": path.with_suffix(".sas7bcat")}


def as_xport(path: Path) -> dict[str, object]:
    pyreadstat.write_xport(frame(), str(path), file_format_version=5)
    return {}


def as_stata(path: Path) -> dict[str, object]:
    coded = frame().with_columns(pl.col("KON").replace_strict({"Man": 1, "Kvinna": 2}, return_dtype=pl.Int64))
    formats = {"IN": "%tc", "UT": "%td"}
    labels: dict[str, dict[int | float, str]] = {"KON": {1: "Man", 2: "Kvinna"}, "ALDER": {47: "an age with a label"}}
    pyreadstat.write_dta(coded, str(path), variable_format=formats, variable_value_labels=labels)
    return {}


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("v.csv", as_csv),
        ("v.txt", as_swedish_csv),
        ("v.tsv", as_utf16_tabs),
        ("v.csv.gz", as_gzip),
        ("v.parquet", as_parquet),
        ("v.sas7bdat", as_sas),
        ("v.xpt", as_xport),
        ("v.DTA", as_stata),
    ],
)
@pytest.mark.parametrize("rows", [None, 2])
def test_every_kind_of_file_gives_the_same_table(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    write: Callable[[Path], dict[str, object]],
    rows: int | None,
) -> None:
    if rows is not None:  # batches of two rows, or of some bytes
        for place in ("sources.ROWS", "stat_files.ROWS"):
            monkeypatch.setattr(f"precordial.registers.{place}", rows)
        monkeypatch.setattr(csv_files, "BLOCK", 7)
    options = write(tmp_path / name)
    assert visits(file=tmp_path / name, **options).to_dict(as_series=False) == EXPECTED


def test_a_labelled_value_without_a_label_keeps_its_number(tmp_path: Path) -> None:
    path = tmp_path / "v.dta"
    data = pl.DataFrame({"visit": [1.0, 7.0], "LopNr": ["a", "b"], "IN": ["2017-03-31"] * 2, "ORSAK": [1.0, 9.0]})
    pyreadstat.write_dta(data, str(path), variable_value_labels={"ORSAK": {1: "chest pain"}, "visit": {1: "one"}})
    columns = {"visit_id": "visit", "patient_id": "LopNr", "arrival": "IN", "complaint": "ORSAK"}
    table = visits(file=path, columns=VisitColumns(**columns))
    assert table["complaint"].to_list() == ["chest pain", "9"]
    assert table["visit_id"].to_list() == ["one", "7"]


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        ("DATE9", stat_files._DAY),
        ("YYMMDD10", stat_files._DAY),
        ("DDMMYYP10", stat_files._DAY),
        ("E8601DA10", stat_files._DAY),
        ("date9.", stat_files._DAY),
        ("DATETIME22.3", stat_files._SECOND),
        ("E8601DT19", stat_files._SECOND),
        ("%td", stat_files._DAY),
        ("%tdD_m_Y", stat_files._DAY),
        ("%d", stat_files._DAY),
        ("%tc", stat_files._MILLISECOND),
        ("BEST12", None),
        ("TIME8", None),
        ("%10.0g", None),
        ("%-9s", None),
        ("", None),
    ],
)
def test_formats_of_dates(kind: str, unit: int | None) -> None:
    assert stat_files._unit(kind) == unit


def test_without_pyreadstat_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v.dta").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    with pytest.raises(RegisterError, match=r"pip install 'precordial\[stat\]'"):
        visits(file=tmp_path / "v.dta")


@pytest.mark.parametrize("name", ["v.sas7bdat", "v.xpt", "v.dta", "v.parquet", "v.csv.gz"])
def test_a_damaged_file_is_said_to_be_so(tmp_path: Path, name: str) -> None:
    for content in (b"", b"nothing of the kind" * 100):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RegisterError, match=r"damaged|cannot be read") as error:
            visits(file=tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


def test_a_cut_gzip_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "v.csv.gz"
    as_gzip(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RegisterError, match="the compressed file is damaged"):
        visits(file=path)


def test_other_files_are_not_taken_for_csv(tmp_path: Path) -> None:
    (tmp_path / "v.xlsx").write_bytes(b"PK")
    with pytest.raises(RegisterError, match=r"v\.xlsx: Excel files are not read; save it as CSV"):
        visits(file=tmp_path / "v.xlsx")


def test_an_encoding_that_is_set_wins_over_what_the_file_says(tmp_path: Path) -> None:
    as_sas(tmp_path / "v.sas7bdat")  # in UTF-8, as it says
    table = visits(file=tmp_path / "v.sas7bdat", encoding="cp1252", columns=COLUMNS.model_copy(update={"sex": None}))
    assert table["complaint"].to_list() == ["BröstSm".encode().decode("cp1252"), "x", "y"]
    with pytest.raises(RegisterError, match=r"damaged or is none; write it again, or check the encoding that is set"):
        visits(file=tmp_path / "v.sas7bdat", encoding="no such encoding")


def test_a_missing_catalog_is_named(tmp_path: Path) -> None:
    as_sas(tmp_path / "v.sas7bdat")
    with pytest.raises(RegisterError, match=r"other\.sas7bcat: there is no such file"):
        visits(file=tmp_path / "v.sas7bdat", catalog=tmp_path / "other.sas7bcat")


def test_pieces_in_a_list_or_a_pattern(tmp_path: Path) -> None:
    for year, text in ((2009, "1,a,2009-01-01,x\n2,b,2009-01-02,x"), (2010, "3,c,2010-01-01,x"), (10, "4,d,,x")):
        (tmp_path / f"v{year}.csv").write_text(f"visit,LopNr,IN,ORSAK\n{text}\n")
    columns = VisitColumns(visit_id="visit", patient_id="LopNr", arrival="IN", complaint="ORSAK")
    account = Account()
    table = visits(account, file=tmp_path / "v*.csv", columns=columns)
    assert table.select("part", "row", "visit_id").rows() == [(0, 2, "4"), (1, 2, "1"), (1, 3, "2"), (2, 2, "3")]
    assert account.tables["visits"].files == ["v10.csv", "v2009.csv", "v2010.csv"]
    assert account.tables["visits"].rows == 4
    listed = visits(file=[tmp_path / "v2010.csv", tmp_path / "v10.csv"], columns=columns)
    assert listed["visit_id"].to_list() == ["3", "4"]
    (tmp_path / "v2010.csv").write_text("visit,LopNr,IN,ORSAK\n3,c,SECRET,x\n")
    with pytest.raises(RegisterError, match=r"v2010\.csv, row 2, column 'IN': this is not a date"):
        visits(file=tmp_path / "v*.csv", columns=columns)
    with pytest.raises(RegisterError, match=r"w\*\.csv: no file fits this pattern; set cohort\.visits\.file"):
        visits(file=tmp_path / "w*.csv", columns=columns)


def test_only_a_star_is_special_in_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "a[1]?"
    folder.mkdir()
    (folder / "v1.csv").write_text("x\n")
    assert TableSettings(file=folder / "v*.csv").paths() == [folder / "v1.csv"]
    assert TableSettings(file=tmp_path / "*" / "v1.csv").paths() == [folder / "v1.csv"]


TEXTS = {
    "quotes": ('id,why\n1,"a\nb"\n2,"say ""x"", y"\n3,z\n', [(2, "1", "a\nb"), (3, "2", 'say "x", y'), (4, "3", "z")]),
    "crlf": ('id,why\r\n1,"a\r\nb"\r\n\r\n3,z\r\n', [(2, "1", "a\r\nb"), (4, "3", "z")]),
    "old Mac": ("id,why\r1,a\r\r3,z", [(2, "1", "a"), (4, "3", "z")]),
    "short rows": ("id,why\n1\n2,x", [(2, "1", None), (3, "2", "x")]),
    "header in two lines": ('id,"why\nwhy"\n1,x\n', [(2, "1", "x")]),
    "blanks": ("id,why\n 1\t,\u00a0x\n  ,\n", [(2, "1", "x")]),
    "no rows": ("id,why\n", []),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("block", [3, 1 << 25])
def test_csv_as_people_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, block: int) -> None:
    if name != "old Mac":  # which is seen in the first block
        monkeypatch.setattr(csv_files, "BLOCK", block)
    text, expected = TEXTS[name]
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    why = "why\nwhy" if "lines" in name else "why"
    assert read_table(path, {"id": "id", "why": why}).rows() == expected


cells = st.text(st.sampled_from('a";\n å\t\v'), max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells), max_size=6),
    block=st.integers(1, 40),
    encoding=st.sampled_from(["utf8", "latin-1", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_cells_come_back_in_blocks_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], block: int, encoding: str, line_end: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator=line_end)
        writer.writerows([("one", "other"), *rows])
    spelling = csv_files.Spelling(";", encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_files, "BLOCK", block)
        header = csv_files.csv_header(path, spelling)
        batches = list(csv_files.csv_batches(path, spelling, header, Account().problem))
    assert header == ["one", "other"]
    assert [tuple(cell or "" for cell in row) for batch, _ in batches for row in batch.rows()] == rows
    for batch, tidy in batches:
        assert not tidy or batch.equals(trimmed(batch))


BROKEN = {
    "too many cells": ("id,why\n1,a\n\n2,b,SECRET\n3,c\n4,d,e,f\n", r"row 4: 3 cells where the header has 2"),
    "quote inside": ('id,why\n1,a\n2,5" SECRET\n3,c\n', r"row 3: the row cannot be read as CSV; check its quotes"),
    "two quotes inside": ('id,why\n1,a\n2,5" SECRET\n3,6" x\n4,d\n', r"row 3: the row cannot be read as CSV"),
    "text after a quote": ('id,why\n1,a\n2,"SECRET" x\n3,c\n', r"row 3: the row cannot be read as CSV"),
    "quote without an end": ('id,why\n1,a\n2,"SECRET\n3,c\n', r"row 3: the row cannot be read as CSV"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("block", [3, 1 << 25])
def test_the_row_where_a_csv_file_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, block: int
) -> None:
    monkeypatch.setattr(csv_files, "BLOCK", block)
    text, message = BROKEN[name]
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(RegisterError, match=message) as error:
        read_table(path, {"id": "id"}, key="cohort.visits.columns")
    assert "SECRET" not in str(error.value)
    assert error.value.file == path


def test_the_row_that_is_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes('id,why\n1,"a\nb"\n2,å\n3,ö\n'.encode("cp1252"))
    with pytest.raises(RegisterError, match=r"row 3: the file is not written in utf8; set cohort\.visits\.encoding"):
        read_table(path, {"id": "id"}, key="cohort.visits.columns")
    path.write_bytes(b"id,why\n1,\x81\n")
    with pytest.raises(RegisterError, match="the file is not written in cp1252"):
        read_table(path, {"id": "id"}, encoding="cp1252")
