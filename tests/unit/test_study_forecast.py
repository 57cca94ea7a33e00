"""Plans: what is trained, how long it takes by given rates, and how much room; counts and speed at scale."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from command_line import CommandLine
from precordial.cohort import Cohort
from precordial.errors import SettingsError
from precordial.models import MODELS, model_table
from precordial.report.plan import plan_lines
from precordial.study import Study, load_study, make_plan, run_study
from precordial.study.board import Board
from precordial.study.estimate import WEIGHTS, counts_given, counts_of, disk, estimate, run_seconds
from precordial.study.forecast import forecast
from precordial.study.plan import study_precision
from precordial.study.rates import EcgCounts, ModelRates, RatesFile, measure_rates, read_rates
from precordial.study.status import present_plan
from tiny_study import make_tiny_study

STUDIES = Path(__file__).parents[2] / "studies"
RATES = STUDIES / "rates" / "h100-fp32.toml"
SOURCES = "[0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]"
TARGETS = "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]"
EVERYTHING = f"""grid=[{{
models=["cnn-20k","rn-900k","rn-7m","rn-33m"], pretraining=["none","age","sex","age-sex"],
source_fractions={SOURCES}, target_fractions={TARGETS}}}]""".replace("\n", "")


def test_every_cell_of_the_largest_grid_is_planned_within_seconds() -> None:
    """4 models x 10 target fractions x (none + 3 tasks x 14 source fractions), as the issue counts them."""
    study = load_study(STUDIES / "paper.toml", [EVERYTHING])
    started = time.process_time()
    plan = make_plan(study)
    rates = read_rates(RATES)
    assert rates.ecgs is not None
    hours = estimate(plan.runs, rates, counts_given(rates.ecgs))
    disk(plan.runs, counts_given(rates.ecgs))
    took = time.process_time() - started
    assert plan.count("scratch") + plan.count("finetune") == 4 * 10 * (1 + 3 * 14) == 1720
    assert plan.count("pretrain") == 4 * 3 * 14 == 168
    assert len({run.id for run in plan.runs}) == len(plan.runs) == 1888
    assert took < 5, "seconds of processor time, so that other work beside the tests does not count"
    assert hours.hours > 1000


def test_the_command_plans_it_without_torch_and_polars() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['polars'] = None; from precordial.cli import main;"
        "sys.argv = ['precordial', 'study', 'plan', *sys.argv[1:]]; main()"
    )

    def plan(*words: str) -> subprocess.CompletedProcess[str]:
        words = (str(STUDIES / "paper.toml"), "--rates", str(RATES), *words)
        return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, encoding="utf-8", check=False)

    asked = plan()
    assert asked.returncode == 2
    assert "give --precision fp32 or bf16" in asked.stderr
    said = plan("--precision", "fp32")
    assert said.returncode == 0, said.stderr
    first, *_ = said.stdout.splitlines()
    assert first.startswith(
        "paper: 64 pre-trainings, 40 trainings from scratch, 178 fine-tunings; 282 trainings in all"
    )
    assert "done: 0 of 282" in said.stdout
    assert "hours left: 457 h on one device such as NVIDIA H100, fp32" in said.stdout, "as docs/performance.md says"
    assert "disk: 6.7 GB of models, 712 MB of predictions; 1.2 GB more" in said.stdout, "as well"


def test_weights_are_those_of_the_models() -> None:
    assert {row["name"]: row["with_statistics"] for row in model_table()} | {"rn-900k": WEIGHTS["rn-900k"]} == WEIGHTS
    assert set(MODELS) == set(WEIGHTS)


def a_study(tmp_path: Path, *changes: str) -> Study:
    path = tmp_path / "s.toml"
    path.write_text('name = "s"\n[[grid]]\nmodels = ["rn-7m", "rn-900k"]\npretraining = ["none", "age"]\n')
    return load_study(path, changes)


ECGS = EcgCounts(source_train=8000, source_validation=400, target_train=1000, target_validation=200, target_test=300)


def test_seconds_follow_from_epochs_ecgs_and_rates(tmp_path: Path) -> None:
    rates = ModelRates(train=100, score=50, head=200)
    count = counts_given(ECGS)
    runs = {(run.model, run.kind): run for run in make_plan(a_study(tmp_path)).runs}
    # 100 epochs of 8000 and 400 ECGs, and the predictions of 400.
    assert run_seconds(runs["rn-7m", "pretrain"], rates, count) == 100 * (80 + 8) + 8
    # 100 epochs; validation and tests have 500.
    assert run_seconds(runs["rn-7m", "scratch"], rates, count) == 100 * (10 + 4) + 10
    # 40 epochs of the head on features computed once, 360 of everything.
    assert run_seconds(runs["rn-7m", "finetune"], rates, count) == 1200 / 50 + 40 * 1200 / 200 + 360 * 14 + 10
    # Crops: the frozen body runs each time.
    assert run_seconds(runs["rn-900k", "finetune"], rates, count) == 40 * (5 + 4) + 360 * 14 + 10
    assert run_seconds(runs["rn-7m", "finetune"], rates, count, epochs_done=50) == 350 * 14 + 10
    assert run_seconds(runs["rn-7m", "finetune"], ModelRates(train=100, score=50), count) > run_seconds(
        runs["rn-7m", "finetune"], rates, count
    ), "a head of unknown rate is taken for as slow as everything"


def test_hours_add_up_and_the_longest_chain_is_a_pretraining_with_its_child(tmp_path: Path) -> None:
    rates = RatesFile(rates=dict.fromkeys(("rn-7m", "rn-900k"), ModelRates(train=100, score=50)))
    count, runs = counts_given(ECGS), make_plan(a_study(tmp_path)).runs
    found = estimate(runs, rates, count)
    each = {run.id: run_seconds(run, rates.rates[run.model], count) / 3600 for run in runs}
    assert found.hours == pytest.approx(sum(each.values()))
    assert found.hours == pytest.approx(sum(found.models.values()))
    chains = [each[run.id] + each[run.parent.id] for run in runs if run.parent]
    assert found.longest == pytest.approx(max(chains))
    room = disk(runs, count)
    assert room.models == 3 * 4 * (WEIGHTS["rn-7m"] + WEIGHTS["rn-900k"])
    assert room.states == 9 * 4 * WEIGHTS["rn-7m"]
    assert room.predictions == 100 * (2 * 400 + 4 * 500)


def test_fractions_take_their_share_of_the_training_set(tmp_path: Path) -> None:
    runs = make_plan(a_study(tmp_path, "grid.0.target_fractions=[0.1]")).runs
    count = counts_given(ECGS)
    assert {count(run, "train") for run in runs if run.role == "target"} == {100}
    assert {count(run, "validation") for run in runs if run.role == "target"} == {200}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[rates.rn-7m]\ntrain = 0\nscore = 1\n", "key 'rates.rn-7m.train': input should be greater than 0"),
        ("[rates.rn-7m]\ntrain = 1\n", "key 'rates.rn-7m.score': field required"),
        ("rates = 3", "key 'rates': input should be a valid dictionary"),
        ("[rates", "this is neither TOML nor JSON"),
        ("[rates.rn-7m]\ntrain = 1\nscore = 1\n", "key 'rates.rn-900k': a model of the study has no rates; add it"),
    ],
)
def test_a_wrong_file_of_rates_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rates.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as error:
        forecast(a_study(tmp_path), path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(SettingsError, match="there is no such file of rates"):
        read_rates(tmp_path / "none.toml")


def test_rates_may_be_json(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    path.write_text(json.dumps({"rates": {"rn-7m": {"train": 1, "score": 2.5}}}))
    assert read_rates(path).rates["rn-7m"] == ModelRates(train=1, score=2.5)


def test_a_plan_of_a_built_cohort_counts_what_is_done_and_measures_this_machine_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = CommandLine(monkeypatch, capsys)
    monkeypatch.setattr("precordial.training.calibrate.SECONDS", 0.05)
    path = make_tiny_study(tmp_path, 5)
    assert "build the cohort first" in command.done("study", "plan", path)
    command.done("cohort", "build", path)
    assert "hours left: not measured; leave out --no-calibrate" in command.done("study", "plan", path, "--no-calibrate")
    study = load_study(path)
    assert not (study.folder / "calibration.json").exists()
    said = command.done("study", "plan", path)
    assert re.search(r"hours left: \d+ s on one device such as .+, 1 threads, one training after the other", said)
    assert "done: 0 of 5" in said
    kept = (study.folder / "calibration.json").read_bytes()
    ((machine),) = json.loads(kept).values()
    assert machine["machine"]["device"] == "cpu"
    (rates,) = machine["rates"].values()
    assert 0 < rates["train"] < rates["head"], "on stored features a head is fast"
    command.done("study", "plan", path)
    assert (study.folder / "calibration.json").read_bytes() == kept
    cohort = Cohort.load(study.folder / "cohort")
    plan, _ = present_plan(study)
    count = counts_of(cohort)
    assert [(count(run, "train"), count(run, "validation")) for run in plan.runs[:1]] == [(16, 4)]
    run_study(study)
    assert forecast(study, calibrate=False).done == 5
    assert plan_lines(forecast(study))[1:3] == ["done: 5 of 5", plan_lines(forecast(study))[2]]
    assert measure_rates(study, plan).rates.keys() == {"cnn-20k"}


def test_what_auto_means_is_the_study_s_and_not_the_machine_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = a_study(tmp_path, 'training.precision="auto"')
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert study_precision(study) == ("bf16" if not torch.cuda.is_available() else study_precision(study))
    study.folder.mkdir()
    (study.folder / "precision.json").write_text('"fp32"')
    assert study_precision(study) == "fp32"
    assert {run.precision for run in make_plan(study).runs} == {"fp32"}
    (study.folder / "precision.json").write_text("?")
    with pytest.raises(SettingsError, match=r"precision\.json: this file is damaged; delete it"):
        study_precision(study)


def test_a_board_s_states(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    plan = make_plan(study)
    board = Board(study, plan)
    pretraining, scratch = (next(run for run in plan.runs if run.kind == kind) for kind in ("pretrain", "scratch"))
    assert {run.kind for run in board.ready()} == {"pretrain", "scratch"}
    assert board.left()
    assert board.expecting()
    board.fail(pretraining, "a\nreason")
    assert board.reason(pretraining) == "a reason"
    (failure,) = board.failures()
    assert (failure.waiting, failure.text) == (1, f"{pretraining.describe()}: a reason")
    assert pretraining not in board.ready()
    (board.folder(scratch)).mkdir(parents=True)
    (board.folder(scratch) / "done.json").write_text("{}")
    assert board.count() == 1
    (board.folder(pretraining) / "failed.json").write_text("half of")
    assert board.reason(pretraining) == "its reason cannot be read"
    board.forgive()
    assert board.reason(pretraining) is None
    for run in plan.runs:
        board.fail(run, "x") if run.kind != "finetune" else None
    assert not board.left(), "what starts from a failed one cannot be finished"
