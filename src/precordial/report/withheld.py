"""Flow chart and Table I of a cohort as they may be shown: small counts left out of both at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from precordial.cohort import Cohort
from precordial.cohort.flow import Count, Flow, FlowStep
from precordial.report.characteristics import Characteristics, characteristics
from precordial.report.disclosure import Counts, Hidden, hide
from precordial.report.table import Table
from precordial.report.table_one import as_table

KEPT = ("patients", "visits", "ecgs")
LEFT_OUT = ("excluded_patients", "excluded_visits", "excluded_ecgs", "touched_patients")
STAYING = "staying_patients"
KEY = 9  # how much the sizes of the splits would be missed; others by less


def flow_and_table(
    cohort: Cohort, smallest: int = 0, *, paper: bool = False, differences: bool = False
) -> tuple[Flow, Table]:
    """The flow chart and Table I of a cohort, as they may be shown; see `withhold` and `table_one`."""
    flow, numbers, hidden = withhold(cohort, smallest)
    return flow, as_table(numbers, hidden, paper=paper, differences=differences)


def withhold(cohort: Cohort, smallest: int) -> tuple[Flow, Characteristics, Hidden]:
    """The flow chart and the numbers of Table I, and what of the latter must not be shown.

    Args:
        cohort: with flow chart.
        smallest: counts from 1 to one below it are not shown, nor is what would tell them; 0 shows everything.
    """
    numbers = characteristics(cohort)
    if not smallest:
        return cohort.flow, numbers, Hidden()
    counts = flow_counts(cohort.flow)
    for name in ("values", "shown", "shares"):
        getattr(counts, name).update(getattr(numbers.counts, name))
    counts.sums += numbers.counts.sums
    counts.ordered += numbers.counts.ordered
    for step in cohort.flow.steps:
        place = f"{step.branch}/{step.key}"
        for what in KEPT:
            counts.add_sum(("flow", place, what), (place, what))
        for reason in step.reasons:
            counts.add_sum(("flow", place, reason), (place, _in_table(reason, cohort.outcomes[0])))
    hidden = hide(counts, smallest)
    return hidden_flow(cohort.flow, hidden), numbers, hidden


def _in_table(reason: str, outcome: str) -> str:
    """What Table I calls a reason of the flow chart."""
    known = {"without age": "age missing", "without sex": "sex missing"}
    known |= {"with the outcome": f"with {outcome}", "outcome unknown": f"{outcome} unknown"}
    what = known.get(reason, reason)
    return f"unknown {what.removesuffix(' unknown')}" if what.endswith(" unknown") else what


def flow_counts(flow: Flow) -> Counts:
    """The counts of a flow chart, by ("flow", "branch/key", what), and how they add up."""
    counts = Counts()
    branches: dict[str, list[FlowStep]] = {}
    for step in flow.steps:
        branches.setdefault(step.branch, []).append(step)
    for step in flow.steps:
        last = not step.part and branches[step.branch][-1 - sum(one.part for one in branches[step.branch])] is step
        _add_step(counts, step, KEY if step.part or last else 4)
    for name, steps in branches.items():
        chain, parts = [step for step in steps if not step.part], [step for step in steps if step.part]
        for what in KEPT:
            for before, after in pairwise(chain):
                counts.add_sum(_key(before, what), _key(after, what), _key(after, f"excluded_{what}"))
            if chain and parts:
                counts.add_sum(_key(chain[-1], what), *(_key(part, what) for part in parts))
            if chain and name != "archive" and "archive" in branches:  # the other branches begin where the archive ends
                counts.add_sum(_key(branches["archive"][-1], what), _key(chain[0], what))
    return counts


def _key(step: FlowStep, what: str) -> tuple[str, str, str]:
    return "flow", f"{step.branch}/{step.key}", what


def _add_step(counts: Counts, step: FlowStep, missed: int) -> None:
    for what in (*KEPT, *LEFT_OUT):
        count = getattr(step, what)
        if isinstance(count, int):
            counts.add(_key(step, what), count, missed=missed if what in KEPT else 2)
    for reason, count in step.reasons.items():
        if isinstance(count, int):
            counts.add(_key(step, reason), count, missed=1)
            for what in KEPT[1:]:  # such as those with the outcome
                counts.add_order(_key(step, reason), _key(step, what))
    for what in KEPT[1:]:
        counts.add_order(_key(step, "patients"), _key(step, what))
        counts.add_order(_key(step, "touched_patients"), _key(step, f"excluded_{what}"))
        if step.reasons:
            counts.add_sum(_key(step, f"excluded_{what}"), *(_key(step, reason) for reason in step.reasons))
    if isinstance(step.touched_patients, int) and isinstance(step.excluded_patients, int):
        staying = step.touched_patients - step.excluded_patients
        in_words = staying > 0  # "3 patients leave, 5 stay with others", or "who stay"
        counts.add(_key(step, STAYING), staying, missed=int(in_words))
        if not in_words:
            del counts.shown[_key(step, "excluded_patients")]
        counts.add_sum(_key(step, "touched_patients"), _key(step, "excluded_patients"), _key(step, STAYING))


def hidden_flow(flow: Flow, hidden: Hidden) -> Flow:
    """The flow chart with words in place of the counts that are hidden."""
    return Flow(tuple(_hidden_step(step, hidden) for step in flow.steps))


def _hidden_step(step: FlowStep, hidden: Hidden) -> FlowStep:
    def of(what: str, count: Count | None) -> Count | None:
        return hidden.counts.get(_key(step, what), count)

    reasons = {reason: of(reason, count) or 0 for reason, count in step.reasons.items()}
    changes: dict[str, Any] = {what: of(what, getattr(step, what)) for what in (*KEPT, *LEFT_OUT)}
    if _key(step, STAYING) in hidden.counts:  # who stays and who leaves stand in one remark
        changes["excluded_patients"] = hidden.counts[_key(step, STAYING)]
    return replace(step, reasons=reasons, **changes)
