"""What a study's folder tells about its trainings, read without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from precordial.errors import PrecordialError
from precordial.evaluation import Predictions, Row
from precordial.report.tables import MODELS, PRETRAINING, place
from precordial.study.tables import PREDICTIONS, read_predictions
from precordial.training.layout import DONE, METRICS, RUN

PROVENANCE = "provenance.json"
KINDS = ("pretrain", "scratch", "finetune")


@dataclass(frozen=True)
class RunRecord:
    """One finished training.

    Attributes:
        row: a row of the results table: says which training this is.
        folder: where it lives.
        settings: its whole description, `precordial.training.TrainingRun` as plain values.
        epochs: one entry of metrics per epoch.
        done: best epoch, version, device.
    """

    row: Row
    folder: Path
    settings: Mapping[str, Any]
    epochs: list[dict[str, Any]]
    done: Mapping[str, Any]

    @cached_property
    def sessions(self) -> list[dict[str, Any]]:
        """What each process that worked on it says of code, machine, time and energy; empty where nothing is known."""
        try:
            found: list[dict[str, Any]] = json.loads((self.folder / PROVENANCE).read_bytes())["sessions"]
        except (OSError, ValueError, KeyError):  # older trainings have none
            return []
        return found

    @property
    def model(self) -> str:
        """The paper's name of the model."""
        return MODELS.get(self.row.model, self.row.model)

    @property
    def what(self) -> str:
        """The training in words."""
        learned = PRETRAINING.get(self.row.pretraining, self.row.pretraining).lower()
        fold = self.settings.get("fold")
        words = {
            "pretrain": f"pre-training on {learned}",
            "scratch": "from scratch",
            "finetune": f"fine-tuned after pre-training on {learned}",
        }[self.row.kind]
        return words if fold is None else f"{words} (fold {fold})"

    def predictions(self) -> Predictions:
        """What it said about each ECG; of a cross-validation, what all its folds said.

        Raises:
            PrecordialError: the study's table of predictions is missing or damaged, or has nothing of this run.
        """
        found = read_predictions(self.folder.parents[1], run=self.row.run)
        if not len(found):
            raise PrecordialError(
                "the study's predictions do not have a training that its results name",
                file=self.folder.parents[1] / PREDICTIONS,
                remedy="make both again: precordial study results STUDY.toml",
            )
        return found


def read_runs(study_folder: Path, rows: Iterable[Row]) -> list[RunRecord]:
    """The trainings behind a results table: by model, pre-trainings first, then by seed.

    Raises:
        PrecordialError: a file of a training is missing or damaged.
    """
    first: dict[str, Row] = {}
    for row in rows:
        if row.kind in KINDS:
            first.setdefault(row.run, row)
    return sorted((_read(study_folder / "runs" / run, row) for run, row in first.items()), key=_place)


def rate_text(rate: float) -> str:
    """A learning rate, such as 0.001 or 1e-5."""
    return f"{rate:g}".replace("e-0", "e-")


def _read(folder: Path, row: Row) -> RunRecord:
    try:
        settings = json.loads(_there(folder / RUN).read_text(encoding="utf-8"))
        done = json.loads(_there(folder / DONE).read_text(encoding="utf-8"))
        epochs = [json.loads(line) for line in _there(folder / METRICS).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        raise PrecordialError(
            "a file of this training cannot be read", file=folder, remedy="delete the folder and run the study again"
        ) from None
    return RunRecord(row, folder, settings, epochs, done)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise PrecordialError(
            "the results name a training whose file is missing", file=path, remedy="run the study again"
        )
    return path


def _place(run: RunRecord) -> tuple[object, ...]:
    row = run.row
    return (
        place(row.model, MODELS),
        row.model,
        place(row.kind, KINDS),
        place(row.pretraining, PRETRAINING),
        row.source_fraction or 0.0,
        row.target_fraction or 0.0,
        row.seed,
    )
