"""Columns of numbers that models may read beside the ECG, from registers and label tables into the cohort."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from precordial.cohort import Cohort, LabelsSettings, RegistersSettings, build_cohort
from precordial.errors import RegisterError

START = datetime(2017, 1, 1)
N = 40
WEIGHTS = [None if k % 7 == 3 else 50 + k / 2 for k in range(N)]


def ecgs() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ecg_id": [f"{k:016x}" for k in range(N)],
            "patient_id": [f"P{k}" for k in range(N)],
            "recorded_at": [START + timedelta(days=k) for k in range(N)],
            "age": [60.0] * N,
            "sex": [1.0] * N,
            "source": [f"{k}.xml" for k in range(N)],
        }
    )


def from_registers(folder: Path, cell: str = "", **columns: Any) -> Cohort:
    weights = [cell if cell and k == 5 else "" if w is None else f"{w:g}" for k, w in enumerate(WEIGHTS)]
    # The last ten patients come for something else and are source.
    visits = [
        f"V{k},P{k},{START + timedelta(days=k)},{'chest' if k < N - 10 else 'fall'},{weights[k]},{k}" for k in range(N)
    ]
    (folder / "visits.csv").write_text("\n".join(["visit_id,patient_id,arrival,complaint,kg,troponin", *visits]))
    (folder / "diagnoses.csv").write_text("patient_id,code,date\nP3,I21,2017-01-05\n")
    given = {
        "complaint": ["chest"],
        "visits": {"file": "visits.csv", "columns": columns},
        "diagnoses": {"file": "diagnoses.csv"},
    }
    return build_cohort(RegistersSettings.model_validate(given).resolve(folder), ecgs())


def from_labels(folder: Path, **columns: Any) -> Cohort:
    rows = [f"{k:016x},P{k},{k % 2 if k < 30 else ''},{'' if w is None else w}" for k, w in enumerate(WEIGHTS)]
    (folder / "labels.csv").write_text("\n".join(["id,patient_id,MI,kg", *rows]) + "\n")
    table = {"file": "labels.csv", "columns": {"ecg_id": "id", "labels": ["MI"], **columns}}
    given = {"kind": "labels", "table": table}
    return build_cohort(LabelsSettings.model_validate(given).resolve(folder), ecgs())


def values(cohort: Cohort, name: str = "kg") -> dict[str, float]:
    return dict(zip(cohort.patient_id.tolist(), cohort.inputs[name].tolist(), strict=True))


def expected(patient: str) -> float:
    weight = WEIGHTS[int(patient[1:])]
    return np.nan if weight is None else weight


def test_a_column_of_the_visits_is_that_of_each_visit_and_empty_on_the_source(tmp_path: Path) -> None:
    cohort = from_registers(tmp_path, inputs=["kg", "troponin"])
    assert list(cohort.inputs) == ["kg", "troponin"]
    assert {"source", "target"} == set(cohort.role.tolist())
    target, source = cohort.select(role="target"), cohort.select(role="source")
    assert len(target) > 20
    for patient, value in values(target).items():
        np.testing.assert_equal(value, expected(patient))
    assert values(target, "troponin") == {patient: int(patient[1:]) for patient in target.patient_id.tolist()}
    assert np.isnan(source.inputs["kg"]).all()


def test_a_column_of_the_label_table_is_that_of_each_ecg(tmp_path: Path) -> None:
    cohort = from_labels(tmp_path, inputs=["kg"])
    assert {"source", "target"} == set(cohort.role.tolist())
    for patient, value in values(cohort).items():
        np.testing.assert_equal(value, expected(patient))
    assert len(values(cohort)) == N


@pytest.mark.parametrize("build", [from_registers, from_labels])
def test_a_cohort_with_inputs_comes_back_whole_and_has_a_digest_of_its_own(build: Any, tmp_path: Path) -> None:
    plain, cohort = build(tmp_path), build(tmp_path, inputs=["kg"])
    assert plain.inputs == {}
    assert plain.digest != cohort.digest
    cohort.save(tmp_path / "cohort")
    loaded = Cohort.load(tmp_path / "cohort")
    assert loaded.digest == cohort.digest
    np.testing.assert_array_equal(loaded.inputs["kg"], cohort.inputs["kg"])
    header = (tmp_path / "cohort" / "cohort.csv").read_text().splitlines()[0]
    assert header.endswith(",input:kg")
    plain.save(tmp_path / "plain")
    assert "input:" not in (tmp_path / "plain" / "cohort.csv").read_text()
    assert Cohort.load(tmp_path / "plain").digest == plain.digest
    kept = cohort.select(role="target", split="train", fraction="0.5")
    assert len(kept.inputs["kg"]) == len(kept) < len(cohort)


def test_what_is_no_number_and_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RegisterError) as error:
        from_registers(tmp_path, cell="heavy", inputs=["kg"])
    assert str(error.value).startswith(f"{tmp_path / 'visits.csv'}, row 7, column 'kg': this is not a number")
    with pytest.raises(RegisterError, match="height"):
        from_labels(tmp_path, inputs=["height"])
