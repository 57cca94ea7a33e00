"""The demo: what it prints, that it goes on from where it was, and (slowly) that pre-training helps in it."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Called = subprocess.CompletedProcess[str]
MODEL = "training.models.rn-900k"
SHORT = [
    *(f"--set=cohort.{split}=0.25" for split in ("validation", "random_test", "temporal_test")),
    "--set=grid.0.models=['rn-900k']",
    f"--set={MODEL}.source=[{{epochs=1,peak=1e-3}}]",
    f"--set={MODEL}.scratch=[{{epochs=1,peak=1e-3}}]",
    f"--set={MODEL}.target=[{{epochs=1,peak=1e-3,trains='head'}}]",
]


def results(folder: Path) -> list[dict[str, str]]:
    with (folder / "study" / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def demo(precordial: Callable[..., Called], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Called]:
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, precordial("demo", "--out", out, "--patients", "600", *SHORT)


def test_it_says_what_it_does_what_came_out_and_what_to_do_next(demo: tuple[Path, Called]) -> None:
    out, called = demo
    assert called.returncode == 0, called.stderr
    first = called.stdout.split("ECG archive")[0]
    for words in ("600 synthetic patients", "after 22% of the visits", "rn-900k", "pre-training 1", "fine-tuning 1"):
        assert words in first
    for words in (
        "Target\n",
        "Table I.",
        "Table III.",
        "Table IV.",
        "Logistic regression on age and sex",
        "Bayes limit, from the known truth",
        "paired difference",
        "precordial study run STUDY.toml",
    ):
        assert words in called.stdout
    assert called.stdout.rstrip().endswith(f"report: {out / 'study' / 'report' / 'report.html'}")
    page = (out / "study" / "report" / "report.html").read_text(encoding="utf-8")
    for words in (
        "Flow chart",
        "ROC curves",
        "Rule-out and rule-in",
        "More than age and sex?",
        "Training curves",
        "Example",
    ):
        assert words in page


def test_the_limit_is_in_the_results_and_above_the_baseline(demo: tuple[Path, Called]) -> None:
    aucs = {row["kind"]: row for row in results(demo[0]) if (row["split"], row["metric"]) == ("combined_test", "auc")}
    assert float(aucs["limit"]["value"]) > float(aucs["baseline"]["value"])
    assert aucs["limit"]["n"] == aucs["scratch"]["n"]


def test_a_second_call_repeats_nothing(
    demo: tuple[Path, Called],
    precordial: Callable[..., Called],
    files_below: Callable[[Path], dict[str, tuple[int, int]]],
) -> None:
    out, first = demo

    def kept() -> dict[str, tuple[int, int]]:
        parts = ("hospital", "study/runs", "study/archive", "study.toml")
        return {k: v for k, v in files_below(out).items() if k.startswith(parts) and not k.endswith(".lock")}

    before = kept()
    again = precordial("demo", "--out", out, "--patients", "600", *SHORT)
    assert again.stdout.split("Table I.")[1] == first.stdout.split("Table I.")[1]
    assert kept() == before


def test_another_hospital_is_not_mixed_in(demo: tuple[Path, Called], precordial: Callable[..., Called]) -> None:
    called = precordial("demo", "--out", demo[0], "--patients", "700", *SHORT)
    assert called.returncode == 2
    assert called.stderr.count("\n") == 1
    assert "another hospital is here" in called.stderr
    assert "--out" in called.stderr


@pytest.mark.slow
def test_pretraining_helps_rn_900k_in_five_hospitals(precordial: Callable[..., Called], tmp_path: Path) -> None:
    """The demo at its full size, with its own epochs; each seed is another hospital and other weights."""
    gains = {}
    for seed in range(1, 6):
        out = tmp_path / str(seed)
        words = ("--seed", seed, "--set=grid.0.models=['rn-900k']", f"--set=seeds=[{seed}]")
        called = precordial("demo", "--out", out, *words)
        assert called.returncode == 0, called.stderr
        row = next(r for r in results(out) if (r["kind"], r["split"]) == ("difference", "combined_test"))
        assert int(row["events"]) >= 150
        gains[seed] = float(row["value"])
    assert min(gains.values()) > 0, gains
