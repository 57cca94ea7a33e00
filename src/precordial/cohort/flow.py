"""The flow chart: how many patients, visits and ECGs each step of the cohort keeps and leaves out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

BRANCHES = {"archive": "ECG archive", "target": "Target", "source": "Source"}


@dataclass(frozen=True)
class FlowStep:
    """One box of the flow chart, and what was left out on the way to it.

    Within a branch the kept and the excluded of a step add up to the kept of the step before; the parts of a
    branch (the splits) add up to its last step. A count is None where it has no meaning.

    Attributes:
        branch: one of `BRANCHES`.
        key: name of the step, for programs.
        text: what is in the box, for readers.
        patients, visits, ecgs: kept.
        why: why the others were left out.
        excluded_patients: those of whom nothing is left; patients who stay with other visits are not counted.
        excluded_visits, excluded_ecgs: left out.
        touched_patients: all patients of the visits or ECGs left out, also those who stay.
        part: whether the box is a part (a split) of the branch.
        reasons: further counts by name, such as the unusable ECGs by reason.
    """

    branch: str
    key: str
    text: str
    patients: int | None = None
    visits: int | None = None
    ecgs: int | None = None
    why: str = ""
    excluded_patients: int | None = None
    excluded_visits: int | None = None
    excluded_ecgs: int | None = None
    touched_patients: int | None = None
    part: bool = False
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Flow:
    """The steps of a cohort in order."""

    steps: tuple[FlowStep, ...] = ()

    def __getitem__(self, place: str) -> FlowStep:
        """The step with this "branch/key", such as ``flow["target/index-ecg"]``."""
        return {f"{step.branch}/{step.key}": step for step in self.steps}[place]

    def as_json(self) -> list[dict[str, Any]]:
        """The steps as plain values."""
        return [asdict(step) for step in self.steps]

    @classmethod
    def from_json(cls, steps: list[dict[str, Any]]) -> Flow:
        """The inverse of `as_json`."""
        return cls(tuple(FlowStep(**step) for step in steps))

    def text(self) -> str:
        """The flow chart in plain text.

        >>> print(Flow((FlowStep("target", "visits", "visits for chest pain", patients=39394, visits=50518),)).text())
        Target
          50 518 visits of 39 394 patients: visits for chest pain
        """
        lines: list[str] = []
        branch = ""
        for step in self.steps:
            if step.branch != branch:
                branch = step.branch
                lines += [""] * bool(lines) + [BRANCHES.get(branch, branch)]
            if step.excluded_visits or step.excluded_ecgs:
                left_out = counts_text(step.excluded_visits, step.excluded_ecgs, step.touched_patients)
                lines.append(f"    − {left_out}: {step.why}{who_stays(step)}")
            indent = "    • " if step.part else "  "
            lines.append(f"{indent}{counts_text(step.visits, step.ecgs, step.patients)}: {step.text}")
            lines += [f"        {number_text(count)} {reason}" for reason, count in step.reasons.items()]
        return "\n".join(lines)


def who_stays(step: FlowStep) -> str:
    """A word about the patients who lose a visit and keep another."""
    touched, lost = step.touched_patients or 0, step.excluded_patients or 0
    if touched == lost:
        return ""
    return (
        f" ({number_text(lost)} patients leave, {number_text(touched - lost)} stay with others)"
        if lost
        else " (who stay)"
    )


def counts_text(visits: int | None, ecgs: int | None, patients: int | None) -> str:
    """Counts in words; None is left out.

    >>> counts_text(1, None, 1), counts_text(None, 1200, None)
    ('1 visit of 1 patient', '1 200 ECGs')
    """
    things = [
        f"{number_text(count)} {name if count == 1 else name + 's'}"
        for count, name in ((visits, "visit"), (ecgs, "ECG"))
        if count is not None
    ]
    if patients is None:
        return ", ".join(things)
    people = f"{number_text(patients)} patient{'' if patients == 1 else 's'}"
    return f"{', '.join(things)} of {people}" if things else people


def number_text(count: int) -> str:
    """A count with blanks at its thousands.

    >>> number_text(50518)
    '50 518'
    """
    return f"{count:_}".replace("_", " ")
