"""Example ECGs: those of the test sets that a model found most and least like an infarction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.ecg import twelve_leads
from precordial.evaluation import Predictions, Row
from precordial.report import ecg_figure
from precordial.report.figures import WIDTH
from precordial.report.runs import RunRecord
from precordial.report.table import grouped

TEST_SPLITS = ("random_test", "site_test", "temporal_test")


@dataclass(frozen=True, eq=False)
class Example:
    """One ECG to show. It says neither who it is nor when it was, and the age by decade only.

    Attributes:
        leads: (12, samples) mV.
        rate: Hz.
        title: what it is an example of.
        text: score and age band.
    """

    leads: NDArray[np.float32]
    rate: int
    title: str
    text: str


def best_run(runs: Sequence[RunRecord], rows: Sequence[Row], outcome: str) -> RunRecord | None:
    """The fine-tuned run with the highest validation AUC (from scratch where none is fine-tuned), None without any."""
    of_interest = ("validation", "auc", outcome)
    validated = {row.run: row.value for row in rows if (row.split, row.metric, row.target) == of_interest}
    for kind in ("finetune", "scratch"):
        found = [run for run in runs if run.row.kind == kind]
        if found:
            return max(found, key=lambda run: np.nan_to_num(validated.get(run.row.run, 0.0)))
    return None


def choose(table: Predictions) -> dict[tuple[int, str], int]:
    """Row numbers by (truth, "highest" or "lowest"); of equal scores the first by id; none twice."""
    chosen: dict[tuple[int, str], int] = {}
    for truth, ends in ((1, ("highest", "lowest")), (0, ("highest", "lowest"))):
        at = np.flatnonzero(table.truth == truth)
        at = at[np.lexsort((table.ecg_id[at], table.score[at]))]
        for end in ends:
            row = int(at[-1 if end == "highest" else 0]) if len(at) else -1
            if row >= 0 and row not in chosen.values():
                chosen[truth, end] = row
    return chosen


def examples(
    predictions: Predictions, cohort: Cohort, archive: Archive, outcome: str, *, counts: bool = True
) -> list[Example]:
    """The ECGs that a run scored highest and lowest, with the outcome and without.

    Args:
        predictions: of one run.
        cohort, archive: it was made on.
        outcome: of the cohort.
        counts: whether to say among how many ECGs these were chosen.
    """
    tests = predictions.select(target=outcome)
    tests = tests.rows(np.isin(tests.split, TEST_SPLITS))
    ages = dict(zip(cohort.ecg_id.tolist(), cohort.age.tolist(), strict=True))
    found = []
    for (truth, end), row in choose(tests).items():
        ecg_id, score = str(tests.ecg_id[row]), float(tests.score[row])
        rank = grouped(1 + int((tests.score > score).sum()))
        age = age_band(ages[ecg_id])
        among = f", rank {rank} from the top among {grouped(len(tests))} test ECGs" if counts else ""
        text = f"Score {score:.3f}{among}; {age}."
        leads = twelve_leads(archive[ecg_id].signal)
        title = f"{'With' if truth else 'Without'} {outcome}, {end} score"
        found.append(Example(leads, archive.rate, title, text))
    return found


def age_band(age: float) -> str:
    """An age by decade, open at both ends.

    >>> age_band(63.9), age_band(17.2), age_band(97.0), age_band(float("nan"))
    ('60–69 years old', 'below 20 years old', '90 years old or more', 'age unknown')
    """
    if age != age:
        return "age unknown"
    if age < 20:
        return "below 20 years old"
    decade = int(age // 10) * 10
    return "90 years old or more" if decade >= 90 else f"{decade}–{decade + 9} years old"


def example_figure(example: Example) -> Figure:
    """The ECG on paper, as wide as the page."""
    figure = Figure(figsize=(WIDTH, WIDTH * ecg_figure.HEIGHT / ecg_figure.WIDTH))
    ecg_figure.draw_ecg(figure.add_axes((0.0, 0.0, 1.0, 1.0)), example.leads, example.rate)
    return figure
