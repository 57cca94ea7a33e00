"""Bundle-branch block, hypertrophy and early repolarisation: who has them, and what a cardiologist would measure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from precordial.ecg import TWELVE, twelve_leads
from precordial.twin.conditions import CONDITIONS
from precordial.twin.conduction import ONSET
from precordial.twin.heart import TERRITORIES, Beats, Infarctions, beats
from precordial.twin.leads import axis_of, frontal
from precordial.twin.persons import draw_persons
from precordial.twin.signal import BEFORE, lead_field, templates

N, RATE, PEAK = 300, 500, round(BEFORE * 500)
RIGHT, LEFT = 1, 2
Floats = NDArray[np.float32]


def made(infarctions: Infarctions | None = None, **conditions: Any) -> tuple[Beats, dict[str, Floats]]:
    """Hearts of people of 40 to 85 with these conditions and no others, and their noiseless leads (n, samples)."""
    rng = np.random.default_rng(1)
    ages, sexes = rng.uniform(40, 85, N), rng.integers(0, 2, N)
    persons = draw_persons(ages, sexes, rng)
    wanted = {"early_repolarisation": 0, "hypertrophy": 0, "st_t_changes": 0, "bundle_branch": 0} | conditions
    persons = replace(persons, **{k: np.full(N, v, getattr(persons, k).dtype) for k, v in wanted.items()})
    heart = beats(ages, sexes, persons, infarctions or Infarctions.none(N), rng)
    leads = np.stack([twelve_leads(one) for one in templates(heart, lead_field(persons, rng), RATE)])
    return heart, dict(zip(TWELVE, leads.transpose(1, 0, 2), strict=True))


def within(trace: Floats, start: float, end: float) -> Floats:
    """The part of a lead (n, samples) between two times in ms from the R peak."""
    return trace[:, PEAK + round(start * RATE / 1000) : PEAK + round(end * RATE / 1000)]


def t_wave(heart: Beats, trace: Floats) -> Floats:
    at = PEAK + np.rint(heart.centres[:, -1] * RATE).astype(int)
    return np.asarray(trace[np.arange(N), at])


def st(heart: Beats, trace: Floats) -> Floats:
    """40 ms after the J point."""
    at = PEAK + np.rint(heart.j * RATE).astype(int) + 20
    return np.asarray(trace[np.arange(N), at])


def q_wave(trace: Floats) -> Floats:
    """How far below zero a lead goes before the R peak."""
    return np.asarray(-within(trace, -60, 0).min(1))


def visible(heart: Beats, leads: dict[str, Floats]) -> Floats:
    """Duration of the QRS in ms by its slopes: from the first to the last steep sample before the ST segment."""
    steep = np.max([np.abs(np.diff(within(trace, -90, 170), axis=1)) for trace in leads.values()], 0) > 0.012
    return np.asarray((steep.shape[1] - steep[:, ::-1].argmax(1) - steep.argmax(1)) * 1000 / RATE)


@pytest.mark.parametrize("block", [RIGHT, LEFT])
def test_complete_blocks_are_wide(block: int) -> None:
    narrow, narrow_leads = made()
    heart, leads = made(bundle_branch=block)
    assert (heart.qrs >= 120).all()
    assert (heart.qrs <= 180).all()
    assert np.median(heart.qrs) > 130
    assert np.median(visible(heart, leads)) > np.median(visible(narrow, narrow_leads)) + 25
    # JT stays, so QT grows with the QRS
    np.testing.assert_allclose(heart.qt - heart.qrs, narrow.qt - narrow.qrs, atol=0.01)


def test_right_block() -> None:
    normal, before = made()
    heart, leads = made(bundle_branch=RIGHT)
    assert (within(leads["V1"], 40, 110).max(1) > 0.3).mean() > 0.9  # R'
    assert np.median(within(before["V1"], 40, 110).max(1)) < 0.1
    assert np.median(within(leads["V1"], -40, 20).max(1)) > 0.1  # r
    for lead in ("I", "V6"):  # S, and it is broad
        assert np.median(within(leads[lead], 30, 110).min(1)) < -0.15
        assert np.median((within(leads[lead], 0, 140) < -0.05).sum(1) * 1000 / RATE) > 40
    assert np.median(t_wave(heart, leads["V1"])) < -0.2 < np.median(t_wave(normal, before["V1"]))
    assert (t_wave(heart, leads["V2"]) < 0.1).mean() > 0.8
    assert (t_wave(heart, leads["V6"]) > 0.1).mean() > 0.95
    # The left ventricle begins as ever.
    np.testing.assert_allclose(np.median(q_wave(leads["V6"])), np.median(q_wave(before["V6"])), atol=0.02)


def test_left_block() -> None:
    normal, before = made()
    heart, leads = made(bundle_branch=LEFT)
    for lead in ("I", "V5", "V6"):
        assert (q_wave(leads[lead]) < 0.05).mean() > 0.97
        assert np.median(within(leads[lead], -60, 120).max(1)) > 0.4
        assert (t_wave(heart, leads[lead]) < 0).mean() > 0.9
        assert np.median(st(heart, leads[lead])) < -0.02
    assert (q_wave(before["V6"]) > 0.05).mean() > 0.5  # septal q, lost in the block
    for lead in ("V1", "V2"):  # rS or QS, and all against it
        r, s = within(leads[lead], -60, 120).max(1), -within(leads[lead], -60, 120).min(1)
        assert (s > 3 * r).mean() > 0.9
        assert (t_wave(heart, leads[lead]) > 0.2).mean() > 0.95
        assert (st(heart, leads[lead]) > 0.05).mean() > 0.9
    # Time from the onset to the highest point in V6: the criterion is 60 ms, and half of the patients meet it.
    late = (within(leads["V6"], -60, 120).argmax(1) * 1000 / RATE - 60) + ONSET * (normal.qrs)
    assert np.median(late) > 50
    assert np.median(heart.axis) < np.median(normal.axis) - 20


def test_infarction_acts_on_top_of_a_block() -> None:
    code = np.full(N, TERRITORIES.index("anterior"), np.int8)
    acute = Infarctions(code, np.full(N, 0.3, np.float32), np.full(N, 2, np.float32))
    blocked, without = made(bundle_branch=LEFT)
    heart, leads = made(acute, bundle_branch=LEFT)
    np.testing.assert_array_equal(heart.qrs, blocked.qrs)
    assert np.median(st(heart, leads["V3"]) - st(blocked, without["V3"])) > 0.15


def test_hypertrophy_meets_the_voltage_criteria_and_strains() -> None:
    shares = []
    for size in (0.0, 0.5, 1.0):
        heart, leads = made(hypertrophy=size)
        cornell = within(leads["aVL"], -60, 60).max(1) - within(leads["V3"], -60, 60).min(1)
        shares.append((cornell > 2.4).mean())
    assert shares[0] < 0.1
    assert shares[0] + 0.1 < shares[1] < shares[2] - 0.1
    assert shares[2] > 0.5
    assert np.median(t_wave(heart, leads["V6"])) < 0 < np.median(t_wave(heart, leads["V1"]))
    assert np.median(st(heart, leads["V6"])) < -0.05


def test_early_repolarisation_raises_st_into_a_tall_t() -> None:
    normal, before = made()
    heart, leads = made(early_repolarisation=0.15)
    for lead in ("V2", "V3", "V4", "II"):
        assert np.median(st(heart, leads[lead]) - st(normal, before[lead])) > 0.05, lead
        assert np.median(t_wave(heart, leads[lead]) - t_wave(normal, before[lead])) > 0.05, lead
    assert not (np.median(leads["aVL"], 0)[PEAK + 60] < -0.05)  # no reciprocal depression


def test_lasting_changes_depress_st_and_flatten_t_at_the_side_and_leave_the_qrs() -> None:
    healthy, before = made()
    heart, after = made(st_t_changes=1)
    for name in ("V5", "V6"):  # Minnesota code 4.2 begins at 0.05 mV
        assert np.median(st(heart, after[name]) - st(healthy, before[name])) < -0.05, name
        assert np.median(t_wave(heart, after[name]) - t_wave(healthy, before[name])) < -0.2, name
    assert np.median(st(heart, after["I"]) - st(healthy, before["I"])) < -0.03
    assert np.median(st(heart, after["aVR"]) - st(healthy, before["aVR"])) > 0.03
    np.testing.assert_allclose(within(after["V5"], -60, 20), within(before["V5"], -60, 20), atol=0.05)


@pytest.mark.parametrize(
    ("condition", "age", "men", "women"),
    [  # the publications in CONDITIONS
        ("right bundle-branch block", 35, (0, 0.002), (0, 0.002)),
        ("right bundle-branch block", 77, (0.03, 0.05), (0.010, 0.022)),
        ("left bundle-branch block", 40, (0, 0.002), (0, 0.002)),
        ("left bundle-branch block", 52, (0.002, 0.006), (0.001, 0.006)),
        ("left bundle-branch block", 75, (0.010, 0.03), (0.010, 0.03)),
        ("left-ventricular hypertrophy", 52, (0.02, 0.03), (0.06, 0.08)),
        ("lasting ST and T changes", 50, (0.05, 0.08), (0.05, 0.08)),
        ("lasting ST and T changes", 70, (0.16, 0.24), (0.16, 0.24)),
        ("early repolarisation", 25, (0.08, 0.12), (0, 0.06)),
        ("early repolarisation", 80, (0, 0.06), (0, 0.06)),
    ],
)
def test_shares(condition: str, age: float, men: tuple[float, float], women: tuple[float, float]) -> None:
    shares = CONDITIONS[condition].share(np.full(2, age, np.float32), np.array([False, True]))
    assert men[0] <= shares[0] <= men[1]
    assert women[0] <= shares[1] <= women[1]


def test_persons_have_conditions_as_often_as_they_should() -> None:
    n = 40_000
    rng = np.random.default_rng(2)
    age, female = rng.uniform(30, 90, n).astype(np.float32), rng.integers(0, 2, n)
    persons = draw_persons(age, female, rng)
    found = {
        "right bundle-branch block": persons.bundle_branch == RIGHT,
        "left bundle-branch block": persons.bundle_branch == LEFT,
        "left-ventricular hypertrophy": persons.hypertrophy > 0,
        "early repolarisation": persons.early_repolarisation > 0,
        "lasting ST and T changes": persons.st_t_changes > 0,
    }
    assert found.keys() == CONDITIONS.keys()
    for name, having in found.items():
        for part in (female == 1, female == 0, age > 65, age < 50):
            chance = CONDITIONS[name].share(age, female == 1)[part]
            error = np.sqrt((chance * (1 - chance)).sum())
            assert abs(having[part].sum() - chance.sum()) < 4 * error, name
    right = found["right bundle-branch block"]
    assert right[female == 0].mean() > 1.5 * right[female == 1].mean()  # two to three times in Copenhagen
    assert persons.take(np.array([3, 1])).bundle_branch.shape == (2,)


def test_axis_of_a_frontal_vector() -> None:
    axis = np.array([-170, -30, 0, 45, 100], np.float32)
    np.testing.assert_allclose(axis_of(frontal(axis)), axis, atol=1e-3)
    first, foot = made()[1]["I"], made()[1]["aVF"]
    area = np.arctan2(within(foot, -60, 60).sum(1) * 2 / 3**0.5, within(first, -60, 60).sum(1))
    apart = np.abs(np.angle(np.exp(1j * (area - np.radians(made()[0].axis)))))
    assert np.median(np.degrees(apart)) < 15  # the torso turns it a little, and ST adds to the area
