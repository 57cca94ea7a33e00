"""Register extracts: columns, types, dates and the errors that say where to look."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from precordial.errors import RegisterError
from precordial.registers import read_table


def write(folder: Path, text: str, name: str = "visits.csv", encoding: str = "utf8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_ids_stay_text_with_their_zeros_and_without_blanks(tmp_path: Path) -> None:
    path = write(tmp_path, "Alias,Kontakt\n 0012 ,7\n0012,\n 12\t,x\n")
    table = read_table(path, {"patient_id": "Alias", "visit_id": "Kontakt"})
    assert table.to_dict(as_series=False) == {
        "row": [2, 3, 4],
        "patient_id": ["0012", "0012", "12"],
        "visit_id": ["7", None, "x"],
    }


def test_blank_rows_are_dropped_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "id,age\n1,50\n\n  \n,\n2,60\n\n")
    table = read_table(path, {"patient_id": "id", "age": "age"}, types={"age": "number"})
    assert table.rows() == [(2, "1", 50.0), (6, "2", 60.0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2017-03-31", datetime(2017, 3, 31)),
        ("2017-03-31 14:05", datetime(2017, 3, 31, 14, 5)),
        ("2017-03-31T14:05:09", datetime(2017, 3, 31, 14, 5, 9)),
        ("2017-03-31 14:05:09.999", datetime(2017, 3, 31, 14, 5, 9)),
        ("2017-03-31T14:05:09,999999", datetime(2017, 3, 31, 14, 5, 9)),
        ("2016-02-29", datetime(2016, 2, 29)),
    ],
)
def test_iso_dates(tmp_path: Path, text: str, expected: datetime) -> None:
    path = write(tmp_path, f'when\n"{text}"\n')
    assert read_table(path, {"arrival": "when"}, types={"arrival": "date"})["arrival"].to_list() == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "2017-02-29",
        "2017-13-01",
        "31.03.2017",
        "2017-03-31 24:00",
        "2017-03-31 14:05:60",
        "2017-3-1",
        "20170331",
        "x9z",
    ],
)
def test_a_date_that_is_none_names_file_row_and_column(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"id,when\n1,2017-03-31\n\n2,{text}\n3,\n")
    with pytest.raises(RegisterError) as error:
        read_table(path, {"arrival": "when"}, types={"arrival": "date"}, key="cohort.visits.columns")
    assert (error.value.file, error.value.row, error.value.column) == (path, 4, "when")
    assert "cohort.visits.date_format" in str(error.value)
    assert text not in str(error.value)


def test_date_formats_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "a;b\n31.03.2017 14:05;1\n1.4.2017 00:00;2\n")
    table = read_table(path, {"at": "a"}, types={"at": "date"}, separator=";", date_format="%d.%m.%Y %H:%M")
    assert table["at"].to_list() == [datetime(2017, 3, 31, 14, 5), datetime(2017, 4, 1)]
    path = write(tmp_path, "a\n20170331\n")
    table = read_table(path, {"at": "a"}, types={"at": "date"}, date_format="%Y%m%d")
    assert table["at"].to_list() == [datetime(2017, 3, 31)]
    path = write(tmp_path, "a\n2017-03-31\n")
    with pytest.raises(RegisterError, match=r"row 2.*does not fit the pattern set under cohort\.visits\.date_format"):
        read_table(path, {"at": "a"}, types={"at": "date"}, date_format="%Y%m%d", key="cohort.visits.columns")


def test_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "age\n47\n 47.5\n\n")
    assert read_table(path, {"age": "age"}, types={"age": "number"})["age"].to_list() == [47.0, 47.5]
    for wrong in ("nan", "47 years", "1e999"):
        path = write(tmp_path, f"age\n47\n{wrong}\nx\n")
        with pytest.raises(RegisterError, match=r"row 3, column 'age': this is not a number \(1 more like it\); write"):
            read_table(path, {"age": "age"}, types={"age": "number"})


@pytest.mark.parametrize(
    ("header", "separator", "said"),
    [
        ("id;when;why", ",", "';'; set cohort.visits.separator = \";\""),
        ("id\twhen", ",", 'tabs; set cohort.visits.separator = "\\t"'),
        ("id,when", ";", "','; set cohort.visits.separator = \",\""),
    ],
)
def test_another_separator_is_seen(tmp_path: Path, header: str, separator: str, said: str) -> None:
    path = write(tmp_path, f"{header}\nSECRET;2017-03-31\n")
    with pytest.raises(RegisterError) as error:
        read_table(path, {"a": "id"}, separator=separator, key="cohort.visits.columns")
    assert str(error.value) == f"{path}, row 1: the cells seem to be separated by {said}"


def test_one_column_may_have_a_strange_name(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "a;b\n1\n"), {"a": "a;b"})["a"].to_list() == ["1"]


def test_a_missing_column_names_the_nearest_and_the_key(tmp_path: Path) -> None:
    path = write(tmp_path, "patient_id,arival,199003121234\n1,2017-03-31,x\n")
    with pytest.raises(RegisterError) as error:
        read_table(path, {"arrival": "arrival"}, key="cohort.visits.columns")
    message = str(error.value)
    assert "column 'arrival'" in message
    assert "did you mean 'arival'?" in message
    assert "cohort.visits.columns.arrival" in message
    assert "patient_id, arival" in message
    assert "199003121234" not in message, "a file without a header shows patients in its first row"


def test_a_column_that_stands_twice(tmp_path: Path) -> None:
    path = write(tmp_path, "id,id\n1,2\n")
    with pytest.raises(RegisterError, match="two columns have this name"):
        read_table(path, {"patient_id": "id"})


def test_a_row_with_too_many_cells_is_not_read_shifted(tmp_path: Path) -> None:
    path = write(tmp_path, "id,complaint,arrival\n1,pain,2017-03-31\n2,pain, chest,2017-03-31\n")
    with pytest.raises(RegisterError, match="row 3: 4 cells where the header has 3"):
        read_table(path, {"patient_id": "id"})


def test_encodings(tmp_path: Path) -> None:
    path = write(tmp_path, "id|orsak\n1|BröstSm\n", encoding="latin-1")
    columns = {"patient_id": "id", "complaint": "orsak"}
    table = read_table(path, columns, separator="|", encoding="latin-1")
    assert table["complaint"].to_list() == ["BröstSm"]
    with pytest.raises(RegisterError, match=r"not written in utf8; set cohort\.visits\.encoding"):
        read_table(path, columns, separator="|", key="cohort.visits.columns")
    with pytest.raises(RegisterError, match="no such encoding"):
        read_table(path, columns, separator="|", encoding="latin-one")
    path = write(tmp_path, "id,orsak\n1,BröstSm\n", encoding="utf-8-sig")
    assert read_table(path, columns)["patient_id"].to_list() == ["1"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the first row is empty"),
        ("\nid\n1\n", "the first row is empty"),
        ('id\n"1\n2\n', "cannot be read as CSV"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(RegisterError, match=problem):
        read_table(write(tmp_path, text), {"patient_id": "id"})


def test_no_file_and_no_separator(tmp_path: Path) -> None:
    with pytest.raises(RegisterError, match=r"no such file; set cohort\.visits\.file"):
        read_table(tmp_path / "none.csv", {"patient_id": "id"}, key="cohort.visits.columns")
    with pytest.raises(RegisterError, match=r"key 'cohort\.visits\.separator'"):
        read_table(write(tmp_path, "id\n1\n"), {"patient_id": "id"}, separator="", key="cohort.visits.columns")


def test_parquet_brings_its_own_types(tmp_path: Path) -> None:
    path = tmp_path / "visits.parquet"
    pl.DataFrame(
        {
            "id": [15709.0, None],
            "visit": [1, 2],
            "when": [datetime(2017, 3, 31, 14, 5, 9, 999999), None],
            "born": [date(1950, 1, 2), date(1960, 3, 4)],
            "age": [47.5, 48.0],
            "other": ["a", "b"],
        }
    ).with_columns(pl.col("when").dt.replace_time_zone("Europe/Stockholm")).write_parquet(path)
    table = read_table(
        path,
        {"patient_id": "id", "visit_id": "visit", "arrival": "when", "birth_date": "born", "age": "age"},
        types={"arrival": "date", "birth_date": "date", "age": "number"},
    )
    assert table.to_dict(as_series=False) == {
        "row": [2, 3],
        "patient_id": ["15709", None],
        "visit_id": ["1", "2"],
        "arrival": [datetime(2017, 3, 31, 14, 5, 9), None],
        "birth_date": [datetime(1950, 1, 2), datetime(1960, 3, 4)],
        "age": [47.5, 48.0],
    }
    path.write_bytes(b"PAR1 no")
    with pytest.raises(RegisterError, match="Parquet"):
        read_table(path, {"patient_id": "id"})
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(RegisterError, match="no such column"):
        read_table(path, {"patient_id": "id"})
