"""Labels and events of outcomes: at their edges, and against plain loops."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.cohort.definitions import FollowUp, Outcome
from precordial.cohort.outcomes import Sources, add_outcome, diagnosed

NOON = datetime(2017, 3, 31, 12)
Row = tuple[Any, ...]


def table(rows: list[Row], **schema: Any) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def visits(*rows: Row) -> pl.DataFrame:
    return table(list(rows), visit_id=pl.String, patient_id=pl.String, arrival=pl.Datetime("us"))


def codes(*rows: Row) -> pl.DataFrame:
    """Rows of patient, code, day after the 31st, register, position."""
    full = [(patient, code, at(day), *rest, *(None, None)[len(rest) :]) for patient, code, day, *rest in rows]
    return table(
        full,
        patient_id=pl.String,
        code=pl.String,
        date=pl.Datetime("us"),
        register=pl.String,
        position=pl.Int64,
    )


def deaths(*rows: Row) -> pl.DataFrame:
    full = [(patient, at(day), *rest, *(None,)[len(rest) :]) for patient, day, *rest in rows]
    return table(full, patient_id=pl.String, date=pl.Datetime("us"), code=pl.String)


def at(day: int | None) -> datetime | None:
    return None if day is None else datetime(2017, 3, 31) + timedelta(days=day)


def labels(
    seen: pl.DataFrame, outcome: Outcome, sources: Sources, follow_up: FollowUp | None = None
) -> tuple[dict[str, tuple[float | None, int | None]], Counter[str]]:
    """Visit → label and days from the 31st to the event; and what was counted."""
    notes: Counter[str] = Counter()
    done = add_outcome(seen, outcome, sources, follow_up or FollowUp(), notes)
    assert done.columns == [*seen.columns, f"event:{outcome.name}", f"label:{outcome.name}"]
    found = {}
    for visit, label, event in done.select("visit_id", f"label:{outcome.name}", f"event:{outcome.name}").iter_rows():
        found[visit] = (label, None if event is None else (event - datetime.combine(NOON.date(), time())).days)
    return found, +notes


AMI = Outcome(name="AMI", codes=("I21",))


def test_calendar_days_from_the_day_of_arrival() -> None:
    days = (-1, 0, 30, 31)
    seen = visits(*((str(day), f"P{day}", NOON) for day in days), ("none", "Q", NOON))
    # All arrive at noon: the diagnosis of day 0 is dated before that, and the one of day 31 less than 31 · 24 h after.
    rows = [(f"P{day}", "I214", day) for day in days]
    found, notes = labels(seen, AMI, Sources(codes(*rows, *rows, ("Q", "I214", None))))
    assert found == {"-1": (0, None), "0": (1, 0), "30": (1, 30), "31": (0, None), "none": (0, None)}
    assert not notes
    later = Outcome(name="AMI", codes=("I21",), from_days=1, days=31)
    found, _ = labels(seen, later, Sources(codes(*rows)))
    assert found == {"-1": (0, None), "0": (0, None), "30": (1, 30), "31": (1, 31), "none": (0, None)}


def test_the_first_event_counts() -> None:
    found, _ = labels(
        visits(("1", "A", NOON)), AMI, Sources(codes(("A", "I214", 9), ("A", "I219", 3), ("A", "I21", -3)))
    )
    assert found == {"1": (1, 3)}


def test_codes_exclusions_registers_and_positions() -> None:
    rows = codes(
        ("0", "I210", 0, "SV", 1),
        ("1", "I214", 0, "SV", 2),
        ("2", "I22", 0, "SV", 1),
        ("3", "XI21", 0, "SV", 1),
        ("4", "I2", 0, "OV", 1),
        ("5", "I219A", 0, "OV", None),
        ("6", None, 0, "SV", 1),
    )

    def patients(*wanted: str, **options: Any) -> str:
        return "".join(diagnosed(rows, wanted, **options)["patient_id"].to_list())

    assert patients("I21") == "015"
    assert patients("i21.4", "I22") == "12"
    assert patients("I21", exclude=["I21.9"]) == "01"
    assert patients("I21", registers=["SV"]) == "01"
    assert patients("I21", main_only=True) == "0"
    main = Outcome(name="AMI", codes=("I21",), position="main", registers=("SV",))
    seen = visits(*((str(i), str(i), NOON) for i in range(7)))
    found, _ = labels(seen, main, Sources(rows, registers=("OV",)))
    assert [visit for visit, (label, _) in found.items() if label] == ["0"]


def test_procedures_and_deaths_make_a_composite() -> None:
    mace = Outcome(name="MACE", codes=("I21",), procedures=("FNG",), death="event")
    seen = visits(*((name, name, NOON) for name in "ABCDE"))
    sources = Sources(
        codes(("A", "I214", 5)),
        procedures=codes(("B", "FNG02", 2), ("C", "FPE00", 2)).select("patient_id", "code", "date"),
        deaths=deaths(("A", 2, "I50"), ("D", 30, "C34"), ("E", 31, "I21")),
    )
    found, _ = labels(seen, mace, sources)
    assert found == {"A": (1, 2), "B": (1, 2), "C": (0, None), "D": (1, 30), "E": (0, None)}
    cardiac = mace.model_copy(update={"death_causes": ("I",)})
    found, _ = labels(seen, cardiac, sources)
    assert found == {"A": (1, 2), "B": (1, 2), "C": (0, None), "D": (0, None), "E": (0, None)}


def test_a_competing_death_leaves_the_label_empty_unless_the_event_came_first() -> None:
    competing = Outcome(name="AMI", codes=("I21",), death="competing")
    seen = visits(*((name, name, NOON) for name in "ABCD"))
    rows = codes(("A", "I21", 4), ("B", "I21", 9))
    sources = Sources(rows, deaths=deaths(("A", 4), ("B", 5), ("C", 30), ("D", 31)))
    found, notes = labels(seen, competing, sources)
    assert found == {"A": (1, 4), "B": (None, None), "C": (None, None), "D": (0, None)}
    assert notes == {"died before AMI could be seen, label empty": 2}


def test_incomplete_follow_up_is_found_and_counted() -> None:
    seen = visits(*((name, name, NOON) for name in "ABCDEF"), ("early", "G", NOON - timedelta(days=3)))
    sources = Sources(
        codes(("A", "I21", 1)),
        left=table([("B", at(29)), ("C", at(30))], patient_id=pl.String, left=pl.Datetime("us")),
        deaths=deaths(("D", 12)),
        covered=date(2017, 4, 28),
    )
    # Covered until day 28: short for all but A, who had the event, D, who died, and the early visit, whose last day is
    # day 27.
    found, notes = labels(seen, AMI, sources)
    assert [label for label, _ in found.values()] == [1, 0, 0, 0, 0, 0, 0]
    assert notes == {"not followed for all days of AMI, label 0": 4}
    found, notes = labels(seen, AMI, sources, FollowUp(incomplete="unknown"))
    assert [label for label, _ in found.values()] == [1, None, None, 0, None, None, 0]
    assert notes == {"not followed for all days of AMI, label empty": 4}
    # A day that is given wins over the last one that the register shows; B left a day too early.
    found, _ = labels(seen, AMI, sources, FollowUp(incomplete="unknown", complete_until=date(2017, 4, 30)))
    assert [label for label, _ in found.values()] == [1, None, 0, 0, 0, 0, 0]


def test_adjudicated_labels_stand_above_the_registers() -> None:
    seen = visits(*((name, name, NOON) for name in "ABCDE"))
    decided = table(
        [("A", 0.0), ("B", 1.0), ("C", None), ("D", 1.0), ("X", 1.0)], visit_id=pl.String, **{"label:AMI": pl.Float64}
    )
    found, notes = labels(
        seen, AMI, Sources(codes(("A", "I21", 1), ("C", "I21", 2), ("D", "I21", 3)), adjudicated=decided)
    )
    assert found == {"A": (0, None), "B": (1, 0), "C": (1, 2), "D": (1, 3), "E": (0, None)}
    assert notes == {"AMI: labels adjudicated": 3, "AMI: of them from 0 to 1": 1, "AMI: of them from 1 to 0": 1}


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_against_plain_loops(seed: int) -> None:
    rng = random.Random(seed)
    patients = [f"P{i}" for i in range(rng.randint(1, 6))]
    seen = [(str(i), rng.choice(patients), NOON + timedelta(days=rng.randint(-3, 3), hours=5)) for i in range(12)]
    found = [(rng.choice(patients), rng.choice(["I214", "I219X", "I22"]), rng.randint(-5, 8)) for _ in range(8)]
    died = {patient: rng.randint(-2, 9) for patient in patients if rng.random() < 0.4}
    left = {patient: rng.randint(-2, 9) for patient in patients if rng.random() < 0.3}
    death = rng.choice(["ignore", "competing", "event"])
    first, last = rng.choice([(0, 3), (1, 4), (0, 0)])
    covered, incomplete = rng.randint(2, 9), rng.choice(["keep", "unknown"])
    outcome = Outcome(name="AMI", codes=("I21",), exclude_codes=("I21.9",), from_days=first, days=last, death=death)
    sources = Sources(
        codes(*found),
        deaths=deaths(*died.items()),
        left=table([(p, at(d)) for p, d in left.items()], patient_id=pl.String, left=pl.Datetime("us")),
        covered=at(covered).date(),  # type: ignore[union-attr]
    )
    rows, _ = labels(visits(*seen), outcome, sources, FollowUp(incomplete=incomplete))
    for visit, patient, arrival in seen:
        day = (arrival.date() - NOON.date()).days
        inside = [d for p, code, d in found if p == patient and code == "I214" and first <= d - day <= last]
        end = died.get(patient)
        dies = end is not None and first <= end - day <= last
        if death == "event" and dies:
            inside.append(end)  # type: ignore[arg-type]
        event = min(inside, default=None)
        label: float | None = 1.0 if event is not None else 0.0
        if death == "competing" and dies and (event is None or end < event):  # type: ignore[operator]
            label, event = None, None
        over = day + last > covered or (patient in left and left[patient] < day + last)
        dead = end is not None and end <= min(day + last, covered)
        if incomplete == "unknown" and label == 0 and over and not dead:
            label = None
        assert rows[visit] == (label, event), (visit, patient, day)


@pytest.mark.parametrize("name", ["AMI", "MACE within 30 days", "I21.0–I21.3"])
def test_names_of_outcomes(name: str) -> None:
    found, _ = labels(visits(("1", "A", NOON)), Outcome(name=name, codes=("I21",)), Sources(codes(("A", "I21", 0))))
    assert found == {"1": (1, 0)}
