"""Premature beats: how many, how early, with which pause, and what they look like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import EIGHT
from precordial.twin.conditions import MOST, draw_ectopy
from precordial.twin.heart import Beats, Infarctions, beats
from precordial.twin.persons import Persons, draw_persons
from precordial.twin.rhythm import ATRIAL, SINUS, VENTRICULAR, premature_beats, rhythm
from precordial.twin.signal import BEFORE, lead_field, record, templates

N, RATE, PEAK = 400, 500, round(BEFORE * 500)


def hearts(ectopy: tuple[float, float], n: int = N, seed: int = 1) -> tuple[Beats, Persons]:
    """People with so many atrial and ventricular premature beats a minute and no other condition."""
    rng = np.random.default_rng(seed)
    ages, sexes = rng.uniform(30, 85, n), rng.integers(0, 2, n)
    none = np.zeros(n, np.float32)
    persons = replace(
        draw_persons(ages, sexes, rng),
        early_repolarisation=none,
        hypertrophy=none,
        st_t_changes=none,
        bundle_branch=none.astype(np.int8),
        ectopy=np.tile(np.array(ectopy, np.float32), (n, 1)),
    )
    return beats(ages, sexes, persons, Infarctions.none(n), rng), persons


def intervals_around(heart: Beats, kind: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Before and after each premature beat of a kind, in parts of the sinus interval."""
    peaks, _, kinds = rhythm(heart, np.random.default_rng(2), 10)
    row, beat = np.nonzero(kinds == kind)
    assert len(row) > 200
    sinus = 60 / heart.heart_rate[row]
    return (peaks[row, beat] - peaks[row, beat - 1]) / sinus, (peaks[row, beat + 1] - peaks[row, beat]) / sinus


def test_counts_are_poisson() -> None:
    heart, _ = hearts((0.0, 3.0), 4000)
    peaks, _, kinds = rhythm(heart, np.random.default_rng(3), 10)
    counts = (kinds == VENTRICULAR).sum(1)
    assert not (kinds == ATRIAL).any()
    assert abs(counts.mean() - 0.5) < 4 * np.sqrt(0.5 / 4000)
    for k, expected in enumerate(np.exp(-0.5) * np.array([1, 0.5, 0.125, 0.0208])):
        assert abs((counts == k).mean() - expected) < 4 * np.sqrt(expected / 4000)
    at = peaks[kinds == VENTRICULAR]
    assert ((at > 0) & (at < 10)).all()
    assert not ((kinds[:, 1:] != SINUS) & (kinds[:, :-1] != SINUS)).any()
    assert (peaks[:, -1] > 10).all()


def test_ventricular_beats_are_early_and_followed_by_a_compensatory_pause() -> None:
    heart, _ = hearts((0.0, 6.0))
    before, after = intervals_around(heart, VENTRICULAR)
    assert (before < 0.95).mean() > 0.95
    assert 0.45 < np.median(before) < 0.75
    np.testing.assert_allclose(np.median(before + after), 2, atol=0.03)
    assert (after > 1).mean() > 0.95


def test_atrial_beats_reset_the_sinus_node() -> None:
    heart, _ = hearts((6.0, 0.0))
    before, after = intervals_around(heart, ATRIAL)
    assert 0.6 < np.median(before) < 0.9
    np.testing.assert_allclose(np.median(after), 1.06, atol=0.03)
    assert np.median(before + after) < 1.9


def test_no_premature_beat_falls_on_t() -> None:
    heart, _ = hearts((5.0, 5.0))
    peaks, _, kinds = rhythm(heart, np.random.default_rng(4), 10)
    row, beat = np.nonzero(kinds != SINUS)
    t_end = (heart.qt * 1e-3 - 0.42e-3 * heart.qrs)[row]
    assert (peaks[row, beat] - peaks[row, beat - 1] > t_end).all()


def test_premature_beats_look_as_they_should() -> None:
    heart, persons = hearts((5.0, 5.0))
    rows = np.arange(N)
    field = lead_field(persons, np.random.default_rng(5))
    sinus = templates(heart, field, RATE)
    atrial, ventricular = (
        templates(premature_beats(heart, persons, rows, kind), field, RATE) for kind in (ATRIAL, VENTRICULAR)
    )
    qrs = slice(PEAK - 25, PEAK + 60)
    p = slice(PEAK - 120, PEAK - 40)
    after_p = slice(PEAK, PEAK + 360)
    np.testing.assert_allclose(atrial[:, :, after_p], sinus[:, :, after_p], atol=0.005)
    lead = EIGHT.index("II")
    assert (sinus[:, lead, p].max(1) > 0.05).mean() > 0.9
    assert (atrial[:, lead, p].max(1) < sinus[:, lead, p].max(1)).mean() > 0.8
    # Wide and large, no P, T against the QRS
    shape = premature_beats(heart, persons, rows, VENTRICULAR)
    assert ((shape.qrs >= 138) & (shape.qrs <= 166)).all()
    assert np.abs(ventricular[:, :, p]).max() < 0.05
    areas = np.abs(ventricular[:, :, PEAK - 30 : PEAK + 55]).sum((1, 2)) / np.abs(sinus[:, :, qrs]).sum((1, 2))
    assert np.median(areas) > 1.8
    centre = PEAK + np.rint(shape.centres[:, -1] * RATE).astype(int)
    t = ventricular[rows, :, centre]
    net = ventricular[:, :, PEAK - 30 : PEAK + 55].sum(2)
    large = np.abs(net) > np.abs(net).max(1, keepdims=True) / 2
    assert (np.sign(t) == -np.sign(net))[large].mean() > 0.98


def test_recordings_contain_them() -> None:
    heart, persons = hearts((0.0, 6.0), 60)
    quiet = replace(heart, ectopy=np.zeros_like(heart.ectopy))
    signal, template = record(heart, persons, np.random.default_rng(6))
    other, same = record(quiet, persons, np.random.default_rng(6))
    assert np.isfinite(signal).all()
    np.testing.assert_array_equal(template, same)  # the typical beat is a sinus beat
    differs = np.abs(signal - other).max((1, 2)) > 0.5
    assert 0.4 < differs.mean() < 0.9  # 1 - exp(-1) = 0.63


def test_how_often_people_have_them() -> None:
    """Medians, quartiles and tails of the publications that `draw_ectopy` names, by simulation."""
    n = 40_000
    rng = np.random.default_rng(7)
    young, middle, old = (60 * draw_ectopy(np.full(n, age, np.float32), rng) for age in (33, 52.5, 75))
    assert 0.7 < np.median(middle[:, 0]) < 1.1  # 0.8 (0.4 to 1.8) an hour
    assert 2.2 < np.median(old[:, 0]) < 3.4  # 2.6 (1.2 to 6.5)
    assert 3 < np.divide(*np.percentile(old[:, 0], [75, 25])) < 8
    assert 1 < 24 * np.median(young[:, 1]) < 4  # 2 in 24 hours
    assert 100 < 24 * np.percentile(young[:, 1], 95) < 400  # 200
    assert 0.05 < (middle[:, 1] > 10).mean() < 0.12  # a tenth of healthy men above 40 years
    for of_all in (young, middle, old):
        assert of_all.max() <= 60 * MOST
    per_ecg = 1 - np.exp(-old / 360)
    assert (per_ecg.mean(0) < 0.06).all()


def test_a_visible_infarction_makes_ventricular_beats_commoner_for_a_day() -> None:
    rng = np.random.default_rng(8)
    ages, sexes = np.full(5, 60.0), np.zeros(5)
    persons = replace(draw_persons(ages, sexes, rng), ectopy=np.ones((5, 2), np.float32))
    size, hours = np.array([0, 0.2, 0.2, 0.2, 0], np.float32), np.array([3, 3, 30, -1, 0], np.float32)
    spec = Infarctions(np.ones(5, np.int8), size, hours)
    np.testing.assert_array_equal(
        beats(ages, sexes, persons, spec, rng).ectopy, [(1, 1), (1, 5), (1, 1), (1, 1), (1, 1)]
    )
