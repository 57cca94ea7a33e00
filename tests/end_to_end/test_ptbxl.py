"""From the real recordings of PTB-XL to the table, through the study that is shipped."""

from __future__ import annotations

import ast
import csv
import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from precordial.report import results_tables
from precordial.study import Study, StudyOutcome, load_study, run_study
from precordial.watcher import Watcher

STUDY = Path(__file__).parents[2] / "studies" / "ptbxl-mi.toml"
CELL = r"−?\d\.\d{3} \(−?\d\.\d{3}(?: to |–)−?\d\.\d{3}\)"


class Notes(Watcher):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def the_study(out: Path, *changes: str) -> Study:
    """The shipped study with other epochs and folders."""
    return load_study(STUDY, [f'out="{out}"', *changes])


def infarctions(data: Path, only: set[str] | None = None) -> dict[str, bool]:
    """patient → whether one of the recordings (or of `only` these) has a statement of class MI; by plain loops."""
    with (data / "scp_statements.csv").open(encoding="utf-8", newline="") as file:
        of_class = {row[""] for row in csv.DictReader(file) if row["diagnostic_class"] == "MI"}
    found: dict[str, bool] = defaultdict(bool)
    with (data / "ptbxl_database.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if only is None or Path(row["filename_hr"]).name in only:
                found[row["patient_id"].removesuffix(".0")] |= bool(
                    of_class & ast.literal_eval(row["scp_codes"]).keys()
                )
    return found


def check_cohort(outcome: StudyOutcome, patients: dict[str, bool]) -> None:
    """Cases and twice as many others are target, everyone else is source; the newest ECGs are the temporal test."""
    cohort = outcome.cohort
    of_target = cohort.select(role="target")
    target = set(of_target.patient_id.tolist())
    source = set(cohort.select(role="source").patient_id.tolist())
    cases = {patient for patient, ill in patients.items() if ill}
    assert cases <= target
    assert len(target) == 3 * len(cases)
    assert source == patients.keys() - target
    newest = cohort.select(role="target", split="temporal_test")
    older = of_target.prediction_time[of_target.split != "temporal_test"]
    assert newest.prediction_time.min() > older.max()
    assert set(of_target.patient_id[of_target.label == 1].tolist()) <= cases


def check_results(outcome: StudyOutcome, models: Sequence[str], pretraining: Sequence[str]) -> None:
    """Each cell of Tables III and IV is there, and each run has its rows."""
    tables = results_tables(outcome.rows, outcome.cohort.outcomes)
    third = tables["table-3"].text()
    names = {"cnn-20k": "CNN-20k", "rn-900k": "RN-900k", "rn-7m": "RN-7M", "rn-33m": "RN-33M"}
    for model in models:
        cells = f" +{CELL}" * len(pretraining)
        lines = rf"^{names[model]} +Random{cells}\n +Temporal{cells}\n +Combined{cells}$"
        assert re.search(lines, third, re.MULTILINE), f"{model} is not in\n{third}"
    assert "Logistic regression on age and sex" in third
    if "age-sex" in pretraining:
        fourth = tables["table-4"].text()
        for model in models:
            assert re.search(rf"^{names[model]} +Age & Sex +\d+\.\d\d \(.+\) +{CELL} +{CELL}$", fourth, re.MULTILINE)
    by_run: dict[str, int] = defaultdict(int)
    for row in outcome.rows:
        if row.kind != "difference":
            by_run[row.run] += 1
    assert by_run.keys() == {run.id for run in outcome.plan.runs} | {"baseline"}
    kinds = {run.id: run.kind for run in outcome.plan.runs}
    for name, count in by_run.items():  # four splits of two metrics, or one split of as many as age and sex have
        assert count == 8 or kinds.get(name) == "pretrain", name


def test_1987_recordings_from_files_to_the_table(shared_data: Path, tmp_path: Path) -> None:
    notes = Notes()
    study = the_study(
        tmp_path / "work",
        'grid.0.models=["rn-900k"]',
        'grid.0.pretraining=["none"]',
        "training.models.rn-900k.scratch=[{epochs = 1, peak = 1e-3}]",
    )
    outcome = run_study(study, notes)
    patients = infarctions(shared_data / "ptbxl")
    assert len(patients) == 1850
    flow = outcome.cohort.flow
    for step in ("files", "usable", "in-table", "identified"):
        assert flow[f"archive/{step}"].ecgs == 1987
    assert flow["archive/in-table"].patients == 1850
    assert flow["target/patients"].patients == 3 * sum(patients.values())
    assert flow["source/others"].patients == 1850 - 3 * sum(patients.values())
    check_cohort(outcome, patients)
    assert f"leakage guard: no leak in {len(outcome.cohort):,} rows" in notes.lines
    check_results(outcome, ["rn-900k"], ["none"])
    # The second call finds everything done.
    notes.lines.clear()
    again = run_study(study, notes)
    assert again.rows == outcome.rows
    assert any("0 of them new, 1987 files known from before" in line for line in notes.lines)
    assert not any(line.startswith("cohort: building") for line in notes.lines)


@pytest.mark.slow
def test_509_recordings_through_all_four_models(shared_data: Path, tmp_path: Path) -> None:
    """Two epochs of each stage, one for rn-33m: it trains 3 ECGs a second on two cores."""
    models = ["cnn-20k", "rn-900k", "rn-7m", "rn-33m"]
    changes = []
    for model in models:
        n = 1 if model == "rn-33m" else 2
        stage = f"epochs = {n}, peak = 5e-4"
        changes += [
            f"training.models.{model}.source=[{{{stage}}}]",
            f"training.models.{model}.scratch=[{{{stage}}}]",
            f"training.models.{model}.target=[{{{stage}, trains = 'head'}}, {{{stage}}}]",
        ]
    records = shared_data / "ptbxl" / "records500"
    study = the_study(
        tmp_path / "work",
        f'archive.sources=["{records}"]',
        "archive.rate=500",
        f"grid.0.models={models}",
        *changes,
    )
    outcome = run_study(study, Notes())
    assert outcome.cohort.flow["archive/usable"].ecgs == 509
    at_hand = {path.stem for path in records.rglob("*.hea")}
    check_cohort(outcome, infarctions(shared_data / "ptbxl", at_hand))
    assert [run.kind for run in outcome.plan.runs].count("finetune") == 4
    check_results(outcome, models, ["none", "age-sex"])
    shutil.rmtree(study.folder)  # 2 GB, most of it rn-33m with its optimiser
