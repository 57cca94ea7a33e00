"""Registers of the paper's shape: the flow chart comes out to the last number, and only if every rule is followed."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
import tomllib
import zlib
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import CommandLine
from precordial.cohort import Cohort, RegistersSettings, build_cohort
from precordial.cohort.ecg_table import EcgTable
from precordial.registers import Account
from precordial.twin import PaperRegisters, make_paper_registers
from precordial.twin.shaped import Shape
from precordial.twin.shaped.ecgs import digests
from precordial.twin.shaped.people import distinct, keys, share_out

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "check_paper_counts.py"
SMALL = 0.02
Row = dict[str, str]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_paper_counts", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PaperRegisters:
    return make_paper_registers(tmp_path_factory.mktemp("shaped") / "registers", 1, SMALL)


@pytest.fixture(scope="module")
def visits(made: PaperRegisters) -> list[Row]:
    return table(made, "visits")


@pytest.fixture(scope="module")
def ecgs(made: PaperRegisters) -> list[Row]:
    return table(made, "ecgs")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


def table(made: PaperRegisters, name: str) -> list[Row]:
    with (made.folder / "registers" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def build(folder: Path, **changes: Any) -> Cohort:
    """The cohort of the study file."""
    given = tomllib.loads((folder / "study.toml").read_text())["cohort"]
    settings = RegistersSettings.model_validate({**given, **changes}).resolve(folder)
    assert settings.ecgs is not None
    words = {"female": settings.female_values, "male": settings.male_values}
    return build_cohort(settings, EcgTable.read(settings.ecgs, Account(), **words).table())


def counts(cohort: Cohort) -> dict[str, int | None]:
    """The flow chart's numbers, by the names of `Shape.expected`."""
    flow = cohort.flow
    chest, indexed, older = flow["target/complaint"], flow["target/index-ecg"], flow["target/splits"]
    temporal, source = flow["target/temporal_test"], flow["source/others"]
    random_splits = [flow[f"target/{split}"] for split in ("train", "validation", "random_test")]
    assert flow["target/one-visit-per-ecg"].excluded_visits == 0
    return {
        "chest-pain visits": chest.visits,
        "chest-pain patients": chest.patients,
        "visits without an index ECG": indexed.excluded_visits,
        "patients who leave with them": indexed.excluded_patients,
        "visits with an index ECG": indexed.visits,
        "patients with an index ECG": indexed.patients,
        "older visits of temporal-test patients": older.excluded_visits,
        "temporal-test patients with older visits": older.touched_patients,
        "visits in the four splits": older.visits,
        "temporal-test visits": temporal.visits,
        "temporal-test patients": temporal.patients,
        "training patients": random_splits[0].patients,
        "validation patients": random_splits[1].patients,
        "random-test patients": random_splits[2].patients,
        "source patients": source.patients,
        "source ECGs": source.ecgs,
        "source training patients": flow["source/train"].patients,
        "source validation patients": flow["source/validation"].patients,
        "temporal-test visits with an infarction": temporal.reasons["with the outcome"],
        "visits with an infarction in the random splits": sum(s.reasons["with the outcome"] for s in random_splits),
    }


def test_the_shape_is_the_papers(script: ModuleType) -> None:
    assert Shape().expected() == script.PAPER
    assert (Shape().visit_rows, Shape().diagnosis_rows) == (2_000_000, 5_000_000)


def test_ten_times_the_paper_keeps_to_the_rules_of_the_splits() -> None:
    ten, once = Shape().times(Fraction(10)).expected(), Shape().expected()
    differ = {name: ten[name] for name in ten if ten[name] != 10 * once[name]}
    assert differ == {  # 15 % of 374 470 are 56 170.5, and so on
        "temporal-test patients": 56_171,
        "random-test patients": 56_171,
        "validation patients": 56_170,
        "training patients": 205_958,
        "source validation patients": 81_451,
        "source training patients": 1_547_579,
    }


@pytest.mark.parametrize(("seed", "scale"), [(0, 0.01), (1, 0.01), (2, 0.013), (3, 0.03)])
def test_the_counts_come_out_for_every_seed(script: ModuleType, tmp_path: Path, seed: int, scale: float) -> None:
    made = make_paper_registers(tmp_path / "r", seed, scale)
    assert script.count(tmp_path / "r" / "registers") == made.expected
    assert counts(build(tmp_path / "r")) == made.expected
    assert made.expected == Shape().times(Fraction(str(scale))).expected()
    assert json.loads((tmp_path / "r" / "truth" / "expected.json").read_text()) == made.expected


def test_a_larger_one(script: ModuleType, made: PaperRegisters) -> None:
    assert script.count(made.folder / "registers") == made.expected
    assert counts(build(made.folder)) == made.expected


def test_sizes_are_as_reported(made: PaperRegisters) -> None:
    assert made.rows == {name: len(table(made, name)) for name in made.rows}
    assert (made.rows["visits"], made.rows["diagnoses"], made.rows["patients"]) == (40_000, 100_000, 12_000)
    assert "50,518" not in made.text()
    assert f"{made.expected['chest-pain visits']:,} chest-pain visits" in made.text()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"window_ends": "open"}, "visits with an index ECG"),
        ({"before_hours": 2.001}, "visits with an index ECG"),
        ({"after_hours": 3.001}, "visits with an index ECG"),
        ({"after_hours": 2.999}, "visits with an index ECG"),
        ({"before_hours": 1.999}, "visits with an index ECG"),
        (
            {"outcomes": [{"name": "AMI", "codes": ["I21"], "days": 29}]},
            "visits with an infarction in the random splits",
        ),
        (
            {"outcomes": [{"name": "AMI", "codes": ["I21"], "days": 31}]},
            "visits with an infarction in the random splits",
        ),
        ({"outcomes": [{"name": "AMI", "codes": ["I2"]}]}, "visits with an infarction in the random splits"),
        ({"complaint": ["chest pain", "dyspnoea"]}, "chest-pain visits"),
    ],
)
def test_another_rule_gives_another_number(made: PaperRegisters, changes: dict[str, Any], name: str) -> None:
    assert counts(build(made.folder, **changes))[name] != made.expected[name]


def test_another_register_gives_another_number(made: PaperRegisters) -> None:
    diagnoses = {"file": "registers/diagnoses.csv", "columns": {"register": "register"}}
    every = counts(build(made.folder, diagnoses={**diagnoses, "registers": ["inpatient", "outpatient"]}))
    name = "visits with an infarction in the random splits"
    assert every[name] is not None
    assert every[name] > made.expected[name]


@pytest.mark.parametrize(
    ("rule", "broken", "name"),
    [
        (' and row["complaint"]:', ":", "chest-pain visits"),  # rows without complaint count
        ("found[0] > best[0] or", "found[0] < best[0] or", "chest-pain visits"),  # the earliest discharge
        ("found[1] < best[1]", "found[1] > best[1]", "chest-pain visits"),  # of equal ones the highest id
        ("known.add(row", "row['complaint'] and known.add(row", "source patients"),  # only by complete rows
        ("sorted(chest_pain)", "sorted(chest_pain, key=lambda v: (v[0], -ord(v[1][0])))", "older visits"),  # ties
        ("visits[len(visits) - 1 - len(walk)]", "sorted(chest_pain)[-1 - len(walk)]", "older visits"),  # all of them
        ("if patient in known and", "if", "source ECGs"),  # strangers too
    ],
)
def test_the_registers_hold_a_trap_for_each_rule(made: PaperRegisters, rule: str, broken: str, name: str) -> None:
    source = SCRIPT.read_text()
    assert source.count(rule) == 1
    code: dict[str, Any] = {"__name__": "broken"}
    exec(compile(source.replace(rule, broken), "broken", "exec"), code)
    counted = code["count"](made.folder / "registers")
    wrong = [key for key, number in made.expected.items() if counted[key] != number]
    assert any(key.startswith(name) for key in wrong), wrong


def test_traps_of_the_visit_register(made: PaperRegisters, visits: list[Row]) -> None:
    groups = defaultdict(list)
    for row in visits:
        if all(row[name] for name in ("visit_id", "patient_id", "arrival", "complaint")):
            groups[row["patient_id"], row["arrival"]].append(row)
    twice = [rows for rows in groups.values() if len(rows) > 1]
    assert len(twice) >= 0.003 * len(visits)
    kinds = Counter(
        (
            rows[0]["complaint"].lower() == "chest pain",
            rows[1]["complaint"].lower() == "chest pain",
            (rows[0]["discharge"] > rows[1]["discharge"]) - (rows[0]["discharge"] < rows[1]["discharge"]),
        )
        for rows in twice
    )
    assert all(kinds[first, second, order] for first in (True, False) for second in (True, False) for order in (0, 1))
    for column in ("visit_id", "patient_id", "arrival", "complaint"):
        missing = [row for row in visits if not row[column]]
        assert len(missing) > 9, column
        if column != "complaint":
            assert any(row["complaint"].lower() == "chest pain" for row in missing), column
    ids = [row["visit_id"] for row in visits if row["visit_id"]]
    assert len(set(ids)) == len(ids)
    assert {row["site"] for row in visits} == {f"Hospital {letter}" for letter in "ABCDEFGH"}
    assert {row["complaint"] for row in visits} >= {"chest pain", "Chest pain", "dyspnoea"}
    arrivals = [row["arrival"] for row in visits if row["arrival"]]
    assert arrivals == sorted(arrivals)
    assert (arrivals[0] > "2017-01-01", arrivals[-1] < "2019-01-01 01") == (True, True)


def test_traps_of_the_ecgs(made: PaperRegisters, visits: list[Row], ecgs: list[Row]) -> None:
    assert len({row["waveform"] for row in ecgs}) == len({row["ecg_id"] for row in ecgs}) == len(ecgs)
    assert all(0 <= int(row["waveform"]) < 2**64 for row in ecgs)
    for column in ("patient_id", "recorded_at", "age", "sex", "site", "device"):
        assert any(not row[column] for row in ecgs), column
    known = {row["patient_id"] for row in visits}
    assert any(row["patient_id"] not in known for row in ecgs)
    assert len(known - {row["patient_id"] for row in ecgs}) > 7_000
    recorded = defaultdict(list)
    for row in ecgs:
        if row["patient_id"] and row["recorded_at"]:
            recorded[row["patient_id"]].append(datetime.fromisoformat(row["recorded_at"]))
    assert sum(len(set(times)) < len(times) for times in recorded.values()) > 20
    arrivals = [
        (row["patient_id"], datetime.fromisoformat(row["arrival"]))
        for row in visits
        if row["patient_id"] and row["arrival"] and row["complaint"].lower() == "chest pain"
    ]
    offsets = {int((time - arrival).total_seconds()) for patient, arrival in arrivals for time in recorded[patient]}
    assert offsets >= {-7201, -7200, 0, 10_800, 10_801}
    by_patient = defaultdict(list)
    for patient, arrival in sorted(arrivals):
        by_patient[patient].append(arrival)
    gaps = [b - a for times in by_patient.values() for a, b in pairwise(times)]
    assert any(timedelta(hours=1) <= gap <= timedelta(hours=4) for gap in gaps)


def test_nothing_happens_after_death_and_emigration(made: PaperRegisters, visits: list[Row], ecgs: list[Row]) -> None:
    last: dict[str, str] = {}
    for rows, column in ((visits, "arrival"), (ecgs, "recorded_at"), (table(made, "diagnoses"), "date")):
        for row in rows:
            last[row["patient_id"]] = max(last.get(row["patient_id"], ""), row[column][:10])
    deaths = {row["patient_id"]: row["date"] for row in table(made, "deaths")}
    left = {row["patient_id"]: row["left"] for row in table(made, "patients") if row["left"]}
    assert len(deaths) > 400
    assert len(left) > 30
    assert not deaths.keys() & left.keys()
    assert all(day > last[patient] for patient, day in {**deaths, **left}.items() if patient in last)


def test_codes_are_swedish(made: PaperRegisters) -> None:
    diagnoses = table(made, "diagnoses")
    codes = Counter(row["code"] for row in diagnoses)
    assert codes.keys() >= {"I210", "I214", "I214A", "I21.4", "I220", "I252", "R074"}
    assert {row["register"] for row in diagnoses} == {"inpatient", "outpatient", "primary care"}
    assert {int(row["position"]) for row in diagnoses} >= set(range(1, 9))
    assert max(int(row["position"]) for row in diagnoses) <= 30
    assert all("2012-01-01" <= row["date"] <= "2019-03-01" for row in diagnoses)
    assert "FNG02" in {row["code"] for row in table(made, "procedures")}


def test_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    def content(folder: Path) -> dict[str, int]:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): zlib.crc32(path.read_bytes()) for path in files}

    one, same, other = (make_paper_registers(tmp_path / str(i), seed, 0.01) for i, seed in enumerate((5, 5, 6)))
    assert content(one.folder) == content(same.folder)
    differ = {name for name, crc in content(one.folder).items() if content(other.folder)[name] != crc}
    assert differ == content(one.folder).keys() - {"study.toml", "truth/expected.json"}


def test_the_script_says_when_a_number_differs(
    script: ModuleType,
    made: PaperRegisters,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def check(expected: dict[str, int]) -> tuple[bool, list[list[str]]]:
        (tmp_path / "expected.json").write_text(json.dumps(expected))
        monkeypatch.setattr(sys, "argv", ["", str(made.folder), "--expected", str(tmp_path / "expected.json")])
        with pytest.raises(SystemExit) as ended:
            script.main()
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(made.expected)
        return bool(ended.value.code), [line.split() for line in lines if "≠" in line]

    assert check(made.expected) == (False, [])
    counted = f"{made.expected['source ECGs']:,}"
    assert check({**made.expected, "source ECGs": 1}) == (True, [[counted, "1", "≠", "source", "ECGs"]])
    imported = [line for line in SCRIPT.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert not any("precordial" in line for line in imported)


@given(st.lists(st.sampled_from([-1, 0, 1, 3]), min_size=1, max_size=30), st.integers(0, 200), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_shares_add_up(least: list[int], more: int, seed: int) -> None:
    if set(least) == {-1}:
        least.append(0)
    total = sum(max(number, 0) for number in least) + more
    shares = share_out(np.array(least), total, np.random.default_rng(seed))
    assert shares.sum() == total
    assert all(share == 0 if number < 0 else share >= number for share, number in zip(shares, least, strict=True))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=60))
@settings(max_examples=60, deadline=None)
def test_times_are_made_distinct(rows: list[tuple[int, int]]) -> None:
    patient, time = np.array(rows, np.int64).reshape(-1, 2).T
    taken = keys(np.array([0, 1]), np.array([5, 12]))
    key = keys(patient, distinct(patient, time, taken))
    assert len(np.unique(key)) == len(rows)
    assert not np.isin(key, taken).any()


def test_digests_are_distinct() -> None:
    values = digests(np.arange(300_000), 7)
    assert len(np.unique(values)) == len(values)
    assert values.max() > 2**63


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--shape", "paper"], "'--shape': this shape has no waveforms: add --registers-only"),
        (["--scale", "2"], "'--scale': it goes with --shape paper"),
        (["--shape", "paper", "--registers-only", "--format", "wfdb"], "'--format': it has no effect with"),
        (["--shape", "paper", "--registers-only", "--clinic-ecgs", "3"], "'--clinic-ecgs': it has no effect with"),
        (["--shape", "paper", "--registers-only", "--scale", "nan"], "scale is nan, and must be a number from 0.01"),
        (["--shape", "paper", "--registers-only", "--seed", "-1"], "a seed is 0 or more"),
    ],
)
def test_wrong_options(command: CommandLine, tmp_path: Path, options: list[str], problem: str) -> None:
    assert problem in command.complaint("twin", "--out", tmp_path / "x", *options)
    assert not list(tmp_path.iterdir())


def test_the_command(command: CommandLine, tmp_path: Path) -> None:
    words = ("twin", "--out", tmp_path / "x", "--shape", "paper", "--registers-only", "--scale", "0.01")
    assert "505 chest-pain visits" in command.done(*words)
    assert {path.name for path in tmp_path.iterdir()} == {"x"}
    assert "there is something here already" in command.complaint(*words)


@pytest.mark.slow
def test_the_papers_flow_chart_and_table_1(script: ModuleType, tmp_path: Path) -> None:
    make_paper_registers(tmp_path / "r")
    assert script.count(tmp_path / "r" / "registers") == script.PAPER
    cohort = build(tmp_path / "r")
    assert counts(cohort) == script.PAPER
    paper = {  # Table I: female %, age: lower quartile, median, upper quartile; infarctions %
        ("source", "train"): (50.4, 57, 71, 81, None),
        ("source", "validation"): (49.7, 57, 71, 81, None),
        ("target", "train"): (48.0, 46, 61, 75, 5.76),
        ("target", "validation"): (47.1, 46, 61, 74, 5.72),
        ("target", "random_test"): (47.8, 46, 61, 75, 5.81),
        ("target", "temporal_test"): (48.3, 45, 61, 74, 5.81),
    }
    for (role, split), (female, *ages, infarctions) in paper.items():
        part = cohort.select(role=role, split=split)
        # Four standard errors among 5 600 patients: 2.7 % of a share of a half, some 1.5 years of a quartile; and the
        # paper's splits themselves differ by a year.
        assert 100 * np.nanmean(part.sex) == pytest.approx(female, abs=3), split
        assert np.nanquantile(part.age, [0.25, 0.5, 0.75]) == pytest.approx(ages, abs=2.5), split
        if infarctions is not None:
            assert 100 * part.label.mean() == pytest.approx(infarctions, abs=1.2), split
