"""One ECG at a time gives what the study's own evaluation gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from precordial.archive import Archive
from precordial.bedside import Predictor
from precordial.cohort import Cohort
from precordial.ecg import EIGHT, TWELVE, Ecg, normalise, twelve_leads
from precordial.errors import ModelError, UnusableEcg
from precordial.evaluation import Predictions
from precordial.training import Stage, TrainingRun, train

RUN = TrainingRun(
    model="rn-900k", rate=100, role="target", task="label", stages=(Stage(epochs=2, peak=1e-3),), batch=16
)
BOTH = RUN.model_copy(update={"role": "source", "task": "age-sex", "age_bias": "median"})


class Trained(NamedTuple):
    """A run's folder, the predictor made of it, what the run predicted, and its archive."""

    folder: Path
    predictor: Predictor
    predictions: Predictions
    archive: Archive

    @property
    def ecg(self) -> Ecg:
        """One that the run has predicted."""
        return self.archive[str(self.predictions.ecg_id[0])]


@pytest.fixture(scope="module")
def once() -> dict[str, Trained]:
    return {}


@pytest.fixture
def trained(small_cohort: Callable[..., tuple[Cohort, Archive]], tmp_path: Path, once: dict[str, Trained]) -> Trained:
    """A finished run; the first test that wants it has it trained."""
    if "run" not in once:
        cohort, archive = small_cohort(target=60)
        train(RUN, cohort, archive, tmp_path / "run")
        predictions = Predictions.load(tmp_path / "run" / "predictions.csv")
        once["run"] = Trained(tmp_path / "run", Predictor.load(tmp_path / "run"), predictions, archive)
    return once["run"]


def test_it_says_what_the_study_predicted(trained: Trained) -> None:
    _, predictor, predictions, archive = trained
    assert len(predictions) > 15
    assert np.ptp(predictions.score) > 0.1  # not one number for all
    for ecg_id, score in zip(predictions.ecg_id.tolist(), predictions.score.tolist(), strict=True):
        said = predictor.score(archive[ecg_id])
        assert said.keys() == {"label"}
        assert said["label"] == pytest.approx(score, abs=1e-6)


def test_two_targets_come_by_name(small_cohort: Callable[..., tuple[Cohort, Archive]], tmp_path: Path) -> None:
    cohort, archive = small_cohort(target=10, source=60)
    train(BOTH, cohort, archive, tmp_path / "run")
    predictions = Predictions.load(tmp_path / "run" / "predictions.csv")
    said = Predictor.load(tmp_path / "run").score(archive[str(predictions.ecg_id[0])])
    assert list(said) == ["age", "sex"]
    for target, score in said.items():
        assert score == pytest.approx(predictions.select(target=target).score[0], rel=1e-6)


def test_a_model_file_will_do(trained: Trained) -> None:
    loaded = Predictor.load(trained.folder / "best.safetensors")
    assert loaded.score(trained.ecg) == trained.predictor.score(trained.ecg)


def test_order_and_number_of_the_leads_do_not_matter(trained: Trained) -> None:
    predictor, ecg = trained.predictor, trained.ecg
    wanted = predictor.score(ecg)["label"]
    backwards = replace(ecg, signal=ecg.signal[::-1], leads=EIGHT[::-1])
    assert predictor.score(backwards)["label"] == wanted
    twelve = replace(ecg, signal=twelve_leads(ecg.signal), leads=TWELVE)
    assert predictor.score(twelve)["label"] == wanted
    # Without lead I, which follows from the other limb leads but for rounding.
    eleven = replace(twelve, signal=twelve.signal[1:], leads=TWELVE[1:])
    assert predictor.score(eleven)["label"] == pytest.approx(wanted, abs=1e-5)


def a_heart(rate: int, seconds: float = 10.0) -> Ecg:
    """The same beats at any rate: bumps so wide that 100 Hz hold them."""
    time = np.arange(round(seconds * rate)) / rate
    signal = np.zeros((8, len(time)))
    for lead in range(8):
        for beat in np.arange(0.4, seconds, 0.9):
            signal[lead] += (1 + lead / 8) * np.exp(-(((time - beat) / 0.03) ** 2))
            signal[lead] += 0.4 * np.exp(-(((time - beat - 0.25) / 0.08) ** 2))
    return Ecg(signal.astype(np.float32), rate=rate, leads=EIGHT)


@pytest.mark.parametrize("rate", [250, 500, 1000])
def test_the_rate_of_the_file_does_not_matter(trained: Trained, rate: int) -> None:
    """Beside the differences between hearts, what the resampler does to a recording is nothing."""
    at_100, at_rate = a_heart(100), a_heart(rate)
    moved = np.abs(normalise(at_rate, rate=100, samples=1000).signal - at_100.signal)
    assert 0 < moved.max() < 2.44e-3  # mV: half of what an electrocardiograph's unit is
    wanted, said = (trained.predictor.score(ecg)["label"] for ecg in (at_100, at_rate))
    assert abs(said - wanted) < 0.01 * trained.predictions.score.std()


def test_a_longer_recording_counts_with_its_first_ten_seconds(trained: Trained) -> None:
    predictor, ecg = trained.predictor, trained.ecg
    longer = replace(ecg, signal=np.concatenate([ecg.signal, 5 * ecg.signal[:, :300]], axis=1))
    assert predictor.score(longer) == predictor.score(ecg)


def test_what_cannot_be_scored_is_said(trained: Trained) -> None:
    predictor, ecg = trained.predictor, trained.ecg
    flat = ecg.signal.copy()
    flat[2] = 0.1
    with pytest.raises(UnusableEcg, match="lead V3 is flat") as error:
        predictor.score(replace(ecg, signal=flat))
    assert error.value.reason == "flat-lead"
    with pytest.raises(UnusableEcg, match=r"9\.00 s recorded where 10 s are needed") as error:
        predictor.score(replace(ecg, signal=ecg.signal[:, :900]))
    assert error.value.reason == "too-short"
    with pytest.raises(UnusableEcg, match="lead V1 is missing") as error:
        predictor.score(replace(ecg, signal=ecg.signal[1:], leads=EIGHT[1:]))
    assert error.value.reason == "missing-lead"


def test_no_model_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        Predictor.load(tmp_path)
    assert str(error.value) == f"{tmp_path}: this folder holds no trained model; give the folder of a run"
    for path in (tmp_path / "none", tmp_path / "none.safetensors"):
        with pytest.raises(ModelError, match=str(path)):
            Predictor.load(path)
    (tmp_path / "best.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"best\.safetensors"):
        Predictor.load(tmp_path)


def test_a_body_that_was_left_in_training_mode_is_put_to_rest(trained: Trained) -> None:
    """Dropout or random crops would give another answer each time."""
    predictor, ecg = trained.predictor, trained.ecg
    again = Predictor(predictor.network.train(), predictor.card)
    assert again.score(ecg) == again.score(ecg) == predictor.score(ecg)


def test_a_model_of_several_outcomes_gives_each(
    small_cohort: Callable[..., tuple[Cohort, Archive]], tmp_path: Path
) -> None:
    cohort, archive = small_cohort(target=60)
    cohort = replace(cohort, labels={"AMI": cohort.label, "statement:NST_": cohort.sex}, events={})
    run = RUN.model_copy(update={"outcomes": cohort.outcomes, "stages": (Stage(epochs=1, peak=1e-3),)})
    predictions = train(run, cohort, archive, tmp_path / "run")
    ecg_id = str(predictions.ecg_id[0])
    said = Predictor.load(tmp_path / "run").score(archive[ecg_id])
    assert list(said) == ["AMI", "statement:NST_"]
    for outcome, probability in said.items():
        one = predictions.select(target=outcome)
        assert probability == pytest.approx(float(one.score[one.ecg_id == ecg_id][0]), abs=1e-5)
