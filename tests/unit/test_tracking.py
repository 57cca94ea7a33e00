"""TensorBoard and MLflow: asked for, they get every epoch's numbers once; absent, that is said in one line.

Neither is a dependency. Where one is not installed, what stands in its place here has the calls of its interface.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.errors import PrecordialError
from precordial.training import Stage, Step, TrainingRun, train
from precordial.training.tracking import open_trackers

RUN = TrainingRun(
    model="cnn-20k", rate=100, role="target", task="label", stages=(Stage(epochs=3, peak=1e-3),), batch=16
)
Made = tuple[Cohort, Archive]


class Stop(Exception):
    pass


def stop_in_epoch_3(step: Step) -> None:
    if step.epoch == 3:
        raise Stop


class Server:
    """What an MLflow server remembers, by the calls of `MlflowClient`."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.down = False

    def client(self, tracking_uri: str) -> Server:
        self.uris.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = "1"
        return "1"

    def search_runs(self, experiment_ids: list[str], filter_string: str) -> list[SimpleNamespace]:
        found = [key for key, one in self.runs.items() if filter_string == f"tags.`precordial.run` = '{one['tag']}'"]
        return [SimpleNamespace(info=SimpleNamespace(run_id=key)) for key in found]

    def create_run(self, experiment_id: str, run_name: str, tags: dict[str, str]) -> SimpleNamespace:
        key = f"r{len(self.runs)}"
        self.runs[key] = {"tag": tags["precordial.run"], "params": {}, "metrics": [], "status": "RUNNING"}
        return SimpleNamespace(info=SimpleNamespace(run_id=key))

    def update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id]["status"] = status

    def log_param(self, run_id: str, key: str, value: str) -> None:
        assert key not in self.runs[run_id]["params"]
        self.runs[run_id]["params"][key] = value

    def log_metric(self, run_id: str, key: str, value: float, step: int) -> None:
        if self.down:
            raise ConnectionError("no answer\nfor a long time")
        self.runs[run_id]["metrics"].append((step, key, value))

    def set_terminated(self, run_id: str, status: str) -> None:
        self.runs[run_id]["status"] = status


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Server:
    server, module = Server(), ModuleType("mlflow")
    module.MlflowClient = server.client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.setenv(name, "false")  # so that what is set there goes again
    return server


class Writer:
    """The calls of TensorBoard's `SummaryWriter`."""

    made: list[Writer] = []  # noqa: RUF012

    def __init__(self, folder: str, purge_step: int | None) -> None:
        self.folder, self.purge_step, self.closed = folder, purge_step, False
        self.scalars: list[tuple[int, str, float]] = []
        self.made.append(self)

    def add_text(self, name: str, text: str, step: int) -> None:
        assert (name, text, step) == ("run", RUN.describe(), 0)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((step, name, value))

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    monkeypatch.setattr(Writer, "made", [])
    return Writer.made


def expected(folder: Path) -> list[tuple[int, str, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["epoch"], key, float(value)) for row in rows for key, value in row.items() if key != "epoch"]


def test_both_get_what_is_in_metrics_jsonl_also_when_a_run_goes_on(
    small_cohort: Callable[..., Made], tmp_path: Path, mlflow: Server, writers: list[Writer]
) -> None:
    made, folder = small_cohort(target=60), tmp_path / "runs" / RUN.id
    with pytest.raises(Stop):
        train(RUN, *made, folder, track=("tensorboard", "mlflow"), progress=stop_in_epoch_3)
    assert mlflow.runs["r0"]["status"] == "KILLED"
    train(RUN, *made, folder, track=("tensorboard", "mlflow"))
    rows = expected(folder)
    assert {epoch for epoch, _, _ in rows} == {1, 2, 3}
    assert {"train_loss", "validation_loss", "validation_label_auc", "rate"} <= {name for _, name, _ in rows}
    assert list(mlflow.runs) == ["r0"]
    told = mlflow.runs["r0"]
    assert (told["metrics"], told["status"], told["tag"]) == (rows, "FINISHED", RUN.id)
    assert told["params"]["model"] == "cnn-20k"
    assert mlflow.uris == [(tmp_path / "runs" / "mlflow").as_uri()] * 2
    assert [(writer.purge_step, writer.closed) for writer in writers] == [(None, True), (3, True)]
    assert writers[0].scalars + writers[1].scalars == rows
    assert {writer.folder for writer in writers} == {str(folder / "tensorboard")}


def test_metrics_jsonl_is_there_without_either(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    train(RUN, *small_cohort(target=60), tmp_path / "run")
    assert len({epoch for epoch, _, _ in expected(tmp_path / "run")}) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "run"}


def test_mlflow_goes_where_the_environment_says_and_does_not_report_home(
    tmp_path: Path, mlflow: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    with open_trackers(("mlflow",), tmp_path / "run", RUN, 0) as report:
        report({"epoch": 1, "train_loss": 0.5, "stage": 1, "note": "x", "fine": True})
    assert mlflow.uris == ["https://mlflow.example"]
    assert mlflow.runs["r0"]["metrics"] == [(1, "train_loss", 0.5), (1, "stage", 1.0)]
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_training_begun_anew_is_a_run_of_its_own(tmp_path: Path, mlflow: Server) -> None:
    for begun in (0, 0, 2):
        with open_trackers(("mlflow",), tmp_path / "run", RUN, begun):
            pass
    assert list(mlflow.runs) == ["r0", "r1"]


@pytest.mark.parametrize(("name", "package"), [("tensorboard", "tensorboard"), ("mlflow", "mlflow-skinny")])
def test_what_is_not_installed_is_said_before_anything_is_trained(
    small_cohort: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any, package: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    steps: list[Step] = []
    with pytest.raises(PrecordialError) as error:
        train(RUN, *small_cohort(target=60), tmp_path / "run", track=(name,), progress=steps.append)
    assert str(error.value) == (
        f"key 'training.track': {name} is not installed; pip install {package}, or take it out of the list"
    )
    assert steps == []


def test_a_server_that_fails_is_said_in_one_line_and_costs_no_epoch(
    small_cohort: Callable[..., Made], tmp_path: Path, mlflow: Server
) -> None:
    made = small_cohort(target=60)
    mlflow.down = True
    with pytest.raises(PrecordialError) as error:
        train(RUN, *made, tmp_path / "run", track=("mlflow",))
    assert "mlflow failed: no answer; mend that" in str(error.value)
    assert "\n" not in str(error.value)
    mlflow.down, steps = False, []
    train(RUN, *made, tmp_path / "run", track=("mlflow",), progress=lambda step: steps.append(step.epoch))
    assert set(steps) == {2, 3}


@pytest.mark.filterwarnings("default")  # theirs, not ours
def test_the_real_tensorboard_writes_what_the_real_one_reads(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with open_trackers(("tensorboard",), tmp_path / "run", RUN, 0) as report:
        report({"epoch": 1, "train_loss": 0.5})
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train_loss")] == [(1, 0.5)]


@pytest.mark.filterwarnings("default")
def test_the_real_mlflow_finds_its_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for begun in (0, 1):
        with open_trackers(("mlflow",), tmp_path / "run", RUN, begun) as report:
            report({"epoch": begun + 1, "train_loss": 0.5})
    values = [path.read_text().split()[1:] for path in (tmp_path / "mlflow").rglob("metrics/train_loss")]
    assert len(values) == 1
    told = "".join(path.read_text() for path in (tmp_path / "mlflow").rglob("*") if path.is_file())
    assert "mlflow.user" not in told
