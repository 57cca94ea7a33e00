"""A user's mistakes through the command line: one line with file, place and remedy, exit code 2, nothing half made."""

from __future__ import annotations

import csv
import errno
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from command_line import CommandLine
from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.ecg import EIGHT
from precordial.twin import Hospital, make_hospital

Called = subprocess.CompletedProcess[str]
STUDY = """
name = "s"
[archive]
path = "{archive}"
rate = 500
[cohort]
kind = "registers"
complaint = ["chest pain"]
[cohort.visits]
file = "visits.csv"
columns = {{ discharge = "discharge" }}
[cohort.diagnoses]
file = "diagnoses.csv"
[cohort.patients]
file = "patients.csv"
columns = {{ birth_date = "birth_date", sex = "sex" }}
[[grid]]
models = ["rn-900k"]
pretraining = ["none", "age-sex"]
[training]
batch = 32
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return make_hospital(60, 3, tmp_path_factory.mktemp("bad") / "hospital", chest_pain=0.6, prevalence=0.3)


@pytest.fixture(scope="module")
def archive(hospital: Hospital, precordial: Callable[..., Called]) -> Path:
    said = precordial("ingest", hospital.ecg, "--archive", hospital.folder.parent / "archive")
    assert said.returncode == 0, said.stderr
    return hospital.folder.parent / "archive"


@pytest.fixture
def study(hospital: Hospital, archive: Path, tmp_path: Path) -> Path:
    """A good study file beside its own copy of the registers."""
    for register in hospital.registers.iterdir():
        (tmp_path / register.name).write_bytes(register.read_bytes())
    (tmp_path / "study.toml").write_text(STUDY.format(archive=archive))
    return tmp_path / "study.toml"


def nothing_made(study: Path) -> None:
    """Neither a cohort nor a run nor a result stands under its name, and no half-written file is left."""
    work = study.parent / "s-work"
    made = [path.name for path in work.rglob("*") if path.is_file()]
    assert set(made) <= {".lock", ".preparing-1.json"}, made


def edit(path: Path, change: Callable[[list[list[str]]], object]) -> None:
    """Change the rows of a CSV file; row 1 is its header."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def setting(row: int, column: int, text: str) -> Callable[[list[list[str]]], None]:
    """Set one cell; rows and columns are counted from 1, as in a spreadsheet."""

    def change(rows: list[list[str]]) -> None:
        rows[row - 1][column - 1] = text

    return change


def test_a_good_study_passes(study: Path, command: CommandLine) -> None:
    """Or the other tests would prove nothing."""
    code, out, err = command.run("cohort", "build", study)
    assert code == 0, err
    assert "Table I." in out


# --- registers

REGISTERS = {
    "a missing column": (
        "visits.csv",
        setting(1, 3, "arrived"),
        r"column 'arrival', key 'cohort\.visits\.columns\.arrival': there is no such column; did you mean 'arrived'\? ",
    ),
    "no date": (
        "visits.csv",
        setting(5, 3, "2024-02-30 10:00:00"),
        r"row 5, column 'arrival': this is not a date; write dates as 2017-03-31 ",
    ),
    "no date of a diagnosis": (
        "diagnoses.csv",
        setting(4, 3, "soon"),
        r"row 4, column 'date': this is not a date; write dates as 2017-03-31 ",
    ),
    "no birth date": (
        "patients.csv",
        setting(3, 2, "31.12.1950"),
        r"row 3, column 'birth_date': this is not a date; .*cohort\.patients\.date_format",
    ),
    "no sex": (
        "patients.csv",
        setting(3, 3, "f?"),
        r"row 3, column 'sex': this is neither a word for female nor for male; add it to cohort\.female_values",
    ),
    "a visit id twice": (
        "visits.csv",
        lambda rows: setting(7, 1, rows[5][0])(rows),
        r"row 7, column 'visit_id': the visit id also stands in row 6, .*; give each visit its own id",
    ),
    "a cell too many": (
        "visits.csv",
        lambda rows: rows[8].append("chest pain, left"),
        r"row 9: 6 cells where the header has 5; quote cells",
    ),
    "no dates at all": (
        "visits.csv",
        lambda rows: [row.__setitem__(2, "soon") for row in rows[1:]],
        r"row 2, column 'arrival': this is not a date \(\d+ more like it\); write dates as 2017-03-31 ",
    ),
    "another separator": (
        "visits.csv",
        lambda rows: rows.__setitem__(slice(None), [[";".join(row)] for row in rows]),
        r"row 1: the cells seem to be separated by ';'; set cohort\.visits\.separator = \";\"$",
    ),
    "other pseudonyms": (
        "visits.csv",
        lambda rows: [row.__setitem__(1, f"X{row[1]}") for row in rows[1:]],
        r": none of the \d+ visits has an index ECG; 0 patients of the register have ECGs in the archive: ",
    ),
    "no patient with the complaint": (
        "visits.csv",
        lambda rows: [row.__setitem__(4, "R07") for row in rows[1:]],
        r"column 'complaint', key 'cohort\.complaint': no visit has one of the complaints; write ",
    ),
}


@pytest.mark.parametrize("fault", REGISTERS)
def test_a_faulty_register(fault: str, study: Path, command: CommandLine) -> None:
    name, change, expected = REGISTERS[fault]
    register = study.parent / name
    edit(register, change)
    complaint = command.complaint("cohort", "build", study)
    assert complaint.startswith(str(register))
    assert re.search(expected, complaint), complaint
    nothing_made(study)
    # Nothing of any patient is quoted.
    assert not re.search(r"[TV]\d{7}", complaint)
    assert not re.search(r"30 10:00:00|soon|31\.12\.1950|f\?|left", complaint.replace(str(register), ""))


def test_a_missing_register(study: Path, command: CommandLine) -> None:
    (study.parent / "diagnoses.csv").unlink()
    complaint = command.complaint("study", "run", study)
    assert complaint == f"{study.parent / 'diagnoses.csv'}: there is no such file; set cohort.diagnoses.file"
    nothing_made(study)


# --- study files

TYPOS = {
    "an unknown table": ("[training]", "[trainig]", r"key 'trainig': there is no such key; did you mean 'training'\?$"),
    "an unknown key": ("batch =", "bach =", r"key 'training\.bach': there is no such key; did you mean 'batch'\?$"),
    "an unknown column": (
        "{ discharge",
        "{ discharged",
        r"key 'cohort\.visits\.columns\.discharged': there is no such key; did you mean 'discharge'\?$",
    ),
    "a text for a number": ("batch = 32", 'batch = "32"', r"key 'training\.batch': input should be a valid integer; "),
    "a number out of range": ("batch = 32", "batch = 1", r"key 'training\.batch': input should be greater than .* 2; "),
    "an unknown model": (
        '"rn-900k"',
        '"rn-90k"',
        r"key 'grid\.0\.models\.0': there is no model 'rn-90k'; the nearest is 'rn-900k' of cnn-20k, ",
    ),
    "an unknown pre-training": (
        '"age-sex"',
        '"age-and-sex"',
        r"key 'grid\.0\.pretraining\.1': input should be 'none', 'age', 'sex' or 'age-sex'; ",
    ),
    "a missing table": ("[[grid]]", "[[gird]]", r"key 'gird': there is no such key; did you mean 'grid'\?$"),
    "a missing key": ('models = ["rn-900k"]', "", r"key 'grid\.0\.models': this key is missing; add it$"),
    "no TOML": ("batch = 32", "batch = = 32", r": this is not TOML: .*line 21, column 9\); mend the line named$"),
    "an unknown kind": (
        '"registers"',
        '"register"',
        r"key 'cohort\.kind': it must be \"registers\" or \"labels\"; ",
    ),
    "no kind": ('kind = "registers"', "", r"key 'cohort\.kind': it must be \"registers\" or \"labels\"; "),
    "splits beyond the whole": (
        '"registers"',
        '"registers"\ntemporal_test = 0.8',
        r"key 'cohort': temporal_test, random_test and validation leave nothing for training; ",
    ),
    "a name with a slash": ('"s"', '"s/t"', r"key 'name': must be a plain name, as of a file: not empty, and without "),
    "no name": ('"s"', '""', r"key 'name': must be a plain name, as of a file: not empty, and without slashes; "),
    "nothing to train": ('["rn-900k"]', "[]", r"key 'grid\.0\.models': this list is empty; give at least one$"),
}


@pytest.mark.parametrize("fault", TYPOS)
def test_a_typo_in_the_study_file(fault: str, study: Path, command: CommandLine) -> None:
    right, wrong, expected = TYPOS[fault]
    text = study.read_text()
    assert right in text
    study.write_text(text.replace(right, wrong))
    complaint = command.complaint("study", "plan", study)
    assert complaint.startswith(str(study))
    assert re.search(expected, complaint), complaint
    nothing_made(study)


def test_a_study_file_of_another_kind(archive: Path, command: CommandLine) -> None:
    complaint = command.complaint("study", "plan", archive / "index.bin")
    assert complaint == f"{archive / 'index.bin'}: this is not TOML: it is not written in UTF-8; save it so"


def test_a_study_file_that_is_not_there(tmp_path: Path, command: CommandLine) -> None:
    complaint = command.complaint("study", "run", tmp_path / "none.toml")
    assert complaint == f"{tmp_path / 'none.toml'}: there is no such study file; give the path of a study's TOML file"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("training.batch", r"--set training\.batch is not KEY=VALUE; write for example --set training\.batch=64$"),
        ("training.bach=64", r"key 'training\.bach': there is no such key; did you mean 'batch'\?$"),
        ("training.batch=many", r"key 'training\.batch': input should be a valid integer; "),
        ("grid.7.models=['rn-7m']", r"key 'grid\.7\.models': there is no such place in the study; check "),
        ("name.first=x", r"key 'name\.first': there is no such place in the study; check the dotted key$"),
        ("=64", r"--set =64 is not KEY=VALUE; "),
    ],
)
def test_nonsense_after_set(change: str, expected: str, study: Path, command: CommandLine) -> None:
    assert re.search(expected, command.complaint("study", "plan", study, "--set", change))
    nothing_made(study)


# --- archives and files


def test_nothing_to_ingest(tmp_path: Path, command: CommandLine) -> None:
    (tmp_path / "empty").mkdir()
    into = ("--archive", tmp_path / "archive")
    wanted = f"{tmp_path / 'empty'}: the folder holds no files; give the folder with the ECG files"
    assert command.complaint("ingest", tmp_path / "empty", *into) == wanted
    wanted = f"{tmp_path / 'none'}: there is no such file or folder; check the path"
    assert command.complaint("ingest", tmp_path / "none", *into) == wanted
    assert not (tmp_path / "archive").exists()


def test_a_rate_that_no_archive_has(hospital: Hospital, tmp_path: Path, command: CommandLine) -> None:
    complaint = command.complaint("ingest", hospital.ecg, "--archive", tmp_path / "archive", "--rate", "250")
    assert complaint.startswith("an archive has 500 or 100 Hz, not 250; give ")
    assert not (tmp_path / "archive").exists()


def test_an_archive_of_another_rate(hospital: Hospital, archive: Path, study: Path, command: CommandLine) -> None:
    complaint = command.complaint("ingest", hospital.ecg, "--archive", archive, "--rate", "100")
    assert complaint.startswith(f"{archive}: the archive holds 5000 samples at 500 Hz, not 1000 at 100 Hz; ")
    complaint = command.complaint("study", "run", study, "--set", "archive.rate=100")
    assert complaint.startswith(f"{archive}, key 'archive.rate': the archive holds ECGs at 500 Hz; set it to 500, ")
    nothing_made(study)


def test_no_archive(tmp_path: Path, study: Path, command: CommandLine) -> None:
    wanted = f"{tmp_path / 'none'}: there is no archive here; make one with: precordial ingest SOURCE --archive DIR"
    for words in (("info",), ("verify",)):
        assert command.complaint("archive", *words, tmp_path / "none") == wanted
    assert command.complaint("study", "run", study, "--set", f"archive.path={tmp_path / 'none'}") == wanted
    nothing_made(study)


def test_a_damaged_ecg_in_the_archive(archive: Path, tmp_path: Path, command: CommandLine) -> None:
    damaged = tmp_path / "archive"
    (damaged / "signals").mkdir(parents=True)
    for path in archive.rglob("*"):
        if path.is_file():
            (damaged / path.relative_to(archive)).write_bytes(path.read_bytes())
    content = bytearray((damaged / "signals" / "00000.i16").read_bytes())
    content[200_000] ^= 4
    (damaged / "signals" / "00000.i16").write_bytes(content)
    code, out, err = command.run("archive", "verify", damaged)
    ecgs = len(Archive(archive))
    assert (code, err) == (1, "")
    assert out == f"{ecgs:,} ECGs checked, 1 damaged\n  damaged: {Archive(archive).ids[2]}\n"


def test_a_file_where_a_folder_should_be(hospital: Hospital, study: Path, command: CommandLine) -> None:
    content = study.read_bytes()
    assert command.complaint("study", "run", study, "--set", f"out={study}").startswith(f"{study}: ")
    assert command.complaint("ingest", hospital.ecg, "--archive", study).startswith(f"{study}")
    assert study.read_bytes() == content


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(study: Path, command: CommandLine) -> None:
    code, out, err = command.run("study", "run", study, "--set", "training.device=cuda")
    assert (code, out) == (2, "")
    wanted = """precordial: key 'training.device': PyTorch finds no GPU here; set it to "auto" or "cpu", """
    assert err.splitlines()[-1].startswith(wanted)


def test_what_has_not_been_made_yet(study: Path, command: CommandLine) -> None:
    cohort = study.parent / "s-work" / "cohort"
    for words in (("cohort", "flow"), ("report",)):
        complaint = command.complaint(*words, study)
        assert complaint.startswith(str(cohort))
        assert complaint.endswith(": there is no cohort here; build it: precordial cohort build STUDY.toml")
    command.run("cohort", "build", study)
    complaint = command.complaint("report", study)
    results = cohort.parent / "results.parquet"
    assert complaint.startswith(f"{results}: the study has no results yet; precordial study run STUDY.toml")


def test_single_bad_files_are_rejected_and_stop_nothing(
    tmp_path: Path, muse_xml: Callable[..., bytes], command: CommandLine
) -> None:
    folder = tmp_path / "ecg"
    folder.mkdir()
    good = muse_xml(seed=1)
    traces = np.random.default_rng(2).integers(-400, 400, (8, 5000)).astype("<i2")
    traces[4] = 3
    names = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    files = {
        "cut.xml": (good[: len(good) * 2 // 3], "unreadable"),
        "crc.xml": (muse_xml(seed=3, crc_error=1), "bad-checksum"),
        "flat.xml": (muse_xml(dict(zip(names, traces, strict=True))), "flat-lead"),
        "nobody.xml": (muse_xml(seed=4, patient_id=None), "no-patient-id"),
        "someday.xml": (muse_xml(seed=5, date="31-12-2021"), "no-time"),
        "again.xml": (muse_xml(seed=6), "duplicate"),
        "short.xml": (muse_xml(seed=7, samples=4000), "too-short"),
        "beat.xml": (muse_xml(seed=8, waveforms=("Median",)), "no-rhythm"),
        "letter.doc": (b"Dear colleague", "not-an-ecg"),
        "empty.xml": (b"", "not-an-ecg"),
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    for name, content in (("a-good.xml", good), ("a-twin.xml", muse_xml(seed=6))):
        (folder / name).write_bytes(content)
    code, out, err = command.run("ingest", folder, "--archive", tmp_path / "archive")
    assert (code, err) == (0, "")
    assert "2 ECGs added" in out
    rejects = Archive(tmp_path / "archive").rejects()
    assert {row["source"]: row["reason"] for row in rejects} == {name: reason for name, (_, reason) in files.items()}
    assert all(row["problem"] for row in rejects)
    assert out.endswith(f"  each is listed in {tmp_path / 'archive' / 'rejects.jsonl'}\n")
    for reason in {reason for _, reason in files.values()}:
        assert re.search(rf"^ +\d+ rejected: .+ \({reason}\)$", out, re.MULTILINE)


def test_an_archive_without_a_usable_ecg(tmp_path: Path, study: Path, command: CommandLine) -> None:
    (tmp_path / "ecg").mkdir()
    (tmp_path / "ecg" / "letter.doc").write_text("Dear colleague")
    changes = ("--set", f"archive.path={tmp_path / 'bare'}", "--set", f"archive.sources=['{tmp_path / 'ecg'}']")
    complaint = command.complaint("study", "run", study, *changes)
    assert complaint.startswith(f"{tmp_path / 'bare'}, key 'archive.sources': the archive holds no usable ECG; ")
    nothing_made(study)


# --- the command line itself


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ingest", "--archiv", "a"), "No such option: --archiv"),
        (("ingest", "x", "--archive", "y", "--workers", "two"), "Invalid value for '--workers'"),
        (("ingest", "x", "--archive", "y", "--workers", "0"), "Invalid value for '--workers'"),
        (("ingest",), "Missing argument"),
        (("archiv",), "No such command 'archiv'"),
        (("study", "runn", "s.toml"), "No such command 'runn'"),
    ],
)
def test_wrong_words(words: Sequence[str], expected: str, command: CommandLine) -> None:
    code, out, err = command.run(*words)
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"precordial: {re.escape(expected)}.*; see precordial( \w+)? --help\n", err), err


@pytest.mark.parametrize("words", [("--help",), ("ingest", "--help"), (), ("study",)])
def test_the_help_stays_as_it_is(words: Sequence[str], command: CommandLine) -> None:
    code, out, err = command.run(*words)
    assert code == (0 if "--help" in words else 2)
    assert "Usage: precordial" in out + err
    assert len((out + err).splitlines()) > 5
    assert "precordial: " not in out + err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "No space left on device (says the system); make room, and run the same command again",
        ),
        (OSError(errno.EISDIR, "Is a directory", "/a/.b.part", None, "/a/b"), "/a/b: Is a directory (says the system)"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "/a/b: Permission denied (says the system)"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/a/b"), "/a/b: No such file (says the system)"),
        (FileNotFoundError(errno.ENOENT, "No such file"), None),
        (OSError(errno.EIO, "Input/output error", "/a/b"), None),
        (OSError("of the program's own making"), None),
    ],
)
def test_of_the_systems_errors_only_a_users_are_one_line(
    error: OSError, said: str | None, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("precordial.archive.ingest", failing)
    if said is None:
        with pytest.raises(OSError, match=re.escape(str(error))):
            command.run("ingest", "x", "--archive", "y")
    else:
        assert command.complaint("ingest", "x", "--archive", "y") == said


def test_a_process_of_its_own_says_and_exits_the_same(
    study: Path, command: CommandLine, precordial: Callable[..., Called]
) -> None:
    edit(study.parent / "visits.csv", setting(1, 3, "arrived"))
    for words in (("cohort", "build", study), ("study", "plan", study, "--set", "a.b=1"), ("archive", "info", study)):
        said = precordial(*words)
        assert (said.returncode, said.stdout, said.stderr) == command.run(*words)


# --- leaks

LABELS = """
name = "s"
[archive]
path = "archive"
sources = ["ecg"]
rate = 100
[cohort]
kind = "labels"
source_validation = 0.2
[cohort.table]
file = "labels.csv"
columns = { file = "file", recorded_at = "recorded_at", age = "age", sex = "sex" }
[[grid]]
models = ["cnn-20k"]
pretraining = ["none"]
[training.models.cnn-20k]
scratch = [{ epochs = 1, peak = 1e-3 }]
"""


@pytest.fixture
def labelled(tmp_path: Path, wfdb_record: Callable[..., Path]) -> Path:
    """A study on 40 labelled recordings, one for each day and patient; the newest are the temporal test."""
    (tmp_path / "ecg").mkdir()
    rows = [["file", "patient_id", "recorded_at", "age", "sex", "label"]]
    draw = np.random.default_rng(0)
    for k in range(40):
        day = datetime(2020, 1, 1, 12) + timedelta(days=k)
        units = draw.integers(-500, 500, (len(EIGHT), 1000)).astype(np.int16)
        line = f"r{k:02d} 8 100 1000 12:00:00 {day:%d/%m/%Y}"
        wfdb_record(tmp_path / "ecg", units, name=f"r{k:02d}", leads=EIGHT, record_line=line)
        rows.append([f"r{k:02d}", f"SECRET{k:02d}", f"{day}", "60", "F", str(k % 2)])
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (tmp_path / "study.toml").write_text(LABELS)
    return tmp_path / "study.toml"


def leak(labelled: Path, command: CommandLine) -> str:
    """What the guard says of a study; nothing was trained."""
    complaint = command.complaint("study", "run", labelled)
    assert complaint.startswith(f"{labelled.parent / 's-work' / 'cohort' / 'cohort.csv'}: ")
    assert "precordial.Archive(DIR).table(), column 'source'" in complaint
    assert "SECRET" not in complaint
    assert not (labelled.parent / "s-work" / "runs").exists()
    assert not (labelled.parent / "s-work" / "results.csv").exists()
    # It is no accident of the first call: the guard runs each time.
    assert command.complaint("study", "run", labelled) == complaint
    return complaint


def rows_of(labelled: Path, *files: str) -> dict[int, dict[str, str]]:
    """Rows of cohort.csv (as a spreadsheet counts them) of the ECGs that were read from these files."""
    archive = Archive(labelled.parent / "archive")
    ids = {text["source"]: ecg_id for text, ecg_id in zip(archive.texts(), archive.ids.tolist(), strict=True)}
    wanted = {ids[f"{file}.hea"] for file in files}
    with (labelled.parent / "s-work" / "cohort" / "cohort.csv").open(newline="") as file:
        return {n: row for n, row in enumerate(csv.DictReader(file), start=2) if row["ecg_id"] in wanted}


def test_one_waveform_under_two_patients_in_two_splits(labelled: Path, command: CommandLine) -> None:
    """The same recording, exported twice under two ids: the newest day is in the temporal test, the oldest is not."""
    ecg = labelled.parent / "ecg"
    (ecg / "r39.dat").write_bytes((ecg / "r00.dat").read_bytes())
    first, last = ((ecg / f"{name}.hea").read_text() for name in ("r00", "r39"))
    # Samples and checksums are those of r00; name and day are those of r39.
    (ecg / "r39.hea").write_text(last.splitlines()[0] + "\n" + first.split("\n", 1)[1].replace("r00", "r39"))
    complaint = leak(labelled, command)
    assert "a waveform stands in two roles or splits under two ids" in complaint
    leaking = rows_of(labelled, "r00", "r39")
    assert {row["split"] for row in leaking.values()} > {"temporal_test"}
    for number, row in leaking.items():
        assert f"row {number} (ECG {row['ecg_id']}, target {row['split']})" in complaint
    assert len(re.findall(r"row \d+", complaint)) == 2
    assert "remove one of the two files" in complaint


def test_an_ecg_recorded_after_its_prediction_time(labelled: Path, command: CommandLine) -> None:
    """The table says 2020-01-11, the file itself a day later."""
    header = labelled.parent / "ecg" / "r10.hea"
    header.write_text(header.read_text().replace("11/01/2020", "12/01/2020"))
    complaint = leak(labelled, command)
    assert "an ECG was recorded after its prediction time" in complaint
    ((number, row),) = rows_of(labelled, "r10").items()
    assert f"row {number} (ECG {row['ecg_id']}, target {row['split']})" in complaint
    assert len(re.findall(r"row \d+", complaint)) == 1


def test_a_patient_moved_to_another_split_by_hand(labelled: Path, command: CommandLine) -> None:
    code, _, err = command.run("cohort", "build", labelled)
    assert code == 0, err
    cohort = labelled.parent / "s-work" / "cohort" / "cohort.csv"
    cohort.write_text(cohort.read_text().replace("temporal_test", "train", 1))
    complaint = command.complaint("study", "run", labelled)
    assert complaint.startswith(f"{cohort}: the table is not the one that was saved")
    # Even one who also mends the digest does not get past the guard.
    assert command.run("cohort", "build", labelled)[0] == 0, "a build mends it"
    good = Cohort.load(cohort.parent)
    twice = good._rows(np.append(np.arange(len(good)), np.flatnonzero(good.split == "random_test")[0]))
    twice.split[-1], twice.visit_id[-1] = "train", "another"
    twice.save(cohort.parent)
    complaint = leak(labelled, command)
    assert "a patient is in two roles or splits" in complaint
    assert "an ECG is in two roles or splits" in complaint


def test_a_leakage_file_that_does_not_hold(
    labelled: Path, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written when a cohort is built, verified before training, and made anew by a command alone."""
    missing = command.complaint("cohort", "verify", labelled)
    assert missing.endswith("there is no cohort here; build it: precordial cohort build STUDY.toml")
    assert command.run("cohort", "build", labelled)[0] == 0
    code, out, _ = command.run("cohort", "verify", labelled)
    assert code == 0
    folder = labelled.parent / "s-work" / "cohort"
    assert out.splitlines()[0] == "a patient is in one role and split only, in each fold: 40 rows checked"
    assert out.splitlines()[-1] == f"no leak in 40 rows; {folder / 'leakage.json'} holds"

    def refused(start: str) -> None:
        for words in (("study", "run"), ("cohort", "verify")):
            assert command.complaint(*words, labelled).startswith(f"{folder / 'leakage.json'}: {start}")
        assert not (labelled.parent / "s-work" / "runs").exists()

    good = (folder / "leakage.json").read_text()
    (folder / "leakage.json").write_text(good.replace('"rows_checked": 40', '"rows_checked": 41', 1))
    refused(
        "it was changed after it was written; find out why; precordial cohort build STUDY.toml builds and checks it"
    )
    (folder / "leakage.json").unlink()
    refused("there is no such file, and so no proof that the cohort was checked; ")
    (folder / "leakage.json").write_text(good)
    cohort = Cohort.load(folder)
    cohort.age[0] += 1  # no leak, but another cohort
    replace(cohort).save(folder)
    refused("it is stale: it was made for another cohort; ")
    assert command.run("cohort", "build", labelled)[0] == 0
    assert command.run("cohort", "verify", labelled)[0] == 0
    assert (Cohort.load(folder).age[0], (folder / "leakage.json").exists()) == (60, True), "built again, not sealed"

    monkeypatch.setenv("PRECORDIAL_SIGNING_KEY_FILE", str(labelled.parent / "key"))
    absent = f"{labelled.parent / 'key'}: there is no such key file; check the path"
    assert command.complaint("cohort", "verify", labelled) == absent
    assert command.run("cohort", "build", labelled)[0] == 0
    assert command.run("cohort", "verify", labelled)[0] == 0
    (labelled.parent / "key").rename(labelled.parent / "another")
    assert command.complaint("study", "run", labelled) == absent
    monkeypatch.delenv("PRECORDIAL_SIGNING_KEY_FILE")
    refused("it is signed with a key; let PRECORDIAL_SIGNING_KEY_FILE name the key file; or precordial cohort build")


def test_the_folds_of_a_cohort(labelled: Path, command: CommandLine) -> None:
    labelled.write_text(
        labelled.read_text().replace("[cohort.table]", '[cohort.split]\nscheme = "k-fold"\nfolds = 4\n[cohort.table]')
    )
    code, _, err = command.run("cohort", "build", labelled)
    assert code == 0, err
    code, out, err = command.run("cohort", "verify", labelled)
    assert code == 0, err
    # 40 patients, of whom 6 are in the temporal test; of those not tested int(0.15 n) validate.
    assert [line for line in out.splitlines() if line.startswith("fold ")] == [
        f"fold {number}: {tested} rows of {tested} patients are tested, 0 other rows of theirs left out; "
        f"{34 - tested - validating} patients train, {validating} validate"
        for number, tested, validating in ((1, 9, 3), (2, 8, 3), (3, 9, 3), (4, 8, 3))
    ]


def test_an_archive_that_has_changed_since(
    labelled: Path, command: CommandLine, wfdb_record: Callable[..., Path]
) -> None:
    assert command.run("cohort", "build", labelled)[0] == 0
    units = np.random.default_rng(1).integers(-500, 500, (len(EIGHT), 1000)).astype(np.int16)
    line = "new 8 100 1000 12:00:00 01/01/2021"
    (labelled.parent / "new").mkdir()
    wfdb_record(labelled.parent / "new", units, name="new", leads=EIGHT, record_line=line)
    code, _, err = command.run(
        "ingest", labelled.parent / "new", "--archive", labelled.parent / "archive", "--rate", "100"
    )
    assert code == 0, err
    leakage = labelled.parent / "s-work" / "cohort" / "leakage.json"
    stale = f"{leakage}: it is stale: it was made for another archive; precordial cohort build STUDY.toml builds"
    assert command.complaint("cohort", "verify", labelled).startswith(stale)
    assert command.run("cohort", "build", labelled)[0] == 0
    assert command.run("cohort", "verify", labelled)[0] == 0
