"""The leakage guard: proves, before any training, that nothing of a test set is known in training.

It takes arrays, not tables, and runs on a training machine without Polars. Its rules are those of `leaks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.cohort.cohort import Cohort
from precordial.cohort.evidence import Evidence, number_texts
from precordial.cohort.leaks import RULES
from precordial.errors import ArchiveError, LeakageError

SHOWN = 10
# There is no command for it.
_WHICH_FILE = "which file an ECG is from says, in Python, precordial.Archive(DIR).table(), column 'source'"


@dataclass(frozen=True)
class LeakReport:
    """What a cohort was checked for.

    Attributes:
        cohort: that was checked.
        checked: name of the rule in `RULES` → rows it could be checked on; an archive that does not know an
            ECG's time leaves that row out of "time".
        broken: name of the rule → the rows that break it, from 0.
    """

    cohort: Cohort
    checked: dict[str, int]
    broken: dict[str, NDArray[np.int64]]

    @property
    def clean(self) -> bool:
        """Whether no row breaks a rule."""
        return not any(map(len, self.broken.values()))

    def text(self) -> str:
        """One line per rule."""
        return "\n".join(f"{rule.holds}: {self.checked[name]:,} rows checked" for name, rule in RULES.items())

    def require_clean(self, file: Path | None = None) -> None:
        """Go on only if there is no leak.

        Args:
            file: the cohort.csv, for the message.

        Raises:
            LeakageError: a rule is broken; the message names the rows of cohort.csv (the header is row 1).
        """
        if not self.clean:
            raise LeakageError(
                "; ".join(
                    f"{RULES[name].broken}: {_rows(self.cohort, rows)} ({RULES[name].remedy})"
                    for name, rows in self.broken.items()
                    if len(rows)
                ),
                file=file,
                remedy=_WHICH_FILE,
            )


def find_leaks(
    cohort: Cohort,
    ecg_id: NDArray[np.str_],
    recorded_at: NDArray[np.datetime64],
    waveform: NDArray[np.uint64] | None,
    *,
    file: Path | None = None,
) -> LeakReport:
    """Check a cohort against the archive's own times and waveforms.

    Args:
        cohort: all rows that take part in the study.
        ecg_id: of each ECG of the archive, in any order.
        recorded_at: of each; NaT where the archive has none.
        waveform: digest of each ECG's samples; None where there are none to compare.
        file: the cohort.csv, for messages.

    Raises:
        ArchiveError: the cohort names an ECG that is not in the archive.
    """
    number = number_texts(np.concatenate([np.asarray(ecg_id, np.str_), cohort.ecg_id]))
    in_archive = np.full(int(number.max(initial=-1)) + 1, -1)
    in_archive[number[: len(ecg_id)]] = np.arange(len(ecg_id))
    at = in_archive[number[len(ecg_id) :]]
    if (at < 0).any():
        raise ArchiveError(
            f"the archive does not have the ECGs of {_rows(cohort, np.flatnonzero(at < 0))}",
            file=file,
            remedy="use the archive that the cohort was built from, or build the cohort again",
        )
    evidence = Evidence(cohort, at, recorded_at.astype("datetime64[s]")[at], None if waveform is None else waveform[at])
    found = {name: rule.check(evidence) for name, rule in RULES.items()}
    return LeakReport(
        cohort,
        checked={name: int(checked.sum()) for name, (_, checked) in found.items()},
        broken={name: np.flatnonzero(broken) for name, (broken, _) in found.items()},
    )


def check_leaks(
    cohort: Cohort,
    ecg_id: NDArray[np.str_],
    recorded_at: NDArray[np.datetime64],
    waveform: NDArray[np.uint64] | None,
    *,
    file: Path | None = None,
) -> LeakReport:
    """`find_leaks`, where a leak is an error.

    Raises:
        LeakageError: a rule is broken; the message names the rows of cohort.csv (the header is row 1).
        ArchiveError: the cohort names an ECG that is not in the archive.
    """
    report = find_leaks(cohort, ecg_id, recorded_at, waveform, file=file)
    report.require_clean(file)
    return report


def _rows(cohort: Cohort, rows: NDArray[np.int64]) -> str:
    """Row numbers of cohort.csv with their ECGs; never patient ids."""
    named = [
        f"row {row + 2} (ECG {cohort.ecg_id[row]}, {cohort.role[row]} {cohort.split[row]})" for row in rows[:SHOWN]
    ]
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return ", ".join(named) + more
