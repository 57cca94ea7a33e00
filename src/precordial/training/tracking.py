"""Metrics for programs that draw them: TensorBoard and MLflow, where they are installed and asked for.

`metrics.jsonl` is written in any case, and nothing here has part in a result.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from precordial.errors import PrecordialError
from precordial.training.options import TrackerName
from precordial.training.run import TrainingRun

EXPERIMENT = "precordial"
_RUN_TAG = "precordial.run"
_LONGEST = 500  # characters of a value that every MLflow server takes


class Tracker(Protocol):
    """Where the metrics of a run go."""

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take the numbers of a finished epoch, counted from 1."""

    def close(self, *, finished: bool) -> None:
        """Nothing more comes now: the run is finished, or it was stopped."""


@contextmanager
def open_trackers(
    names: Sequence[TrackerName], folder: Path, run: TrainingRun, begun: int
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A function that gives an epoch's row of metrics to the trackers of these names.

    Args:
        names: which ones, each once.
        folder: of the run. TensorBoard's files go into its ``tensorboard``; MLflow's into ``mlflow`` beside it, one
            store for all runs, unless MLFLOW_TRACKING_URI names another place.
        run: what is trained.
        begun: epochs that are finished already; what TensorBoard has of later ones is taken back.

    Raises:
        PrecordialError: one of them is not installed, or cannot be reached. What is trained stays.
    """
    makers: dict[TrackerName, Callable[[Path, TrainingRun, int], Tracker]] = {
        "tensorboard": TensorBoardTracker,
        "mlflow": MlflowTracker,
    }
    trackers: dict[str, Tracker] = {}

    def log(row: Mapping[str, Any]) -> None:
        for name, tracker in trackers.items():
            with _one_line(name):
                tracker.log(row["epoch"], numbers_of(row))

    finished = False
    try:
        for name in dict.fromkeys(names):
            with _one_line(name):
                trackers[name] = makers[name](folder, run, begun)
        yield log
        finished = True
    finally:
        for told, tracker in trackers.items():
            # An error that is on its way already says more than that its end could not be noted.
            with _one_line(told) if finished else suppress(Exception):
                tracker.close(finished=finished)


def numbers_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among an epoch's metrics, its own number left out."""
    return {
        key: float(value)
        for key, value in row.items()
        if key != "epoch" and isinstance(value, int | float) and not isinstance(value, bool)
    }


class TensorBoardTracker:
    """Event files: ``tensorboard --logdir STUDY-work/runs``."""

    def __init__(self, folder: Path, run: TrainingRun, begun: int) -> None:
        _needed("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        purge = begun + 1 if begun else None
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=purge)
        if not begun:
            self._writer.add_text("run", run.describe(), 0)

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write and flush."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self, *, finished: bool) -> None:
        """Close the file."""
        self._writer.close()


class MlflowTracker:
    """A run of MLflow, found again by its tag when a training goes on. The client sends neither user nor host."""

    def __init__(self, folder: Path, run: TrainingRun, begun: int) -> None:
        # MLflow reports its use to its makers unless it is told not to before it is loaded.
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        # A store of files is what mlflow-skinny can write without a server; newer versions want to be asked for it.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow = _needed("mlflow", "mlflow-skinny")
        where = os.environ.get("MLFLOW_TRACKING_URI") or (folder.parent / "mlflow").resolve().as_uri()
        self._client = mlflow.MlflowClient(tracking_uri=where)
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT)
        known = self._client.search_runs([experiment_id], f"tags.`{_RUN_TAG}` = '{run.id}'")
        if known and begun:
            self._id = known[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        made = self._client.create_run(experiment_id, run_name=run.describe(), tags={_RUN_TAG: run.id})
        self._id = made.info.run_id
        for key, value in run.model_dump(mode="json", exclude={"parent"}).items():
            self._client.log_param(self._id, key, str(value)[:_LONGEST])
        if run.parent:
            self._client.log_param(self._id, "parent", run.parent.id)

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Send them."""
        for name, value in metrics.items():
            self._client.log_metric(self._id, name, value, step=epoch)

    def close(self, *, finished: bool) -> None:
        """Say how it ended."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    try:
        yield
    except PrecordialError:
        raise
    except Exception as error:  # of somebody else's program, which may raise anything
        raise PrecordialError(
            f"{name} failed: {str(error).partition(chr(10))[0]}",
            key="training.track",
            remedy="mend that, or take it out of the list; the training goes on where it was",
        ) from error


def _needed(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise PrecordialError(
            f"{module} is not installed",
            key="training.track",
            remedy=f"pip install {package}, or take it out of the list",
        ) from None
