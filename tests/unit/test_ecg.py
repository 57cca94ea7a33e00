"""Lead algebra, and bringing any recording to eight leads, one rate and one length."""

from datetime import datetime
from itertools import combinations

import numpy as np
import pytest

from precordial.ecg import (
    EIGHT,
    LIMB,
    TWELVE,
    Ecg,
    Flag,
    canonical_lead,
    eight_leads,
    normalise,
    resample,
    twelve_leads,
)
from precordial.errors import UnusableEcg


def noise(leads: int, samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((leads, samples)).astype(np.float32)


def ecg(seconds: float = 10, rate: float = 500, leads: tuple[str, ...] = EIGHT, **rest: object) -> Ecg:
    return Ecg(noise(len(leads), round(seconds * rate)), rate=rate, leads=leads, **rest)  # type: ignore[arg-type]


RIPPLE = 10 ** (-54 / 20)  # 0.2 %: how far the resampler's filter, a Kaiser window of beta 5, strays from one


# ---- leads


def test_the_twelve_leads_obey_einthoven_and_goldberger() -> None:
    eight = noise(8, 50)
    lead = dict(zip(TWELVE, twelve_leads(eight), strict=True))
    i, ii = eight[6], eight[7]
    assert (lead["I"] == i).all()
    assert (lead["II"] == ii).all()
    iii = ii - i
    np.testing.assert_allclose(lead["III"], iii, atol=1e-6)
    np.testing.assert_allclose(lead["aVR"], -(i + ii) / 2, atol=1e-6)
    np.testing.assert_allclose(lead["aVL"], (i - iii) / 2, atol=1e-6)
    np.testing.assert_allclose(lead["aVF"], (ii + iii) / 2, atol=1e-6)
    assert all((lead[name] == eight[row]).all() for row, name in enumerate(EIGHT[:6]))


def test_twelve_leads_reduce_to_the_eight_they_came_from_in_any_order() -> None:
    eight = noise(8, 50)
    order = np.random.default_rng(1).permutation(12)
    signal, derived = eight_leads(twelve_leads(eight)[order], tuple(TWELVE[i] for i in order))
    assert (signal == eight).all()
    assert signal.flags.c_contiguous
    assert not derived


@pytest.mark.parametrize("limb", [pair for n in (2, 3) for pair in combinations(LIMB, n)])
def test_i_and_ii_are_completed_from_any_limb_leads(limb: tuple[str, ...]) -> None:
    eight = noise(8, 50)
    twelve = dict(zip(TWELVE, twelve_leads(eight), strict=True))
    leads = (*limb, *EIGHT[:6])
    signal, derived = eight_leads(np.stack([twelve[name] for name in leads]), leads)
    np.testing.assert_allclose(signal, eight, atol=1e-5)
    assert derived is not ({"I", "II"} <= set(limb))
    for row, name in ((6, "I"), (7, "II")):
        if name in limb:  # a lead that is there is taken as it is
            assert (signal[row] == eight[row]).all()


@pytest.mark.parametrize(
    ("leads", "missing"),
    [
        (("I", "II", *EIGHT[:5]), "V6"),
        (("I", *EIGHT[:6]), "II"),
        (EIGHT[:6], "I, II"),
        (("aVF", "V1", "V2"), "V3, V4, V5, V6, I, II"),
        (("MLII", "V5"), "V1"),
    ],
)
def test_what_cannot_be_completed_is_a_missing_lead(leads: tuple[str, ...], missing: str) -> None:
    with pytest.raises(UnusableEcg, match=f"lead {missing}") as error:
        eight_leads(noise(len(leads), 50), leads)
    assert error.value.reason == "missing-lead"


@pytest.mark.parametrize(
    ("written", "name"), [("AVR", "aVR"), (" avl ", "aVL"), ("ii", "II"), ("v6", "V6"), ("X", "X")]
)
def test_lead_names_are_read_in_any_case(written: str, name: str) -> None:
    assert canonical_lead(written) == name


# ---- the Ecg itself


def test_an_ecg_needs_one_row_per_lead() -> None:
    with pytest.raises(ValueError, match="one row for each"):
        Ecg(noise(2, 10), rate=500, leads=("I",))
    with pytest.raises(ValueError, match="one row for each"):
        Ecg(noise(1, 10)[0], rate=500, leads=("I",))
    assert ecg(2.5, 400).seconds == 2.5


# ---- normalise


def test_an_ecg_that_fits_is_left_as_it_is() -> None:
    given = ecg(patient_id="p", recorded_at=datetime(2020, 1, 2), age=50.0, sex="female", uv_per_unit=4.88, source="x")
    out = normalise(given)
    assert (out.signal == given.signal).all()
    assert (out.rate, out.leads, out.flags, out.uv_per_unit) == (500, EIGHT, Flag(0), 4.88)
    assert (out.patient_id, out.recorded_at, out.age, out.sex) == ("p", datetime(2020, 1, 2), 50.0, "female")


def test_completed_leads_are_flagged_and_earlier_flags_stay() -> None:
    leads = ("III", "aVF", *EIGHT[:6])
    out = normalise(ecg(leads=leads, flags=Flag.NO_CHECKSUM))
    assert out.flags == Flag.NO_CHECKSUM | Flag.COMPLETED_LEADS


def test_a_longer_recording_gives_its_first_seconds_flagged() -> None:
    given = ecg(13.3)
    out = normalise(given)
    assert (out.signal == given.signal[:, :5000]).all()
    assert out.flags == Flag.CROPPED


@pytest.mark.parametrize(("seconds", "rate"), [(9.998, 500), (9.9, 250), (9.996, 250), (5, 1000), (9.99, 257)])
def test_a_shorter_recording_is_too_short(seconds: float, rate: float) -> None:
    with pytest.raises(UnusableEcg, match=r"s recorded where 10 s are needed") as error:
        normalise(ecg(seconds, rate))
    assert error.value.reason == "too-short"


def sine(rate: float, samples: int) -> np.ndarray:
    """Eight leads with 1, 2 … 8 Hz, 1 mV."""
    time = np.arange(samples) / rate
    return np.stack([np.sin(2 * np.pi * (k + 1) * time) for k in range(8)]).astype(np.float32)


@pytest.mark.parametrize("rate", [100, 240, 250, 257, 360, 1000])
def test_another_rate_is_resampled_flagged_and_has_no_unit_of_its_file(rate: int) -> None:
    out = normalise(Ecg(sine(rate, 10 * rate), rate=rate, leads=EIGHT, uv_per_unit=2.5))
    assert out.signal.shape == (8, 5000)
    assert out.signal.dtype == np.float32
    assert out.flags == Flag.RESAMPLED
    assert (out.rate, out.uv_per_unit) == (500, None)
    inside = slice(250, -250)  # the ends depend on what one thinks lies beyond them
    np.testing.assert_allclose(out.signal[:, inside], sine(500, 5000)[:, inside], atol=RIPPLE)


def test_the_end_of_a_crop_is_no_edge_of_the_resampler() -> None:
    out = normalise(Ecg(sine(250, 3000), rate=250, leads=EIGHT))
    assert out.flags == Flag.RESAMPLED | Flag.CROPPED
    np.testing.assert_allclose(out.signal[:, 250:], sine(500, 5000)[:, 250:], atol=RIPPLE)


def test_resampling_keeps_a_straight_line_to_its_ends() -> None:
    drift = np.arange(2500, dtype=np.float32)[None] / 250  # 1 mV a second, as baseline wander may be
    out = resample(drift, 250, 500)
    np.testing.assert_allclose(out, np.arange(5000)[None] / 500, rtol=RIPPLE, atol=1e-6)


def test_an_archive_may_have_100_hz() -> None:
    out = normalise(Ecg(sine(500, 5000), rate=500, leads=EIGHT), rate=100, samples=1000)
    assert out.signal.shape == (8, 1000)
    np.testing.assert_allclose(out.signal[:, 50:-50], sine(100, 1000)[:, 50:-50], atol=RIPPLE)


@pytest.mark.parametrize("level", [0.0, 0.7])
def test_a_flat_lead_is_named(level: float) -> None:
    given = ecg()
    given.signal[[2, 7]] = level
    with pytest.raises(UnusableEcg, match="lead V3, II is flat") as error:
        normalise(given)
    assert error.value.reason == "flat-lead"


def test_a_lead_that_is_flat_within_the_kept_seconds_is_flat() -> None:
    given = ecg(12)
    given.signal[0, :5000] = 0
    with pytest.raises(UnusableEcg, match="lead V1 is flat"):
        normalise(given)


def test_rows_where_all_leads_are_zero_are_flagged_and_kept() -> None:
    given = ecg()
    given.signal[:, 100:103] = 0
    out = normalise(given)
    assert out.flags == Flag.EMPTY_ROWS
    assert out.signal.shape == (8, 5000)
    given.signal[3, 100:103] = 0.1  # one lead speaks: the rows are not empty
    assert normalise(given).flags == Flag(0)


def test_the_given_ecg_is_not_changed() -> None:
    given = ecg(11)
    before = given.signal.copy()
    normalise(given).signal[:] = 0
    assert (given.signal == before).all()
