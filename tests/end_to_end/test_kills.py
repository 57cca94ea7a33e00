"""Stopped at random moments, by kill -9 and by Ctrl-C: nothing acknowledged is lost, and the end is the same.

A kill must land in the middle to prove anything, so each waits until the disk shows some progress, then a
random time that is short against what is left; and each makes sure that the process was still at work.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from precordial.archive import Archive, ingest, verify
from precordial.archive.layout import COMMIT, COMMITS, LOGGED, ROW
from precordial.archive.log import read_log
from precordial.cohort import Cohort
from precordial.ecg import EIGHT
from precordial.files import append_durably
from precordial.models import load_tensors

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for child processes in /proc")

Called = subprocess.CompletedProcess[str]
KILLS = [3, pytest.param(20, marks=pytest.mark.slow)]
STATES = ("/last.safetensors", "/previous.safetensors", "/next.safetensors")
PATIENCE = 300.0  # seconds until a process that shows no progress is taken for hung


@pytest.fixture
def chance() -> random.Random:
    """Random moments; pytest shows the seed of a test that fails."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed of the random moments: {seed}")
    return random.Random(seed)


class Working:
    """A command at work in a session of its own, so that Ctrl-C can be sent to all its processes, as terminals do."""

    def __init__(self, *words: str | Path, by: Sequence[str] = ("-m", "precordial")) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *by, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def wait_until(self, seen: Callable[[], bool]) -> None:
        """Return once something is seen on the disk."""
        end = time.monotonic() + PATIENCE
        while not seen():
            if self.process.poll() is not None:
                pytest.fail(f"ended before it could be stopped: {self.process.communicate()[1]}")
            assert time.monotonic() < end, "no progress"
            time.sleep(0.0002)

    def has_workers(self) -> bool:
        """Whether both worker processes of an ingest are there."""
        return len(children(self.process.pid)) >= 2

    def stop(self, by: signal.Signals) -> str:
        """Stop it, make sure that it was at work until then and that its workers go too; return its stderr."""
        workers = children(self.process.pid)
        assert self.process.poll() is None, "ended before it could be stopped"
        if by == signal.SIGKILL:
            self.process.kill()  # the parent alone
        else:
            os.killpg(self.process.pid, by)
        said = self.process.communicate(timeout=PATIENCE)[1]
        assert self.process.returncode == (130 if by == signal.SIGINT else -by), said
        end = time.monotonic() + 10
        while any(map(alive, workers)):
            assert time.monotonic() < end, "workers outlive their parent"
            time.sleep(0.01)
        return said


def stat(pid: int) -> list[str]:
    """State, parent and so on of a process; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def alive(pid: int) -> bool:
    return stat(pid)[:1] not in ([], ["Z"])


def children(pid: int) -> list[int]:
    everyone = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [one for one in everyone if stat(one)[1:2] == [str(pid)]]


def grows(measure: Callable[[], int]) -> Callable[[], bool]:
    """Whether something is more than it is now."""
    now = measure()
    return lambda: measure() > now


def check_one_line(said: str) -> None:
    lines = [line for line in said.splitlines() if line.strip()]
    assert lines[-1].startswith("precordial: stopped; what was finished is kept"), said
    assert "Traceback" not in said
    assert "Error" not in said


# --- ingest


@pytest.fixture(params=KILLS, ids=lambda kills: f"{kills}-kills")
def records(
    request: pytest.FixtureRequest, tmp_path: Path, wfdb_record: Callable[..., Path]
) -> Iterator[tuple[int, Path]]:
    """How many kills, and a folder of as many small records as these cannot get through; one in 50 is unusable."""
    kills: int = request.param
    draw = np.random.default_rng(0)
    signals = draw.integers(-500, 500, (COMMIT * (kills + kills // 2 + 4), len(EIGHT), 1000), np.int16)
    signals[::100, 3] = 7  # a flat lead
    signals[50::100] = signals[49::100]  # the same recording once more
    for k, units in enumerate(signals):
        folder = tmp_path / "ecg" / f"{k // 1000:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        # The second of two equal ones has its content in a file of the same name, elsewhere.
        if k % 100 == 50:
            folder = folder / "again"
            folder.mkdir(exist_ok=True)
        wfdb_record(folder, units, name=f"r{k - (k % 100 == 50):06d}", leads=EIGHT, rate=100)
    yield kills, tmp_path / "ecg"
    shutil.rmtree(tmp_path)  # hundreds of megabytes


def size(*paths: Path) -> int:
    """Bytes of some files together; none of one that is not there."""
    return sum(path.stat().st_size for path in paths if path.exists())


def test_a_killed_ingest_loses_nothing_and_ends_as_the_uninterrupted_one(
    records: tuple[int, Path], tmp_path: Path, chance: random.Random, precordial: Callable[..., Called]
) -> None:
    kills, source = records
    command = ("ingest", source, "--rate", "100", "--workers", "2")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert precordial(*command, "--archive", whole).returncode == 0
    index = cut / "index.bin"
    kept: list[str] = []
    workers_seen = 0
    moments = [("working", "after a commit", "in a commit")[k % 3] for k in range(1 + kills)]
    chance.shuffle(moments)
    for by, moment in zip((signal.SIGINT, *[signal.SIGKILL] * kills), moments, strict=True):
        commit, samples = grows(lambda: size(index)), grows(lambda: size(*cut.glob("signals/*.i16")))
        working = Working(*command, "--archive", cut)
        print(by.name, moment)
        if moment == "working":
            working.wait_until(working.has_workers)
            time.sleep(chance.uniform(0, 0.5))
        elif moment == "after a commit":
            working.wait_until(commit)
            time.sleep(chance.uniform(0, 0.05))
        else:  # the samples are on their way, their rows are not
            working.wait_until(samples)
        workers_seen += working.has_workers()
        said = working.stop(by)
        if by == signal.SIGINT:
            check_one_line(said)
        if not (cut / "archive.json").exists():
            continue
        ids = Archive(cut).ids.tolist()
        assert ids[: len(kept)] == kept
        kept = ids
        assert verify(cut).ok
    assert workers_seen > 0
    assert size(index) < size(whole / "index.bin")
    last = precordial(*command, "--archive", cut)
    assert last.returncode == 0, last.stderr
    assert len(kept) + int(last.stdout.split()[0].replace(",", "")) == len(Archive(whole))
    names = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
    assert len(names) >= 6
    for name in names:
        if name.name != COMMITS:  # Ctrl-C ends a commit early, and so moves those behind it
            assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    ends, wanted = ([read_log(folder).end(name) for name in LOGGED] for folder in (cut, whole))
    assert ends == wanted
    assert verify(cut).ok
    assert verify(cut).torn == 0
    assert size(index) % ROW.itemsize == 0
    assert set(Archive(cut).reject_counts()) == {"duplicate", "flat-lead"}


@pytest.mark.parametrize("at", range(len(LOGGED) + 1))
def test_ctrl_c_in_the_middle_of_a_commit_writes_nothing_twice(
    at: int, tmp_path: Path, wfdb_record: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit appends to each file that its record vouches for, and last the record. Ctrl-C is heard in between."""
    draw = np.random.default_rng(0)
    (tmp_path / "ecg").mkdir()
    for k in range(6):
        units = draw.integers(-500, 500, (len(EIGHT), 1000), np.int16)
        units[0, : 1000 * (k == 2)] = 7
        wfdb_record(tmp_path / "ecg", units, name=f"r{k}", leads=EIGHT, rate=100)
    ingest(tmp_path / "ecg", tmp_path / "whole", rate=100, workers=1)
    appends: list[str] = []

    def interrupted(path: Path, data: bytes) -> None:
        append_durably(path, data)
        appends.append(path.name)
        if len(appends) == at + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("precordial.archive.writer.append_durably", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path / "ecg", tmp_path / "cut", rate=100, workers=1)
    monkeypatch.undo()
    assert appends[at] == [*LOGGED.values(), COMMITS][at]
    ingest(tmp_path / "ecg", tmp_path / "cut", rate=100, workers=1)
    for name in (*LOGGED.values(), COMMITS, "signals/00000.i16"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


# --- study run


STUDY = """
name = "kills"
[archive]
path = "archive"
rate = 100
[cohort]
kind = "labels"
source_validation = 0.2
[cohort.table]
file = "labels.csv"
columns = {{ ecg_id = "ecg_id", recorded_at = "recorded_at", age = "age", sex = "sex" }}
[[grid]]
models = ["rn-900k"]
pretraining = ["none", "age-sex"]
[training]
batch = 8
age_bias = "median"
precision = "{precision}"
ema = 0.9
save_every = 0
[training.models.rn-900k]
source = [{{ epochs = {epochs}, warmup = 1, start = 1e-4, peak = 1e-3, end = 1e-5 }}]
scratch = [{{ epochs = {epochs}, peak = 1e-3 }}]
target = [{{ epochs = {half}, peak = 1e-3, trains = "head" }}, {{ epochs = {half}, peak = 1e-4 }}]
[evaluation]
replicates = 50
"""


@pytest.fixture(
    params=[(3, "bf16"), *(pytest.param((20, precision), marks=pytest.mark.slow) for precision in ("fp32", "bf16"))],
    ids=lambda wanted: f"{wanted[0]}-kills-{wanted[1]}",
)
def study(
    request: pytest.FixtureRequest, tmp_path: Path, small_cohort: Callable[..., tuple[Cohort, Archive]]
) -> tuple[int, Path]:
    """How many kills, and a study with more steps than these can get through."""
    kills, precision = request.param
    cohort, _ = small_cohort(target=60, source=40)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("ecg_id", "patient_id", "recorded_at", "age", "sex", "label"))
        for k in range(len(cohort)):
            label = "" if np.isnan(cohort.label[k]) else int(cohort.label[k])
            day = np.datetime64("2017-01-01") + k
            sex = "F" if cohort.sex[k] else "M"
            writer.writerow((cohort.ecg_id[k], cohort.patient_id[k], day, cohort.age[k], sex, label))
    half = kills // 2 + 1
    (tmp_path / "study.toml").write_text(STUDY.format(epochs=2 * half, half=half, precision=precision))
    return kills, tmp_path / "study.toml"


def steps_of(runs: Path) -> dict[str, float]:
    """run → finished steps, by its saved state; a finished run has none and need not have any."""
    steps = {path.parent.name: float("inf") for path in runs.glob("*/done.json")}
    for name in ("last.safetensors", "previous.safetensors"):  # the latter where a kill has come between two renamings
        for path in runs.glob(f"*/{name}"):
            steps.setdefault(path.parent.name, json.loads(load_tensors(path)[1]["progress"])["steps"])
    return steps


def moved(runs: Path) -> Callable[[], bool]:
    """Whether a training has saved a state since now."""

    def states() -> dict[Path, int]:
        found = {}
        for path in runs.glob("*/last.safetensors"):
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.stat().st_mtime_ns
        return found

    now = states()
    return lambda: any(now.get(path) != at for path, at in states().items())


def same_tensors(a: Path, b: Path) -> bool:
    one, other = load_tensors(a)[0], load_tensors(b)[0]
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_killed_study_repeats_no_saved_step_and_ends_as_the_uninterrupted_one(
    study: tuple[int, Path],
    tmp_path: Path,
    chance: random.Random,
    precordial: Callable[..., Called],
    files_below: Callable[[Path], dict[str, tuple[int, int]]],
) -> None:
    kills, file = study
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    first = precordial("study", "run", file, "--set", f"out={whole}", "--set", "training.save_every=300")
    assert first.returncode == 0, first.stderr
    runs, command = cut / "runs", ("study", "run", file, "--set", f"out={cut}")
    steps: dict[str, float] = {}
    done: dict[str, tuple[int, int]] = {}
    for by in (signal.SIGINT, *[signal.SIGKILL] * kills):
        saved = moved(runs)
        working = Working(*command)
        working.wait_until(saved)
        time.sleep(chance.uniform(0, 0.2))  # some steps
        said = working.stop(by)
        if by == signal.SIGINT:
            check_one_line(said)
        now = steps_of(runs)
        assert all(now[run] >= count for run, count in steps.items()), "a saved step was lost"
        steps = now
        files = files_below(runs)
        assert files | done == files, "a finished run was touched"
        finished = {path.parent.name for path in runs.glob("*/done.json")}
        done = {name: at for name, at in files.items() if name.split("/")[0] in finished}
        done = {name: at for name, at in done.items() if not name.endswith(STATES)}  # they go when it is done
    assert len(finished) < 3, "the kills came too late to interrupt anything"
    last = precordial(*command)
    assert last.returncode == 0, last.stderr
    assert files_below(runs) | done == files_below(runs)
    assert last.stdout.replace(str(cut), "") == first.stdout.replace(str(whole), "")
    for name in ("results.csv", "cohort/cohort.csv"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    names = {path.name for path in (whole / "runs").iterdir()}
    assert {path.name for path in runs.iterdir()} == names
    assert len(names) == 3
    for name in names:
        assert same_tensors(runs / name / "best.safetensors", whole / "runs" / name / "best.safetensors"), name
        assert not any((runs / name / state.strip("/")).exists() for state in STATES)
        for text in ("predictions.csv", "run.json", "done.json"):
            assert (runs / name / text).read_bytes() == (whole / "runs" / name / text).read_bytes()
        assert metrics(runs / name) == metrics(whole / "runs" / name)
        assert not list((runs / name).glob(".*.part"))


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "precordial")


@pytest.mark.slow
def test_a_study_of_two_processes_goes_on_exactly_after_kills(
    study: tuple[int, Path], tmp_path: Path, chance: random.Random
) -> None:
    """Started by torchrun. Now one of the two is killed, and torchrun ends the other; now everything is."""
    _, file = study
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    first = Working("study", "run", file, "--set", f"out={whole}", "--set", "training.save_every=300", by=TORCHRUN)
    out, said = first.process.communicate(timeout=1500)
    assert first.process.returncode == 0, said
    assert out.count("report: ") == 1, "one process prints"
    runs, command = cut / "runs", ("study", "run", file, "--set", f"out={cut}")
    for kill in range(4):
        saved = moved(runs)
        working = Working(*command, by=TORCHRUN)
        working.wait_until(saved)
        time.sleep(chance.uniform(0, 0.5))
        workers = children(working.process.pid)
        assert len(workers) == 2
        assert working.process.poll() is None, "ended before it could be stopped"
        if kill % 2:
            working.process.kill()
        for worker in workers if kill % 2 else workers[kill // 2 :][:1]:
            os.kill(worker, signal.SIGKILL)
        working.process.communicate(timeout=PATIENCE)
        assert working.process.returncode != 0
    assert len(list(runs.glob("*/done.json"))) < 3, "the kills came too late to interrupt anything"
    last = Working(*command, by=TORCHRUN)
    out, said = last.process.communicate(timeout=1500)
    assert last.process.returncode == 0, said
    names = {path.name for path in (whole / "runs").iterdir()}
    assert {path.name for path in runs.iterdir()} == names
    for name in names:
        assert metrics(runs / name) == metrics(whole / "runs" / name)
        for written in ("best.safetensors", "predictions.csv", "run.json", "done.json"):
            assert (runs / name / written).read_bytes() == (whole / "runs" / name / written).read_bytes()
    assert (cut / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()


def metrics(run: Path) -> list[dict[str, float]]:
    """The rows of a run without its speed."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "ecgs_per_second"} for row in rows]
