"""Pseudonyms: the same for the same, none for who has no key, and a key that stays outside."""

from __future__ import annotations

import csv
import os
import pickle
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from precordial.archive import pseudonyms as module
from precordial.archive.pseudonyms import Pseudonyms, is_device_model, tidy, whole_age
from precordial.archive.taken import SourceFile
from precordial.ecg import Ecg, Flag
from precordial.errors import REASONS, PrecordialError, RegisterError
from precordial.registers.pseudonyms import pseudonymise_table

NAMES, OTHERS = (Pseudonyms(bytes([k]) * 32, Path("nowhere")) for k in (1, 2))
ids = st.text(min_size=1).filter(tidy)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))


def an_ecg(patient_id: str | None = "19500101-1234", **values: object) -> Ecg:
    values = {"recorded_at": datetime(2017, 3, 31, 14, 5), "source": "muse", **values}
    return Ecg(np.zeros((1, 4), np.float32), 500, ("I",), patient_id=patient_id, **values)  # type: ignore[arg-type]


@pytest.fixture
def names(tmp_path: Path) -> Pseudonyms:
    return Pseudonyms.open(tmp_path / "key")


def lines(names: Pseudonyms) -> list[dict[str, str]]:
    with names.table.open(newline="") as file:
        return list(csv.DictReader(file))


# ---- what becomes of an ECG


@given(one=ids, other=ids)
def test_equal_ids_have_equal_pseudonyms_and_others_have_others(one: str, other: str) -> None:
    assert (NAMES.patient(one) == NAMES.patient(other)) == (tidy(one) == tidy(other))
    assert NAMES.patient(f" {one}\n") == NAMES.patient(one)
    assert re.fullmatch("[0-9a-f]{16}", NAMES.patient(one))
    assert NAMES.patient(one) != OTHERS.patient(one)


@given(text=ids)
def test_the_same_text_is_another_thing_as_patient_as_source_and_as_visit(text: str) -> None:
    assert len({NAMES.patient(text), NAMES.source(text), NAMES.other(text)}) == 3


@given(patient=ids)
def test_shifts_are_whole_weeks_of_at_most_a_year_and_never_none(patient: str) -> None:
    shift = NAMES.shift(patient)
    assert shift % timedelta(weeks=1) == timedelta(0)
    assert timedelta(weeks=1) <= abs(shift) <= timedelta(weeks=52)


def test_all_shifts_occur_and_another_key_gives_others() -> None:
    people = [str(k) for k in range(5000)]
    shifts = [NAMES.shift(one).days // 7 for one in people]
    assert set(shifts) == set(range(-52, 53)) - {0}
    counts = np.unique(shifts, return_counts=True)[1]
    assert counts.max() < 2 * counts.mean()  # 48 expected; 96 is seven standard deviations away
    same = sum(NAMES.shift(one) == OTHERS.shift(one) for one in people)
    assert same < 150  # 48 expected by chance


@given(patient=ids, first=moments, second=moments)
def test_order_and_intervals_within_a_patient_are_kept(patient: str, first: datetime, second: datetime) -> None:
    one, two = (NAMES.ecg(an_ecg(patient, recorded_at=at), str(at)).recorded_at for at in (first, second))
    assert one is not None
    assert two is not None
    assert two - one == second - first
    assert one != first
    assert one.time() == first.time()
    assert one.weekday() == first.weekday()


def test_an_ecg_keeps_what_tells_nobody_s_name(names: Pseudonyms) -> None:
    before = an_ecg(
        age=61.9, sex="female", device="MAC55", site="Ward of Dr Lind", uv_per_unit=4.88, flags=Flag.CROPPED
    )
    after = names.ecg(before, "2017/Lind_Anna.xml")
    assert after.patient_id == names.patient("19500101-1234")
    assert after.recorded_at == datetime(2017, 3, 31, 14, 5) + names.shift("19500101-1234")
    assert after.site == names.code("site", "Ward of Dr Lind")
    assert re.fullmatch("site-[0-9a-f]{8}", str(after.site))
    assert (after.age, after.sex, after.device, after.uv_per_unit) == (61.0, "female", "MAC55", 4.88)
    assert (after.flags, after.source, after.rate) == (Flag.CROPPED, "muse", 500)
    assert after.signal is before.signal


def test_what_is_unknown_stays_unknown(names: Pseudonyms) -> None:
    after = names.ecg(an_ecg(None, recorded_at=None, age=float("nan")), "a")
    assert (after.patient_id, after.recorded_at, after.age, after.device, after.site) == (None,) * 5
    assert names.ecg(an_ecg("  "), "a").patient_id is None


def test_records_without_a_patient_have_shifts_of_their_own_and_their_pieces_one(names: Pseudonyms) -> None:
    at = {source: names.ecg(an_ecg(None), source).recorded_at for source in ("a", "a@10", "a@20", "b", "c", "d")}
    assert at["a"] == at["a@10"] == at["a@20"] != datetime(2017, 3, 31, 14, 5)
    assert len({at["a"], at["b"], at["c"], at["d"]}) > 1


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
def test_a_date_that_leaves_the_calendar_is_none(names: Pseudonyms, moment: datetime) -> None:
    after = {names.ecg(an_ecg(str(k), recorded_at=moment), str(k)).recorded_at for k in range(20)}
    assert None in after
    assert moment not in after


@pytest.mark.parametrize(
    ("age", "kept", "flag"),
    [(0.3, 0.0, 0), (61.99, 61.0, 0), (89.99, 89.0, 0), (90.0, 90.0, 64), (104.0, 90.0, 64), (None, None, 0)],
)
def test_ages_are_whole_years_and_above_89_they_are_90(age: float | None, kept: float | None, flag: int) -> None:
    assert whole_age(age) == (kept, Flag(flag))


@pytest.mark.parametrize(
    "device",
    ["Anna Lind", "Anna's MAC55", "MAC55 Lind", "MAC 2017-03-31", "MAC55 123456", "L1nd", "", "ÅSA", "1234", "MAC55\n"],
)
def test_a_device_that_could_hide_somebody_becomes_a_code(names: Pseudonyms, device: str) -> None:
    assert not is_device_model(device)
    kept = names.ecg(an_ecg(device=device), "a").device
    assert kept is None if not device else re.fullmatch("device-[0-9a-f]{8}", str(kept))


def test_secret_digests_need_the_key() -> None:
    assert NAMES.secret_digest(b"abc") == NAMES.secret_digest(b"abc") != OTHERS.secret_digest(b"abc")
    assert NAMES.secret_digest(b"abc") < 2**64
    assert NAMES.secret != OTHERS.secret
    assert bytes([1]) * 32 not in NAMES.secret


def test_files_come_in_an_order_that_tells_nothing_and_is_always_the_same(names: Pseudonyms) -> None:
    files = [SourceFile(Path(f"{k:04}.xml"), f"{k:04}.xml", 1, 1) for k in range(2000)]
    order = [int(file.name[:4]) for file in names.shuffled(iter(files))]
    assert sorted(order) == list(range(2000))
    assert names.shuffled(reversed(files)) == names.shuffled(files)
    assert abs(np.corrcoef(order, range(2000))[0, 1]) < 6 / 2000**0.5  # six standard deviations
    assert NAMES.shuffled(files) != OTHERS.shuffled(files)


# ---- the key file


def test_a_key_file_is_made_for_its_owner_alone_and_found_again(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = Pseudonyms.open(tmp_path / "key", archive=tmp_path / "archive")
    finally:
        os.umask(before)
    again = Pseudonyms.open(tmp_path / "key", archive=tmp_path / "archive", create=False)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert again.fingerprint == made.fingerprint
    assert again.patient("a") == made.patient("a")
    assert Pseudonyms.open(tmp_path / "other").fingerprint != made.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "other"]


def test_of_many_that_come_at_once_all_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: Pseudonyms.open(tmp_path / "key").fingerprint, range(16)))
    assert len(set(opened)) == 1


def test_an_empty_key_file_as_a_kill_may_leave_it_is_filled(tmp_path: Path) -> None:
    (tmp_path / "key").touch(mode=0o600)
    with pytest.raises(PrecordialError, match="no key file"):
        Pseudonyms.open(tmp_path / "key", create=False)
    assert Pseudonyms.open(tmp_path / "key").fingerprint == Pseudonyms.open(tmp_path / "key").fingerprint


def test_a_key_inside_the_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "archive")
    for keyfile in (
        tmp_path / "archive" / "key",
        tmp_path / "link" / "key",
        tmp_path / "other" / ".." / "archive" / "k",
    ):
        with pytest.raises(PrecordialError, match="inside the archive"):
            Pseudonyms.open(keyfile, archive=tmp_path / "archive")
    (tmp_path / "key.table.csv").symlink_to(tmp_path / "archive" / "table")
    with pytest.raises(PrecordialError, match="inside the archive"):
        Pseudonyms.open(tmp_path / "key", archive=tmp_path / "archive")
    assert not any((tmp_path / "archive").iterdir())


@pytest.mark.parametrize("name", ["key", "key.table.csv"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_what_others_can_read_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    names = Pseudonyms.open(tmp_path / "key")
    names.enlist("a")
    names.save()
    (tmp_path / name).chmod(mode)
    with pytest.raises(PrecordialError, match="others on this machine can read"):
        Pseudonyms.open(tmp_path / "key")


def test_a_damaged_key_is_refused_wherever_it_is_damaged(tmp_path: Path) -> None:
    keyfile = tmp_path / "key"
    Pseudonyms.open(keyfile)
    whole = keyfile.read_bytes()
    secret = whole.index(b'"key": "') + 8
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(secret, secret + 64, 7)]
    for bad in (
        [whole[:length] for length in range(1, len(whole) - 2, 5)] + flipped + [b"[]", b"{}", b'{"key": 3}', b"\xff"]
    ):
        keyfile.write_bytes(bad)
        with pytest.raises(PrecordialError, match="damaged"):
            Pseudonyms.open(keyfile)
    assert keyfile.read_bytes() == b"\xff"  # never overwritten


def test_a_key_that_is_gone_is_not_replaced(tmp_path: Path, names: Pseudonyms) -> None:
    names.enlist("a")
    names.save()
    names.keyfile.unlink()
    with pytest.raises(PrecordialError, match="its key table is still there"):
        Pseudonyms.open(names.keyfile)
    with pytest.raises(PrecordialError, match="no such key file"):
        Pseudonyms.open(tmp_path / "another", create=False)
    with pytest.raises(PrecordialError, match="no folder for the key file"):
        Pseudonyms.open(tmp_path / "nowhere" / "key")
    with pytest.raises(PrecordialError, match="no regular file"):
        Pseudonyms.open(tmp_path)


def test_pseudonyms_do_not_travel_to_other_processes(names: Pseudonyms) -> None:
    with pytest.raises(TypeError, match="the process that writes"):
        pickle.dumps(names)


# ---- the key table


def test_the_key_table_leads_back(names: Pseudonyms) -> None:
    names.ecg(an_ecg('7, "x" ÅÖ', site="ER", device="Cart of Li"), "2017/a,b.xml")
    names.ecg(an_ecg(None, recorded_at=None), "odd\nname\udc80.xml")
    assert names.rejected("broken.xml", "unreadable") == (names.source("broken.xml"), REASONS["unreadable"])
    names.save()
    found = {(line["kind"], line["original"]): line for line in lines(names)}
    patient = found["patient", '7, "x" ÅÖ']
    assert patient["pseudonym"] == names.patient('7, "x" ÅÖ')
    assert timedelta(days=int(patient["shift_days"])) == names.shift('7, "x" ÅÖ')
    file = found["file", "2017/a,b.xml"]
    assert (file["pseudonym"], file["recorded_at"]) == (names.source("2017/a,b.xml"), "2017-03-31T14:05:00")
    assert file["shift_days"] == patient["shift_days"]
    assert found["site", "ER"]["pseudonym"] == names.code("site", "ER")
    assert found["device", "Cart of Li"]["pseudonym"] == names.code("device", "Cart of Li")
    assert found["file", "broken.xml"]["recorded_at"] == ""
    assert found["file", r"odd name\udc80.xml"]["pseudonym"] == names.source("odd\nname\udc80.xml")
    assert len(found) == len(lines(names)) == 6
    assert names.table.stat().st_mode & 0o777 == 0o600


def test_nothing_stands_twice_in_the_key_table(names: Pseudonyms) -> None:
    for _ in range(2):
        for k in range(20):
            names.ecg(an_ecg(f"p{k % 3}"), f"file{k}")
        names.save()
        names.save()
    again = Pseudonyms.open(names.keyfile)
    for k in range(21):
        again.ecg(an_ecg(f"p{k % 3}"), f"file{k}")
    again.save()
    names.ecg(an_ecg("p2"), "file20")  # which another process has put there meanwhile
    names.ecg(an_ecg("p2", recorded_at=datetime(2020, 1, 1)), "file20")  # the file changed
    names.save()
    assert len(lines(names)) == 3 + 21 + 1
    assert names.table.read_text().count("kind,original") == 1


def test_a_torn_line_is_cut(names: Pseudonyms) -> None:
    names.enlist("a")
    names.save()
    whole = names.table.read_bytes()
    names.enlist("b")
    names.save()
    both = names.table.read_bytes()
    for length in range(len(whole), len(both)):
        names.table.write_bytes(both[:length])
        again = Pseudonyms.open(names.keyfile)
        again.enlist("a")
        again.enlist("b")
        again.save()
        assert names.table.read_bytes() == both


def test_what_could_not_be_saved_is_saved_the_next_time(names: Pseudonyms, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    names.enlist("a")
    with monkeypatch.context() as patch:
        patch.setattr(module, "append_durably", full)
        with pytest.raises(OSError, match="No space"):
            names.save()
    names.enlist("b")
    names.save()
    assert [line["original"] for line in lines(names)] == ["a", "b"]


# ---- registers


@pytest.fixture
def convert(tmp_path: Path, names: Pseudonyms) -> Callable[..., pl.DataFrame]:
    """Writes a register, gives it pseudonyms, and reads it back."""

    def run(text: str, **options: object) -> pl.DataFrame:
        (tmp_path / "in.csv").write_text(text, encoding=str(options.get("encoding", "utf8")))
        options = {"pseudonyms": names, "id_column": "patient", **options}
        rows = pseudonymise_table(tmp_path / "in.csv", tmp_path / "out.csv", **options)  # type: ignore[arg-type]
        table = pl.read_csv(tmp_path / "out.csv", infer_schema=False, separator=str(options.get("separator", ",")))
        assert table.height == rows
        assert table["patient"].to_list() == sorted(table["patient"].to_list(), key=lambda cell: cell or "")
        return table

    return run


def test_a_register_still_joins_the_archive(names: Pseudonyms, convert: Callable[..., pl.DataFrame]) -> None:
    table = convert(
        "patient,visit,arrival,left,complaint,name\n"
        "007,v1,2017-03-31 14:05:10.25,2017-04-01,chest pain,Anna\n"
        '008,v2,2017-02-28T09:00,,"a, b",Bo\n',
        date_columns=["arrival", "left"],
        code_columns=["visit"],
        drop=["name"],
    )
    assert table.columns == ["patient", "visit", "arrival", "left", "complaint"]
    ecg = names.ecg(an_ecg("007", recorded_at=datetime(2017, 3, 31, 14, 5, 10)), "a")
    table = table.sort(pl.col("patient") != ecg.patient_id)
    assert table["patient"].to_list() == [ecg.patient_id, names.patient("008")]
    assert table["visit"].to_list() == [names.other("v1"), names.other("v2")]
    assert table["arrival"][0] == f"{ecg.recorded_at}.25"
    assert table["left"].to_list() == [f"{date(2017, 4, 1) + names.shift('007')}", None]
    assert table["arrival"][1] == f"{date(2017, 2, 28) + names.shift('008')}T09:00"
    assert table["complaint"].to_list() == ["chest pain", "a, b"]
    assert {line["original"] for line in lines(names)} == {"007", "008", "v1", "v2"}


@pytest.mark.parametrize("pattern", [None, "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "%d-%b-%Y"])
def test_dates_keep_their_format_and_intervals(
    names: Pseudonyms, convert: Callable[..., pl.DataFrame], pattern: str | None
) -> None:
    form = pattern or "%Y-%m-%d"
    days = [date(1901, 1, 1) + timedelta(days=int(k)) for k in np.random.default_rng(0).integers(0, 72_000, 500)]
    days += [date(2000, 2, 29), date(1999, 12, 31)]
    table = convert(
        "patient;day\n" + "".join(f"p{k % 50};{day.strftime(form)}\n" for k, day in enumerate(days)),
        date_columns=["day"],
        date_formats={"day": pattern} if pattern else {},
        separator=";",
    )
    wanted = [
        (names.patient(who), day + names.shift(who)) for who, day in ((f"p{k % 50}", d) for k, d in enumerate(days))
    ]
    assert sorted(table.rows()) == sorted((who, day.strftime(form)) for who, day in wanted)


def test_of_birth_dates_only_the_year_is_left(names: Pseudonyms, convert: Callable[..., pl.DataFrame]) -> None:
    text = "patient,birth\n" + "".join(f"p{k},{1940 + k}-03-{k % 28 + 1:02}\n" for k in range(60))
    table = convert(text, birth_columns=["birth"], ages_at=date(2020, 12, 31))
    written = dict(table.rows())
    for k in range(60):
        moved = date(1940 + k, 3, k % 28 + 1) + names.shift(f"p{k}")
        assert written[names.patient(f"p{k}")] == f"{moved.year}-07-01"


@pytest.mark.parametrize("given_day", [True, False])
def test_nobody_is_older_than_90_at_the_last_date(
    names: Pseudonyms, convert: Callable[..., pl.DataFrame], given_day: bool
) -> None:
    """Each patient has two visits; with no day given, the later counts for both."""
    births = [date(year, month, 1) for year in range(1915, 1960, 5) for month in (1, 6, 12)]
    rows = [(f"p{k}", born, last) for k, born in enumerate(births) for last in (date(2010, 5, 5), date(2018, 6, 15))]
    text = "patient,birth,seen\n" + "".join(f"{who},{born},{last}\n" for who, born, last in rows)
    options = {"ages_at": date(2018, 6, 15)} if given_day else {}
    table = convert(text, birth_columns=["birth"], date_columns=["seen"], **options)
    births_told = {row["patient"]: row["birth"] for row in table.to_dicts()}
    for who, born, _ in rows:
        last = date(2018, 6, 15) + names.shift(who)
        true = (date(2018, 6, 15) - born).days / 365.25
        told = last.year - date.fromisoformat(births_told[names.patient(who)]).year
        assert told <= 90
        assert told == 90 if true >= 91 else abs(told - true) <= 1.01
    assert all(len({row["birth"] for row in group.to_dicts()}) == 1 for _, group in table.group_by("patient"))


def test_years_of_birth_alone_are_read(names: Pseudonyms, convert: Callable[..., pl.DataFrame]) -> None:
    text = "patient,year\na,1950\nb,1900\n"
    table = convert(text, birth_columns=["year"], date_formats={"year": "%Y"}, ages_at=date(2000, 7, 1))
    assert dict(table.rows()) == {
        names.patient("a"): str((date(1950, 7, 1) + names.shift("a")).year),
        names.patient("b"): str((date(2000, 7, 1) + names.shift("b")).year - 90),
    }


def test_rows_without_a_patient_are_shifted_each_by_its_own(convert: Callable[..., pl.DataFrame]) -> None:
    text = "patient,day\n" + ",2017-03-31\n" * 30 + "a,2017-03-31\n"
    table = convert(text, date_columns=["day"])
    assert table["patient"].null_count() == 30
    assert "2017-03-31" not in table["day"].to_list()
    assert table["day"].n_unique() > 5


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "patient,day\na,2017-03-31\na,31.3.2017\nb,x\n",
            {"date_columns": ["day"]},
            r"row 3, column 'day': .* not a date \(1 more",
        ),
        ("patient,day\na,2017-02-30\n", {"date_columns": ["day"]}, "row 2, column 'day': this is not a date"),
        ("patient,day\na,9999-12-31\n", {"date_columns": ["day"]}, "row 2, column 'day': this is not a date"),
        ("patient,day\na,2017-03-31 25:00\n", {"date_columns": ["day"]}, "row 2, column 'day': this is not a date"),
        ("patient,born\na,soon\n", {"birth_columns": ["born"], "ages_at": date(2020, 1, 1)}, "row 2, column 'born'"),
        ("patient,born\na,1950-01-01\n", {"birth_columns": ["born"]}, "no other dates at which ages"),
        ("patient,day\na,2017-03-31\n", {}, "row 2, column 'day': the column seems to hold dates"),
        ("patient,day\na,x\nb,20170331\n", {"date_columns": ["dat"]}, "column 'dat': there is no such column"),
        ("patient,day\na,\nb,20170331\n", {}, "row 3, column 'day': the column seems to hold dates"),
        ("patient,note\na,seen 3/4/2017\n", {}, "row 2, column 'note': the column seems to hold dates"),
        ("patient,visit\n12345,12345-1\n", {}, "row 2, column 'visit': the column seems to hold patient ids"),
        ("patient,last_name\na,Lind\n", {}, "column 'last_name': the column seems to hold names or free text"),
        ("patient,day\na,1,2\n", {}, "row 2: 3 cells where the header has 2"),
        ('patient,day\na,1\nb,"\n\n', {}, "cannot be read as CSV|its quotes"),
        ("patient,patient\na,1\n", {}, "column 'patient': two columns have this name"),
        ("patient,day\na,1\n", {"drop": ["day", "day"]}, "column 'day': the column is named twice"),
        ("", {}, "cannot be read|no such column"),
        ("patient\nÅ\n", {"encoding": "cp1252"}, ""),
    ],
)
def test_a_register_that_would_tell_or_cannot_be_read_is_refused(
    tmp_path: Path,
    names: Pseudonyms,
    convert: Callable[..., pl.DataFrame],
    text: str,
    options: dict[str, object],
    message: str,
) -> None:
    if not message:
        assert convert(text, **options)["patient"].to_list() == [names.patient("Å")]
        return
    with pytest.raises(RegisterError, match=message) as caught:
        convert(text, **options)
    assert str(tmp_path / "in.csv") in str(caught.value)
    assert not (tmp_path / "out.csv").exists()
    assert not names.table.exists()


def test_a_register_is_never_overwritten_and_read_as_it_is_written(
    tmp_path: Path, names: Pseudonyms, convert: Callable[..., pl.DataFrame]
) -> None:
    convert("patient,city_block\na,1\n", keep=["city_block"])  # says that it tells nothing
    with pytest.raises(RegisterError, match="take the place"):
        pseudonymise_table(tmp_path / "in.csv", tmp_path / "in.csv", pseudonyms=names, id_column="patient")
    (tmp_path / "in.csv").write_bytes(b"patient\n\xc5\n")
    with pytest.raises(RegisterError, match="not written in utf8"):
        pseudonymise_table(tmp_path / "in.csv", tmp_path / "o", pseudonyms=names, id_column="patient")
    with pytest.raises(RegisterError, match="no such encoding"):
        pseudonymise_table(tmp_path / "in.csv", tmp_path / "o", pseudonyms=names, id_column="patient", encoding="x")
    with pytest.raises(RegisterError, match="one ASCII character"):
        pseudonymise_table(tmp_path / "in.csv", tmp_path / "o", pseudonyms=names, id_column="patient", separator=";;")
    with pytest.raises(RegisterError, match="no such file"):
        pseudonymise_table(tmp_path / "none.csv", tmp_path / "o", pseudonyms=names, id_column="patient")
