"""The Bayes limit of the synthetic task: it is what the truth says, it is calibrated, and nobody beats it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from precordial.errors import PrecordialError
from precordial.evaluation import auc
from precordial.twin import Hospital, make_hospital
from precordial.twin.limit import FRESH_HOURS, best_scores


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("limit") / "hospital"
    return make_hospital(20_000, 4, folder, chest_pain=0.5, prevalence=0.2, registers_only=True)


@pytest.fixture(scope="module")
def judged(hospital: Hospital) -> pl.DataFrame:
    """The first ECG of each chest-pain visit, with the truth about both."""
    when = pl.col("recorded_at", "onset").str.to_datetime()
    ecgs = pl.read_csv(hospital.truth / "truth.csv", infer_schema_length=None).with_columns(when)
    first = ecgs.filter(pl.col("visit_id").is_not_null()).sort("recorded_at").unique("visit_id", keep="first")
    visits = pl.read_csv(hospital.truth / "visits.csv", infer_schema_length=None)
    register = pl.read_csv(hospital.registers / "visits.csv").filter(pl.col("complaint") == "chest pain")
    chest = visits.filter(pl.col("visit_id").is_in(register["visit_id"].to_list()))
    return chest.select("visit_id", "infarction", "risk").join(first, on="visit_id")


def scores(hospital: Hospital, judged: pl.DataFrame) -> np.ndarray:
    columns = (judged[name].to_numpy() for name in ("visit_id", "patient_id", "recorded_at"))
    return best_scores(hospital.truth, *columns)  # type: ignore[arg-type]


def test_a_heart_that_shows_an_infarction_shows_it(hospital: Hospital, judged: pl.DataFrame) -> None:
    score = scores(hospital, judged)
    hours = (judged["recorded_at"] - judged["onset"]).dt.total_seconds().to_numpy() / 3600
    severity = judged["severity_mv"].fill_null(0).to_numpy()
    shows = (severity > 0) & (hours >= 0) & (hours <= FRESH_HOURS)
    assert shows.sum() > 500
    np.testing.assert_array_equal(score == 1, shows)
    assert judged["infarction"].to_numpy()[shows].mean() > 0.99
    # Without a sign there is less risk than before the ECG was taken, but some.
    risk = judged["risk"].to_numpy()[~shows]
    assert np.all((score[~shows] > 0) & (score[~shows] < risk))


def test_the_limit_is_calibrated_and_above_what_age_and_sex_tell(hospital: Hospital, judged: pl.DataFrame) -> None:
    score, label = scores(hospital, judged), judged["infarction"].to_numpy().astype(float)
    error = np.sqrt((score * (1 - score)).sum())
    assert abs(score.sum() - label.sum()) < 4 * error + 0.01 * len(label)  # + infarctions of a second visit
    best, known = auc(label, score), auc(label, judged["risk"].to_numpy())
    assert 0.6 < known < 0.8 < best < 0.97


def test_order_does_not_matter(hospital: Hospital, judged: pl.DataFrame) -> None:
    order = np.random.default_rng(0).permutation(len(judged))
    np.testing.assert_array_equal(scores(hospital, judged[order]), scores(hospital, judged)[order])


def test_what_is_not_in_the_truth_is_said(hospital: Hospital, judged: pl.DataFrame, tmp_path: Path) -> None:
    strange = judged.with_columns(visit_id=pl.lit("V9999999"))
    with pytest.raises(PrecordialError, match=f"{len(judged)} of {len(judged)} visits or their ECGs"):
        scores(hospital, strange)
    with pytest.raises(PrecordialError, match="make the hospital again"):
        best_scores(tmp_path, *(np.array([]),) * 3)
