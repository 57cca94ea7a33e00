"""The leakage guard: proves, before any training, that nothing of a test set is known in training.

It takes arrays, not tables, and runs on a training machine without Polars.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.cohort.cohort import Cohort
from precordial.errors import ArchiveError, LeakageError

SHOWN = 10
RULES: dict[str, str] = {
    "patient": "a patient is in one role and split only",
    "time": "no ECG was recorded after its prediction time",
    "ecg": "an ECG is in one role and split only",
    "waveform": "no waveform stands in two splits under two ids",
}
_BROKEN = {
    "patient": "a patient is in two roles or splits",
    "time": "an ECG was recorded after its prediction time",
    "ecg": "an ECG is in two roles or splits",
    "waveform": "a waveform stands in two roles or splits under two ids",
}
_REMEDY = {
    "patient": "build the cohort again; it was changed or merged by hand",
    "time": "check the times of the archive against those of the register or label table",
    "ecg": "build the cohort again; it was changed or merged by hand",
    "waveform": "remove one of the two files, or correct its patient id, ingest and build again",
}
# There is no command for it.
_WHICH_FILE = "which file an ECG is from says, in Python, precordial.Archive(DIR).table(), column 'source'"


@dataclass(frozen=True)
class LeakReport:
    """What a clean cohort was checked for.

    Attributes:
        checked: name of the rule in `RULES` → rows it could be checked on; an archive that does not know an
            ECG's time leaves that row out of "time".
    """

    checked: dict[str, int]

    def text(self) -> str:
        """One line per rule."""
        return "\n".join(f"{RULES[name]}: {rows} rows checked" for name, rows in self.checked.items())


def check_leaks(
    cohort: Cohort,
    ecg_id: NDArray[np.str_],
    recorded_at: NDArray[np.datetime64],
    waveform: NDArray[np.uint64],
    *,
    file: Path | None = None,
) -> LeakReport:
    """Check a cohort against the archive's own times and waveforms.

    Args:
        cohort: all rows that take part in the study.
        ecg_id: of each ECG of the archive, in any order.
        recorded_at: of each; NaT where the archive has none.
        waveform: digest of each ECG's samples.
        file: the cohort.csv, for messages.

    Raises:
        LeakageError: a rule is broken; the message names the rows of cohort.csv (the header is row 1).
        ArchiveError: the cohort names an ECG that is not in the archive.
    """
    place_in_archive = {identifier: i for i, identifier in enumerate(ecg_id.tolist())}
    at = np.array([place_in_archive.get(identifier, -1) for identifier in cohort.ecg_id.tolist()], np.int64)
    if (at < 0).any():
        raise ArchiveError(
            f"the archive does not have the ECGs of {_rows(cohort, at < 0)}",
            file=file,
            remedy="use the archive that the cohort was built from, or build the cohort again",
        )
    recorded = recorded_at.astype("datetime64[s]")[at]
    digests = waveform[at]
    places = np.unique(np.char.add(np.char.add(cohort.role, "/"), cohort.split), return_inverse=True)[1]
    # Two rows of one ECG are the business of the rule "ecg".
    broken = {
        "patient": _in_two_places(cohort.patient_id, places),
        "time": recorded > cohort.prediction_time,
        "ecg": _in_two_places(at, places),
    }
    broken["waveform"] = _in_two_places(digests, places) & ~broken["ecg"]
    if any(rows.any() for rows in broken.values()):
        raise LeakageError(
            "; ".join(
                f"{_BROKEN[name]}: {_rows(cohort, rows)} ({_REMEDY[name]})"
                for name, rows in broken.items()
                if rows.any()
            ),
            file=file,
            remedy=_WHICH_FILE,
        )
    known = {name: len(cohort) for name in RULES}
    known["time"] = int((~np.isnat(recorded)).sum())
    return LeakReport(known)


def _in_two_places(things: NDArray[np.generic], places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The rows whose thing (a patient, an ECG, a waveform) also stands in a row of another place."""
    names, group = np.unique(things, return_inverse=True)
    lowest = np.full(len(names), np.iinfo(np.int64).max)
    highest = np.full(len(names), -1)
    np.minimum.at(lowest, group, places)
    np.maximum.at(highest, group, places)
    return np.asarray((lowest != highest)[group], bool)


def _rows(cohort: Cohort, broken: NDArray[np.bool_]) -> str:
    """Row numbers of cohort.csv with their ECGs; never patient ids."""
    rows = np.flatnonzero(broken)
    named = [
        f"row {row + 2} (ECG {cohort.ecg_id[row]}, {cohort.role[row]} {cohort.split[row]})" for row in rows[:SHOWN]
    ]
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return ", ".join(named) + more
