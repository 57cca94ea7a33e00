"""The whole chain through the command line on a synthetic hospital, held against what is known to be true there."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from command_line import CommandLine
from precordial.archive import Archive
from precordial.twin import Hospital, make_hospital

PATIENTS, SEED = 220, 2
RUNS = 3  # a pre-training, a training from scratch, a fine-tuning
STUDY = """
name = "hospital"
out = "work"
[archive]
path = "archive"
[cohort]
kind = "registers"
complaint = ["chest pain"]
source_validation = 0.2   # of few patients
[cohort.visits]
file = "hospital/registers/visits.csv"
columns = { discharge = "discharge" }
[cohort.diagnoses]
file = "hospital/registers/diagnoses.csv"
[cohort.patients]
file = "hospital/registers/patients.csv"
columns = { birth_date = "birth_date", sex = "sex" }
[[grid]]
models = ["rn-900k"]
pretraining = ["none", "age-sex"]
[training]
batch = 32
age_bias = "median"
[training.models.rn-900k]
source = [{ epochs = 1, peak = 1e-3 }]
scratch = [{ epochs = 1, peak = 1e-3 }]
target = [{ epochs = 1, peak = 1e-3, trains = "head" }, { epochs = 1, peak = 1e-4 }]
"""

Called = subprocess.CompletedProcess[str]
Table = list[dict[str, str]]


@dataclass(frozen=True)
class Chain:
    """One pass through every command.

    Attributes:
        folder: hospital, archive, study.toml and work below it.
        said: what each command said.
        before, after: files of the runs, and the results, before and after the second `study run`.
    """

    folder: Path
    hospital: Hospital
    said: dict[str, Called]
    before: dict[str, tuple[int, int]]
    after: dict[str, tuple[int, int]]

    @property
    def work(self) -> Path:
        return self.folder / "work"


def table(path: Path) -> Table:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def chain(
    tmp_path_factory: pytest.TempPathFactory,
    precordial: Callable[..., Called],
    files_below: Callable[[Path], dict[str, tuple[int, int]]],
) -> Chain:
    folder = tmp_path_factory.mktemp("chain")
    hospital = make_hospital(PATIENTS, SEED, folder / "hospital", chest_pain=0.6, prevalence=0.35)
    study, archive = folder / "study.toml", folder / "archive"
    study.write_text(STUDY)
    said: dict[str, Called] = {}

    def step(name: str, *words: str | Path) -> None:
        said[name] = precordial(*words)
        assert said[name].returncode == 0, f"{name}: {said[name].stderr}"

    step("ingest", "ingest", hospital.ecg, "--archive", archive)
    step("info", "archive", "info", archive)
    step("verify", "archive", "verify", archive)
    step("build", "cohort", "build", study)
    step("flow", "cohort", "flow", study)
    step("plan", "study", "plan", study, "--all")
    step("run", "study", "run", study)
    before = files_below(folder / "work" / "runs")
    step("again", "study", "run", study)
    after = files_below(folder / "work" / "runs")
    step("status", "study", "status", study)
    step("report", "report", study)
    return Chain(folder, hospital, said, before, after)


@pytest.fixture(scope="module")
def cohort(chain: Chain) -> Table:
    return table(chain.work / "cohort" / "cohort.csv")


@pytest.fixture(scope="module")
def usable(chain: Chain) -> dict[str, dict[str, str]]:
    """ecg_id → its row of the truth, of every ECG file without a fault that makes it unusable."""
    archive = Archive(chain.folder / "archive")
    truth = {row["file"]: row for row in table(chain.hospital.truth / "truth.csv")}
    sources = (f"ecg/{text['source']}" for text in archive.texts())
    return {ecg_id: truth[source] for ecg_id, source in zip(archive.ids.tolist(), sources, strict=True)}


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_each_bad_file_is_rejected_for_its_own_fault(chain: Chain, usable: dict[str, dict[str, str]]) -> None:
    planted = {
        row["file"].removeprefix("ecg/"): row["fault"]
        for row in table(chain.hospital.truth / "truth.csv")
        if row["fault"] not in ("", "wrong-age")
    }
    rejects = Archive(chain.folder / "archive").rejects()
    assert {row["source"]: row["reason"] for row in rejects} == planted
    assert len(usable) == chain.hospital.ecgs - len(planted)
    for reason, count in Counter(planted.values()).items():
        line = re.compile(rf"^ +{count} rejected: .*\({reason}\)$", re.MULTILINE)
        for name in ("ingest", "info"):
            assert line.search(chain.said[name].stdout), (name, reason)
            listed = f"each is listed in {chain.folder / 'archive' / 'rejects.jsonl'}"
            assert chain.said[name].stdout.splitlines()[-1].strip() == listed
    assert f"{len(usable):,} ECGs added" in chain.said["ingest"].stdout
    assert f"{len(usable):,} ECGs checked, 0 damaged" in chain.said["verify"].stdout


def index_ecgs(chain: Chain, usable: dict[str, dict[str, str]]) -> dict[str, str]:
    """visit_id → ecg_id, by plain loops: first within 3 h after arrival, else last within 2 h before it."""
    ecgs: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for ecg_id, row in usable.items():
        ecgs[row["patient_id"]].append((time(row["recorded_at"]), ecg_id))
    visits: dict[tuple[str, str], dict[str, str]] = {}
    for row in table(chain.hospital.registers / "visits.csv"):
        key = row["patient_id"], row["arrival"]
        if key not in visits or row["discharge"] > visits[key]["discharge"]:
            visits[key] = row
    found: dict[str, str] = {}
    for (patient, arrival), visit in sorted(visits.items(), key=lambda item: item[0][1]):
        if visit["complaint"] != "chest pain":
            continue
        came = time(arrival)
        after = [(at, ecg_id) for at, ecg_id in ecgs[patient] if came <= at <= came + timedelta(hours=3)]
        before = [(at, ecg_id) for at, ecg_id in ecgs[patient] if came - timedelta(hours=2) <= at < came]
        if after or before:
            ecg_id = min(after)[1] if after else max(before)[1]
            if ecg_id not in found.values():  # an ECG serves the earliest arrival only
                found[visit["visit_id"]] = ecg_id
    return found


def test_target_visits_have_the_right_ecg_and_the_true_label(
    chain: Chain, cohort: Table, usable: dict[str, dict[str, str]]
) -> None:
    truth = {row["visit_id"]: row for row in table(chain.hospital.truth / "visits.csv")}
    arrival = {row["visit_id"]: time(row["arrival"]) for row in table(chain.hospital.registers / "visits.csv")}
    wanted = index_ecgs(chain, usable)
    target = [row for row in cohort if row["role"] == "target"]
    assert len(target) > 80
    for row in target:
        visit = row["visit_id"]
        assert row["ecg_id"] == wanted[visit]
        assert row["patient_id"] == truth[visit]["patient_id"] == usable[row["ecg_id"]]["patient_id"]
        assert float(row["label:AMI"]) == float(truth[visit]["infarction"])
        assert time(row["prediction_time"]) == arrival[visit] + timedelta(hours=3)
    # Nothing else is missing than the older visits of the temporal test's patients.
    temporal = [row for row in target if row["split"] == "temporal_test"]
    newest = {row["patient_id"] for row in temporal}
    older = wanted.keys() - {row["visit_id"] for row in target}
    assert {truth[visit]["patient_id"] for visit in older} <= newest
    assert all(arrival[visit] < min(arrival[row["visit_id"]] for row in temporal) for visit in older)
    others = {truth[visit]["patient_id"] for visit in wanted} - newest
    assert len(newest) == math.ceil(15 * (len(newest) + len(others)) / 100)


def test_the_source_is_everyone_else(chain: Chain, cohort: Table, usable: dict[str, dict[str, str]]) -> None:
    truth = {row["visit_id"]: row for row in table(chain.hospital.truth / "visits.csv")}
    target = {truth[visit]["patient_id"] for visit in index_ecgs(chain, usable)}
    rest = {ecg_id for ecg_id, row in usable.items() if row["patient_id"] not in target}
    assert {row["ecg_id"] for row in cohort if row["role"] == "source"} == rest
    assert len(rest) > 100


def test_no_patient_is_in_two_places(cohort: Table) -> None:
    places: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in cohort:
        places[row["patient_id"]].add((row["role"], row["split"]))
    assert {len(found) for found in places.values()} == {1}
    assert {place for found in places.values() for place in found} == {
        *(("source", split) for split in ("train", "validation")),
        *(("target", split) for split in ("train", "validation", "random_test", "temporal_test")),
    }


def test_age_and_sex_are_the_registers_also_where_the_header_is_wrong(
    cohort: Table, usable: dict[str, dict[str, str]]
) -> None:
    wrong = 0
    for row in cohort:
        truth = usable[row["ecg_id"]]
        assert float(row["age"]) == pytest.approx(float(truth["age"]), abs=0.006)  # written with two decimals
        assert float(row["sex"]) == (truth["sex"] == "female")
        wrong += truth["fault"] == "wrong-age"
    assert wrong > 0


def test_the_flow_chart_counts_what_is_there(chain: Chain, cohort: Table, usable: dict[str, dict[str, str]]) -> None:
    steps = json.loads((chain.work / "cohort" / "flow.json").read_text())
    flow = {(step["branch"], step["key"]): step for step in steps}
    assert flow["archive", "files"]["ecgs"] == chain.hospital.ecgs
    assert flow["archive", "usable"]["ecgs"] == len(usable)
    assert flow["target", "visits"]["visits"] == chain.hospital.visits
    assert flow["target", "complaint"]["visits"] == chain.hospital.chest_pain_visits
    assert flow["target", "index-ecg"]["visits"] == len(index_ecgs(chain, usable))
    assert flow["source", "others"]["ecgs"] == sum(row["role"] == "source" for row in cohort)
    for role in ("source", "target"):
        for split in {row["split"] for row in cohort if row["role"] == role}:
            here = [row for row in cohort if (row["role"], row["split"]) == (role, split)]
            step = flow[role, split]
            assert step["visits" if role == "target" else "ecgs"] == len(here)
            assert step["patients"] == len({row["patient_id"] for row in here})
            if role == "target":
                assert step["reasons"]["with the outcome"] == sum(row["label:AMI"] == "1.0" for row in here)
    flow_text = (chain.work / "report" / "flow.txt").read_text()
    for name in ("build", "flow", "run"):
        assert flow_text.strip() in chain.said[name].stdout


def test_each_run_has_predicted_every_ecg_of_its_test_sets(chain: Chain, cohort: Table) -> None:
    folders = sorted((chain.work / "runs").iterdir())
    assert len(folders) == RUNS
    for folder in folders:
        run = json.loads((folder / "run.json").read_text())
        predictions = table(folder / "predictions.csv")
        targets = ("age", "sex") if run["role"] == "source" else ("AMI",)
        wanted = {
            (row["ecg_id"], row["patient_id"], row["split"], target): float(
                row["label:AMI" if target == "AMI" else target]
            )
            for row in cohort
            for target in targets
            if row["role"] == run["role"] and row["split"] != "train"
        }
        found = {
            (row["ecg_id"], row["patient_id"], row["split"], row["target"]): float(row["truth"]) for row in predictions
        }
        assert len(found) == len(predictions)
        assert found == pytest.approx(wanted, rel=1e-6)  # truths are float32 in a training
        assert {row["run"] for row in predictions} == {folder.name}
        assert all(math.isfinite(float(row["score"])) for row in predictions)
        assert all(0 < float(row["score"]) < 1 for row in predictions if row["target"] != "age")


def test_the_results_are_complete_and_count_what_they_are_of(chain: Chain, cohort: Table) -> None:
    results = table(chain.work / "results.csv")
    target_splits = ("validation", "random_test", "temporal_test", "combined_test")
    wanted = {("pretrain", "validation", *metric) for metric in (("age", "mae"), ("age", "r2"))}
    wanted |= {("pretrain", "validation", "sex", metric) for metric in ("auc", "accuracy")}
    for metric in ("auc", "average_precision"):
        kinds = ("scratch", "finetune", "baseline")
        wanted |= {(kind, split, "AMI", metric) for kind in kinds for split in target_splits}
        wanted |= {("difference", split, "AMI", f"{metric}_difference") for split in target_splits}
    keys = [(row["kind"], row["split"], row["target"], row["metric"]) for row in results]
    assert len(keys) == len(set(keys))
    assert set(keys) == wanted
    for row in results:
        splits = ("random_test", "temporal_test") if row["split"] == "combined_test" else (row["split"],)
        role = "source" if row["kind"] == "pretrain" else "target"
        here = [one for one in cohort if one["role"] == role and one["split"] in splits]
        assert int(row["n"]) == len(here)
        assert int(row["patients"]) == len({one["patient_id"] for one in here})
        if role == "target":
            assert int(row["events"]) == sum(one["label:AMI"] == "1.0" for one in here)
        value, low, high = (float(row[name]) for name in ("value", "low", "high"))
        assert low <= high
        assert math.isfinite(value)
        assert row["level"] == "0.95"
        if row["kind"] == "difference":  # pre-trained against not, one of each metric and split: nothing to correct
            assert 0 < float(row["p"]) <= 1
            assert row["p_adjusted"] == row["p"]
    values = {key: float(row["value"]) for key, row in zip(keys, results, strict=True)}
    for split in target_splits:
        difference = values["finetune", split, "AMI", "auc"] - values["scratch", split, "AMI", "auc"]
        assert values["difference", split, "AMI", "auc_difference"] == pytest.approx(difference)


def test_the_aucs_are_those_of_the_predictions_counted_pair_by_pair(chain: Chain) -> None:
    checked = 0
    for row in table(chain.work / "results.csv"):
        if row["kind"] not in ("scratch", "finetune") or row["split"] == "combined_test" or row["metric"] != "auc":
            continue
        predictions = table(chain.work / "runs" / row["run"] / "predictions.csv")
        here = [(float(one["truth"]), float(one["score"])) for one in predictions if one["split"] == row["split"]]
        ill = [score for truth, score in here if truth == 1]
        well = [score for truth, score in here if truth == 0]
        won = sum((a > b) + 0.5 * (a == b) for a in ill for b in well)
        assert float(row["value"]) == pytest.approx(won / (len(ill) * len(well)))
        checked += 1
    assert checked == 6


def test_compare_prints_the_differences_of_the_results(chain: Chain, command: CommandLine) -> None:
    results = [row for row in table(chain.work / "results.csv") if row["split"] == "random_test"]
    run = {row["kind"]: row["run"] for row in results}
    said = command.done("compare", run["finetune"], run["scratch"][:6], "--study", chain.folder / "study.toml")
    (row,) = (row for row in results if row["metric"] == "auc_difference")
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    between = " to " if low < 0 else "–"
    assert f"{value:.3f} ({low:.3f}{between}{high:.3f})".replace("-", "−") in said.split("AMI on random_test")[1]


# 0.846 (0.826–0.868), −0.012 (−0.051 to 0.030). Of few ECGs a basic interval also passes the AUC's own bounds.
CELL = r"−?\d\.\d{3} \(−?\d\.\d{3}(?: to |–)−?\d\.\d{3}\)"


@pytest.mark.parametrize("name", ["run", "again", "report"])
def test_the_tables_are_printed_as_the_paper_lays_them_out(chain: Chain, name: str) -> None:
    said = chain.said[name].stdout
    assert said.splitlines()[-1] == f"report: {chain.work / 'report' / 'report.html'}"
    printed = {text.split(".")[0]: text for text in re.split(r"^(?=Table [IV]+\.)", said, flags=re.MULTILINE)}
    for number, roman in ((1, "I"), (3, "III"), (4, "IV")):
        filed = (chain.work / "report" / f"table-{number}.txt").read_text()  # with the paper's numbers beside
        assert "Paper" in filed
        assert "Paper" not in printed[f"Table {roman}"]
        for cell in re.findall(CELL, printed[f"Table {roman}"]):
            assert cell in filed
    third = printed["Table III"]
    assert re.search(r"^Model +Test set +No pre-training +Age & Sex$", third, re.MULTILINE)
    assert re.search(rf"^RN-900k +Random +{CELL} +{CELL}$", third, re.MULTILINE)
    assert re.search(rf"^ +Temporal +{CELL} +{CELL}$", third, re.MULTILINE)
    trained, _, rest = third.partition("Logistic regression on age and sex")
    assert len(re.findall(CELL, trained)) == 6
    baseline, _, differences = rest.partition("Paired difference to no pre-training")
    assert len(re.findall(CELL, baseline)) == 3
    assert len(re.findall(CELL, differences)) == 3
    fourth = printed["Table IV"]
    assert re.search(rf"^RN-900k +Age & Sex +\d+\.\d\d \([^)]+\) +{CELL} +{CELL} +{CELL}$", fourth, re.MULTILINE)


def test_the_printed_numbers_are_those_of_the_results(chain: Chain) -> None:
    third = table(chain.work / "report" / "table-3.csv")
    own = [row for row in third if row["Test set"] in ("Random", "Temporal", "Combined")][:3]  # the paper's lie between
    cells = {row["Test set"]: (row["No pre-training"], row["Age & Sex"]) for row in own}
    words = {"random_test": "Random", "temporal_test": "Temporal", "combined_test": "Combined"}
    for row in table(chain.work / "results.csv"):
        if row["kind"] in ("scratch", "finetune") and row["split"] in words and row["metric"] == "auc":
            value, low, high = (float(row[name]) for name in ("value", "low", "high"))
            shown = cells[words[row["split"]]][row["kind"] == "finetune"]
            between = " to " if low < 0 else "–"  # a dash would read as a sign
            assert shown == f"{value:.3f} ({low:.3f}{between}{high:.3f})".replace("-", "−")


def test_a_second_call_trains_nothing(chain: Chain) -> None:
    assert len(chain.before) >= 5 * RUNS
    assert chain.after == chain.before
    assert "training 1 of 3" in chain.said["run"].stderr
    assert "training" not in chain.said["again"].stderr
    assert chain.said["again"].stdout == chain.said["run"].stdout


def test_plan_and_status_say_what_is_to_do_and_what_is_done(chain: Chain) -> None:
    lines = chain.said["plan"].stdout.splitlines()
    runs, total = lines[:3], lines[3]
    assert [line.split()[0] for line in runs] == ["pretrain", "scratch", "finetune"]
    assert "done: 0 of 3" in lines
    assert "1 pre-training, 1 training from scratch, 1 fine-tuning; 3 trainings in all, 4 epochs" in total
    *lines, done = chain.said["status"].stdout.splitlines()
    states = [line.split()[1:4] for line in lines if " done " in line]
    assert states == [["pretrain", "done", "1/1"], ["scratch", "done", "1/1"], ["finetune", "done", "2/2"]]
    assert done == "3 of 3 trainings done"


def test_nothing_said_or_reported_identifies_a_patient(chain: Chain) -> None:
    """Ids of patients and visits, and birth dates, stay in the folders of the archive, the cohort and the runs."""
    patients = table(chain.hospital.registers / "patients.csv")
    secrets = {row["patient_id"] for row in patients} | {row["birth_date"] for row in patients}
    secrets |= {row["visit_id"] for row in table(chain.hospital.registers / "visits.csv")}
    texts = {name: said.stdout + said.stderr for name, said in chain.said.items()}
    shown = [path for path in (chain.work / "report").rglob("*") if path.suffix not in ("", ".png", ".pdf")]
    shown += [chain.work / "results.csv", chain.work / "cohort" / "flow.json"]
    shown += (chain.work / "runs").glob("*/metrics.jsonl")
    texts |= {path.name: path.read_text() for path in shown}
    assert len(texts) > 18
    for name, text in texts.items():
        words = set(re.findall(r"[\w-]+", text))
        assert not words & secrets, f"{name} names {len(words & secrets)} patients or visits"
