"""The synthetic ECGs look like ECGs, and age, sex and infarction act in the published directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from inspect import signature

import numpy as np
import pytest
from numpy.typing import NDArray

from precordial.ecg import EIGHT, TWELVE, twelve_leads
from precordial.twin import synthetic_ecgs
from precordial.twin.heart import TERRITORIES, Beats, Infarctions, beats
from precordial.twin.leads import DOWER
from precordial.twin.persons import Persons, draw_persons
from precordial.twin.rhythm import rhythm
from precordial.twin.signal import BEFORE, record, templates

RATE = 500
PEAK = round(BEFORE * RATE)
LEAD = {name: i for i, name in enumerate(EIGHT)}


def typical(ages: NDArray[np.float64], sexes: NDArray[np.int64], seed: int) -> tuple[Beats, NDArray[np.float32]]:
    """Beats without conditions, and their noiseless templates (n, 8, samples) in Dower's own field."""
    rng = np.random.default_rng(seed)
    persons = draw_persons(ages, sexes, rng)
    none = np.zeros(len(ages), np.float32)
    persons = replace(
        persons,
        early_repolarisation=none,
        hypertrophy=none,
        st_t_changes=none,
        bundle_branch=np.zeros(len(ages), np.int8),
        ectopy=np.zeros((len(ages), 2), np.float32),
    )
    heart = beats(ages, sexes, persons, Infarctions.none(len(ages)), rng)
    return heart, templates(heart, np.broadcast_to(DOWER, (len(ages), 8, 3)), RATE)


def adults(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return rng.uniform(20, 90, n), rng.integers(0, 2, n)


def peak(template: NDArray[np.float32], lead: str) -> NDArray[np.float32]:
    """R amplitude: the highest value within 60 ms of the R peak."""
    return np.asarray(template[:, LEAD[lead], PEAK - 30 : PEAK + 30].max(1))


def trough(template: NDArray[np.float32], lead: str) -> NDArray[np.float32]:
    return np.asarray(template[:, LEAD[lead], PEAK - 30 : PEAK + 30].min(1))


def t_wave(heart: Beats, template: NDArray[np.float32], lead: str) -> NDArray[np.float32]:
    """The value at the centre of T."""
    at = PEAK + np.rint(heart.centres[:, -1] * RATE).astype(int)
    return np.asarray(template[np.arange(len(at)), LEAD[lead], at])


def test_dower_is_the_inverse_of_the_published_inverse() -> None:
    # Edenbrandt & Pahlm 1988 (J Electrocardiol 21:361) published the pseudo-inverse, V1 … V6, I, II to x, y, z.
    published = [
        (-0.172, -0.074, 0.122, 0.231, 0.239, 0.194, 0.156, -0.010),
        (0.057, -0.019, -0.106, -0.022, 0.041, 0.048, -0.227, 0.887),
        (-0.229, -0.310, -0.246, -0.063, 0.055, 0.108, 0.022, 0.102),
    ]
    np.testing.assert_allclose(np.linalg.pinv(DOWER.astype(float)), published, atol=0.0006)


def test_equal_seeds_give_equal_ecgs() -> None:
    once = synthetic_ecgs([30, 50, 70], [0, 1, 0], seed=4)
    np.testing.assert_array_equal(once, synthetic_ecgs([30, 50, 70], [0, 1, 0], seed=4))
    assert not np.array_equal(once, synthetic_ecgs([30, 50, 70], [0, 1, 0], seed=5))


@pytest.mark.parametrize(("rate", "seconds", "samples"), [(500, 10, 5000), (250, 10, 2500), (100, 8, 800)])
def test_shape_and_type(rate: int, seconds: float, samples: int) -> None:
    ecgs = synthetic_ecgs([18, 40, 99], [1, 0, 1], rate=rate, seconds=seconds)
    assert ecgs.shape == (3, 8, samples)
    assert ecgs.dtype == np.float32
    assert np.isfinite(ecgs).all()
    assert (ecgs.std(axis=2) > 0.02).all()


def test_rates_agree() -> None:
    """At 100 Hz every fifth value of 500 Hz, in the template exactly; the recording differs by its noise alone."""
    ages, sexes = adults(50, 20)
    made = {}
    for rate in (100, 500):
        rng = np.random.default_rng(21)
        persons = draw_persons(ages, sexes, rng)
        heart = beats(ages, sexes, persons, Infarctions.none(50), rng)
        made[rate] = record(heart, persons, rng, rate=rate)
    np.testing.assert_allclose(made[100][1], made[500][1][:, :, ::5], atol=1e-4)
    slow = made[500][0][:, :, ::5]
    alike = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(made[100][0], slow, strict=True)]
    assert np.median(alike) > 0.9


def test_more_ecgs_than_one_batch() -> None:
    ecgs = synthetic_ecgs(np.full(70, 50), np.zeros(70))
    assert (np.ptp(ecgs, axis=2) > 0.1).all()


def test_amplitudes_of_a_healthy_population() -> None:
    """Medians within what PTB-XL's normal ECGs of these ages show between their 10th and 90th percentiles."""
    heart, template = typical(*adults(400, 1), seed=2)
    medians = {lead: (np.median(peak(template, lead)), np.median(trough(template, lead))) for lead in EIGHT}
    # 10th and 90th percentile of R and S, mV, in median beats of the 303 NORM records of shared/data/ptbxl/records500
    expected = {
        "V1": ((0.07, 0.38), (-1.38, -0.49)),
        "V2": ((0.26, 0.96), (-2.10, -0.69)),
        "V4": ((0.75, 2.33), (-0.91, -0.11)),
        "V5": ((0.89, 2.11), (-0.46, -0.05)),
        "V6": ((0.75, 1.70), (-0.24, -0.02)),
        "I": ((0.37, 1.13), (-0.22, -0.03)),
        "II": ((0.53, 1.46), (-0.29, -0.02)),
    }
    for lead, ((low_r, high_r), (low_s, high_s)) in expected.items():
        r, s = medians[lead]
        assert low_r <= r <= high_r, lead
        assert low_s <= s <= high_s, lead
    for lead, low, high in [("V2", 0.22, 0.88), ("V4", 0.24, 0.74), ("V6", 0.16, 0.46), ("II", 0.18, 0.45)]:
        assert low <= np.median(t_wave(heart, template, lead)) <= high, lead


def test_r_wave_grows_from_v1_to_v5() -> None:
    _, template = typical(*adults(200, 3), seed=4)
    share = [
        np.median(peak(template, f"V{k}") / (peak(template, f"V{k}") - trough(template, f"V{k}"))) for k in range(1, 6)
    ]
    assert np.all(np.diff(share) > 0)
    assert share[0] < 0.4 < 0.8 < share[4]


def test_intervals() -> None:
    heart, _ = typical(*adults(500, 5), seed=6)
    for value, low, high in [
        (heart.pr, 110, 220),
        (heart.qrs, 70, 115),
        (heart.qt, 320, 470),
        (heart.heart_rate, 45, 100),
    ]:
        assert ((value >= low) & (value <= high)).mean() > 0.95


def test_heart_rate_is_in_the_signal() -> None:
    ages, sexes = adults(40, 7)
    rng = np.random.default_rng(8)
    persons = replace(draw_persons(ages, sexes, rng), ectopy=np.zeros((40, 2), np.float32))
    heart = beats(ages, sexes, persons, Infarctions.none(40), rng)
    signal, _ = record(heart, persons, rng)
    for ecg, rate in zip(signal, heart.heart_rate, strict=True):
        steep = np.abs(np.diff(ecg, axis=1)).sum(0)
        steep = np.convolve(steep - steep.mean(), np.ones(40), "same")  # 80 ms: wide enough for the variability
        spectrum = np.fft.rfft(steep, 2 * len(steep))
        similar = np.fft.irfft(np.abs(spectrum) ** 2)
        lags = np.arange(round(60 / 140 * RATE), round(60 / 40 * RATE))
        assert 60 * RATE / lags[similar[lags].argmax()] == pytest.approx(rate, rel=0.08)


def test_beats_fill_the_recording() -> None:
    heart, _ = typical(*adults(300, 12), seed=13)
    peaks, sizes, kinds = rhythm(heart, np.random.default_rng(14), 10)
    assert not kinds.any()
    assert (peaks[:, 0] < 0).all()
    assert (peaks[:, -1] > 10).all()
    mean = 60 / heart.heart_rate[:, None]
    assert (np.abs(np.diff(peaks, axis=1) / mean - 1) < 0.41).all()
    assert sizes.shape == (300, peaks.shape[1], 8)
    assert 0.6 < sizes.min() < 1 < sizes.max() < 1.4


@pytest.mark.parametrize(
    ("territory", "raised", "lowered"),
    [
        ("anterior", ("V1", "V2", "V3", "V4"), ("III",)),
        ("inferior", ("II", "III", "aVF"), ("I", "aVL", "V2")),
        ("lateral", ("I", "aVL", "V5", "V6"), ("III", "V1")),
        ("subendocardial", ("aVR",), ("II", "V4", "V5", "V6")),
    ],
)
def test_st_deviation_by_territory(territory: str, raised: tuple[str, ...], lowered: tuple[str, ...]) -> None:
    shift = infarct_effect(territory, severity=0.2, hours=3)
    at = PEAK + round(0.10 * RATE)  # some 50 ms after the J point
    for names, sign in ((raised, 1), (lowered, -1)):
        for name in names:
            level = sign * shift[:, TWELVE.index(name), at]
            assert np.median(level) > 0.03, name
            assert (level > 0).mean() > 0.75, name


def test_old_infarction_keeps_its_q_wave_only() -> None:
    shift = infarct_effect("inferior", severity=0.2, hours=24 * 365)
    at_q, at_st = PEAK - round(0.022 * RATE), PEAK + round(0.08 * RATE)
    assert np.median(shift[:, TWELVE.index("aVF"), at_q]) < -0.2
    assert np.abs(np.median(shift[:, TWELVE.index("aVF"), at_st])) < 0.02


def test_t_wave_inverts_in_a_day() -> None:
    at = PEAK + round(0.27 * RATE)
    early, late = (infarct_effect("anterior", 0.2, hours)[:, TWELVE.index("V3"), at] for hours in (1, 60))
    assert np.median(early) > 0.1
    assert np.median(late) < -0.1


@pytest.mark.parametrize(("severity", "hours"), [(0.0, 3.0), (0.3, -5.0)])
def test_silent_and_future_infarctions_leave_no_trace(severity: float, hours: float) -> None:
    ages, sexes = adults(5, 9)
    codes = np.array([1, 2, 3, 4, 1], np.int8)
    spec = Infarctions(codes, np.full(5, severity, np.float32), np.full(5, hours, np.float32))
    np.testing.assert_array_equal(synthetic_ecgs(ages, sexes, spec, seed=3), synthetic_ecgs(ages, sexes, seed=3))


def infarct_effect(territory: str, severity: float, hours: float) -> NDArray[np.float32]:
    """What an infarction changes in the template beats of 200 persons, (n, 12, samples) mV."""
    ages, sexes = adults(200, 10)
    code = TERRITORIES.index(territory)
    spec = Infarctions(np.full(200, code, np.int8), np.full(200, severity, np.float32), np.full(200, hours, np.float32))
    with_it, without = (_template(ages, sexes, one) for one in (spec, Infarctions.none(200)))
    return np.stack([twelve_leads(beat) for beat in with_it - without])


def _template(ages: NDArray[np.float64], sexes: NDArray[np.int64], spec: Infarctions) -> NDArray[np.float32]:
    rng = np.random.default_rng(11)
    persons: Persons = draw_persons(ages, sexes, rng)
    return record(beats(ages, sexes, persons, spec, rng), persons, rng)[1]


def test_nothing_here_knows_the_label() -> None:
    """An infarction comes in by its territory, size and age alone, and not by what a register says of it."""
    assert list(signature(beats).parameters) == ["ages", "sexes", "persons", "infarctions", "rng", "stress"]
    assert [field.name for field in fields(Infarctions)] == ["territory", "severity", "hours"]
    assert list(signature(record).parameters) == ["heart", "persons", "rng", "rate", "seconds"]


def test_age_and_sex_act_in_the_published_directions() -> None:
    n = 400
    groups = {
        (age, sex): typical(np.full(n, age), np.full(n, sex), seed=100 + 10 * k + sex)
        for k, age in enumerate((25.0, 80.0))
        for sex in (0, 1)
    }
    st = PEAK + round(0.09 * RATE)
    measures: dict[str, Callable[[Beats, NDArray[np.float32]], NDArray[np.float32]]] = {
        "T in V4": lambda heart, beat: t_wave(heart, beat, "V4"),
        "R in V5": lambda heart, beat: peak(beat, "V5"),
        "R in II": lambda heart, beat: peak(beat, "II"),
        "ST in V2": lambda heart, beat: beat[:, LEAD["V2"], st],
        "QRS duration": lambda heart, beat: heart.qrs,
        "QTc": lambda heart, beat: heart.qt * np.cbrt(heart.heart_rate / 60),
        "P to R": lambda heart, beat: heart.pr,
        "rate": lambda heart, beat: heart.heart_rate,
        "variability": lambda heart, beat: heart.variability,
        "axis": lambda heart, beat: heart.axis,
    }
    value = {(name, *group): measure(*made) for name, measure in measures.items() for group, made in groups.items()}

    def rises(name: str, low: tuple[float, int], high: tuple[float, int]) -> bool:
        """Whether a measure is larger in the second group, by more than three standard errors."""
        a, b = value[name, *low], value[name, *high]
        return bool(b.mean() - a.mean() > 3 * np.sqrt(a.var() / n + b.var() / n))

    young_man, young_woman, old_man, old_woman = (25.0, 0), (25.0, 1), (80.0, 0), (80.0, 1)
    for name in ("T in V4", "R in II", "ST in V2", "variability", "axis"):
        assert rises(name, old_man, young_man), name
    for name in ("T in V4", "R in II", "variability", "axis"):
        assert rises(name, old_woman, young_woman), name
    for name in ("QTc", "P to R"):
        assert rises(name, young_man, old_man), name
        assert rises(name, young_woman, old_woman), name
    for name in ("T in V4", "R in V5", "ST in V2", "QRS duration"):
        assert rises(name, young_woman, young_man), name
    for name in ("QTc", "rate"):
        assert rises(name, young_man, young_woman), name
