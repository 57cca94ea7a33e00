"""The saved cohort: comes back whole, tells when it was changed, and its fractions nest."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from precordial.cohort import Cohort, Flow, FlowStep, keep_fraction
from precordial.cohort.cohort import COLUMNS, _joined
from precordial.errors import RegisterError, SettingsError


def cohort_of(patients: int = 40, ecgs_each: int = 2, seed: int = 0) -> Cohort:
    """Half source, half target; every fourth patient validates."""
    rng = np.random.default_rng(seed)
    n = patients * ecgs_each
    patient = np.arange(n) // ecgs_each
    target = patient >= patients // 2
    validates = patient % 4 == 3
    order = np.zeros(n, np.int64)
    for mask in (target & validates, target & ~validates, ~target & validates, ~target & ~validates):
        order[mask] = np.unique(patient[mask], return_inverse=True)[1]
    return Cohort(
        ecg_id=np.array([f"{i:016x}" for i in range(n)]),
        patient_id=np.array([f'00{i}, "å"' for i in patient]),
        visit_id=np.where(target, np.arange(n).astype(str), ""),
        prediction_time=np.datetime64("2017-01-01T00:00:00", "s") + np.arange(n).astype("timedelta64[m]"),
        role=np.where(target, "target", "source"),
        split=np.where(validates, "validation", "train"),
        order=order,
        age=np.where(rng.random(n) < 0.2, np.nan, rng.normal(60, 20, n)),
        sex=np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 2, n)),
        labels={
            "AMI": np.where(target, rng.integers(0, 2, n), np.nan),
            'a, "b"': np.where(target, rng.integers(0, 2, n), np.nan),
        },
        events={"AMI": np.where(target, np.datetime64("2017-01-02T00:00:00", "s"), np.datetime64("NaT"))},
        site=np.where(target, "Lund", ""),
        age_source=np.full(n, "birth-date"),
        sex_source=np.full(n, ""),
        flow=Flow((FlowStep("target", "visits", "visits", patients=1, visits=2, reasons={"å": 3}),)),
        account={"tables": {"visits": {"rows": 3}}},
        settings={"seed": 7, "kind": "registers"},
    )


def test_it_comes_back_whole(tmp_path: Path) -> None:
    cohort = cohort_of()
    cohort.save(tmp_path / "cohort", archive={"digest": "abc"})
    again = Cohort.load(tmp_path / "cohort")
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(again, name), getattr(cohort, name), err_msg=name)
        assert getattr(again, name).dtype.kind == getattr(cohort, name).dtype.kind
    assert (again.flow, again.settings, again.digest) == (cohort.flow, cohort.settings, cohort.digest)
    assert again.outcomes == ("AMI", 'a, "b"')
    assert again.account == {"tables": {"visits": {"rows": 3}}}
    for name in again.outcomes:
        np.testing.assert_array_equal(again.labels[name], cohort.labels[name])
        np.testing.assert_array_equal(again.events[name], cohort.events[name])
    np.testing.assert_array_equal(again.label, cohort.labels["AMI"])
    assert replace(again).digest == cohort.digest, "reckoned anew it is the same"
    manifest = json.loads((tmp_path / "cohort" / "manifest.json").read_text())
    assert (manifest["seed"], manifest["rows"], manifest["archive"]) == (7, 80, {"digest": "abc"})
    assert manifest["digest"] == cohort.digest
    again.save(tmp_path / "second")
    assert (tmp_path / "second" / "cohort.csv").read_bytes() == (tmp_path / "cohort" / "cohort.csv").read_bytes()


def test_an_empty_cohort_comes_back(tmp_path: Path) -> None:
    cohort = cohort_of().select(role="none")
    assert len(cohort) == 0
    cohort.save(tmp_path)
    assert len(Cohort.load(tmp_path)) == 0


def test_the_digest_is_of_the_contents() -> None:
    cohort = cohort_of()
    assert cohort.digest == cohort_of().digest
    for name, kind in COLUMNS.items():
        column = getattr(cohort, name).copy()
        column[3] = {"text": "x", "time": np.datetime64("1999-01-01"), "int": 99, "float": 99.0}[kind]
        assert replace(cohort, **{name: column}).digest != cohort.digest, name
    others = cohort.labels | {"AMI": 1 - cohort.labels["AMI"]}
    assert replace(cohort, labels=others).digest != cohort.digest
    assert replace(cohort, labels={"AMI": cohort.label}).digest != cohort.digest
    assert replace(cohort, events={}).digest != cohort.digest


@pytest.mark.parametrize(
    ("file", "change", "problem"),
    [
        ("cohort.csv", lambda text: text.replace("train", "trein", 1), "not the one that was saved"),
        ("cohort.csv", lambda text: text[:-40], "not the one that was saved"),
        ("manifest.json", lambda text: text.replace('"format": 2', '"format": 9'), "cohort format 9"),
        ("manifest.json", lambda text: text[:30], "manifest cannot be read"),
        ("flow.json", lambda text: text[:30], "cannot be read"),
        ("manifest.json", None, "no cohort here"),
        ("cohort.csv", None, "no such file"),
        ("flow.json", None, "no such file"),
        ("account.json", lambda text: text[:5], "cannot be read"),
        ("account.json", None, "no such file"),
    ],
)
def test_damage_is_seen(tmp_path: Path, file: str, change: object, problem: str) -> None:
    cohort_of().save(tmp_path)
    path = tmp_path / file
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(RegisterError, match=f"{file}.*{problem}.*build it"):
        Cohort.load(tmp_path)


def test_fractions_nest_and_leave_the_rest_alone() -> None:
    cohort = cohort_of(patients=400)
    training = 150  # patients, in each role
    inner: set[str] = set()
    for tenths in range(1, 11):
        part = keep_fraction(cohort, tenths / 10)
        kept = set(part.select(role="target", split="train").patient_id.tolist())
        assert len(kept) == int(Fraction(tenths, 10) * training)
        assert inner <= kept
        inner = kept
        assert len(set(part.select(role="source", split="train").patient_id.tolist())) == len(kept)
        for role in ("source", "target"):
            whole = cohort.select(role=role, split="validation")
            assert part.select(role=role, split="validation").digest == whole.digest
    assert part.digest == cohort.digest
    assert cohort.select(role="target", split="train", fraction="0.02").order.max() == 2
    only = keep_fraction(cohort, "0.5", role="target")
    assert only.select(role="source").digest == cohort.select(role="source").digest
    assert len(only.select(role="target", split="train")) == training
    with pytest.raises(SettingsError):
        cohort.select(fraction=0)


def test_columns_must_match() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        replace(cohort_of(), age=np.zeros(3))
    with pytest.raises(ValueError, match="at least one outcome"):
        replace(cohort_of(), labels={})


def test_a_training_machine_needs_no_polars(tmp_path: Path) -> None:
    cohort_of().save(tmp_path)
    code = (
        "import sys; sys.modules['polars'] = None\n"
        "from precordial.cohort import Cohort, build_cohort, check_leaks\n"
        "import precordial.datasets\n"
        f"cohort = Cohort.load({str(tmp_path)!r})\n"
        "import numpy as np\n"
        "n = len(cohort)\n"
        "check_leaks(cohort, cohort.ecg_id, cohort.prediction_time, np.arange(n, dtype=np.uint64))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_loading_a_cohort_of_the_papers_size_takes_seconds(tmp_path: Path) -> None:
    cohort_of(patients=220_000, ecgs_each=4).save(tmp_path)
    start = time.perf_counter()
    assert len(Cohort.load(tmp_path)) == 880_000
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize(
    "texts", [["a", "bb", ""], ["", "", ""], ["å", "b", "c"], ["a\0b", "c", "d"], ["\0a", "", "\0"]]
)
def test_the_digest_is_of_texts_with_nul_between(texts: list[str]) -> None:
    """However it is reckoned: with ASCII alone it takes a shorter way."""
    assert _joined(np.array(texts)) == "\0".join(np.array(texts).tolist()).encode()
    assert _joined(np.array(texts)[::-1]) == "\0".join(np.array(texts)[::-1].tolist()).encode()
    assert _joined(np.array([], np.str_)) == b""
