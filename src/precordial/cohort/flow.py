"""The flow chart: how many patients, visits and ECGs each step of the cohort keeps and leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

BRANCHES = {"archive": "ECG archive", "target": "Target", "source": "Source"}
SPLITS = {
    "train": "training",
    "validation": "validation",
    "random_test": "random test",
    "site_test": "site test",
    "temporal_test": "temporal test",
}
NEVER = "fold-none", "other sites, never tested"  # key and words of the rows that are in no fold
Count = int | str  # a text is what is shown in place of a count that would tell too much; see `report.disclosure`


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
    patients: Count | None = None
    visits: Count | None = None
    ecgs: Count | None = None
    why: str = ""
    excluded_patients: Count | None = None
    excluded_visits: Count | None = None
    excluded_ecgs: Count | None = None
    touched_patients: Count | None = None
    part: bool = False
    reasons: dict[str, Count] = field(default_factory=dict)


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
    if isinstance(touched, str) or isinstance(lost, str) or touched == lost:
        return ""
    if not lost:
        return " (who stay)"
    leave = "1 patient leaves" if lost == 1 else f"{number_text(lost)} patients leave"
    return f" ({leave}, {number_text(touched - lost)} {'stays' if touched - lost == 1 else 'stay'} with others)"


def counts_text(visits: Count | None, ecgs: Count | None, patients: Count | None) -> str:
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


def number_text(count: Count) -> str:
    """A count with blanks at its thousands.

    >>> number_text(50518), number_text("< 5")
    ('50 518', '< 5')
    """
    return count if isinstance(count, str) else f"{count:_}".replace("_", " ")


def fold_text(number: int, names: Sequence[str] = ()) -> str:
    """A fold in words: its number from 1, or the site that is tested in it.

    Args:
        number: of the fold, from 0.
        names: of the folds, as the cohort's settings have them; without, folds have numbers.

    >>> fold_text(0), fold_text(1, ("1", "2")), fold_text(1, ("Lund", "Malmö"))
    ('fold 1', 'fold 2', 'site Malmö')
    """
    name = names[number] if number < len(names) else ""
    return f"fold {number + 1}" if name in ("", str(number + 1)) else f"site {name}"
