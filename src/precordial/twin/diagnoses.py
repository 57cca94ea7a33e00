"""The diagnosis register of the synthetic hospital, and the label that it holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from precordial.twin.people import CHEST_PAIN, COMPLAINTS, Attacks, Rows, Times, Visits

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
INFARCT_CODE = ("I21.9", "I21.0", "I21.1", "I21.2", "I21.4")  # by territory


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
    rows: list[tuple[np.datetime64, int, str]] = []
    for i in np.flatnonzero(~struck | (rng.random(len(struck)) < 0.3)):
        codes = CODES[COMPLAINTS[visits.complaint[i]]]
        code = codes[rng.integers(len(codes))]
        rows.append((visits.arrival[i].astype("datetime64[D]"), int(visits.patient[i]), code))
    for k, who in enumerate(attacks.patient.tolist()):
        day = attacks.day[k]
        if np.isnat(day):  # an old one: known when the patient comes for the first time
            rows.append((visits.arrival[visits.patient == who].min().astype("datetime64[D]"), who, "I25.2"))
            continue
        seen = attacks.severity[k] > 0 and rng.random() < 0.85
        code = INFARCT_CODE[attacks.territory[k]] if seen else ("I21.4", "I21.9")[rng.integers(2)]
        rows.append((day, who, code))
        if rng.random() < 0.2:  # coded once more when the patient leaves the ward
            rows.append((day + np.timedelta64(int(rng.integers(1, 9)), "D"), who, code))
    rows.sort()
    days, patients, codes = zip(*rows, strict=True)
    return np.array(patients), np.array(codes), np.array(days)
