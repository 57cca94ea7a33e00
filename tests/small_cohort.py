"""A small cohort with a flow chart, for the tests of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from precordial.cohort import Cohort
from precordial.cohort.counting import FlowChart

SPLITS = ("train", "validation", "random_test", "temporal_test")
NOT_YET = np.datetime64("NaT", "s")


def small_cohort(
    visits: Sequence[int] = (40, 12, 14, 10),
    outcomes: Sequence[str] = ("AMI",),
    folds: Sequence[str] = (),
    seed: int = 0,
) -> Cohort:
    """Target visits by split, or by fold where folds are named, and 30 source ECGs; all follows from the seed."""
    draw = np.random.default_rng(seed)
    n, source = sum(visits), 30
    target = np.arange(n + source) < n
    place = np.repeat(np.arange(len(visits)), visits)
    split = np.append(
        np.full(n, "fold") if folds else np.array(SPLITS)[place],
        np.where(np.arange(source) < 27, "train", "validation"),
    )
    # Of each split, the first two visits are those of one patient.
    first = np.r_[0, np.cumsum(visits)[:-1]]
    person = np.arange(n + source)
    person[[start + 1 for start, size in zip(first, visits, strict=True) if size > 1]] -= 1
    arrival = np.where(target, np.datetime64("2018-01-01T00:00", "s") + 3600 * np.arange(n + source), NOT_YET)
    recorded = (
        np.datetime64("2018-01-01T00:10", "s") + 3600 * np.arange(n + source) - 1200 * (np.arange(n + source) % 9 == 4)
    )
    age, sex = np.round(draw.normal(60, 12, n + source)), draw.integers(0, 2, n + source).astype(float)
    age[3], sex[n - 1] = np.nan, np.nan
    labels = {}
    for number, name in enumerate(outcomes):
        labels[name] = np.where(target, draw.random(n + source) < 0.15 * (number + 1), np.nan)
        labels[name][: 2 * number] = np.nan
    columns: dict[str, Any] = {
        "ecg_id": np.array([f"{k:016x}" for k in range(n + source)]),
        "patient_id": np.array([f"P{k}" for k in person]),
        "visit_id": np.where(target, [f"V{k}" for k in range(n + source)], ""),
        "prediction_time": recorded,
        "recorded_at": recorded,
        "arrival": arrival,
        "role": np.where(target, "target", "source"),
        "split": split,
        "fold": np.append(place if folds else np.full(n, -1), np.full(source, -1)),
        "order": np.arange(n + source),
        "age": age,
        "sex": sex,
        "labels": labels,
        "age_source": np.where(np.isnan(age), "", "birth-date"),
        "sex_source": np.where(np.isnan(sex), "", "register"),
        "site": np.where(np.arange(n + source) % 11 == 5, "Ystad", "Lund"),
        "device": np.array([f"MAC{k % 10}" for k in range(n + source)]),
    }
    named = folds and not folds[0].isdigit()
    scheme = {"scheme": "sites", "sites": list(folds)} if named else {"scheme": "k-fold", "folds": len(folds)}
    return Cohort(**columns, flow=_flow(columns, n, folds), settings={"split": scheme} if folds else {})


def _flow(columns: dict[str, Any], n: int, folds: Sequence[str]) -> Any:
    """3 visits of 2 new patients and of one who stays are left out at first, then one visit of one more."""
    chart = FlowChart()
    patients = columns["patient_id"]
    ecgs = pl.DataFrame({"ecg_id": columns["ecg_id"].tolist(), "patient_id": patients.tolist()})
    chart.archive(ecgs, {"flat-lead": 2, "unreadable": 7})
    everyone = [*patients[:n].tolist(), "X1", "X1", "X2", str(patients[0])]
    table = pl.DataFrame({"row": range(n + 4), "patient_id": everyone, "arrival": [0] * (n + 4)})
    chart.start("target", "visits", "visits in the register", table)
    chart.step("target", "complete", "complete", table, table[: n + 1], "incomplete")
    chart.step("target", "age", "of age", table[: n + 1], table[: n + 1], "too young")
    chart.step("target", "index-ecg", "with an index ECG", table[: n + 1], table[:n], "without an ECG")
    known = {f"label:{name}": _with_gaps(label[:n]) for name, label in columns["labels"].items()}
    known |= {name: _with_gaps(columns[name][:n]) for name in ("age", "sex")}
    split, fold = pl.Series("split", columns["split"][:n].tolist(), pl.String), pl.Series("fold", columns["fold"][:n])
    known_columns = [pl.Series(name, values, pl.Float64) for name, values in known.items()]
    chart.parts("target", table[:n].with_columns(split, fold, *known_columns), folds)
    source = ecgs[n:].with_columns(pl.Series("split", columns["split"][n:].tolist()))
    chart.start("source", "ecgs", "of other patients", source)
    chart.parts("source", source)
    return chart.flow()


def _with_gaps(values: np.ndarray) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
