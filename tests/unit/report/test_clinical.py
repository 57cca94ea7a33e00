"""The clinical sections: which runs are read, what is written, and that small counts cannot be computed."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_study import HowToMeasure, Made, make_study
from precordial.evaluation import Predictions
from precordial.evaluation.operating import OperatingPoint, operate
from precordial.evaluation.zones import Bounds, measure_zones
from precordial.report.clinical import clinical_parts, clinical_sections, clinical_tables
from precordial.report.clinical_data import choose_runs, read
from precordial.report.clinical_hiding import bounded, combined, point_cells, small_cells, small_zones, zone_cells
from precordial.report.clinical_part import Part
from precordial.report.clinical_tables import held_text
from precordial.report.style import drawing

KEYS = ["clinical", "calibration", "thresholds", "zones", "decision", "subgroups", "drift", "shortcut", "learning"]


@pytest.fixture(scope="module")
def made() -> Made:
    return make_study((1500, 500, 700, 700), fractions=(0.2, 0.4, 0.6, 0.8, 1.0))


def parts_of(made: Made, smallest: int = 0) -> dict[str, Part]:
    with drawing():
        parts = clinical_parts(made.cohort, made.rows, made.source, HowToMeasure(), smallest)
    return {part.key: part for part in parts}


@pytest.fixture(scope="module")
def parts(made: Made) -> dict[str, Part]:
    return parts_of(made)


def test_the_best_by_validation_and_its_twin_are_read(made: Made) -> None:
    best, twin = choose_runs(made.rows, "AMI")
    assert (best.run, twin.run) == ("finetune-1", "scratch-1")
    other = [
        replace(row, run="better", model="cnn-20k", value=row.value + 0.01 if row.split == "validation" else 0.5)
        for row in made.rows
        if row.run == "finetune-1"
    ]
    assert [row.run for row in choose_runs([*made.rows, *other], "AMI")] == ["better"]
    assert [row.run for row in choose_runs([r for r in made.rows if r.kind == "scratch"], "AMI")] == ["scratch-1"]
    assert choose_runs([], "AMI") == ()


def test_ecgs_are_joined_whatever_their_order(made: Made) -> None:
    straight = read(made.cohort, made.rows, made.source, "AMI")
    order = np.random.default_rng(0).permutation(len(made.table))
    mixed = replace(made, table=made.table.rows(order))
    shuffled = read(made.cohort, made.rows, mixed.source, "AMI")
    assert straight is not None
    assert shuffled is not None
    assert list(straight.splits) == ["validation", "random_test", "temporal_test", "combined_test"]
    for split, part in straight.splits.items():
        other = shuffled.splits[split]
        back = np.argsort(other.ecg_id)[np.searchsorted(np.sort(other.ecg_id), part.ecg_id)]
        for name in ("truth", "age", "sex", "site", "recorded"):
            assert np.array_equal(getattr(part, name), getattr(other, name)[back], equal_nan=name == "age")
        for run, scores in part.scores.items():
            assert np.array_equal(scores, other.scores[run][back])
    combined_set = straight.splits["combined_test"]
    known = dict(zip(made.cohort.ecg_id.tolist(), made.cohort.age.tolist(), strict=True))
    assert np.array_equal(combined_set.age, [known[ecg] for ecg in combined_set.ecg_id.tolist()], equal_nan=True)
    assert len(np.unique(combined_set.patients)) < len(combined_set.patients)


def test_every_part_is_there_with_its_words_and_figures(parts: dict[str, Part]) -> None:
    assert list(parts) == KEYS
    names = {drawing.name for part in parts.values() for drawing in part.drawings}
    assert names == {"calibration", "zones", "decision", "subgroups", "learning"}
    assert "RN-900k, pre-trained on age & sex" in parts["clinical"].text
    assert "fitted on the validation set" in parts["calibration"].text
    assert "training from scratch reaches an AUC" in parts["learning"].text
    [thresholds, by_patient] = parts["thresholds"].tables.values()
    assert len(thresholds.rows) == 2 * (1 + 4 * 3)
    assert len(by_patient.rows) == 2 * (1 + 4 * 3)
    site = [row for row in parts["subgroups"].tables["subgroups"].rows if row[0] == "Ystad"]
    assert site[0][3] == "too few"
    assert {row[0] for row in parts["drift"].tables["drift"].rows} >= {"AUC", "Prevalence, %", "Mean age, years"}


def test_numbers_of_the_tables_are_those_of_the_predictions(made: Made, parts: dict[str, Part]) -> None:
    rows = parts["thresholds"].tables["thresholds"].rows
    first = next(row for row in rows if row[1] == "Random")
    threshold = float(re.search(r"≥ ([\d.]+)", first[0])[1])  # type: ignore[index]
    part = made.table.select(run="finetune-1", split="random_test")
    point = operate(part.truth, part.score, threshold * 0.9995)  # the table's has three digits
    assert first[2].split()[0] == pytest.approx(f"{100 * point.sensitivity.value:.1f}")
    discrimination = parts["clinical"].tables["discrimination"].rows
    assert next(row for row in discrimination if row[0] == "Combined")[1].startswith("0.")


def test_parts_become_sections_and_tables(made: Made, parts: dict[str, Part]) -> None:
    assert "thresholds" in clinical_tables(parts.values())
    assert clinical_tables(parts.values())["zones"].header[1] == "Rule-out, %"
    tables = clinical_tables(parts.values())
    page = "\n".join(section.body for section in clinical_sections(parts.values()))
    assert page.count("<svg") == 5
    assert page.count("<table") == sum(len(part.tables) for part in parts.values())
    for secret in ("PATIENT-", "2018-", made.cohort.ecg_id[0]):
        assert secret not in page
        assert all(secret not in table.csv() for table in tables.values())


def test_without_a_validation_set_nothing_is_fixed_on_one(made: Made) -> None:
    """As in a cross-validation, whose predictions have none."""
    table = made.table.rows(made.table.split != "validation")
    rows = [row for row in made.rows if row.split != "validation"]
    found = parts_of(replace(made, table=table, rows=rows))
    assert list(found) == [key for key in KEYS if key != "decision"]
    assert "No thresholds." in found["thresholds"].text
    assert "No zones." in found["zones"].text
    assert all(row[1] != "recalibrated" for row in found["calibration"].tables["calibration"].rows)


def test_a_cross_validation_by_site(made: Made) -> None:
    """Its test set is that of the sites, the fractions are those of one fold, and there is no combined set."""
    at = np.where(np.arange(len(made.cohort)) % 2 == 0, 0, 1)
    inside = made.cohort.split != "temporal_test"
    sites = np.array(["Lund", "Malmö"])[at]
    cohort = replace(
        made.cohort,
        site=sites,
        split=np.where(inside, "fold", "temporal_test"),
        fold=np.where(inside, at, -1),
        settings={"split": {"scheme": "sites", "sites": ["Lund", "Malmö"]}, "seed": 0, "validation": "0.15"},
    )
    splits = {"validation": "site_test", "random_test": "site_test", "temporal_test": "temporal_test"}
    table = made.table
    names = [splits[split] for split in table.split.tolist()]
    ids = table.run, table.ecg_id, table.patient_id, np.array(names), table.target
    rows = [replace(r, split="site_test") for r in made.rows if r.split == "random_test" and r.kind != "baseline"]
    study = Made(cohort, rows, Predictions(*ids, table.truth, table.score))
    found = parts_of(study)
    assert list(found) == ["clinical", "calibration", "thresholds", "zones", "subgroups", "learning"]
    assert "the site test set" in found["subgroups"].text
    assert {row[0] for row in found["calibration"].tables["calibration"].rows} >= {"Site", "Temporal"}


def test_what_cannot_be_fitted_says_so(made: Made) -> None:
    """Few ECGs, one size, one class in a test set: no number is made up, and nothing breaks."""
    few = parts_of(make_study((60, 12, 14, 12), prevalence=-4.0))
    assert "learning" not in few
    assert "no threshold meets the criteria" in few["zones"].text
    backwards = replace(made, table=replace_score(made.table))
    found = parts_of(backwards)
    assert "decision" not in found
    assert found["calibration"].text.count("cannot be recalibrated") == 2
    rows = few["calibration"].tables["calibration"].rows
    assert rows
    one_size = parts_of(make_study((300, 100, 100, 100), fractions=(0.5, 1.0)))
    assert "no curve, 2 sizes" in one_size["learning"].text


def test_several_outcomes_have_their_own_parts() -> None:
    found = parts_of(make_study((300, 150, 150, 150), outcomes=("AMI", "death")))
    assert "zones" in found
    assert "zones-death" in found
    assert found["zones-death"].title == "Rule-out and rule-in: death"
    assert set(found["zones-death"].tables) == {"zones-death"}


def replace_score(table: Predictions) -> Predictions:
    """The same with every rank turned round."""
    ids = table.run, table.ecg_id, table.patient_id, table.split, table.target
    return Predictions(*ids, table.truth, 1 - table.score)


def point(tp: int, fp: int, fn: int, tn: int) -> OperatingPoint:
    truth = np.repeat([1.0, 0, 1, 0], [tp, fp, fn, tn])
    return operate(truth, np.repeat([1.0, 1, 0, 0], [tp, fp, fn, tn]), 0.5)


def test_a_small_count_is_a_bound_and_what_would_tell_it_is_left_out() -> None:
    cells = point_cells(point(97, 400, 3, 500), 5)
    assert cells["sensitivity"] == "≥ 96.0"  # fewer than 5 of 100
    assert cells["npv"] == "≥ 99.2"  # 500 of 504
    assert (cells["ppv"], cells["positive"]) == ("*", "*")
    assert cells["specificity"].startswith("55.6 (")
    shown = point_cells(point(90, 400, 10, 500), 5)
    assert "*" not in shown.values()
    assert point_cells(point(97, 400, 3, 500), 0)["sensitivity"].startswith("97.0 (")
    none_missed = point_cells(point(100, 400, 0, 500), 5)
    assert none_missed["sensitivity"].startswith("100.0 (")
    assert set(point_cells(point(2, 3, 1, 2), 5).values()) == {"*"}


@pytest.mark.parametrize("total", [False, True])
def test_bounds_hold_and_do_not_depend_on_the_small_count(total: bool) -> None:
    for smallest in (3, 5, 10):
        for small in range(1, smallest):
            whole = 400 if total else None
            large = 400 - small if total else 400
            assert bounded(large, small, smallest, whole) == bounded(large + small - 1, 1, smallest, whole) or not total
            assert float(bounded(large, small, smallest, whole)[2:]) <= 100 * large / (large + small) + 0.05
            assert float(bounded(small, large, smallest, whole)[2:]) >= 100 * small / (large + small) - 0.05
    assert bounded(2, 2, 5) == "*"
    assert bounded(20, 20, 5) == "*"


@settings(deadline=None, max_examples=40)
@given(st.integers(5, 60), st.integers(5, 60), st.integers(5, 60))
def test_no_line_tells_which_small_count_it_is(others: int, fp: int, tn: int) -> None:
    """With as many cases and controls, what is shown is the same whether 1, 2, 3 or 4 cases were missed."""
    lines = [point_cells(point(others + 4 - fn, fp, fn, tn), 5) for fn in (1, 2, 3, 4)]
    assert all(line == lines[0] for line in lines)
    zones = []
    for fn in (1, 2, 3, 4):
        counts = [fn, tn, others + 9 - fn, fp, 20, 10]
        truth, score = np.repeat([1.0, 0] * 3, counts), np.repeat([0.0, 0, 1, 1, 2, 2], counts)
        found = measure_zones(truth, score, Bounds(0.5, 1.5))
        zones.append((zone_cells(found, 5), held_text(found, small_zones(found, 5))))
    assert all(zone == zones[0] for zone in zones)


def test_the_sum_hides_what_its_parts_hide() -> None:
    random, temporal = point(97, 400, 3, 500), point(90, 300, 10, 600)
    both = combined([small_cells(random, 5), small_cells(temporal, 5)])
    assert both == {"fn"}
    cells = point_cells(point(187, 700, 13, 1100), 5, both)
    assert cells["sensitivity"] == "*"
    assert cells["npv"] == "*"
    assert cells["specificity"].startswith("61.1")


def test_zones_with_small_counts() -> None:
    truth = np.repeat([1.0, 0, 1, 0, 1, 0], [2, 300, 40, 200, 58, 20])
    score = np.repeat([0.0, 0, 1, 1, 2, 2], [2, 300, 40, 200, 58, 20])
    zones = measure_zones(truth, score, Bounds(0.5, 1.5))
    hidden = small_zones(zones, 5)
    assert hidden == {"rule_out"}
    cells = zone_cells(zones, 5, hidden)
    assert cells["sensitivity"] == "≥ 96.0"
    assert (cells["rule_out"], cells["intermediate"]) == ("≤ 49.0", "*")  # at most 304 of 620
    assert cells["npv"] == "≥ 98.7"
    assert cells["ppv"].startswith("74.4 (")
    assert held_text(zones, hidden) == "rule-out *, rule-in yes"
    assert held_text(zones) == "rule-out no, rule-in yes"
    assert zone_cells(zones, 0)["npv"].startswith("99.3 (")
    assert zone_cells(zones, 5, frozenset({"rule_in"}))["ppv"] == "*"


def test_with_a_smallest_count_nothing_small_is_told(made: Made, parts: dict[str, Part]) -> None:
    """No share from which a small count follows, and no numbers of ECGs and events, in any table, file or figure."""
    found = parts_of(made, 5)
    assert "zones" not in {drawing.name for part in found.values() for drawing in part.drawings}
    assert "missed" not in found["zones"].text
    assert "thresholds-by-patient" not in found["thresholds"].tables
    headers = {cell for table in clinical_tables(found.values()).values() for cell in table.header}
    assert not headers & {"ECGs", "Events"}
    for name in ("thresholds", "zones"):
        table = found[name].tables[name]
        open_table = parts[name].tables[name]
        hidden = [
            (cell, full)
            for row, whole in zip(table.rows, open_table.rows, strict=True)
            for cell, full in zip(row, whole, strict=True)
            if cell != full
        ]
        assert hidden, name
        assert all("(" not in cell for cell, _ in hidden)
    bins = found["calibration"].files["calibration-curve"].rows
    assert 0 < len(bins) <= len(parts["calibration"].files["calibration-curve"].rows)
    sizes = {row[0] for row in found["learning"].tables["ecgs-needed"].rows}
    assert sizes
    assert "1 500" in found["learning"].text  # already round
    svg = "".join(section.body for section in clinical_sections(found.values()))
    assert "Events / ECGs" not in svg


def test_a_set_with_few_events_is_not_read_where_small_counts_are_hidden(made: Made) -> None:
    few = made.table.truth.copy()
    temporal = np.flatnonzero((made.table.split == "temporal_test") & (few == 1))
    ids = set(made.table.ecg_id[temporal].tolist())
    kept = set(sorted(ids)[:3])
    few[[k for k in temporal if made.table.ecg_id[k] not in kept]] = 0
    table = made.table
    columns = table.run, table.ecg_id, table.patient_id, table.split, table.target
    changed = replace(made, table=Predictions(*columns, few, table.score))
    hidden = read(changed.cohort, changed.rows, changed.source, "AMI", 5)
    assert hidden is not None
    assert list(hidden.splits) == ["validation", "random_test"]
    shown = read(changed.cohort, changed.rows, changed.source, "AMI")
    assert shown is not None
    assert shown.splits["temporal_test"].truth.sum() == 3
    assert "Sets with fewer than 5 ECGs" in parts_of(changed, 5)["clinical"].text
