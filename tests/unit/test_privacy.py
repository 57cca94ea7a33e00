"""The check of a pseudonymised archive: it passes what is clean, and finds every kind of leak."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_samples.aecg import make_aecg_xml
from ecg_samples.dicom import make_dicom, write_dicom
from ecg_samples.muse import make_muse_xml
from ecg_samples.philips import make_philips_xml
from ecg_samples.scp import TAGS, make_scp
from ecg_samples.wfdb import make_wfdb_record
from precordial.archive.identifiers import dates_in, identifiers
from precordial.archive.layout import Manifest
from precordial.archive.privacy import PrivacyReport, check_privacy
from precordial.archive.pseudonyms import Pseudonyms
from precordial.archive.sought import Sought, own_words, spellings
from precordial.archive.taken import Rejected, SourceFile, Taken, take
from precordial.archive.writer import ArchiveWriter
from precordial.ecg import EIGHT, Ecg
from precordial.errors import ArchiveError, PrecordialError
from precordial.formats import read_ecg

PEOPLE = (("19530508-1234", "Lind"), ("JAX00077", "Åkerström"), ("4711000", "Li"))
Change = Callable[[Ecg, Taken, Pseudonyms], Taken]


def as_it_should_be(ecg: Ecg, taken: Taken, names: Pseudonyms) -> Taken:
    return replace(taken, ecg=names.ecg(ecg, taken.source), source=names.source(taken.source))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Four ECGs of three people as MUSE files."""
    folder = tmp_path / "sources" / "2017"
    folder.mkdir(parents=True)
    for k, (patient, name) in enumerate((*PEOPLE, PEOPLE[0])):
        data = make_muse_xml(seed=k, patient_id=patient, date=f"0{k + 3}-30-2017", age=str(50 + 20 * k), samples=1000)
        (folder / f"{name}_{k}.xml").write_bytes(data.replace("TÉST".encode("latin-1"), name.encode("latin-1")))
    return folder.parent


@pytest.fixture
def build(tmp_path: Path, sources: Path) -> Callable[..., PrivacyReport]:
    """Makes the archive of the sources, with a change to its first ECG or its rejects, and checks it."""

    def run(
        change: Change = as_it_should_be,
        *,
        rejects: Sequence[Rejected] = (),
        after: Callable[[Path, Pseudonyms], object] = lambda folder, names: None,
        with_sources: bool = True,
    ) -> PrivacyReport:
        names = Pseudonyms.open(tmp_path / "key", archive=tmp_path / "archive")
        wanted = Manifest(samples=1000, key=names.fingerprint)
        with ArchiveWriter(tmp_path / "archive", wanted, before_commit=names.save) as writer:
            for k, path in enumerate(sorted(sources.rglob("*.xml"))):
                ecg = read_ecg(path)
                signal = np.random.default_rng(k).normal(size=(8, 1000)).astype(np.float32)
                made = take(
                    replace(ecg, signal=signal, leads=EIGHT, device="MAC55", site="Ward 4 of Lund"),
                    ecg_id=names.secret_digest(path.read_bytes()),
                    source=path.relative_to(sources).as_posix(),
                )
                writer.add(k, [(change if k == 0 else as_it_should_be)(made.ecg, made, names)])
            for k, rejected in enumerate(rejects):
                source, problem = names.rejected(rejected.source, rejected.reason)
                leaky = replace(rejected, source=source, problem=rejected.problem or problem)
                writer.add(100 + k, [leaky])
        after(tmp_path / "archive", names)
        return check_privacy(tmp_path / "archive", names, [sources] if with_sources else [])

    return run


def changed(**values: object) -> Change:
    """An ECG pseudonymised as it should be, but for some values."""

    def change(ecg: Ecg, taken: Taken, names: Pseudonyms) -> Taken:
        done = as_it_should_be(ecg, taken, names)
        return replace(done, ecg=replace(done.ecg, **values))

    return change


# ---- archives


@pytest.mark.parametrize("with_sources", [True, False])
def test_a_clean_archive_passes(build: Callable[..., PrivacyReport], with_sources: bool) -> None:
    rejects = [Rejected("2017/Lind_9.xml", "unreadable", ""), Rejected("notes about Lind.txt", "not-an-ecg", "")]
    report = build(rejects=rejects, with_sources=with_sources)
    assert report.counts == {}
    assert report.ok
    assert (report.ecgs, report.sources) == (4, 4 * with_sources)
    assert report.files >= 6
    assert report.bytes > 500
    assert "none of them is in the archive" in report.text()


def unshifted(ecg: Ecg, taken: Taken, names: Pseudonyms) -> Taken:
    return changed(recorded_at=ecg.recorded_at)(ecg, taken, names)


def another_patients_shift(ecg: Ecg, taken: Taken, names: Pseudonyms) -> Taken:
    other = next(str(k) for k in range(100) if names.shift(str(k)) != names.shift(str(ecg.patient_id)))
    return changed(recorded_at=(ecg.recorded_at or datetime.min) + names.shift(other))(ecg, taken, names)


def plain_id(ecg: Ecg, taken: Taken, names: Pseudonyms) -> Taken:
    return changed(patient_id=ecg.patient_id)(ecg, taken, names)


def strange_id(ecg: Ecg, taken: Taken, names: Pseudonyms) -> Taken:
    return changed(patient_id=names.patient("nobody"))(ecg, taken, names)


def plain_source(ecg: Ecg, taken: Taken, names: Pseudonyms) -> Taken:
    return replace(as_it_should_be(ecg, taken, names), source=taken.source)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (plain_id, {"form", "id", "shift"}),
        (strange_id, {"key", "shift"}),
        (plain_source, {"file", "form", "name", "shift"}),
        (unshifted, {"shift"}),
        (another_patients_shift, {"shift"}),
        (changed(device="MAC55 of Lind"), {"form", "name"}),
        (changed(device="4711000"), {"form", "id"}),
        (changed(device="Cart Li"), {"form", "name"}),
        (changed(device="CART 05/08/53, 08 May 2017"), {"form"}),
        (changed(device="CART 30 March 2017"), {"form", "date"}),
        (changed(device="device-00000000"), {"key"}),
        (changed(site="Ward 4 of Lund"), {"form", "site"}),
        (changed(site="Dr ÅKERSTRÖM"), {"form", "name"}),
        (changed(site="site-00000000"), {"key"}),
        (changed(source="muse 195305081234"), {"date", "id"}),  # the id begins with a date of birth
        (changed(source="2017-03-30T10:00"), {"date"}),
        (changed(age=50.5), {"age"}),
        (changed(age=97.0), {"age"}),
    ],
)
def test_a_leak_in_an_ecg_is_found(build: Callable[..., PrivacyReport], change: Change, kinds: set[str]) -> None:
    report = build(change)
    assert set(report.counts) == kinds
    assert not report.ok
    found = [finding for finding in report.findings if finding.file == "index.bin"]
    assert all(finding.row == 0 for finding in found)
    assert all(finding.file in ("index.bin", "text.bin") for finding in report.findings)


def test_without_the_sources_ids_and_dates_are_found_all_the_same(build: Callable[..., PrivacyReport]) -> None:
    report = build(changed(device="Lind JAX00077 04-30-2017"), with_sources=False)
    assert set(report.counts) == {"id", "date", "form"}  # the name is in no table


@pytest.mark.parametrize(
    ("problem", "kinds"),
    [
        ("the patient 19530508-1234 has no date", {"date", "id", "text"}),
        ("the patient 195305081234 has no date", {"date", "id", "text"}),
        ("patient JAX00077", {"id", "text"}),
        ("born 05-10-2021 or so", {"text"}),
        ("recorded on 20170330 at noon", {"date", "text"}),
        ("recorded at 20170330123015", {"date", "text"}),
        ("Lind_0.xml is damaged", {"file", "name", "text"}),
        ("signed Åkerström", {"name", "text"}),
    ],
)
def test_a_leak_in_the_text_of_a_reject_is_found_at_its_place(
    tmp_path: Path, build: Callable[..., PrivacyReport], problem: str, kinds: set[str]
) -> None:
    report = build(rejects=[Rejected("a", "not-an-ecg", ""), Rejected("b", "unreadable", problem)])
    assert set(report.counts) == kinds
    data = (tmp_path / "archive" / "rejects.jsonl").read_bytes()
    for finding in report.findings:
        assert finding.file == "rejects.jsonl"
        if finding.offset is None:
            assert finding.row == 1
        else:
            start = data.index(problem.encode())
            assert start <= finding.offset < start + len(problem.encode())


@pytest.mark.parametrize(
    ("after", "kinds", "file"),
    [
        (lambda folder, names: (folder / "Lind.txt").touch(), {"name"}, ""),
        (lambda folder, names: (folder / "log.json").write_text(json.dumps("Åkerström")), {"name"}, "log.json"),
        (
            lambda folder, names: (folder / "deep").mkdir() or (folder / "deep" / ".x").write_text("li"),
            {"name"},
            "deep/.x",
        ),
        (lambda folder, names: (folder / "cache").write_bytes(b"\xff\0JAX00077\0\xfe"), {"id"}, "cache"),
    ],
)
def test_a_leak_in_any_other_file_is_found(
    build: Callable[..., PrivacyReport], after: Callable[[Path, Pseudonyms], object], kinds: set[str], file: str
) -> None:
    report = build(after=after)
    assert set(report.counts) == kinds
    assert [finding.file for finding in report.findings] == [file]


@pytest.mark.parametrize("order", ["by name", "by name, backwards", "shuffled"])
def test_rows_in_the_order_of_their_dates_are_found(tmp_path: Path, order: str) -> None:
    """Sorted by file name, the shifts of an ECG's neighbours even out, and tell its date."""
    names = Pseudonyms.open(tmp_path / "key")
    files = [SourceFile(Path(), f"{k:04}.xml", 1, 1) for k in range(400)]
    files = names.shuffled(files) if order == "shuffled" else files[:: -1 if "back" in order else 1]
    signal = np.random.default_rng(0).normal(size=(8, 1000)).astype(np.float32)
    wanted = Manifest(samples=1000, key=names.fingerprint)
    with ArchiveWriter(tmp_path / "archive", wanted, before_commit=names.save) as writer:
        for k, file in enumerate(files):
            moment = datetime(2015, 1, 1) + timedelta(days=3 * int(file.name[:4]))
            ecg = Ecg(signal, 500, EIGHT, patient_id=file.name, recorded_at=moment, source="muse")
            made = take(ecg, ecg_id=k, source=file.name)
            writer.add(k, [as_it_should_be(made.ecg, made, names)])
    report = check_privacy(tmp_path / "archive", names)
    assert report.counts == ({} if order == "shuffled" else {"order": 1})


def test_bytes_left_behind_by_a_kill_are_searched_too(tmp_path: Path, build: Callable[..., PrivacyReport]) -> None:
    def tear(folder: Path, names: Pseudonyms) -> None:
        with (folder / "text.bin").open("ab") as file:
            file.write(b"JAX00077\x1f")

    report = build(after=tear)
    assert set(report.counts) == {"id"}
    assert report.findings[0].offset == (tmp_path / "archive" / "text.bin").stat().st_size - 9


def test_a_short_name_in_a_digest_or_chance_bytes_is_none() -> None:
    sought = Sought()
    for name in ("Li", "Ed", "Abe"):
        sought.add(("name", name))
    assert list(sought.find(b"1a2bed9f00abe012 \x1fcaffeed0\x1f Edel")) == []
    assert list(sought.find(b"\xff Li \0Ed\0", binary=True)) == []
    assert list(sought.find(b"to ed, ABE")) == [(3, "name"), (7, "name")]


def test_the_report_and_its_findings_quote_nobody(build: Callable[..., PrivacyReport]) -> None:
    report = build(changed(device="Lind JAX00077 2017-03-30", site="Li"))
    assert set(report.counts) == {"id", "name", "date", "form"}
    words = report.text().casefold()
    assert not any(secret in words for secret in ("lind", "jax", "2017-03", " li ", "lund"))
    assert "text.bin, byte " in report.text()
    assert "index.bin, row 0" in report.text()


def test_a_key_table_that_this_key_did_not_write_is_noticed(build: Callable[..., PrivacyReport]) -> None:
    def forge(folder: Path, names: Pseudonyms) -> None:
        text = names.table.read_text()
        names.table.write_text(text.replace("JAX00077", "JAX00078"))

    report = build(after=forge)
    assert set(report.counts) == {"key"}
    assert report.findings[0].file == "key.table.csv"


def test_another_key_no_key_and_no_table_are_errors(tmp_path: Path, build: Callable[..., PrivacyReport]) -> None:
    build()
    other = Pseudonyms.open(tmp_path / "other")
    with pytest.raises(ArchiveError, match="made with another key"):
        check_privacy(tmp_path / "archive", other)
    with ArchiveWriter(tmp_path / "plain", Manifest()):
        pass
    with pytest.raises(ArchiveError, match="made without a key"):
        check_privacy(tmp_path / "plain", other)
    names = Pseudonyms.open(tmp_path / "key")
    whole = names.table.read_bytes()
    names.table.write_bytes(whole[:-5])  # a torn line is no damage
    assert not check_privacy(tmp_path / "archive", names).ok
    names.table.write_bytes(whole.replace(b"shift_days", b"shift"))
    with pytest.raises(PrecordialError, match="key table is damaged"):
        check_privacy(tmp_path / "archive", names)
    names.table.unlink()
    with pytest.raises(PrecordialError, match="key table is not here"):
        check_privacy(tmp_path / "archive", names)


def test_several_processes_find_the_same(tmp_path: Path, sources: Path, build: Callable[..., PrivacyReport]) -> None:
    one, seen = build(changed(device="Lind")), list[tuple[int, int]]()
    names = Pseudonyms.open(tmp_path / "key")
    two = check_privacy(
        tmp_path / "archive", names, [sources], workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert two == one
    assert seen[-1] == (4, 4)


# ---- words and dates


@given(day=st.dates(date(1900, 1, 1), date(2099, 12, 31)))
@pytest.mark.parametrize(
    "pattern",
    [
        "%Y-%m-%d",
        "%Y%m%d",
        "%m-%d-%Y",
        "%d/%m/%Y",
        "%d.%m.%Y",
        "%d %b %Y",
        "%B %d, %Y",
        "%Y-%m-%dT%H:%M",
        "%Y%m%d%H%M%S",
    ],
)
def test_a_date_is_found_however_it_is_written(pattern: str, day: date) -> None:
    sought = Sought()
    sought.add(("date", day.isoformat()))
    text = datetime.combine(day, datetime.min.time()).strftime(pattern)
    assert [kind for _, kind in sought.find(f'{{"x": "{text}"}}'.encode())] == ["date"]
    other = datetime.combine(day + timedelta(days=40), datetime.min.time()).strftime(pattern)
    assert list(sought.find(other.encode())) == []


@given(day=st.dates(date(1900, 1, 1), date(2099, 12, 31)))
@pytest.mark.parametrize("pattern", ["%Y-%m-%d", "%Y%m%d", "%m-%d-%Y", "%d/%m/%Y", "%Y%m%d101500.000"])
def test_a_date_in_a_source_is_read_however_it_is_written(pattern: str, day: date) -> None:
    assert day in dates_in(f"at {day.strftime(pattern)}")
    assert day in set().union(*map(dates_in, spellings(day)))


def test_words_that_are_everywhere_are_left_out_and_counted() -> None:
    sought = Sought()
    for text in ("muse", "42", "X", "patient", "500", "", "--"):
        sought.add(("id", text))
    assert (len(sought), sought.left_out) == (0, 5)
    assert {"muse", "rhythm", "codec", "pco", "mac", "problem"} <= own_words()
    assert not {"lind", "anna", "smith"} & own_words()


# ---- what is in source files


def texts(found: set[tuple[str, str]], kind: str) -> set[str]:
    return {text for one, text in found if one == kind}


def test_what_tells_who_in_xml(tmp_path: Path) -> None:
    (tmp_path / "a_1.xml").write_bytes(make_muse_xml(patient_id="AB-12"))
    found = identifiers(tmp_path / "a_1.xml")
    assert texts(found, "file") == {"a_1"}
    assert texts(found, "name") == {"TÉST"}
    assert texts(found, "id") == {"AB-12"}
    assert texts(found, "date") == {"2021-05-10", "2021-10-05"}
    (tmp_path / "b.xml").write_bytes(make_aecg_xml(subject="SBJ-9"))
    found = identifiers(tmp_path / "b.xml")
    assert "TÉST" in texts(found, "name")
    assert "SBJ-9" in texts(found, "id")
    assert "Test Høspital" in texts(found, "site")
    (tmp_path / "c.xml").write_bytes(make_philips_xml(patient_id="PH77"))
    found = identifiers(tmp_path / "c.xml")
    assert "TÉST" in texts(found, "name")
    assert "PH77" in texts(found, "id")


def test_a_damaged_or_hostile_xml_file_gives_what_it_can(tmp_path: Path) -> None:
    whole = make_muse_xml(patient_id="AB-12")
    (tmp_path / "cut.xml").write_bytes(whole[: whole.index(b"<Waveform>")])
    assert {("id", "AB-12"), ("name", "TÉST")} <= identifiers(tmp_path / "cut.xml")
    bomb = b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 1000 + b'">]><a><PatientID>&b;&b;</PatientID></a>'
    (tmp_path / "bomb.xml").write_bytes(bomb)
    (tmp_path / "empty.xml").write_bytes(b"<")
    (tmp_path / "no.bin").write_bytes(bytes(300))
    for name in ("bomb.xml", "empty.xml", "no.bin"):
        assert identifiers(tmp_path / name) == {("file", name[:-4])}


def test_what_tells_who_in_other_formats(tmp_path: Path) -> None:
    comments = ["#Patient: 0042-7", "#Age: 60", "# Name: Lind, Anna", "# ward of Dr Berg", "#Birth: 08.05.1953"]
    found = identifiers(make_wfdb_record(tmp_path, np.ones((2, 50), np.int16), comments=comments))
    assert texts(found, "id") == {"0042-7"}
    assert texts(found, "name") == {"Lind, Anna", "Lind", "Anna"}
    assert "ward of Dr Berg" in texts(found, "text")
    assert texts(found, "date") == {"1953-05-08", "1953-08-05"}
    tags = {
        **TAGS,
        0: b"Lind\0",
        1: "Åsa\0".encode(),
        2: b"PAT 99\0",
        5: struct.pack("<HBB", 1953, 5, 8),
        20: b"Dr Berg\0",
    }
    scp = make_scp(np.ones((8, 5000), np.int64), tags=tags)
    (tmp_path / "a.scp").write_bytes(scp)
    found = identifiers(tmp_path / "a.scp")
    assert texts(found, "name") == {"Lind", "Åsa", "Dr Berg", "Dr", "Berg"}
    assert texts(found, "id") == {"PAT 99"}
    assert {"1953-05-08", "2021-05-10"} <= texts(found, "date")
    for length in range(0, 600, 7):
        (tmp_path / "cut.scp").write_bytes(scp[:length])
        assert ("file", "cut") in identifiers(tmp_path / "cut.scp")


def test_what_tells_who_in_dicom(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    path = write_dicom(tmp_path / "a.dcm", make_dicom([], PatientID="PAT 99", PatientBirthDate="19530508"))
    found = identifiers(path)
    assert {"TEST", "NAME"} <= texts(found, "name")
    assert "PAT 99" in texts(found, "id")
    assert "1953-05-08" in texts(found, "date")
    assert texts(found, "site") == {"Sjællands Hospital"}
    whole = path.read_bytes()
    for length in range(100, 1000, 33):
        path.write_bytes(whole[:length])
        assert ("file", "a") in identifiers(path)


def test_real_files_give_their_patients(shared_data: Path) -> None:
    for name, wanted in {
        "muse/muse_ecg1.xml": {("id", "JAX01234"), ("date", "2021-05-10")},
        "philips/129DYPRG.XML": {("id", "1112010721168bdc"), ("date", "2011-12-01")},
        "aecg/example_aecg.xml": {("id", "SBJ-123"), ("name", "Clark"), ("date", "1953-05-08"), ("date", "2002-11-22")},
        "scp/Example.scp": {("id", "SBJ-123"), ("name", "Clark"), ("date", "1953-05-08"), ("date", "2002-11-22")},
        "dicom/waveform_ecg.dcm": {("id", "642341"), ("name", "Anonymous"), ("date", "1971-01-23"), ("id", "13002689")},
    }.items():
        assert wanted <= identifiers(shared_data / "formats" / name)
