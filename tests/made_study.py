"""Studies whose trainings are made up: folders as `run_study` leaves them, with scores drawn in place of trainings."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.archive.layout import Manifest
from precordial.archive.taken import take
from precordial.archive.writer import ArchiveWriter
from precordial.cohort import Cohort
from precordial.cohort.flow import Flow, FlowStep
from precordial.ecg import EIGHT, Ecg
from precordial.evaluation import Predictions, Row
from precordial.report.html import write_html
from precordial.study import Study, make_plan, write_tables
from precordial.training import TrainingRun

PAPER_STUDY = Path(__file__).parents[1] / "studies" / "paper.toml"
FLOW = Flow(
    (
        FlowStep("archive", "files", "ECG files", ecgs=310),
        FlowStep("archive", "usable", "usable", ecgs=300, patients=300, why="unusable", excluded_ecgs=10),
        FlowStep("target", "ecgs", "usable ECGs", ecgs=300, patients=300),
        FlowStep("target", "train", "training", ecgs=140, patients=140, part=True, reasons={"with the outcome": 47}),
        FlowStep("source", "ecgs", "usable ECGs", ecgs=100, patients=100),
    )
)
STUDY = {
    "name": "cost < $5 & $6",
    "grid": [{"models": ["cnn-20k", "rn-900k"], "pretraining": ["none", "age-sex"]}],
    "evaluation": {"replicates": 20},
    "training": {
        "models": {
            "cnn-20k": {
                "source": [{"epochs": 2, "peak": 1e-3}],
                "scratch": [{"epochs": 2, "peak": 1e-3}],
                "target": [{"epochs": 2, "peak": 1e-3, "trains": "head"}, {"epochs": 3, "peak": 1e-5}],
            }
        }
    },
}
SESSION = {
    "code": {"precordial": "0.1.0", "commit": "0" * 40, "changed": False},
    "libraries": {"python": "3.12.3", "torch": "2.13.0", "numpy": "2.4.0"},
    "machine": {"system": "Linux x86_64", "processor": "a processor", "threads": 2},
    "wall_seconds": 90.0,
}


@dataclass(frozen=True)
class Made:
    study: Study
    cohort: Cohort
    rows: list[Row]

    def write(self, folder: Path, **changes: object) -> str:
        rows = changes.pop("rows", self.rows)
        return write_html(folder, self.study, self.cohort, rows, **changes).read_text()  # type: ignore[arg-type]


def make_archive(folder: Path, n: int) -> None:
    draw = np.random.default_rng(5)
    with ArchiveWriter(folder, Manifest(rate=100, samples=1000)) as writer:
        for k in range(n):
            signal = np.outer(draw.uniform(0.2, 1.5, 8), np.sin(np.arange(1000) / draw.uniform(5, 20)))
            ecg = Ecg(signal.astype(np.float32), rate=100, leads=EIGHT, patient_id=f"PATIENT-{k:04}", source="test")
            writer.add(k, [take(ecg, ecg_id=k, source=f"{k}")])


def make_cohort(target: int = 200, source: int = 100, outcomes: Sequence[str] = ("AMI",)) -> Cohort:
    """Every third target ECG has the main outcome, and the older have it more surely; others are rarer."""
    n = target + source
    draw = np.random.default_rng(1)
    is_target = np.arange(n) < target
    names = {7: "validation", 8: "random_test", 9: "temporal_test"}
    split = [names.get(k % 10, "train") if k < target else ("validation" if k % 5 == 0 else "train") for k in range(n)]
    label = np.where(is_target, np.arange(n) % 3 == 0, np.nan).astype(float)
    places = [("target" if k < target else "source", part) for k, part in enumerate(split)]
    return Cohort(
        ecg_id=np.array([f"{k:016x}" for k in range(n)]),
        patient_id=np.array([f"PATIENT-{k:04}" for k in range(n)]),
        visit_id=np.array([f"VISIT-{k:04}" if k < target else "" for k in range(n)]),
        prediction_time=np.datetime64("2017-03-01T08:15:00") + np.arange(n) * np.timedelta64(3, "h"),
        role=np.where(is_target, "target", "source"),
        split=np.array(split),
        order=np.array([sum((r, s) == (role, part) for r, s in places[:k]) for k, (role, part) in enumerate(places)]),
        age=draw.uniform(15, 99, n) + 10 * np.nan_to_num(label),
        sex=draw.integers(0, 2, n).astype(float),
        labels={
            name: label if k == 0 else np.where(np.arange(n) % (3 + k), 0.0, label) for k, name in enumerate(outcomes)
        },
        age_source=np.full(n, "test"),
        sex_source=np.full(n, "test"),
        flow=FLOW,
        settings={"kind": "labels"},
    )


def make_study(folder: Path, outcomes: Sequence[str] = ("AMI",), **changes: object) -> Made:
    """A study's folder as `run_study` leaves it, with drawn predictions and metrics in place of trainings."""
    cohort = make_cohort(outcomes=outcomes)
    study = Study.model_validate(STUDY | {"out": folder} | changes)
    return finish(study, cohort)


def paper_study(folder: Path, target: int = 900, source: int = 300, replicates: int = 50, **changes: object) -> Made:
    """The paper's grid, with scores that are the better the more a training has seen."""
    cohort = make_cohort(target, source)
    draw = np.random.default_rng(2)
    arrival = np.where(cohort.role == "target", cohort.prediction_time, np.datetime64("NaT", "s"))
    sites = np.where(
        cohort.role == "target", np.array(["Lund", "Ystad", "Malmö"])[draw.integers(0, 3, len(cohort))], ""
    )
    given = tomllib.loads(PAPER_STUDY.read_text(encoding="utf-8"))
    study = Study.model_validate(given | {"out": folder, "evaluation": {"replicates": replicates}} | changes)
    assert study.cohort is not None
    settings = study.cohort.model_dump(mode="json")
    recorded = cohort.prediction_time - np.timedelta64(10, "m")
    cohort = replace(cohort, arrival=arrival, recorded_at=recorded, site=sites, settings=settings)
    return finish(study, cohort, planted)


Scores = Callable[[TrainingRun, str, NDArray[np.float64], np.random.Generator], NDArray[np.float64]]


def finish(study: Study, cohort: Cohort, scores: Scores | None = None) -> Made:
    """Write archive, cohort and runs into the study's folder, and measure."""
    folder = study.folder
    make_archive(study.archive_path, len(cohort))
    cohort.save(folder / "cohort", archive={"digest": "0123456789abcdef", "ecgs": len(cohort), "rate": 100})
    plan = make_plan(study, cohort.digest, cohort.outcomes)
    for number, run in enumerate(plan.runs):
        place, draw = folder / "runs" / run.id, np.random.default_rng(number)
        place.mkdir(parents=True)
        (place / "run.json").write_text(run.model_dump_json())
        done = {"best_epoch": 2, "best": 0.7, "version": "0.1.0", "device": "cpu"}
        (place / "done.json").write_text(json.dumps(done))
        (place / "provenance.json").write_text(json.dumps({"sessions": [SESSION]}))
        (place / "metrics.jsonl").write_text("".join(epochs(run, flat=scores is None)))
        part = cohort.select(role=run.role)
        part = part._rows(part.split != "train")
        tables = []
        for name in run.targets:
            truth = part.labels[name] if run.role == "target" else getattr(part, name)
            score = (scores or drawn)(run, name, truth, draw)
            tables.append(Predictions(run.id, part.ecg_id, part.patient_id, part.split, name, truth, score))
        Predictions.concatenate(tables).save(place / "predictions.csv")
    return Made(study, cohort, write_tables(study, cohort, plan))


def epochs(run: TrainingRun, *, flat: bool) -> list[str]:
    """The lines of metrics.jsonl."""
    lines = []
    for epoch in range(1, run.epochs + 1):
        left = 1.0 if flat else float(np.exp(-4 * epoch / run.epochs))
        metrics = {
            f"validation_{name}_{'mae' if name == 'age' else 'auc'}": 7 + 8 * left
            if name == "age"
            else 0.8 - 0.1 * left
            for name in run.targets
        }
        row = {"stage": 1, "rate": 1e-3, "train_loss": 0.4 + 0.1 * left, "validation_loss": 0.5 + 0.1 * left}
        lines.append(json.dumps({"epoch": epoch, **row, **metrics}) + "\n")
    return lines


def drawn(run: TrainingRun, name: str, truth: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.float64]:
    """Scores that know a little of the truth, and ages that know nothing."""
    return draw.uniform(20, 90, len(truth)) if name == "age" else draw.beta(1 + np.nan_to_num(truth), 2)


def planted(run: TrainingRun, name: str, truth: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.float64]:
    """Scores that know more of the truth the more a training has seen; ECGs that are hard for one are so for all."""
    model = {"cnn-20k": 0.9, "rn-900k": 1.1, "rn-7m": 1.0, "rn-33m": 0.7}[run.model]
    share, source = float(run.fraction), float(run.source_fraction)
    hard = np.random.default_rng(77).normal(size=len(truth))
    noise = 0.95 * hard + 0.3 * draw.normal(size=len(truth))
    if name == "age":
        return truth + (13 - 4 * model - 3 * np.log10(share)) * noise
    skill = 2.2 if name == "sex" else model + 0.4 * np.log10(share)
    if run.parent:
        skill += 0.5 + 0.15 * np.log10(source) - 0.2 * np.log10(share)
    return 1 / (1 + np.exp(-(skill * np.nan_to_num(truth) + noise - 1.5)))
