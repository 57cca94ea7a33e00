"""How many of everything: the numbers of the paper's cohort, and those that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from math import ceil

TEST = Fraction(15, 100)
SOURCE_VALIDATION = Fraction(5, 100)


@dataclass(frozen=True)
class Shape:
    """Sizes of registers, and the counts of the flow chart that a cohort built from them has by the paper's rules.

    Attributes:
        visit_rows, diagnosis_rows: of the files. patients: in the visit register.
        chest_pain_patients, chest_pain_visits: complete, one per patient and second.
        indexed_patients, indexed_visits: those with an index ECG.
        walk_visits: on the walk back from the newest visit that makes the temporal test.
        older_patients, older_visits: older visits of some patients of the temporal test.
        source_patients, source_ecgs: usable, one per patient and second.
        walk_outcomes, rest_outcomes: visits with an infarction within 30 days on the walk, and in the random splits.
    """

    visit_rows: int = 2_000_000
    diagnosis_rows: int = 5_000_000
    patients: int = 600_000
    chest_pain_patients: int = 39_394
    chest_pain_visits: int = 50_518
    indexed_patients: int = 37_447
    indexed_visits: int = 47_087
    walk_visits: int = 6_012
    older_patients: int = 1_276
    older_visits: int = 2_717
    source_patients: int = 162_903
    source_ecgs: int = 836_972
    walk_outcomes: int = 349
    rest_outcomes: int = 2_210

    def times(self, scale: Fraction) -> Shape:
        """All counts so many times as large, rounded to whole numbers."""
        return Shape(**{field.name: round(getattr(self, field.name) * scale) for field in fields(self)})

    @property
    def walk_patients(self) -> int:
        """Patients of the temporal test."""
        return ceil(TEST * self.indexed_patients)

    @property
    def rest_visits(self) -> int:
        """Visits of the patients who are not in the temporal test: of the three random splits together."""
        return self.indexed_visits - self.walk_visits - self.older_visits

    @property
    def leaving_patients(self) -> int:
        """Patients with chest pain who have no index ECG at any visit."""
        return self.chest_pain_patients - self.indexed_patients

    @property
    def leaving_visits(self) -> int:
        """Their visits. The others without an index ECG are of patients who stay with another visit."""
        lost = self.chest_pain_visits - self.indexed_visits
        return self.leaving_patients + (lost - self.leaving_patients) // 5

    def expected(self) -> dict[str, int]:
        """What the flow chart must say."""
        rest = self.indexed_patients - self.walk_patients
        random_test = ceil(TEST / (1 - TEST) * rest)
        validation = int(TEST / (1 - 2 * TEST) * (rest - random_test))
        source_validation = int(SOURCE_VALIDATION * self.source_patients)
        return {
            "chest-pain visits": self.chest_pain_visits,
            "chest-pain patients": self.chest_pain_patients,
            "visits without an index ECG": self.chest_pain_visits - self.indexed_visits,
            "patients who leave with them": self.leaving_patients,
            "visits with an index ECG": self.indexed_visits,
            "patients with an index ECG": self.indexed_patients,
            "older visits of temporal-test patients": self.older_visits,
            "temporal-test patients with older visits": self.older_patients,
            "visits in the four splits": self.walk_visits + self.rest_visits,
            "temporal-test visits": self.walk_visits,
            "temporal-test patients": self.walk_patients,
            "training patients": rest - random_test - validation,
            "validation patients": validation,
            "random-test patients": random_test,
            "source patients": self.source_patients,
            "source ECGs": self.source_ecgs,
            "source training patients": self.source_patients - source_validation,
            "source validation patients": source_validation,
            "temporal-test visits with an infarction": self.walk_outcomes,
            "visits with an infarction in the random splits": self.rest_outcomes,
        }
