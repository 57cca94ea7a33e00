"""Archives through the command line, as users come: a folder that mixes every format, public sets, and slips."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from command_line import CommandLine
from ecg_samples import SAMPLES
from ecg_samples.muse import make_muse_xml
from ecg_samples.wfdb import make_wfdb_record
from precordial.archive import Archive, ingest
from precordial.archive.layout import shard_path
from precordial.ecg import EIGHT, Flag
from precordial.formats import READERS
from precordial.twin import Hospital, make_hospital

Called = subprocess.CompletedProcess[str]
PATIENT = "ZEBRA-4711"  # planted, as are the samples' own
SECRETS = (PATIENT, "TEST0001", "TÉST")
OF_FORMATS = len(READERS) + 2  # with the file whose name is no UTF-8, and the patient's
REASONS = {
    "junk/cut.xml": "unreadable",
    "junk/empty.xml": "not-an-ecg",
    "junk/flat.hea": "flat-lead",
    "junk/gone.xml": "unreadable",
    "junk/headless.dat": "not-an-ecg",
    "junk/letter.doc": "not-an-ecg",
    "junk/short.hea": "too-short",
    "junk/two\nlines.xml": "not-an-ecg",
    "muse/2021/ward 7/export.xml": "duplicate",
}


@pytest.fixture
def command(command: CommandLine) -> Iterator[CommandLine]:
    """Whatever the commands say, no patient's id or name is in it."""
    yield command
    assert not [secret for secret in SECRETS if secret in command.said]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each format in a subfolder, and with what else lies about on a hospital's disk."""
    folder = tmp_path_factory.mktemp("mixed") / "ecg"
    for name, sample in SAMPLES.items():
        (folder / name / "2021" / "ward 7").mkdir(parents=True)
        sample.write(folder / name / "2021" / "ward 7")
    muse = (folder / "muse" / "2021" / "ward 7" / "export.xml").read_bytes()
    junk = folder / "junk"
    junk.mkdir()
    (junk / "again.xml").write_bytes(muse)  # comes first, and its twin is the duplicate
    (junk / "patient.xml").write_bytes(make_muse_xml(seed=8, patient_id=PATIENT))
    (junk / "cut.xml").write_bytes(make_muse_xml(seed=7, patient_id=PATIENT)[:50_000])
    (junk / "empty.xml").touch()
    (junk / "letter.doc").write_text(f"Dear colleague, {PATIENT} …")
    (junk / "two\nlines.xml").write_text(PATIENT)
    (junk / "headless.dat").write_bytes(bytes(range(256)) * 100)
    noise = np.random.default_rng(3).integers(-400, 400, (8, 4000)).astype(np.int16)
    make_wfdb_record(junk, noise, name="short", leads=EIGHT, comments=[f"#Patient: {PATIENT}"])
    flat = np.repeat(np.int16([[7]] * 8), 5000, axis=1)
    make_wfdb_record(junk, flat, name="flat", leads=EIGHT, comments=[f"#Patient: {PATIENT}"])
    (junk / "gone.xml").symlink_to("nowhere")
    (junk / "loop").symlink_to("..")
    os.mkfifo(junk / "pipe")
    (folder / ".trash").mkdir()
    (folder / ".trash" / "old.xml").write_bytes(make_muse_xml(seed=6))
    Path(os.fsdecode(os.fsencode(junk) + b"/\xe5ngstr\xf6m.xml")).write_bytes(make_muse_xml(seed=5))
    return folder


@pytest.fixture(scope="module")
def archive(mixed: Path) -> Path:
    assert ingest(mixed, mixed.parent / "archive", workers=1).added == OF_FORMATS
    return mixed.parent / "archive"


# --- a folder that mixes every format


def test_a_mixed_folder(
    mixed: Path,
    tmp_path: Path,
    command: CommandLine,
    files_below: Callable[[Path], dict[str, tuple[int, int]]],
) -> None:
    folder, files = tmp_path / "archive", OF_FORMATS + len(REASONS)
    out = command.done("ingest", mixed, "--archive", folder, "--workers", "1")
    counted = (
        f"{OF_FORMATS} ECGs added, 0 files known from before; {OF_FORMATS} ECGs in {folder}\n{files} recordings in "
    )
    assert out.startswith(counted)
    assert out.endswith(f"  each is listed in {folder / 'rejects.jsonl'}\n")
    archive = Archive(folder)
    assert {row["source"]: row["reason"] for row in archive.rejects()} == REASONS
    sources = archive.table()["source"].to_list()
    assert {name.split("/")[0] for name in sources} == READERS.keys() - {"muse"} | {"junk"}
    assert "junk/\\xe5ngstr\\xf6m.xml" in sources
    before = files_below(folder)
    again = command.done("ingest", mixed, "--archive", folder, "--workers", "2")
    assert again == f"0 ECGs added, {files} files known from before; {OF_FORMATS} ECGs in {folder}\n"
    assert files_below(folder) == before | {".lock": files_below(folder)[".lock"]}


def test_every_format_arrives_as_it_is(mixed: Path, archive: Path) -> None:
    """Against the decoders of the tests, to one stored unit."""
    opened = Archive(archive)
    rows = {row["format"]: row for row in opened.table().iter_rows(named=True) if "junk" not in row["source"]}
    rows["muse"] = next(r for r in opened.table().iter_rows(named=True) if r["source"] == "junk/again.xml")
    assert rows.keys() == READERS.keys()
    compared = set()
    for name, sample in SAMPLES.items():
        folder = mixed / name / "2021" / "ward 7"
        path = next(p for p in sorted(folder.iterdir(), reverse=True) if READERS[name].matches(p.read_bytes()[:4096]))
        rate, leads, traces = sample.decode(path)
        if sample.demographics:
            assert (rows[name]["sex"], rows[name]["age"] in range(50, 80)) == (1.0, True), name
        if rate == 500:
            ecg, units = opened[rows[name]["ecg_id"]], dict(zip(leads, traces, strict=True))
            wanted = np.array([units[lead][:5000] for lead in EIGHT])
            assert np.abs(ecg.signal - wanted).max() <= (ecg.uv_per_unit or 1) / 1000, name
            compared.add(name)
        else:
            assert Flag.RESAMPLED in opened[rows[name]["ecg_id"]].flags
    assert len(compared) >= len(SAMPLES) - 1


def test_info_verify_and_quality(archive: Path, tmp_path: Path, command: CommandLine) -> None:
    info = command.done("archive", "info", archive)
    assert info.startswith(f"{OF_FORMATS} ECGs of 5000 samples at 500 Hz, ")
    assert f"formats: {', '.join(sorted(READERS))}; digest {Archive(archive).digest}\n" in info
    assert "  2 rejected: the file is damaged, truncated or breaks its own format (unreadable)\n" in info
    assert command.done("archive", "verify", archive) == f"{OF_FORMATS} ECGs checked, 0 damaged\n"
    text = command.done("archive", "quality", archive, "--out", tmp_path / "quality.csv")
    assert re.search(r"^not-an-ecg +4  no reader knows this file$", text, re.MULTILINE)
    with (tmp_path / "quality.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["ecgs"]) for row in rows) == OF_FORMATS
    assert sum(int(row["resampled"]) for row in rows) == 1
    hidden = command.done("archive", "quality", archive, "--suppress-below", "100", "--out", tmp_path / "hidden.csv")
    with (tmp_path / "hidden.csv").open() as file:
        assert {row["ecgs"] for row in csv.DictReader(file)} == {""}
    assert not re.search(r" [1-9]\d? ", hidden)
    assert "<100" in hidden


@pytest.mark.parametrize("workers", ["1", "2"])
def test_convert_there_and_back(archive: Path, mixed: Path, tmp_path: Path, workers: str, command: CommandLine) -> None:
    small, back = tmp_path / "small", tmp_path / "back"
    out = command.done("archive", "convert", archive, "--out", small, "--codec", "pco", "--workers", workers)
    assert re.fullmatch(
        rf"{OF_FORMATS} ECGs in {small}; their signals take 0\.\d MB, \d\d\.\d% of the size before\n", out
    )
    assert command.done("archive", "verify", small) == f"{OF_FORMATS} ECGs checked, 0 damaged\n"
    command.done("archive", "convert", small, "--out", back, "--codec", "raw", "--workers", workers)
    one, other = Archive(archive), Archive(back)
    assert other.digest == one.digest == Archive(small).digest
    assert other.table().equals(one.table())
    assert sorted(map(str, other.rejects())) == sorted(map(str, one.rejects()))
    assert shard_path(back, 0, "raw").read_bytes() == shard_path(archive, 0, "raw").read_bytes()
    again = command.done("ingest", mixed, "--archive", small)
    assert again.startswith(f"0 ECGs added, {OF_FORMATS + len(REASONS)} files known from before; ")


def test_show(archive: Path, mixed: Path, tmp_path: Path, command: CommandLine) -> None:
    row = next(row for row in Archive(archive).table().iter_rows(named=True) if row["source"] == "junk/patient.xml")
    begins = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    for suffix, start in begins.items():
        said = command.done("show", f"{archive}:{row['ecg_id'][:8]}", "--out", tmp_path / f"ecg{suffix}")
        assert said.startswith(
            f"ECG        {row['ecg_id']}\nrecorded   2021-05-10 13:05:16\npatient    60 years, female\n"
        )
        picture = (tmp_path / f"ecg{suffix}").read_bytes()
        assert picture.startswith(start)
        assert len(picture) > 20_000
        assert PATIENT.encode() not in picture
    for path in ("junk/patient.xml", "wfdb/2021/ward 7/record", "scp/2021/ward 7/ecg.scp", "junk/short.hea"):
        assert "flags  " in command.done("show", mixed / path)
    assert "archive    would not take it: " in command.done("show", mixed / "junk" / "short.hea")


def test_who_it_is_only_when_asked(mixed: Path, precordial: Callable[..., Called]) -> None:
    shown = precordial("show", mixed / "junk" / "patient.xml", "--identify")
    assert shown.stdout.startswith(f"id         {PATIENT}\n")


# --- settings of an archive


def test_every_ten_seconds_of_a_long_recording(tmp_path: Path, command: CommandLine) -> None:
    (tmp_path / "ecg").mkdir()
    noise = np.random.default_rng(0).integers(-400, 400, (8, 3400)).astype(np.int16)
    line = "holter 8 100 3400 23:59:45 31/12/2019"
    make_wfdb_record(tmp_path / "ecg", noise, name="holter", leads=EIGHT, rate=100, record_line=line)
    base = ("ingest", tmp_path / "ecg", "--rate", "100")
    assert command.done(*base, "--archive", tmp_path / "first").startswith("1 ECGs added")
    assert command.done(*base, "--archive", tmp_path / "all", "--windows", "every").startswith("3 ECGs added")
    every, first = Archive(tmp_path / "all"), Archive(tmp_path / "first")
    assert every.table()["source"].to_list() == ["holter.hea", "holter.hea@10", "holter.hea@20"]
    assert [str(at) for at in every.index["recorded_at"]] == [
        "2019-12-31T23:59:45",
        "2019-12-31T23:59:55",
        "2020-01-01T00:00:05",
    ]
    assert (every.units(np.arange(3)) == np.stack(np.split(noise[:, :3000], 3, axis=1))).all()
    assert Flag.CROPPED in Flag(int(first.index["flags"][0]))
    assert not any(Flag.CROPPED in Flag(int(flags)) for flags in every.index["flags"])
    assert command.done(*base, "--archive", tmp_path / "all").startswith("0 ECGs added, 1 files known")
    complaint = command.complaint(*base, "--archive", tmp_path / "all", "--windows", "first")
    assert complaint.startswith(
        f"{tmp_path / 'all'}: the archive holds every ten seconds of a recording, not the first "
    )


def test_many_pieces_of_a_file_from_several_processes(tmp_path: Path, command: CommandLine) -> None:
    """More than the memory between the processes has room for."""
    (tmp_path / "ecg").mkdir()
    draw = np.random.default_rng(0)
    for k in range(70):
        noise = draw.integers(-400, 400, (8, 3000)).astype(np.int16)
        make_wfdb_record(tmp_path / "ecg", noise, name=f"r{k:02}", leads=EIGHT, rate=100)
    digests = set()
    for workers in ("1", "2"):
        folder = tmp_path / workers
        said = command.done(
            *("ingest", tmp_path / "ecg", "--archive", folder, "--rate", "100", "--windows", "every"),
            *("--workers", workers),
        )
        assert said.startswith("210 ECGs added")
        digests.add((Archive(folder).digest, shard_path(folder, 0, "raw").read_bytes()))
    assert len(digests) == 1


STUDY = """
name = "s"
[archive]
path = "{archive}"
rate = 100
[cohort]
kind = "registers"
complaint = ["chest pain"]
source_validation = 0.2
[cohort.visits]
file = "{registers}/visits.csv"
columns = {{ discharge = "discharge" }}
[cohort.diagnoses]
file = "{registers}/diagnoses.csv"
[cohort.patients]
file = "{registers}/patients.csv"
columns = {{ birth_date = "birth_date", sex = "sex" }}
[[grid]]
models = ["rn-900k"]
pretraining = ["none", "age-sex"]
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("hospital") / "hospital"
    return make_hospital(40, 3, folder, chest_pain=0.6, prevalence=0.3, rate=100)


def test_a_study_on_a_compressed_archive(hospital: Hospital, tmp_path: Path, command: CommandLine) -> None:
    (tmp_path / "s.toml").write_text(STUDY.format(archive=tmp_path / "raw", registers=hospital.registers))
    base = ("ingest", hospital.ecg, "--rate", "100", "--workers", "1")
    command.done(*base, "--archive", tmp_path / "raw")
    command.done(*base, "--archive", tmp_path / "pco", "--codec", "pco")
    assert Archive(tmp_path / "raw").digest == Archive(tmp_path / "pco").digest
    changed = ("--set", f"archive.path={tmp_path / 'pco'}", "--set", f"out={tmp_path / 'other'}")
    plans = {command.done("study", "plan", tmp_path / "s.toml", *more) for more in ((), changed)}
    assert len(plans) == 1
    built = [command.done("cohort", "build", tmp_path / "s.toml", *more) for more in ((), changed)]
    assert built[0].replace(str(tmp_path / "s-work"), str(tmp_path / "other")) == built[1]
    cohorts = [(tmp_path / work / "cohort" / "cohort.csv").read_bytes() for work in ("s-work", "other")]
    assert cohorts[0] == cohorts[1]


# --- public sets

DATABASE = """ecg_id,patient_id,age,sex,height,site,device,recording_date,scp_codes,filename_lr,filename_hr
1,4711.0,300.0,1,,0.0,CS-12   E,1984-11-09 09:17:34,{},records100/00000/00001_lr,records500/00000/00001_hr
2,5.0,56.0,0,,,,1984-11-10 09:17:34,{},records100/00000/00002_lr,records500/00000/00002_hr
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """PTB-XL in its published layout, and one record that its table does not have."""
    folder = tmp_path / "home"
    draw = np.random.default_rng(0)
    for rate, end in ((100, "lr"), (500, "hr")):
        records = folder / f"records{rate}" / "00000"
        records.mkdir(parents=True)
        for k in (1, 2, 3):
            noise = draw.integers(-400, 400, (12, 10 * rate)).astype(np.int16)
            make_wfdb_record(records, noise, name=f"0000{k}_{end}", rate=rate)
    (folder / "ptbxl_database.csv").write_text(DATABASE)
    (folder / "LICENSE.txt").write_text("CC BY 4.0")
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    (folder / "SHA256SUMS.txt").write_text("".join(lines))
    return folder


@pytest.fixture
def url(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of it."""
    monkeypatch.setenv("no_proxy", "*")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=home))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_and_ingest_a_public_set(home: Path, url: str, tmp_path: Path, command: CommandLine) -> None:
    folder = tmp_path / "ptb-xl"
    fetch = ("download", "ptb-xl", "--out", folder, "--base-url", url)
    part = command.done(*fetch, "--only", "records100/*")
    assert re.fullmatch(rf"8 files fetched \(0\.1 MB\), 0 there from before; in {folder}\n", part)
    assert not (folder / "records500").exists()
    assert command.done(*fetch).startswith("6 files fetched (0.4 MB), 8 there from before; ")
    assert command.done(*fetch).startswith("0 files fetched (0.0 MB), 14 there from before; ")
    for path in home.rglob("*.*"):
        assert (folder / path.relative_to(home)).read_bytes() == path.read_bytes()
    for rate, end in ((500, "hr"), (100, "lr")):
        archive = tmp_path / f"archive{rate}"
        words = ("ingest", folder, "--archive", archive, "--preset", "ptb-xl")
        said = command.done(*words, "--rate", str(rate))
        assert said.startswith("2 ECGs added, 0 files known from before; 2 ECGs in ")
        assert "  1 rejected: the patient id is missing (no-patient-id)\n" in said
        rows = list(Archive(archive).table().iter_rows(named=True))
        assert [row["source"] for row in rows] == [f"records{rate}/00000/0000{k}_{end}.hea" for k in (1, 2)]
        assert [(row["patient_id"], row["age"], row["sex"], row["device"], row["site"]) for row in rows] == [
            ("4711", 90.0, 1.0, "CS-12   E", "0"),
            ("5", 56.0, 0.0, None, None),
        ]
        assert [str(row["recorded_at"]) for row in rows] == ["1984-11-09 09:17:34", "1984-11-10 09:17:34"]
        assert [Flag.AGE_ABOVE_89 in Flag(row["flags"]) for row in rows] == [True, False]
        # The archive knows its own rate.
        assert command.done(*words).startswith("0 ECGs added, 3 files known from before; 2 ECGs in ")


def test_a_file_that_is_not_as_published(home: Path, url: str, tmp_path: Path, command: CommandLine) -> None:
    (home / "LICENSE.txt").write_text("CC BY 4.1")
    complaint = command.complaint("download", "ptb-xl", "--out", tmp_path / "ptb-xl", "--base-url", url)
    assert complaint == (
        f"{url}/LICENSE.txt: the file does not match its published checksum; what was fetched is not kept; "
        "open the address in a browser, and try again later"
    )
    assert not list((tmp_path / "ptb-xl").rglob("LICENSE*"))
    (home / "LICENSE.txt").write_text("CC BY 4.0")
    command.done("download", "ptb-xl", "--out", tmp_path / "ptb-xl", "--base-url", url)
    (home / "SHA256SUMS.txt").unlink()
    complaint = command.complaint("download", "ptb-xl", "--out", tmp_path / "new", "--base-url", url)
    assert complaint.startswith(f"{url}/SHA256SUMS.txt: there is no such file on the server (404); look at the set's ")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("mimic-iv-ecg",), "there is no set 'mimic-iv-ecg' to download; choose one of ptb-xl, "),
        (("ptb-xl", "--base-url", "http://example.org/x"), "the address must begin with https://; give the set's "),
        (
            ("ptb-xl", "--base-url", "{url}", "--only", "500/*"),
            "no file of PTB-XL 1.0.3 is named as '500/*'; its first",
        ),
        (("ptb-xl", "--base-url", "{url}", "--out", "{home}/LICENSE.txt"), "{home}/LICENSE.txt: File exists (says the"),
    ],
)
def test_downloads_that_cannot_be(
    words: Sequence[str], wanted: str, home: Path, url: str, tmp_path: Path, command: CommandLine
) -> None:
    given = [word.format(url=url, home=home) for word in ("--out", str(tmp_path / "out"), *words)]
    assert command.complaint("download", *given).startswith(wanted.format(home=home))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (
            ("{home}", "--preset", "ptbxl"),
            "there is no preset 'ptbxl'; choose one of ptb-xl, code-15, cinc2021, ludb, ",
        ),
        (("{mixed}", "--preset", "ptb-xl"), "{mixed}/ptbxl_database.csv: there is no such file; give the folder that "),
        (("{home}", "--preset", "code-15"), "{home}/exams.csv: there is no such file; give the folder that holds the "),
        (
            ("{home}", "{mixed}", "--preset", "ptb-xl"),
            "{mixed}: a preset needs the set's own folder; give that folder, ",
        ),
        (
            ("{home}/LICENSE.txt", "--preset", "ptb-xl"),
            "{home}/LICENSE.txt: a preset needs the set's own folder; give ",
        ),
        (("{home}/none", "--preset", "ptb-xl"), "{home}/none: there is no such file or folder; check the path"),
    ],
)
def test_presets_that_do_not_fit(
    words: Sequence[str], wanted: str, home: Path, mixed: Path, tmp_path: Path, command: CommandLine
) -> None:
    given = [word.format(home=home, mixed=mixed) for word in words]
    assert command.complaint("ingest", *given, "--archive", tmp_path / "a").startswith(
        wanted.format(home=home, mixed=mixed)
    )
    assert not (tmp_path / "a").exists()


# --- slips


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (
            "ingest {mixed} --archive {archive} --codec pco",
            "{archive}: the archive stores its ECGs by the codec 'raw', ",
        ),
        (
            "ingest {mixed} --archive {archive} --rules authors-code",
            "{archive}: files were taken into this archive by ",
        ),
        (
            "ingest {mixed} --archive {tmp}/a --codec zip",
            "Invalid value for '--codec': 'zip' is not one of 'raw', 'pco'",
        ),
        (
            "ingest {mixed} --archive {tmp}/a --windows all",
            "Invalid value for '--windows': 'all' is not one of 'first'",
        ),
        (
            "ingest {mixed} --archive {tmp}/a --engine spark",
            "Invalid value for '--engine': 'spark' is not one of 'local'",
        ),
        ("ingest {mixed} --archive {tmp}/file", "{tmp}/file"),
        ("archive quality {tmp}/none", "{tmp}/none: there is no archive here; make one with: precordial ingest "),
        (
            "archive quality {archive} --suppress-below -1",
            "Invalid value for '--suppress-below': Input should be greater ",
        ),
        ("archive quality {archive} --out {tmp}", "{tmp}: Is a directory (says the system)"),
        (
            "archive convert {tmp}/none --out {tmp}/b --codec pco",
            "{tmp}/none: there is no archive here; make one with: ",
        ),
        (
            "archive convert {archive} --out {tmp}/file --codec pco",
            "{tmp}/file: there is something here already; give ",
        ),
        ("archive convert {archive} --out {tmp}/b", "Missing option '--codec'"),
        ("show {tmp}/none.xml", "{tmp}/none.xml: there is no such file; check the path"),
        ("show {mixed}", "{mixed}: this is a folder, not an ECG file; give one ECG file"),
        ("show {mixed}/junk/letter.doc", "{mixed}/junk/letter.doc: not an ECG file; formats read: muse, "),
        ("show {mixed}/junk/cut.xml", "{mixed}/junk/cut.xml: the XML is damaged or truncated at line "),
        ("show {mixed}/junk/pipe", "{mixed}/junk/pipe: this is no regular file, not an ECG file; give one ECG file"),
        (
            "show {mixed}/junk/patient.xml --out {tmp}/ecg.jpg",
            "{tmp}/ecg.jpg: not a kind of picture that is made; end it ",
        ),
        ("show {archive}", "{archive}: this is a whole archive; add the id of one ECG: {archive}:ID"),
        ("show {archive}:12", "{archive}: the id of an ECG has 16 digits from 0 to f; give at least 6 of them"),
        ("show {archive}:00000000", "{archive}: no ECG has an id that begins with 00000000; look it up in the cohort "),
        ("show {tmp}/none:123456", "{tmp}/none: there is no archive here; make one with: precordial ingest "),
    ],
)
def test_slips(words: str, wanted: str, archive: Path, mixed: Path, tmp_path: Path, command: CommandLine) -> None:
    (tmp_path / "file").write_text("a file")
    places = {"archive": archive, "mixed": mixed, "tmp": tmp_path}
    assert command.complaint(*words.format(**places).split()).startswith(wanted.format(**places))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "a file"


def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(
    mixed: Path, tmp_path: Path, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, scandir = mixed / "scp" / "2021", os.scandir

    def without_right(path: str) -> object:
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", without_right)
    complaint = command.complaint("ingest", mixed, "--archive", tmp_path / "a")
    assert complaint.startswith(f"{closed}: the system does not let this folder be read (Permission denied); ")
    assert not (tmp_path / "a").exists()


def test_a_terminal_that_knows_few_letters(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    said = subprocess.run(
        [sys.executable, "-m", "precordial", "archive", "quality", archive],
        env=env,
        capture_output=True,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, b"")
    assert b"mains median, \\xb5V" in said.stdout


def test_damage_is_said_and_never_read_over(archive: Path, mixed: Path, tmp_path: Path, command: CommandLine) -> None:
    """Bits flipped by a disk: whoever meets them stops with one line, and the rest stays usable."""
    for name, at in (("index.bin", 100), ("text.bin", 50), ("commits.bin", 3), ("archive.json", 30), ("files.bin", 9)):
        copy = tmp_path / name
        (copy / "signals").mkdir(parents=True)
        for path in archive.rglob("*"):
            if path.is_file():
                (copy / path.relative_to(archive)).write_bytes(path.read_bytes())
        data = bytearray((copy / name).read_bytes())
        data[at] ^= 1
        (copy / name).write_bytes(data)
        code, out, err = command.run("archive", "verify", copy)
        assert (code, err) == (1, ""), name
        assert str(copy / name) in out
        if name != "text.bin":  # which adding does not read
            complaint = command.complaint("ingest", mixed, "--archive", copy)
            assert complaint.startswith(f"{copy / name}: the ")
            assert "restore" in complaint
        if name != "files.bin":  # whose only use is to know files again
            assert command.complaint("archive", "quality", copy).startswith(f"{copy / name}: the ")


def test_rejects_are_json(archive: Path) -> None:
    rows = [json.loads(line) for line in (archive / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["source"] for row in rows} == REASONS.keys()
    assert not any(secret in str(rows) for secret in SECRETS)
