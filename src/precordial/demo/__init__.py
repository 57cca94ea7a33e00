"""The demo: the paper's study, small, on a hospital that precordial makes itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.archive import Archive
from precordial.cohort import Cohort, score_target
from precordial.errors import PrecordialError
from precordial.evaluation import Row, evaluate, result_rows
from precordial.files import write_atomic
from precordial.study import Study, bootstrap_options, make_plan
from precordial.training import TrainingRun
from precordial.twin import make_hospital
from precordial.twin.limit import best_scores

STUDY_FILE, HOSPITAL = "study.toml", "hospital"
MODES = {"pretrain": "pre-training", "scratch": "from scratch", "finetune": "fine-tuning"}


@dataclass(frozen=True)
class DemoHospital:
    """The hospital of the demo; see `precordial.twin.make_hospital`."""

    patients: int = 10_000
    seed: int = 1
    chest_pain: float = 0.115
    prevalence: float = 0.22
    clinic_ecgs: float = 0.2


def write_study(out: str | Path) -> Path:
    """Write the demo's study file into a folder, unless there is one; return its path."""
    study = Path(out) / STUDY_FILE
    if not study.exists():
        write_atomic(study, files(__package__).joinpath(STUDY_FILE).read_text(encoding="utf-8"))
    return study


def make_demo_hospital(
    out: str | Path, hospital: DemoHospital, *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Make the hospital in a folder, unless it is there; return the folder of its truth.

    Args:
        out: folder of everything that the demo makes.
        hospital: what to make.
        progress: called with (ECGs done, ECGs in all).

    Raises:
        PrecordialError: another hospital lies in the folder.
    """
    made, wanted = Path(out) / HOSPITAL, asdict(hospital)
    if not made.exists():
        make_hospital(out=made, progress=progress, **wanted)
    settings = made / "truth" / "settings.json"
    given = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    if {name: given.get(name) for name in wanted} != wanted:
        raise PrecordialError("another hospital is here", file=made, remedy="remove it, or name another --out")
    return made / "truth"


def introduction(study: Study, hospital: DemoHospital) -> str:
    """What the demo is about to do, with sizes, prevalence and epochs."""
    runs = make_plan(study).runs
    models = list(dict.fromkeys(run.model for run in runs))
    batches = sorted({stage.batch or run.batch for run in runs for stage in run.stages})
    lines = [f"    {model:9} {_epochs([run for run in runs if run.model == model])}" for model in models]
    return "\n".join(
        [
            "precordial demo: if few ECGs have a label, does pre-training on age and sex help to find infarctions?",
            "",
            f"It makes a hospital of {hospital.patients:,} synthetic patients (GE MUSE XML files, visits, diagnoses), "
            "reads it",
            f"as it would read yours, and trains {' and '.join(models)} from scratch and after pre-training.",
            "The ECGs come from a program: the numbers show the method at work, and nothing about real patients.",
            "",
            f"  target      {hospital.chest_pain:.1%} of the patients come with chest pain; after "
            f"{hospital.prevalence:.0%} of the visits an infarction within 30 days (paper: 5.8 %)",
            "  source      all the others; their ECGs have no label but age and sex",
            f"  trainings   {len(runs)}, in batches of {' or '.join(map(str, batches))}, {runs[0].precision}; "
            "epochs (paper: hundreds):",
            *lines,
            "",
        ]
    )


def _epochs(runs: Sequence[TrainingRun]) -> str:
    return ", ".join(f"{MODES[run.kind]} {'+'.join(str(stage.epochs) for stage in run.stages)}" for run in runs)


def limit_rows(study: Study, cohort: Cohort, truth: str | Path) -> list[Row]:
    """AUC on the test sets of the best possible reader, from the known truth; see `precordial.twin.limit`."""
    archive = Archive(study.archive_path)

    def best(part: Cohort) -> NDArray[np.float64]:
        recorded = archive.index["recorded_at"][archive.rows(part.ecg_id)]
        return best_scores(truth, part.visit_id, part.patient_id, recorded)

    scores = score_target(cohort, "limit", best, ("random_test", "temporal_test"))
    results = evaluate(scores, **bootstrap_options(study))
    rows = result_rows(results, run="limit", kind="limit", target_fraction=1.0)
    return [row for row in rows if row.metric == "auc"]


def next_steps(study: Path, command: str) -> str:
    """What to do with one's own data, for the end of the demo.

    Args:
        study: the study file.
        command: that runs the demo again.
    """
    return f"""\
Next
  change something        edit {study}, then again: {command}
  your own hospital       write a study file like it: [archive] sources = your folders of ECGs,
                          [cohort] = your tables and the names of their columns
    precordial cohort build STUDY.toml    who is in it, who is not, and why
    precordial study run STUDY.toml       the rest; called again, it goes on where it was stopped
  step by step            docs/tutorials/own-hospital.md; with PTB-XL: docs/tutorials/ptb-xl.md"""
