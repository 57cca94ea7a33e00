"""What real machines do to an archive: two who write at once, a disk that is full, and files without end."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ecg_samples.wfdb import make_wfdb_record
from precordial.archive import Archive, ingest
from precordial.archive.layout import COMMIT
from precordial.ecg import EIGHT

Called = subprocess.CompletedProcess[str]
PATIENCE = 60.0  # seconds until a process that shows no progress is taken for hung


def make_records(folder: Path, count: int) -> Path:
    """Small records of ten seconds at 100 Hz, 16 kB each, one in 50 unusable."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for k in range(count):
        units = draw.integers(-500, 500, (len(EIGHT), 1000), np.int16)
        units[3, : 1000 * (k % 50 == 7)] = 7
        make_wfdb_record(folder, units, name=f"r{k:06d}", leads=EIGHT, rate=100)
    return folder


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_records(tmp_path_factory.mktemp("limits") / "ecg", COMMIT + COMMIT // 2)


@pytest.fixture(scope="module")
def whole(records: Path) -> Path:
    """The archive of the records, made without any trouble."""
    ingest(records, records.parent / "whole", rate=100, workers=1)
    return records.parent / "whole"


def check_same(archive: Path, whole: Path) -> None:
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert sorted(path.relative_to(archive) for path in archive.rglob("*") if path.is_file()) == names
    for name in names:
        assert (archive / name).read_bytes() == (whole / name).read_bytes(), name


def start(*words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "precordial", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


# --- two at once


def test_of_two_ingests_the_second_refuses(
    records: Path, whole: Path, tmp_path: Path, precordial: Callable[..., Called]
) -> None:
    archive = tmp_path / "archive"
    words = ("ingest", records, "--archive", archive, "--rate", "100", "--workers", "1")
    first = start(*words)
    end = time.monotonic() + PATIENCE
    while not (archive / "archive.json").exists():  # it holds the archive by then
        assert first.poll() is None, first.communicate()[1]
        assert time.monotonic() < end, "no progress"
        time.sleep(0.0005)
    first.send_signal(signal.SIGSTOP)
    try:
        second = precordial(*words)
        reading = precordial("archive", "verify", archive)
    finally:
        first.send_signal(signal.SIGCONT)
    said = first.communicate(timeout=PATIENCE)
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == (
        f"precordial: {archive}: another process is writing to this archive; wait until it has ended\n"
    )
    assert reading.returncode == 0, "reading needs no lock"
    assert first.returncode == 0, said[1]
    check_same(archive, whole)


def test_started_at_the_same_moment_they_never_mix(records: Path, whole: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    both = [start("ingest", records, "--archive", archive, "--rate", "100", "--workers", "2") for _ in range(2)]
    said = [one.communicate(timeout=PATIENCE) for one in both]
    codes = sorted(one.returncode for one in both)
    assert codes in ([0, 2], [0, 0]), said  # the latter if one came when the other had ended
    for (out, err), one in zip(said, both, strict=True):
        refused = f"precordial: {archive}: another process is writing to this archive; wait until it has ended\n"
        assert err == (refused if one.returncode else "")
        assert bool(out) == (one.returncode == 0)
    assert sum(int(out.split()[0].replace(",", "")) for out, _ in said if out) == len(Archive(whole))
    check_same(archive, whole)


# --- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file system of so many kB, made larger by a second call."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def size(kilobytes: int) -> Path:
        nonlocal mounted
        how = f"remount,size={kilobytes}k" if mounted else f"size={kilobytes}k"
        command = ["mount", "-t", "tmpfs", "-o", how, "precordial-test", str(folder)]
        try:
            said = subprocess.run(command, capture_output=True, check=False, text=True)
        except FileNotFoundError:
            pytest.skip("there is no program mount")
        if said.returncode and not mounted:
            pytest.skip(f"a small disk cannot be mounted here: {said.stderr.strip()}")
        assert said.returncode == 0, said.stderr
        mounted = True
        return folder

    yield size
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_keeps_what_was_acknowledged(
    workers: str,
    small_disk: Callable[[int], Path],
    records: Path,
    whole: Path,
    tmp_path: Path,
    precordial: Callable[..., Called],
) -> None:
    archive = small_disk(10_000) / "archive"  # more than one commit, and less than all
    words = ("ingest", records, "--archive", archive, "--rate", "100", "--workers", workers)
    for _ in range(2):  # again, as a user would
        said = precordial(*words)
        assert (said.returncode, said.stdout) == (2, "")
        assert said.stderr == (
            f"precordial: {archive}: No space left on device (says the system); "
            "make room, and run the same command again\n"
        )
    kept = len(Archive(archive))
    assert kept == sum(k % 50 != 7 for k in range(COMMIT))
    checked = precordial("archive", "verify", archive)
    assert checked.returncode == 0
    torn, count = checked.stdout.splitlines()
    assert torn.endswith(" bytes of an interrupted write; the next ingest cuts them")
    assert count == f"{kept} ECGs checked, 0 damaged"
    assert Archive(archive).ids.tolist() == Archive(whole).ids[:kept].tolist()
    # Nor is a copy half made.
    copied = precordial(
        "archive", "convert", whole, "--out", archive.parent / "copy", "--codec", "raw", "--workers", "1"
    )
    assert (copied.returncode, copied.stdout) == (2, "")
    assert "No space left on device (says the system); make room, and run " in copied.stderr
    assert len(copied.stderr.splitlines()) == 1
    assert [path.name for path in archive.parent.iterdir()] == ["archive"]
    small_disk(64_000)
    last = precordial(*words)
    assert last.returncode == 0, last.stderr
    assert last.stdout.startswith(f"{len(Archive(whole)) - kept} ECGs added, {COMMIT} files known from before; ")
    check_same(archive, whole)


def test_a_disk_that_is_full_from_the_start(
    small_disk: Callable[[int], Path], records: Path, whole: Path, precordial: Callable[..., Called]
) -> None:
    archive = small_disk(1_000) / "archive"
    words = ("ingest", records, "--archive", archive, "--rate", "100", "--workers", "1")
    assert precordial(*words).returncode == 2
    checked = precordial("archive", "verify", archive)
    assert checked.returncode == 0
    assert checked.stdout.splitlines()[0].endswith(" bytes of an interrupted write; the next ingest cuts them")
    small_disk(64_000)
    assert precordial(*words).returncode == 0
    check_same(archive, whole)


def test_a_limit_on_the_size_of_files(
    records: Path, whole: Path, tmp_path: Path, precordial: Callable[..., Called]
) -> None:
    archive = tmp_path / "archive"
    words = ("ingest", records, "--archive", archive, "--rate", "100", "--workers", "1")
    said = subprocess.run(
        [sys.executable, "-m", "precordial", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, 10_000_000)),
    )
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == (
        f"precordial: {archive}: File too large (says the system); allow larger files (ulimit -f), "
        "and run the same command again\n"
    )
    assert precordial("archive", "verify", archive).returncode == 0
    assert len(Archive(archive)) > 400
    assert precordial(*words).returncode == 0
    check_same(archive, whole)


# --- memory

PEAK = """
import atexit, resource, sys
from precordial.cli import main

def tell():
    own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss), file=sys.stderr)

atexit.register(tell)
if __name__ == "__main__":
    main()
"""


def peak(*words: str | Path) -> float:
    """The most memory that any process of a command had, in MB. (What the system says of a child is never less than
    what its parent had when it was started, and this process may be large.)"""
    said = subprocess.run([sys.executable, "-c", PEAK, *map(str, words)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return int(said.stderr) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks /proc for the most memory that was used")
@pytest.mark.parametrize(
    ("count", "workers"), [(128, "2"), *(pytest.param(2500, workers, marks=pytest.mark.slow) for workers in "12")]
)
def test_four_times_the_files_take_no_more_memory(count: int, workers: str, tmp_path: Path) -> None:
    """At 500 Hz, the samples of three times as many more are 31 MB, or 600 MB."""
    sizes = []
    for files in (count, 4 * count):
        folder = make_records(tmp_path / f"{files}", files)
        sizes.append(peak("ingest", folder, "--archive", tmp_path / f"archive-{files}", "--workers", workers))
    assert sizes[1] - sizes[0] < 15, sizes
