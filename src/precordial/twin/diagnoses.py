"""The diagnosis register of the synthetic hospital, and the label that it holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from precordial.twin.people import CHEST_PAIN, COMPLAINTS, Attacks, Rows, Times, Visits, take

CODES = {  # ICD-10 of what is found instead of an infarction
    CHEST_PAIN: ("R07.4", "R07.3", "I20.9", "I20.0", "K21.9", "M54.6", "I48.9", "F41.0"),
    "dyspnoea": ("J44.1", "I50.9", "J18.9", "R06.0", "I26.9"),
    "abdominal pain": ("R10.4", "K80.2", "K35.8", "K57.3"),
    "palpitations": ("R00.2", "I48.9", "I47.1", "F41.0"),
    "syncope": ("R55.9", "I95.1", "I49.5"),
    "fever": ("J18.9", "N39.0", "A41.9", "J10.1"),
    "back pain": ("M54.5", "N20.0", "M54.4"),
    "trauma": ("S06.0", "S72.0", "S52.5", "S01.0"),
}
INFARCT_CODES = np.array(("I21.9", "I21.0", "I21.1", "I21.2", "I21.4"))  # by territory
OLD_INFARCT = "I25.2"


def infarction_within(
    visits: Visits, patient: Rows, code: NDArray[np.str_], day: Times, days: int = 30
) -> NDArray[np.bool_]:
    """The study's label, from the register: an I21 from the day of arrival to `days` days after it, both included."""
    found = np.flatnonzero(np.char.startswith(code, "I21"))
    found = found[np.argsort(patient[found], kind="stable")]
    first = np.searchsorted(patient[found], visits.patient, side="left")
    last = np.searchsorted(patient[found], visits.patient, side="right")
    arrival = visits.arrival.astype("datetime64[D]")
    label = np.zeros(len(arrival), bool)
    for k in range(int((last - first).max(initial=0))):
        wait = day[found[np.minimum(first + k, len(found) - 1)]] - arrival
        label |= (first + k < last) & (wait >= np.timedelta64(0, "D")) & (wait <= np.timedelta64(days, "D"))
    return label


def diagnoses(visits: Visits, attacks: Attacks, rng: np.random.Generator) -> tuple[Rows, NDArray[np.str_], Times]:
    """Patient rows, ICD-10 codes and days, in order of the day."""
    struck = np.isin(np.arange(len(visits.patient)), attacks.visit)
    other = np.flatnonzero(~struck | (rng.random(len(struck)) < 0.3))
    arrival = visits.arrival.astype("datetime64[D]")
    others = (visits.patient[other], _other_codes(visits.complaint[other], rng), arrival[other])

    first = np.empty(visits.patient.max() + 1, arrival.dtype)
    first[visits.patient[::-1]] = arrival[::-1]  # visits are in order of arrival, and the last one written stays
    scarred = attacks.patient[np.isnat(attacks.day)]  # known when the patient comes for the first time
    old = (scarred, np.full(len(scarred), OLD_INFARCT), first[scarred])

    new = take(attacks, ~np.isnat(attacks.day))
    n = len(new.patient)
    seen = (new.severity > 0) & (rng.random(n) < 0.85)
    code = np.where(seen, INFARCT_CODES[new.territory], rng.choice(("I21.4", "I21.9"), n))
    again = rng.random(n) < 0.2  # coded once more when the patient leaves the ward
    later = new.day + rng.integers(1, 9, n).astype("timedelta64[D]")

    parts = (others, old, (new.patient, code, new.day), (new.patient[again], code[again], later[again]))
    patient, codes, day = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((codes, patient, day))
    return patient[order], codes[order], day[order]


def _other_codes(complaint: Rows, rng: np.random.Generator) -> NDArray[np.str_]:
    """One of `CODES` for each complaint."""
    count = np.array([len(CODES[name]) for name in COMPLAINTS])
    every = np.array([code for name in COMPLAINTS for code in CODES[name]])
    return np.asarray(every[(np.cumsum(count) - count)[complaint] + rng.integers(count[complaint])])
