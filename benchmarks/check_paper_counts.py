"""Count the paper's flow chart in register files, by the rules of the study alone: nothing of precordial is used.

    python benchmarks/check_paper_counts.py DIR [--expected DIR/truth/expected.json]

DIR is what `precordial twin --registers-only --shape paper` made. Each count is printed beside the paper's, or beside
those of a JSON file. Exit status 1: one differs. A minute and 2 GB at the paper's size; the CSV files are read as
text, one row after the other, and times are compared as Python's datetimes.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from pathlib import Path

PAPER = {
    "chest-pain visits": 50_518,
    "chest-pain patients": 39_394,
    "visits without an index ECG": 3_431,
    "patients who leave with them": 1_947,
    "visits with an index ECG": 47_087,
    "patients with an index ECG": 37_447,
    "older visits of temporal-test patients": 2_717,
    "temporal-test patients with older visits": 1_276,
    "visits in the four splits": 44_370,
    "temporal-test visits": 6_012,
    "temporal-test patients": 5_618,
    "training patients": 20_596,
    "validation patients": 5_616,
    "random-test patients": 5_617,
    "source patients": 162_903,
    "source ECGs": 836_972,
    "source training patients": 154_758,
    "source validation patients": 8_145,
    "temporal-test visits with an infarction": 349,  # 5.81 % in Table I
    "visits with an infarction in the random splits": 2_210,  # 5.76, 5.72 and 5.81 %
}


def rows(file: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file, empty cells as ""."""
    with file.open(newline="") as text:
        yield from csv.DictReader(text)


def count(folder: Path) -> dict[str, int]:
    """All counts, from the files below `folder`."""
    # Visits: complete ones; one per patient and second, the latest discharge; only then the complaint.
    known: set[str] = set()
    merged: dict[tuple[str, str], tuple[str, str, str]] = {}
    for row in rows(folder / "visits.csv"):
        known.add(row["patient_id"])
        if row["visit_id"] and row["patient_id"] and row["arrival"] and row["complaint"]:
            key, found = (row["patient_id"], row["arrival"]), (row["discharge"], row["visit_id"], row["complaint"])
            best = merged.setdefault(key, found)
            if found[0] > best[0] or (found[0] == best[0] and found[1] < best[1]):
                merged[key] = found
    known.discard("")
    chest_pain = [
        (datetime.fromisoformat(arrival), visit, patient)
        for (patient, arrival), (_, visit, complaint) in merged.items()
        if complaint.lower() == "chest pain"
    ]

    # Index ECG: the first from arrival to 3 h after, else the last of the 2 h before; each serves the first visit only.
    taken = defaultdict(set)
    for row in rows(folder / "ecgs.csv"):
        if row["patient_id"] and row["recorded_at"]:
            taken[row["patient_id"]].add(datetime.fromisoformat(row["recorded_at"]))
    visits, used = [], set()
    for arrival, visit, patient in sorted(chest_pain):
        after = [t for t in taken.get(patient, ()) if arrival <= t <= arrival + timedelta(hours=3)]
        before = [t for t in taken.get(patient, ()) if arrival - timedelta(hours=2) <= t < arrival]
        index = min(after) if after else max(before) if before else None
        if index is not None and (patient, index) not in used:
            used.add((patient, index))
            visits.append((arrival, visit, patient))
    target = {patient for _, _, patient in visits}

    # Temporal test: from the newest visit back until 15 % of the patients are met.
    walk: list[tuple[datetime, str, str]] = []
    met: set[str] = set()
    while len(met) < ceil(Fraction(15, 100) * len(target)):
        walk.append(visits[len(visits) - 1 - len(walk)])
        met.add(walk[-1][2])
    older = [visit for visit in visits[: len(visits) - len(walk)] if visit[2] in met]
    others = [visit for visit in visits[: len(visits) - len(walk)] if visit[2] not in met]
    rest = len(target) - len(met)
    random_test = ceil(Fraction(15, 85) * rest)
    validation = int(Fraction(15, 70) * (rest - random_test))

    # Source: all ECGs of the patients whom the visit register knows, but those of the target.
    source = {patient: len(times) for patient, times in taken.items() if patient in known and patient not in target}
    source_validation = int(Fraction(5, 100) * len(source))

    # Outcome: I21 of the inpatient register, from the day of arrival to 30 days after.
    infarctions = defaultdict(list)
    for row in rows(folder / "diagnoses.csv"):
        if row["code"].startswith("I21") and row["register"] == "inpatient":
            infarctions[row["patient_id"]].append(datetime.fromisoformat(row["date"]).date())

    def outcomes(some: list[tuple[datetime, str, str]]) -> int:
        waits = ([(day - arrival.date()).days for day in infarctions[patient]] for arrival, _, patient in some)
        return sum(any(0 <= days <= 30 for days in wait) for wait in waits)

    everyone = {patient for _, _, patient in chest_pain}
    return {
        "chest-pain visits": len(chest_pain),
        "chest-pain patients": len(everyone),
        "visits without an index ECG": len(chest_pain) - len(visits),
        "patients who leave with them": len(everyone - target),
        "visits with an index ECG": len(visits),
        "patients with an index ECG": len(target),
        "older visits of temporal-test patients": len(older),
        "temporal-test patients with older visits": len({patient for _, _, patient in older}),
        "visits in the four splits": len(walk) + len(others),
        "temporal-test visits": len(walk),
        "temporal-test patients": len(met),
        "training patients": rest - random_test - validation,
        "validation patients": validation,
        "random-test patients": random_test,
        "source patients": len(source),
        "source ECGs": sum(source.values()),
        "source training patients": len(source) - source_validation,
        "source validation patients": source_validation,
        "temporal-test visits with an infarction": outcomes(walk),
        "visits with an infarction in the random splits": outcomes(others),
    }


def main() -> None:
    """Count, print, and say whether all is as it should be."""
    parser = argparse.ArgumentParser(description="Count the paper's flow chart in register files.")
    parser.add_argument("folder", type=Path, help="with registers/ in it")
    parser.add_argument("--expected", type=Path, help="a JSON file of counts in place of the paper's")
    options = parser.parse_args()
    expected = json.loads(options.expected.read_text()) if options.expected else PAPER
    counted = count(options.folder / "registers")
    for name, number in counted.items():
        print(f"{number:>10,} {expected[name]:>10,} {'  ' if number == expected[name] else '≠ '}{name}")
    sys.exit(counted != expected)


if __name__ == "__main__":
    main()
