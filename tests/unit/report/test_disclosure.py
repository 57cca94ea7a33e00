"""Small counts cannot be computed from what is shown: attackers that do not know the program try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.cohort.flow import Flow, FlowStep, who_stays
from precordial.report.disclosure import Counts, Share, hide
from precordial.report.table import Table
from precordial.report.withheld import flow_and_table, flow_counts, hidden_flow
from small_cohort import small_cohort

Shown = int | str | None
HIGH = 60  # the attackers try no count above it


def candidates(shown: Shown) -> Sequence[int]:
    """All that a count can be, by what is shown of it."""
    if isinstance(shown, int):
        return (shown,)
    sign, _, number = (shown or "").partition(" ")
    low, high = {"<": (1, int(number or 1) - 1), "≥": (int(number or 0), HIGH)}.get(sign, (0, HIGH))
    return range(low, high + 1)


def left_out(step: FlowStep, what: str) -> Shown:
    """What is shown of those a step leaves out; of the patients lost it is told beside those who stay alone."""
    return step.excluded_visits if what == "visits" else step.excluded_patients if who_stays(step) else None


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """A branch of up to four steps that leave out visits, and up to three parts; patients have one or two visits."""
    sizes = draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
    visits, patients = sum(sizes), sum(size - size // 3 for size in sizes)
    steps = []
    for number in range(draw(st.integers(1, 4))):
        out = draw(st.integers(0, 8))
        touched = 0 if not out else draw(st.integers(1, out))
        gone = draw(st.integers(0, touched))
        step = FlowStep("target", f"s{number}", "kept", visits=visits, patients=patients, why="why")
        steps.append(replace(step, excluded_visits=out, touched_patients=touched, excluded_patients=gone))
        visits, patients = visits + out, patients + gone
    first = FlowStep("target", "all", "all", visits=visits, patients=patients)
    parts = [
        FlowStep(
            "target", f"p{k}", "part", visits=size, patients=size - size // 3, part=True, reasons={"ill": size // 2}
        )
        for k, size in enumerate(sizes)
    ]
    return Flow((first, *reversed(steps), *parts))


def solutions(flow: Flow, what: str) -> dict[tuple[str, str], set[int]]:
    """What each count of visits or patients can be, by all that is shown of them; by (step, kept or out)."""
    chain, parts = [s for s in flow.steps if not s.part], [s for s in flow.steps if s.part]
    found: dict[tuple[str, str], set[int]] = {}

    def note(path: list[tuple[tuple[str, str], int]]) -> None:
        for place, value in path:
            found.setdefault(place, set()).add(value)

    totals = {0}
    ways: list[dict[int, set[int]]] = []  # of each part: value → totals of the parts before it
    for part in parts:
        after: dict[int, set[int]] = {}
        for value in candidates(getattr(part, what)):
            after[value] = {total + value for total in totals if total + value <= HIGH}
        totals = set().union(*after.values())
        ways.append(after)
    # Walk backwards through the chain: what each step can be, and then forwards, so that only whole chains count.
    outs = [left_out(step, what) for step in chain]
    back = [set(candidates(getattr(step, what))) for step in chain]
    back[-1] &= totals
    for k in range(len(chain) - 1, 0, -1):
        back[k - 1] &= {kept + out for kept in back[k] for out in candidates(outs[k])}
    for k in range(1, len(chain)):
        back[k] &= {kept - out for kept in back[k - 1] for out in candidates(outs[k])}
    for k, step in enumerate(chain):
        note([((step.key, "kept"), value) for value in back[k]])
        if k:
            pairs = ((b, a) for b in back[k - 1] for a in back[k])
            note([((step.key, "out"), b - a) for b, a in pairs if b - a in candidates(outs[k])])
    for k, part in enumerate(parts):
        rest = {0}
        for j, other in enumerate(parts):
            if j != k:
                rest = {r + v for r in rest for v in candidates(getattr(other, what)) if r + v <= HIGH}
        note([((part.key, "kept"), v) for v in candidates(getattr(part, what)) if {v + r for r in rest} & back[-1]])
    return found


@settings(max_examples=60, deadline=None)
@given(flows(), st.integers(3, 6))
def test_no_small_count_of_a_flow_chart_can_be_computed(flow: Flow, smallest: int) -> None:
    shown = hidden_flow(flow, hide(flow_counts(flow), smallest))
    for what in ("visits", "patients"):
        can_be = solutions(shown, what)
        for step, seen in zip(flow.steps, shown.steps, strict=True):
            for place, true in (("kept", getattr(step, what)), ("out", getattr(step, f"excluded_{what}"))):
                if true is None or (step.key == "all" and place == "out"):
                    continue
                left = can_be[step.key, place]
                assert true in left  # nothing false is shown
                hidden = isinstance(getattr(seen, what) if place == "kept" else left_out(seen, what), str)
                assert len(left) > 1 or not (0 < true < smallest or hidden), (step.key, place, true, shown.text())
    for step, seen in zip(flow.steps, shown.steps, strict=True):
        for count in (seen.visits, seen.patients, seen.touched_patients, *seen.reasons.values()):
            assert not isinstance(count, int) or not 0 < count < smallest
        assert not step.reasons or isinstance(seen.reasons["ill"], str) or not 0 < step.reasons["ill"] < smallest
        if isinstance(seen.touched_patients, int) and isinstance(seen.excluded_patients, int):
            assert not 0 < seen.touched_patients - seen.excluded_patients < smallest


def cell(table: Table, column: int, row: str) -> str:
    return next((line[column] for line in table.rows if line[0] == row), "0")


def fits(text: str, count: int, of: int, digits: int = 1) -> bool:
    """Whether a cell can stand for a count and its share."""
    number, _, share = text.partition(" (")
    if text == "*":
        return True
    if number[0] in "<≥":
        return count in candidates(number)
    exact = f"{100 * count / of:.{digits}f}" if of else ""
    if "." in number:  # a share alone
        return number == exact
    return number in (str(count), "–") and share in ("", f"{exact})")


def could_be(table: Table, column: int, parts: Sequence[str]) -> list[tuple[int, ...]]:
    """All counts of the women, the men and the unknown, or of the lines `parts`, that fit into a column."""
    found = []
    for total in range(24):
        if not fits(cell(table, column, "ECGs"), total, 0):
            continue
        for first in range(total + 1):
            for second in range(total - first + 1):
                third = total - first - second
                if parts[0].endswith(" %"):
                    share, missing = (cell(table, column, row) for row in parts)
                    digits = 1 if "sex" in parts[0] else 2
                    known = first + second
                    fine = (fits(share, first, known, digits) if known else share in "–*") and fits(
                        missing, third, total
                    )
                else:
                    fine = third == 0 and all(
                        fits(cell(table, column, row), value, total)
                        for row, value in zip(parts, (first, second), strict=True)
                    )
                if fine:
                    found.append((first, second, third))
    return found


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 11), min_size=4, max_size=4), st.sampled_from((3, 5, 8)), st.integers(0, 99))
def test_no_small_count_of_table_one_can_be_computed(visits: list[int], smallest: int, seed: int) -> None:
    cohort = small_cohort(visits, seed=seed, outcomes=("AMI", "MACE"))
    cohort = replace(cohort, device=None)
    flow, table = flow_and_table(cohort, smallest)
    _, true = flow_and_table(cohort)
    for column in range(3, 7):
        for parts in (
            ("Female sex, %", "Sex missing, n (%)"),
            ("AMI, %", "AMI unknown, n (%)"),
            ("MACE, %", "MACE unknown, n (%)"),
            ("Lund", "Ystad"),
        ):
            left = could_be(table, column, parts)
            exact = could_be(true, column, parts)
            for place in range(3):
                values = {one[place] for one in left}
                real = {one[place] for one in exact}
                assert real <= values
                assert len(values) > 1 or not values or not 0 < min(values) < smallest, (table.text(), parts, column)
    assert not any(0 < int(word) < smallest for word in flow.text().split() if word.isdigit() and "h" not in word)


def test_two_equations_together_tell_a_count() -> None:
    """Each of them has two unknown counts; only both together give them away."""
    counts = Counts()
    for key, value in {"a": 2, "b": 3, "total": 5, "c": 1, "d": 3, "other": 4}.items():
        counts.add(key, value, missed=1)
    counts.add_sum("total", "a", "b")
    counts.add_sum("other", "c", "d")
    assert hide(counts, 0).counts == {}
    hidden = hide(counts, 5).counts
    assert {key: hidden[key] for key in "abcd"} == dict.fromkeys("abcd", "< 5")
    counts = Counts()
    for key, value in {"a": 4, "b": 4, "total": 8}.items():
        counts.add(key, value, missed=1)
    counts.add_sum("total", "a", "b")
    assert hide(counts, 5).counts == {"a": "< 5", "b": "< 5", "total": "≥ 5"}  # 8 can only be 4 + 4


def test_a_bound_that_tells_a_count_is_not_shown() -> None:
    counts = Counts()
    for key, value in {"a": 1, "b": 1, "total": 2}.items():
        counts.add(key, value, missed=1)
    counts.add_sum("total", "a", "b")
    assert hide(counts, 3).counts == {"a": "*", "b": "*", "total": "*"}


@pytest.mark.parametrize(
    ("part", "whole", "shown"), [(3, 60, False), (3, 30_000, True), (57, 60, False), (30, 60, True)]
)
def test_a_share_goes_where_it_tells_a_count(part: int, whole: int, shown: bool) -> None:
    counts = Counts()
    counts.add("all", whole, missed=9)
    counts.add("ill", part)
    counts.add("well", whole - part)
    counts.add_sum("all", "ill", "well")
    share = Share("ill", ("all",), 1)
    counts.shares[share] = 1
    hidden = hide(counts, 5)
    assert (share not in hidden.shares) == shown
    assert not hidden.counts


def test_what_does_not_add_up_is_no_equation() -> None:
    counts = Counts({"a": 2, "b": 3})
    counts.add_sum("a", "b")
    counts.add_sum("a", "gone")
    counts.add_order("b", "a")
    assert not counts.sums
    assert not counts.ordered
