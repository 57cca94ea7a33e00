"""`precordial evaluate` and `precordial compare`, as a user calls them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line import CommandLine
from precordial.evaluation import Predictions, auc, compare, evaluate

FEW = ("--replicates", "50")
STUDY = """
name = "s"
[evaluation]
replicates = 40
interval = "bca"
stratify = true
"""


def a_table(seed: int, run: str = "r") -> Predictions:
    rng = np.random.default_rng(0)
    n = 600
    truth = (rng.random(n) < 0.2).astype(float)
    z = -1.5 + 1.2 * truth + rng.normal(size=n) + 0.4 * np.random.default_rng(seed).normal(size=n)
    split = np.where(np.arange(n) % 2 == 0, "validation", "random_test")
    return Predictions(run, np.arange(n), rng.integers(0, 400, n), split, "AMI", truth, 1 / (1 + np.exp(-z)))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"model-{name}.csv" for name in "abc"]
    for seed, path in enumerate(paths):
        a_table(seed).save(path)
    return paths


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with two finished runs, of which only the predictions are there, and one that is not done."""
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    for seed, run in enumerate(("1a2b3c", "1a9f00")):
        a_table(seed, run).save(tmp_path / "s-work" / "runs" / run / "predictions.csv")
    (tmp_path / "s-work" / "runs" / "77aa").mkdir()
    return path


def test_evaluate_prints_and_writes_the_same_numbers(files: list[Path], tmp_path: Path, command: CommandLine) -> None:
    out = tmp_path / "numbers.json"
    said = command.done("evaluate", files[0], *FEW, "--out", out)
    for words in ("AMI on random_test: 300 ECGs of", "AUC, DeLong on the logit", "Calibration slope", "Zones, "):
        assert words in said
    assert "intervals: basic bootstrap, 50 resamples of patients, seed 0" in said
    results = {(r.split, r.metric): r.estimate for r in evaluate(a_table(0), replicates=50)}
    line = next(line for line in said.split("AMI on random_test")[1].splitlines() if line.startswith("AUC "))
    assert line.split("  ")[-1].strip() == str(results["random_test", "auc"])
    whole = json.loads(out.read_text())
    assert (whole["file"], whole["intervals"]["replicates"]) == ("model-a.csv", 50)
    kept = {(one["split"], one["measure"]): one for one in whole["statistics"] if one["part"] == "discrimination"}
    assert kept["random_test", "auc"]["low"] == results["random_test", "auc"].low
    assert "NaN" not in out.read_text()
    table = tmp_path / "numbers.csv"
    command.done("evaluate", files[0], *FEW, "--out", table)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(whole["statistics"])
    assert float(rows[0]["value"]) == whole["statistics"][0]["value"]


def test_scores_from_elsewhere(tmp_path: Path, command: CommandLine) -> None:
    path, table = tmp_path / "theirs.csv", a_table(1)
    z = np.log(table.score / (1 - table.score))
    lines = [f"{int(t)},{float(s)!r},{'ABC'[i % 3]}" for i, (t, s) in enumerate(zip(table.truth, z, strict=True))]
    path.write_text("mi,logit,ward\n" + "\n".join(lines) + "\n")
    said = command.done(
        "evaluate", path, "--truth", "mi", "--score", "logit", "--scores", "logits", "--group", "ward",
        "--threshold", "0.3", "--interval", "delong", *FEW,
    )  # fmt: skip
    assert f"AUC                        {auc(table.truth, table.score):.3f}" in said
    for words in ("outcome: 600 ECGs, ", "given: from 0.3 on", "ward: C", "Test of interaction, ward"):
        assert words in said
    assert "theirs: no patient ids, each ECG counts as a patient of its own" in said
    assert "no split 'validation'" in said
    assert "intervals: DeLong's for AUCs, else basic bootstrap, 50 resamples of ECGs" in said


def test_compare_files(files: list[Path], tmp_path: Path, command: CommandLine) -> None:
    said = command.done("compare", *files, *FEW, "--out", tmp_path / "c.json")
    assert "model-a − model-b, paired, 95 % intervals" in said
    assert "p, Holm" in said
    results = {(r.split, r.metric): r for r in compare(a_table(0), a_table(1), replicates=50)}
    written = json.loads((tmp_path / "c.json").read_text())["statistics"]
    found = {(one["b"], one["split"], one["metric"]): one for one in written}
    one = found["model-b", "random_test", "auc"]
    expected = results["random_test", "auc_difference"]
    assert (one["value"], one["low"], one["high"], one["p"]) == (
        expected.estimate.value, expected.estimate.low, expected.estimate.high, expected.p,
    )  # fmt: skip
    assert one["p_adjusted"] >= one["p"]
    two = command.done("compare", *files[:2], *FEW)
    assert "p, Holm" not in two


def test_compare_runs_of_a_study_by_folder_or_id(study: Path, command: CommandLine) -> None:
    by_id = command.done("compare", "1a2", "1a9f00", "--study", study)
    assert "1a2b3c − 1a9f00, paired" in by_id
    assert "intervals: bca bootstrap, 40 resamples of patients, with and without an event apart" in by_id
    runs = study.parent / "s-work" / "runs"
    assert command.done("compare", runs / "1a2b3c", runs / "1a9f00", "--study", study) == by_id
    assert "basic bootstrap" in command.done("compare", runs / "1a2b3c", runs / "1a9f00", *FEW)
    (result, *_) = compare(a_table(0), a_table(1), replicates=40, interval="bca", stratify=True)
    assert str(result.estimate) in by_id


def test_a_study_that_hides_small_counts_hides_them_here(study: Path, command: CommandLine) -> None:
    study.write_text(STUDY + "[privacy]\nsmallest_cell = 100\n")
    assert "AUC" not in command.done("compare", "1a2", "1a9f00", "--study", study).split("p: of")[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("evaluate", "nowhere.csv"), "nowhere.csv: cannot be read (No such file or directory)"),
        (("evaluate", "."), ".: cannot be read (Is a directory)"),
        (("evaluate", "model-a.csv", "--score", "p"), "model-a.csv, row 1, column 'p': this column is missing"),
        (("evaluate", "model-a.csv", "--out", "x.xlsx"), "x.xlsx: statistics are not written in such a file; end its"),
        (("evaluate", "model-a.csv", "--level", "95"), "--level 95 is not between 0 and 1; write 0.95 for 95 %"),
        (("evaluate", "model-a.csv", "--interval", "wald"), "Invalid value for '--interval'"),
        (("evaluate", "model-a.csv", "--replicates", "2"), "Invalid value for '--replicates'"),
        (("compare", "model-a.csv"), "one run alone cannot be compared; name two or more"),
        (("compare", "model-a.csv", "1a2b"), "'1a2b' is no folder of a run and no file; for ids, name their study"),
        (("compare", "1a", "1a2b", "--study", "study.toml"), "2 runs whose id begins with '1a'; give the id of one"),
        (("compare", "zz", "1a2b", "--study", "study.toml"), "no runs whose id begins with 'zz'"),
        (("compare", "77aa", "1a2b", "--study", "study.toml"), "77aa: this run has no predictions yet"),
        (("compare", "1a2b", "1a9f", "--study", "no.toml"), "no.toml: there is no such study file"),
        (("compare", "model-a.csv", "short.csv"), "the runs were not scored on the same ECGs with the same truth"),
    ],
)
def test_mistakes_are_one_line(
    files: list[Path],
    study: Path,
    command: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(study.parent)
    Path("short.csv").write_text("\n".join(files[1].read_text().splitlines()[:500]) + "\n")
    assert message in command.complaint(*words)
    assert not Path("x.xlsx").exists()


def test_they_load_no_torch(files: list[Path]) -> None:
    code = (
        "import sys; from precordial.cli import main; \n"
        "try: main()\nexcept SystemExit as end: sys.exit(end.code or (3 if 'torch' in sys.modules else 0))"
    )
    words = ["compare", str(files[0]), str(files[1]), *FEW]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
