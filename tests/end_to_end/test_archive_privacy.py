"""A pseudonymised archive through the command line: nothing tells who it is, a leak is found, a study still works."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from command_line import CommandLine
from ecg_samples.muse import make_muse_xml
from precordial.archive import Archive, ingest
from precordial.archive.layout import read_manifest
from precordial.archive.pseudonyms import Pseudonyms
from precordial.archive.reading import FileReading
from precordial.archive.taken import Rejected, SourceFile
from precordial.archive.writer import ArchiveWriter
from precordial.twin import Hospital, make_hospital

Table = list[dict[str, str]]
LAST_DAY = datetime(2024, 12, 31)  # of the registers
NAME = "Østergaard"  # of a patient; it stands in no register
STUDY = """
name = "s"
out = "work"
[archive]
path = "archive"
rate = 100
[cohort]
kind = "registers"
complaint = ["chest pain"]
source_validation = 0.2
[cohort.visits]
file = "registers/visits.csv"
columns = { discharge = "discharge" }
[cohort.diagnoses]
file = "registers/diagnoses.csv"
[cohort.patients]
file = "registers/patients.csv"
columns = { birth_date = "birth_date", sex = "sex" }
[cohort.follow_up]
complete_until = 2030-01-01
[[grid]]
models = ["rn-900k"]
pretraining = ["none"]
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("privacy") / "hospital"
    hospital = make_hospital(40, 3, folder, chest_pain=0.6, prevalence=0.3, rate=100)
    # A name in a file that is taken, and one in a file's own name that is not.
    file = hospital.ecg / f"{NAME}.xml"
    patient = table(hospital.registers / "patients.csv")[0]["patient_id"]
    text = make_muse_xml(rate=100, samples=1000, patient_id=patient, encoding="UTF-8").decode()
    file.write_text(text.replace("TÉST", NAME), encoding="utf-8")
    (hospital.ecg / f"{NAME} called.txt").write_text("Please call back.")
    os.mkfifo(hospital.ecg / "pipe")  # to read it would never end
    return hospital


@pytest.fixture(scope="module")
def plain(hospital: Hospital) -> Path:
    ingest(hospital.ecg, hospital.folder.parent / "plain", rate=100, workers=1)
    return hospital.folder.parent / "plain"


@pytest.fixture(scope="module")
def key(hospital: Hospital) -> Path:
    safe = hospital.folder.parent / "safe"
    safe.mkdir(mode=0o700)
    return safe / "key"


@pytest.fixture(scope="module")
def secret(hospital: Hospital, key: Path) -> Path:
    """The pseudonymised archive."""
    ingest(hospital.ecg, hospital.folder.parent / "secret", rate=100, workers=1, pseudonymise=key)
    return hospital.folder.parent / "secret"


@pytest.fixture(scope="module")
def ids(hospital: Hospital) -> set[str]:
    return {row["patient_id"] for row in table(hospital.registers / "patients.csv")}


@pytest.fixture
def command(command: CommandLine, ids: set[str]) -> Iterator[CommandLine]:
    """Whatever the commands say, no patient's id or name is in it."""
    yield command
    assert not [one for one in (*ids, NAME) if one in command.said]


@pytest.fixture
def own(secret: Path, key: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the archive and of its key, to do as one likes."""
    shutil.copytree(secret, tmp_path / "secret")
    shutil.copytree(key.parent, tmp_path / "safe")
    return tmp_path / "secret", tmp_path / "safe" / "key"


def table(path: Path) -> Table:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- what is in the archive


def test_nothing_tells_who_it_is(hospital: Hospital, tmp_path: Path, ids: set[str], command: CommandLine) -> None:
    (tmp_path / "safe").mkdir(mode=0o700)
    archive, key = tmp_path / "archive", tmp_path / "safe" / "key"
    words = ("ingest", hospital.ecg, "--archive", archive, "--rate", "100", "--pseudonymise", key)
    said = command.done(*words, "--workers", "1")
    assert " ECGs added, 0 files known from before; " in said
    assert oct(key.stat().st_mode)[-3:] == "600"
    assert oct(key.with_name("key.table.csv").stat().st_mode)[-3:] == "600"
    for path in archive.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        found = [one for one in (*ids, NAME) if one.encode() in data or one in path.name]
        assert not found, path
    said = command.done("archive", "check-privacy", archive, "--key", key, hospital.ecg)
    assert said.endswith("\nnone of them is in the archive\n")
    assert f" from the key table and {hospital.ecgs + 2} source files\n" in said
    again = command.done(*words)
    assert again.startswith(f"0 ECGs added, {hospital.ecgs + 2} files known from before; ")
    opened = Archive(archive)
    assert len(opened) + len(opened.rejects()) == hospital.ecgs + 2
    # So does the copy.
    command.done("archive", "convert", archive, "--out", tmp_path / "pco", "--codec", "pco", "--workers", "1")
    said = command.done("archive", "check-privacy", tmp_path / "pco", "--key", key, hospital.ecg)
    assert said.endswith("\nnone of them is in the archive\n")
    shown = command.done("show", f"{archive}:{opened.ids[0]}", "--identify")
    assert shown.splitlines()[1] == f"id         {opened.header(0).patient_id}"


def test_info_and_quality_of_it(plain: Path, secret: Path, command: CommandLine) -> None:
    one, other = (command.done("archive", "info", folder).splitlines() for folder in (plain, secret))
    assert one[1] == other[1]  # as many patients
    assert one[4:-1] == other[4:-1]  # and rejects, for the same reasons
    assert "site-" in command.done("archive", "quality", secret)
    assert "site-" not in command.done("archive", "quality", plain)


# --- leaks that were planted


@pytest.mark.parametrize("name", ["rejects.jsonl", "index.bin", "text.bin", "files.bin", "notes.txt", "deep/cache"])
def test_an_id_behind_the_valid_bytes_is_found(
    name: str, own: tuple[Path, Path], ids: set[str], command: CommandLine
) -> None:
    archive, key = own
    (archive / name).parent.mkdir(exist_ok=True)
    with (archive / name).open("ab") as file:
        file.write(b"\n" + min(ids).encode() + b"\n")
    code, out, err = command.run("archive", "check-privacy", archive, "--key", key)
    assert (code, err) == (1, "")
    assert f"  1 × id\n  id: {name}, byte " in out


def test_an_id_in_the_rejects_is_found(own: tuple[Path, Path], ids: set[str], command: CommandLine) -> None:
    archive, key = own
    with ArchiveWriter(archive, read_manifest(archive)) as writer:
        writer.add(1, [Rejected("0" * 16, "unreadable", f"no date for {min(ids)}")])
    row = len(Archive(archive).rejects()) - 1
    code, out, err = command.run("archive", "check-privacy", archive, "--key", key)
    assert (code, err) == (1, "")
    assert "  1 × id\n" in out
    assert f"  text: rejects.jsonl, row {row}" in out
    assert f"  key: rejects.jsonl, row {row}" in out


def test_an_ecg_as_its_file_says_is_found(
    own: tuple[Path, Path], hospital: Hospital, ids: set[str], command: CommandLine
) -> None:
    archive, key = own
    (hospital.folder.parent / "more").mkdir(exist_ok=True)
    file = hospital.folder.parent / "more" / "new.xml"
    file.write_bytes(make_muse_xml(seed=3, rate=100, samples=1000, patient_id=min(ids)))
    manifest = read_manifest(archive)
    taken = FileReading(manifest).read(SourceFile(file, "new.xml", 1, 1))
    with ArchiveWriter(archive, manifest) as writer:
        writer.add(1, taken)
    row = len(Archive(archive)) - 1
    code, out, err = command.run("archive", "check-privacy", archive, "--key", key)
    assert (code, err) == (1, "")
    assert "  1 × id\n" in out
    assert "  1 × shift\n" in out
    assert f"  form: index.bin, row {row}" in out


def test_without_the_sources_a_name_is_not_known(
    own: tuple[Path, Path], hospital: Hospital, command: CommandLine
) -> None:
    archive, key = own
    (archive / "notes.txt").write_text(f"ask {NAME}", encoding="utf-8")
    words = ("archive", "check-privacy", archive, "--key", key)
    with pytest.MonkeyPatch.context() as patch:  # the file name with it is in the key table
        patch.setattr("precordial.archive.privacy._of_table", lambda table: iter(()))
        assert command.run(*words)[0] == 0
    assert command.run(*words, hospital.ecg)[0] == 1
    none = hospital.ecg / "none"
    assert command.complaint(*words, none) == f"{none}: there is no such file or folder; check the path"


# --- refusals


def refusals() -> dict[str, tuple[Callable[[Path, Path], tuple[str | Path, ...]], str]]:
    def gone(archive: Path, key: Path) -> tuple[str | Path, ...]:
        key.unlink()
        return ("--pseudonymise", key)

    def damaged(archive: Path, key: Path) -> tuple[str | Path, ...]:
        key.write_text(key.read_text().replace('"key": "', '"key": "0'))
        return ("--pseudonymise", key)

    def open_to_all(archive: Path, key: Path) -> tuple[str | Path, ...]:
        key.chmod(0o644)
        return ("--pseudonymise", key)

    def open_table(archive: Path, key: Path) -> tuple[str | Path, ...]:
        key.with_name("key.table.csv").chmod(0o640)
        return ("--pseudonymise", key)

    def another(archive: Path, key: Path) -> tuple[str | Path, ...]:
        Pseudonyms.open(key.with_name("another"))
        return ("--pseudonymise", key.with_name("another"))

    return {
        "no key": (
            lambda archive, key: (),
            "{archive}: the archive is pseudonymised, and no key is given; give its key ",
        ),
        "another key": (another, "{archive}: the archive is pseudonymised by another key; give the key file that it "),
        "a new key": (
            lambda archive, key: ("--pseudonymise", key.with_name("new")),
            "{safe}/new: there is no such key file; check the path",
        ),
        "a key in the archive": (
            lambda archive, key: ("--pseudonymise", archive / "key"),
            "{archive}/key: the key would lie inside the archive, and be given away with it; name a key file in ",
        ),
        "a key that is gone": (
            gone,
            "{safe}/key: the key file is gone, while its key table is still there; restore it ",
        ),
        "a damaged key": (damaged, "{safe}/key: this is no key file, or it is damaged; restore it from a copy: a new "),
        "a key for all to read": (
            open_to_all,
            "{safe}/key: others on this machine can read this file; take their right ",
        ),
        "a table for all to read": (
            open_table,
            "{safe}/key.table.csv: others on this machine can read this file; take ",
        ),
        "a folder as key": (
            lambda archive, key: ("--pseudonymise", key.parent),
            "{safe}: this is no regular file; name another key file",
        ),
    }


@pytest.mark.parametrize("case", refusals())
def test_keys_that_are_refused(
    case: str,
    own: tuple[Path, Path],
    hospital: Hospital,
    command: CommandLine,
    files_below: Callable[[Path], dict[str, tuple[int, int]]],
) -> None:
    archive, key = own
    arrange, wanted = refusals()[case]
    words = arrange(archive, key)
    before = files_below(archive.parent)
    complaint = command.complaint("ingest", hospital.ecg, "--archive", archive, "--rate", "100", *words)
    assert complaint.startswith(wanted.format(archive=archive, safe=key.parent))
    after = files_below(archive.parent)
    assert after == before | {"secret/.lock": after["secret/.lock"]}  # nothing was made or changed


def test_a_plain_archive_takes_no_pseudonyms(
    plain: Path, key: Path, secret: Path, hospital: Hospital, command: CommandLine
) -> None:
    words = ("ingest", hospital.ecg, "--archive", plain, "--rate", "100", "--pseudonymise")
    assert command.complaint(*words, key).startswith(f"{plain}: the archive is not pseudonymised; use another folder: ")
    complaint = command.complaint("archive", "check-privacy", plain, "--key", key)
    assert complaint == f"{plain}: the archive was made without a key; name the key file that made it"


def test_no_key_is_made_for_nothing(tmp_path: Path, hospital: Hospital, command: CommandLine) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "safe").mkdir(mode=0o700)
    words = ("--archive", tmp_path / "a", "--pseudonymise", tmp_path / "safe" / "key")
    assert ": the folder holds no files; " in command.complaint("ingest", tmp_path / "empty", *words)
    words = ("--archive", tmp_path / "a", "--pseudonymise", tmp_path / "none" / "key")
    wanted = f"{tmp_path / 'none' / 'key'}: there is no folder for the key file; check the path"
    assert command.complaint("ingest", hospital.ecg, *words) == wanted
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "safe"]


# --- the registers


def pseudonymise_registers(hospital: Hospital, key: Path, out: Path, command: CommandLine) -> None:
    of = {
        "visits": ("--code", "visit_id", "--date", "arrival", "--date", "discharge"),
        "diagnoses": ("--date", "date"),
        "patients": ("--birth", "birth_date", "--ages-at", f"{LAST_DAY:%Y-%m-%d}"),
    }
    for name, words in of.items():
        path, new = hospital.registers / f"{name}.csv", out / f"{name}.csv"
        said = command.done("pseudonymise-table", path, "--key", key, "--id", "patient_id", *words, "--out", new)
        assert said == f"{len(table(path)):,} rows in {new}\n"


def by_waveform(archive: Path, cohort: Table) -> dict[int, dict[str, str]]:
    """The rows by what pseudonyms leave as it is. (Of two files of one content, the key decides which is taken.)"""
    opened = Archive(archive)
    return {int(opened.index["waveform"][opened.rows([row["ecg_id"]])[0]]): row for row in cohort}


def test_a_study_finds_the_same(
    hospital: Hospital, plain: Path, own: tuple[Path, Path], ids: set[str], tmp_path: Path, command: CommandLine
) -> None:
    archive, key = own
    folders = {"plain": tmp_path / "study", "secret": tmp_path}
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "registers").symlink_to(hospital.registers)
    (tmp_path / "study" / "archive").symlink_to(plain)
    (tmp_path / "archive").symlink_to(archive)
    pseudonymise_registers(hospital, key, tmp_path / "registers", command)
    for path in (tmp_path / "registers").iterdir():
        assert not [one for one in ids if one in path.read_text()]
    flows, cohorts = {}, {}
    for name, folder in folders.items():
        (folder / "study.toml").write_text(STUDY)
        command.done("cohort", "build", folder / "study.toml")
        steps = json.loads((folder / "work" / "cohort" / "flow.json").read_text())
        flows[name] = [step for step in steps if not step["part"]]  # the splits are others, as the tutorial says
        cohorts[name] = table(folder / "work" / "cohort" / "cohort.csv")
    assert len(flows["plain"]) > 10
    assert flows["secret"] == flows["plain"]
    names = Pseudonyms.open(key)
    wanted, found = by_waveform(plain, cohorts["plain"]), by_waveform(archive, cohorts["secret"])
    # Nobody here has two visits of which the temporal test could leave out the older; so all are in both.
    assert found.keys() == wanted.keys()
    assert sum(row["role"] == "target" for row in wanted.values()) > 15
    for waveform, row in found.items():
        other = wanted[waveform]
        assert row["patient_id"] == names.patient(other["patient_id"])
        assert row["visit_id"] == (names.other(other["visit_id"]) if other["visit_id"] else "")
        moved = datetime.fromisoformat(row["prediction_time"]) - datetime.fromisoformat(other["prediction_time"])
        assert moved == names.shift(other["patient_id"])
        assert moved % timedelta(weeks=1) == timedelta(0) != moved
        assert all(row[column] == other[column] for column in ("role", "label:AMI", "sex"))
        years_to_go = (LAST_DAY - datetime.fromisoformat(other["prediction_time"])) / timedelta(days=365.25)
        if float(other["age"]) + years_to_go < 89.5:
            assert abs(float(row["age"]) - float(other["age"])) < 0.51  # half a year, and what is left of a day
        assert float(row["age"]) < 91  # 90 in whole years


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--id patient", "{visits}, column 'patient': there is no such column; check its spelling"),
        ("--id patient_id", "{visits}, row 2, column 'arrival': the column seems to hold dates; say that it holds "),
        ("--id patient_id --date complaint", "{visits}, row 2, column '"),
        ("--id patient_id --ages-at 31.12.2024", "Invalid value for '--ages-at': write a date as 2024-12-31; see "),
        ("--id patient_id --date-format arrival", "Invalid value for '--date-format': write COLUMN=PATTERN, such as "),
        (
            "--id patient_id --date arrival --date discharge --date-format arrival=%d.%m.%Y",
            "{visits}, row 2, column 'arrival': this is not a date (",
        ),
        (
            "--id patient_id --encoding klingon",
            '{visits}: there is no such encoding; try "utf8", "cp1252" or "latin-1"',
        ),
        ("--id patient_id --separator ;;", "{visits}: the separator must be one ASCII character"),
        ("", "Missing option '--id'"),
    ],
)
def test_registers_that_are_refused(
    words: str, wanted: str, hospital: Hospital, key: Path, secret: Path, tmp_path: Path, command: CommandLine
) -> None:
    visits = hospital.registers / "visits.csv"
    complaint = command.complaint(
        "pseudonymise-table", visits, "--key", key, "--out", tmp_path / "new.csv", *words.split()
    )
    assert complaint.startswith(wanted.format(visits=visits))
    assert not list(tmp_path.iterdir())


def test_a_register_is_not_written_over_what_must_stay(
    hospital: Hospital, own: tuple[Path, Path], tmp_path: Path, command: CommandLine
) -> None:
    _, key = own
    visits = tmp_path / "visits.csv"
    shutil.copy(hospital.registers / "visits.csv", visits)
    words = ("--id", "patient_id", "--code", "visit_id", "--date", "arrival", "--date", "discharge")
    for there in (visits, key, key.with_name("key.table.csv")):
        before = there.read_bytes()
        complaint = command.complaint("pseudonymise-table", visits, "--key", key, *words, "--out", there)
        assert complaint.startswith(f"{there}: the new table would take the place of the ")
        assert there.read_bytes() == before
    none = key.with_name("none")
    complaint = command.complaint("pseudonymise-table", visits, "--key", none, *words, "--out", tmp_path / "new.csv")
    assert complaint == f"{none}: there is no such key file; check the path"
