"""Studies on engines: every training done once, whatever dies; failures told; any number of processes at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from precordial.claims import Claims
from precordial.errors import PrecordialError
from precordial.evaluation import Predictions
from precordial.report.plan import status_table
from precordial.study import Engine, Study, load_study, read_predictions, run_study, study_status
from precordial.study.board import Board
from precordial.study.engines import lead
from precordial.study.local import LocalCrew
from precordial.study.on_slurm import Worker
from precordial.study.status import present_plan
from precordial.training.loop import train
from precordial.watcher import Watcher
from tiny_study import make_tiny_study

ENGINES = ("local", "ray", "slurm")
PATIENCE = 900.0  # seconds
pytestmark = [
    # Ray and submitit leave sockets and files to the system.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Notes(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: list[tuple[int, int]] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def trainings(self, done: int, total: int, at_work: str) -> None:
        self.counts.append((done, total))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray on this machine, of two cores, for all tests of it."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it so; else all that is beside the tests goes first
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine, with two workers on this machine."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    if request.param == "slurm":
        pytest.importorskip("submitit", reason="submitit is not installed")
        return Engine("slurm", workers=2, slurm={"cluster": "local"})
    return Engine(request.param, workers=2)


def sessions(study: Study) -> dict[str, list[list[int]]]:
    """Run → first and last epoch of each process that has worked on it."""
    found = {}
    for path in (study.folder / "runs").glob("*/provenance.json"):
        found[path.parent.name] = [session["epochs"] for session in json.loads(path.read_text())["sessions"]]
    return found


def check_all_done(study: Study, trainings: int) -> None:
    """Every training is finished, and nothing but what belongs to it is left."""
    rows = study_status(study)
    assert [row.state for row in rows] == ["done"] * trainings
    left = {path.name for path in (study.folder / "runs").glob("*/*")}
    assert left <= {
        *("best.json", "best.safetensors", "done.json", "metrics.jsonl"),
        *("predictions.csv", "provenance.json", "run.json"),
    }
    runs = dict.fromkeys(read_predictions(study.folder).run.tolist())
    assert list(runs) == [row.run.id for row in rows], "all predictions, in the order of the plan"


def wait_for(what: Callable[[], Any]) -> Any:
    """What comes, sooner or later."""
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)
    return found


def at_work(study: Study) -> tuple[str, int] | None:
    """A pre-training that has finished an epoch and is far from its end, and the process that is at it."""
    for path in (study.folder / "runs").glob("*/claim-*.json"):
        try:
            owner, epochs = json.loads(path.read_text()), (path.parent / "metrics.jsonl").read_text().count("\n")
        except (OSError, ValueError):
            continue
        if not owner["free"] and 2 <= epochs <= EPOCHS // 2:
            return path.parent.name, owner["pid"]
    return None


EPOCHS = 16


def test_a_killed_worker_s_training_goes_on_from_its_last_epoch_and_none_is_lost_or_done_twice(
    engine: Engine, tmp_path: Path
) -> None:
    study, notes = load_study(make_tiny_study(tmp_path, 10, EPOCHS)), Notes()
    with ThreadPoolExecutor(1) as pool:
        front = pool.submit(run_study, study, notes, engine)
        killed, pid = wait_for(lambda: at_work(study))
        os.kill(pid, signal.SIGKILL)
        outcome = front.result(timeout=PATIENCE)
    assert outcome.failures == ()
    check_all_done(study, 10)
    worked = sessions(study)
    first, second = worked.pop(killed)
    assert first[0] == 1
    # A kill may come when an epoch's state is saved and its provenance is not.
    assert second[0] - first[1] in (1, 2), "it went on where it was saved"
    assert second[0] >= 3
    assert second[1] == EPOCHS
    assert all(len(times) == 1 for times in worked.values()), "each of the others once"
    done = [line for line in notes.lines if line.startswith("training ")]
    assert [line.split(" done")[0] for line in done] == [f"training {k} of 10" for k in range(1, 11)]
    assert notes.counts[-1] == (10, 10)


@pytest.mark.slow
def test_of_300_trainings_none_is_lost_and_none_is_done_twice(engine: Engine, tmp_path: Path) -> None:
    study = load_study(make_tiny_study(tmp_path, 300))
    outcome = run_study(study, Notes(), engine)
    assert outcome.failures == ()
    check_all_done(study, 300)
    assert list(sessions(study).values()) == [[[1, 1]]] * 300


def started(*words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "precordial", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def test_two_at_once_share_the_trainings_and_give_the_same(tmp_path: Path) -> None:
    path = make_tiny_study(tmp_path, 10)
    both = [started("study", "run", path) for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    study = load_study(path)
    check_all_done(study, 10)
    assert list(sessions(study).values()) == [[[1, 1]]] * 10
    assert said[0][0] == said[1][0], "both print the whole study's tables"


def test_ctrl_c_ends_all_workers_and_the_next_call_goes_on(tmp_path: Path) -> None:
    path = make_tiny_study(tmp_path, 5, EPOCHS)
    study = load_study(path)
    front = started("study", "run", path, "--workers", "2")
    _, pid = wait_for(lambda: at_work(study))
    front.send_signal(signal.SIGINT)
    out, err = front.communicate(timeout=PATIENCE)
    assert front.returncode == 130, err
    assert err.splitlines()[-1].startswith("precordial: stopped; what was finished is kept")
    assert "Traceback" not in err
    assert out == ""
    assert not Path(f"/proc/{pid}").exists()
    states = {row.state for row in study_status(study)}
    assert "running" not in states, "claims are given back"
    assert "begun" in states
    assert run_study(study).failures == ()
    check_all_done(study, 5)


def failing(once: set[str], error: Exception) -> Callable[..., Predictions]:
    """`train`, which fails for the kinds of training named, each time until they are taken out of `once`."""

    def trained(run: Any, *given: Any, **options: Any) -> Predictions:
        if run.task in once:
            raise error
        return train(run, *given, **options)

    return trained


def test_what_fails_is_told_and_tried_again_while_the_others_go_on(tmp_path: Path) -> None:
    study, notes, once = load_study(make_tiny_study(tmp_path, 5)), Notes(), {"age"}
    with patch("precordial.training.loop.train", failing(once, RuntimeError("of patient 4711"))):
        outcome = run_study(study, notes)
        (failure,) = outcome.failures
        assert (failure.run.task, failure.waiting) == ("age", 1)
        assert failure.reason.startswith("RuntimeError in work.py, line ")
        states = {row.run.describe(): row for row in study_status(study)}
        assert sorted(row.state for row in states.values()) == ["done", "done", "done", "failed", "waiting"]
        failed = states[failure.run.describe()]
        assert failed.reason == failure.reason
        kept = [path.read_text() for path in study.folder.rglob("*.json")] + notes.lines
        assert not any("4711" in text for text in kept), "nothing of a patient"
        assert len({row.run for row in outcome.rows if row.kind != "baseline"}) == 3
        once.clear()
        assert run_study(study).failures == ()
    check_all_done(study, 5)
    assert list(sessions(study).values()) == [[[1, 1]]] * 5, "what was done is not done again"


def test_a_faulty_study_ends_with_a_list_and_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from precordial.cli import main

    path = make_tiny_study(tmp_path, 5)
    words = ["precordial", "study", "run", str(path), "--set", "grid.0.target_fractions=[0.01, 1]"]
    with patch.object(sys, "argv", words), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith("precordial: 3 of 8 trainings failed; mend what is said of each above")
    listed = [line for line in said.err.splitlines()[-4:-1] if line.startswith("failed: cnn-20k, ")]
    assert len(listed) == 3
    assert all(
        "target fraction 0.01, seed 0: the training set has 0 ECGs with a label; take" in line for line in listed
    )
    assert "Table III" in said.out, "the others are reported"


def test_a_training_that_kills_its_process_is_given_up(tmp_path: Path) -> None:
    """Of the owners of its claim three have died without a saved state."""
    study = load_study(make_tiny_study(tmp_path, 5))
    run_study(study.model_copy(update={"grid": (study.grid[0].model_copy(update={"pretraining": ("none",)}),)}))
    plan, _ = present_plan(study)
    folder = study.folder / "runs" / plan.runs[0].id
    folder.mkdir()
    owner = {"who": "w", "host": "h", "machine": "", "pid": 1, "born": "", "token": "t", "deaths": 2}
    from precordial.claims import _machine

    (folder / "claim-3.json").write_text(json.dumps(owner | {"machine": _machine()}))
    (failure,) = run_study(study).failures
    assert failure.run.id == plan.runs[0].id
    assert failure.reason.startswith("its process ended 3 times without a saved state; see that there is memory")


class Dying:
    """A crew whose workers die as soon as they are started."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.dead = 0

    def __enter__(self) -> Dying:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, count: int) -> None:
        self.dead += count

    def at_work(self) -> int:
        return 0

    def died(self) -> int:
        dead, self.dead = self.dead, 0
        return dead


def test_workers_that_all_die_at_once_end_the_study(tmp_path: Path) -> None:
    study = load_study(make_tiny_study(tmp_path, 5))
    plan, _ = present_plan(study)
    with (
        patch("precordial.study.local.LocalCrew", Dying),
        patch("precordial.study.engines.LOOK_EVERY", 0.01),
        pytest.raises(PrecordialError, match="the worker processes end unexpectedly"),
    ):
        lead(study, Board(study, plan), Engine(workers=2), Watcher(), Claims("test"))


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (Engine("ray", workers=2, gpus=64), "a worker is to have 64 of 'GPU', and the whole Ray cluster has"),
        (
            Engine(workers=2, gpus=1),
            "key '--gpus': this has no effect with the engine 'local'; leave it out; it goes with",
        ),
        (Engine("ray", slurm={"time": "9"}), "key '--slurm': this has no effect with the engine 'ray'"),
        (Engine("slurm", workers=2, slurm={"cluster": "moon"}), "submitit finds no cluster 'moon' here"),
        (Engine("slurm", workers=2, slurm={"cluster": "local", "time": "long"}), "is not a number of minutes"),
        (Engine("slurm", workers=2, gpus=0.5, slurm={"cluster": "local"}), "Slurm gives whole GPUs only"),
    ],
)
def test_what_an_engine_cannot_do_is_said(
    engine: Engine, message: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine.name == "ray":
        request.getfixturevalue("cluster")
    if engine.name == "slurm":
        pytest.importorskip("submitit", reason="submitit is not installed")
    with pytest.raises(PrecordialError, match=message):
        run_study(load_study(make_tiny_study(tmp_path, 5)), engine=engine)


def test_status_says_who_is_at_it_how_fast_and_for_how_long(tmp_path: Path) -> None:
    study = load_study(make_tiny_study(tmp_path, 5, EPOCHS))
    with patch("precordial.training.loop.train", failing({"age", "sex", "label"}, MemoryError())):
        run_study(study)
    rows = study_status(study)
    assert {row.reason for row in rows if row.state == "failed"} == {
        "there was not enough memory; take a smaller batch, fewer workers, or training.resident = false"
    }
    run = rows[0].run
    folder = study.folder / "runs" / run.id
    (folder / "failed.json").unlink()
    (folder / "metrics.jsonl").write_text(json.dumps({"epoch": 2, "ecgs_per_second": 10.0}) + "\n")
    assert study_status(study)[0].state == "begun"
    claim = Claims("worker 7").take(folder)
    assert claim is not None
    with claim:
        now = study_status(study)[0]
        assert (now.state, now.epochs, now.rate) == ("running", 2, 10.0)
        assert now.by.startswith("worker 7 on ")
        assert now.by.endswith(f", process {os.getpid()}")
        assert now.seconds == pytest.approx(((EPOCHS - 2) * (16 + 4) + 4) / 10)
        (path,) = folder.glob("claim-*.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "another"}))
        os.utime(path, (0, time.time() - 600))
        assert study_status(study)[0].by.endswith(", silent for 10 minutes")
        text = status_table(study_status(study)).text()
        assert f"{run.id}  pretrain  running  2/16    10     " in text
        assert " 28 s " in text


def test_workers_of_one_machine_share_out_its_gpus_and_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    begun: list[tuple[str, str | None, str]] = []

    class Process:
        """Stands for a process: what it is given, and what is in its environment."""

        exitcode = None

        def __init__(self, target: object, args: tuple[str, str, str | None]) -> None:
            self.args = args

        def start(self) -> None:
            begun.append((self.args[1], self.args[2], os.environ["OMP_NUM_THREADS"]))

        def terminate(self) -> None:
            pass

        kill = terminate

        def join(self, timeout: float | None = None) -> None:
            pass

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("precordial.study.local.get_context", lambda _: SimpleNamespace(Process=Process))
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    monkeypatch.delenv("OMP_NUM_THREADS")
    with LocalCrew("", Engine(workers=3), uses_gpu=True) as crew:
        crew.start(3)
        assert crew.at_work() == 3
    assert begun == [("worker 1", "0", "4"), ("worker 2", "1", "4"), ("worker 3", "0", "4")]
    begun.clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-abc")  # as a scheduler gives them
    with LocalCrew("", Engine(workers=2, cpus=1), uses_gpu=True) as crew:
        crew.start(2)
    assert begun == [("worker 1", "5", "1"), ("worker 2", "GPU-abc", "1")]
    begun.clear()
    with LocalCrew("", Engine(workers=2), uses_gpu=False) as crew:
        crew.start(1)
    assert begun == [("worker 1", None, "6")]


def test_a_job_whose_time_is_over_is_handed_in_again() -> None:
    submitit = pytest.importorskip("submitit", reason="submitit is not installed")
    again = Worker().checkpoint("settings", "Slurm job 3")
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert (again.function.__class__, again.args) == (Worker, ("settings", "Slurm job 3"))


def test_the_tables_and_the_report_are_made_again_without_torch(tmp_path: Path) -> None:
    path = make_tiny_study(tmp_path, 5)
    study = load_study(path)
    rows = run_study(study).rows
    names = ("results.parquet", "predictions.parquet", "results.csv")
    before = {name: (study.folder / name).read_bytes() for name in names}
    shutil.rmtree(study.folder / "results")
    for name in names:
        (study.folder / name).unlink()
    code = "import sys; from precordial.cli import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"
    for words in (("study", "results"), ("report",), ("report",), ("study", "status")):
        said = subprocess.run([sys.executable, "-c", code, *words, path], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        if words == ("study", "results"):
            assert said.stdout.startswith(f"{len(rows)} results of 5 trainings in {study.folder / 'results.parquet'}\n")
    assert {name: (study.folder / name).read_bytes() for name in names} == before
    assert (study.folder / "report" / "report.html").exists()
