"""A study that is made up for the clinical reading: a cohort, results and predictions, without files and trainings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from precordial.cohort import Cohort, age_sex_baseline
from precordial.evaluation import Predictions, Row, evaluate, result_rows
from precordial.report.clinical_data import Source

SPLITS = ("train", "validation", "random_test", "temporal_test")
NOT_YET = np.datetime64("NaT", "s")


@dataclass(frozen=True)
class Made:
    """What `make_study` makes."""

    cohort: Cohort
    rows: list[Row]
    table: Predictions

    def predictions(self, runs: Collection[str], outcome: str) -> Predictions:
        """As `precordial.study.read_predictions` gives them."""
        return self.table.rows(np.isin(self.table.run, list(runs)) & (self.table.target == outcome))

    @property
    def source(self) -> Source:
        """The same as a function."""
        return self.predictions


@dataclass(frozen=True)
class HowToMeasure:
    """[evaluation] of a study."""

    replicates: int = 200
    level: float = 0.95
    seed: int = 0


def make_study(
    visits: Sequence[int] = (3000, 900, 1500, 1500),
    *,
    fractions: Sequence[float] = (1.0,),
    strength: float = 1.6,
    prevalence: float = -2.2,
    replicates: int = 20,
    outcomes: Sequence[str] = ("AMI",),
    small_site: bool = True,
    seed: int = 0,
) -> Made:
    """Target visits by split. Scores know age and sex, and more the more ECGs they were trained on."""
    draw = np.random.default_rng(seed)
    n = sum(visits)
    split = np.repeat(SPLITS, visits)
    person = np.arange(n)
    again = (np.arange(n) % 12 == 5) & (np.append("", split[:-1]) == split)  # some come twice, in one split
    person[again] -= 1
    age, sex = draw.normal(62, 15, n).clip(18, 100), draw.integers(0, 2, n).astype(float)
    sign = draw.normal(size=n)
    known = 0.04 * (age - 62) - 0.5 * sex
    columns: dict[str, Any] = {}
    for name in outcomes:
        chance = 1 / (1 + np.exp(-(prevalence + known + strength * sign)))
        columns[name] = (draw.random(n) < chance).astype(float)
    recorded = np.datetime64("2018-01-01T00:00", "s") + 3600 * np.arange(n)
    cohort = Cohort(
        ecg_id=np.array([f"{k:016x}" for k in range(n)]),
        patient_id=np.array([f"PATIENT-{k:05}" for k in person]),
        visit_id=np.array([f"V{k}" for k in range(n)]),
        prediction_time=recorded,
        recorded_at=recorded,
        arrival=recorded + np.where(np.arange(n) % 5 == 0, 900, -900),
        role=np.full(n, "target"),
        split=split,
        order=person,
        age=np.where(np.arange(n) % 400 == 7, np.nan, age),
        sex=sex,
        labels=columns,
        age_source=np.full(n, "birth-date"),
        sex_source=np.full(n, "register"),
        site=np.where(np.arange(n) % 300 == 11, "Ystad", np.array(["Lund", "Malmö"])[np.arange(n) % 2])
        if small_site
        else np.array(["Lund", "Malmö"])[np.arange(n) % 2],
        device=np.array([f"MAC{k % 3}" for k in range(n)]),
    )
    tables, rows = [], []
    for kind, pretraining in (("scratch", "none"), ("finetune", "age-sex")):
        for fraction in fractions:
            run = f"{kind}-{fraction:g}"
            noise = (0.7 if kind == "scratch" else 0.45) + 0.5 / np.sqrt(10 * fraction)
            for name in outcomes:
                logit = -1.0 + 1.4 * (known + strength * sign + noise * strength * draw.normal(size=n))
                keep = split != "train"
                score = 1 / (1 + np.exp(-logit))
                part = Predictions(
                    run,
                    cohort.ecg_id[keep],
                    cohort.patient_id[keep],
                    split[keep],
                    name,
                    columns[name][keep],
                    score[keep],
                )
                tables.append(part)
                about = {"run": run, "kind": kind, "model": "rn-900k", "pretraining": pretraining}
                about |= {"source_fraction": None if kind == "scratch" else 1.0, "target_fraction": fraction}
                rows += result_rows(evaluate(part, replicates=replicates), **about)
    baseline = evaluate(age_sex_baseline(cohort), replicates=replicates)
    rows += result_rows(baseline, run="baseline", kind="baseline", target_fraction=1.0)
    return Made(cohort, rows, Predictions.concatenate(tables))
