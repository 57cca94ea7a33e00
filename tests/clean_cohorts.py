"""Random clean cohorts of each scheme of splits, with the archive that they are from, to plant leaks in."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from precordial.cohort import Cohort
from precordial.cohort.assign import assign_splits
from precordial.cohort.schemes import ColumnSplit, FoldSplit, PaperSplit, SiteSplit
from precordial.cohort.splits import TARGET_SPLITS, patient_order, source_splits

SCHEMES = {
    "paper": PaperSplit(),
    "date": PaperSplit(temporal_from=date(2017, 8, 1)),
    "k-fold": FoldSplit(scheme="k-fold", folds=3),
    "sites": SiteSplit(scheme="sites", sites=("North", "South")),
    "column": ColumnSplit(scheme="column", train=("1", "2"), validation=("3",), random_test=("4",)),
}
START = np.datetime64("2017-01-01T00:00:00", "s")
DAY = np.timedelta64(1, "D")
OUTCOMES = [{"name": "AMI", "codes": ["I21"], "days": 30}, {"name": "late", "codes": ["I22"], "from_days": 5}]
Archive = tuple[NDArray[np.str_], NDArray[np.datetime64], NDArray[np.uint64]]


def clean_cohort(scheme: str, seed: int, *, patients: int = 30) -> tuple[Cohort, Archive]:
    """Half the patients are source; all have one to three ECGs in 2017. The archive is in another order."""
    draw = np.random.default_rng(seed)
    visits_each = draw.integers(1, 4, patients)
    visits_each[0] = 3  # the third is in the temporal test of any scheme that has one
    patient = np.repeat(np.arange(patients), visits_each)
    n = len(patient)
    target = patient % 2 == 0
    # Arrivals of a patient 100 days apart at the least, so that no event is in the wash-out of the next visit.
    nth = np.array([(patient[:i] == patient[i]).sum() for i in range(n)])
    arrival = START + (nth * 110 + draw.integers(0, 10, n)) * DAY + draw.integers(0, 86400, n).astype("timedelta64[s]")
    recorded = arrival + draw.integers(0, 3 * 3600, n).astype("timedelta64[s]")
    site = draw.choice(["North", "South", "East"], n)
    site[:6:2] = ["North", "South", "East"]
    ids = np.array([f"{number:016x}" for number in draw.choice(10**9, n, replace=False)])
    names = np.array([f"secret-{p}" for p in patient])
    visits = np.array([f"V{i}" for i in draw.permutation(n)])
    split, fold = np.full(n, "", "U16"), np.full(n, -1)
    split[target], fold[target] = assign_splits(
        SCHEMES[scheme],
        seed=seed,
        patients=names[target],
        times=arrival[target],
        visit_ids=visits[target],
        sites=site[target],
        values=(patient[target] // 2 % 5 + 1).astype(str),
    )
    of_source = source_splits(names[~target].tolist(), seed=seed)
    split[~target] = [of_source[name] for name in names[~target].tolist()]
    labels, events = {}, {}
    for outcome in OUTCOMES:
        case = target & (draw.random(n) < 0.3)
        days = draw.integers(outcome.get("from_days", 0), 31, n)
        labels[str(outcome["name"])] = np.where(target, case, np.nan).astype(float)
        events[str(outcome["name"])] = np.where(
            case, (arrival + days * DAY).astype("M8[D]").astype("M8[s]"), np.datetime64("NaT")
        )
    cohort = Cohort(
        ecg_id=ids,
        patient_id=names,
        visit_id=np.where(target, visits, ""),
        prediction_time=np.where(target, arrival + np.timedelta64(3, "h"), recorded),
        role=np.where(target, "target", "source"),
        split=split,
        order=np.zeros(n, np.int64),
        age=np.zeros(n),
        sex=np.zeros(n),
        labels=labels,
        age_source=np.full(n, ""),
        sex_source=np.full(n, ""),
        recorded_at=recorded,
        arrival=np.where(target, arrival, np.datetime64("NaT")),
        fold=fold,
        site=site,
        events=events,
        settings={
            "seed": seed,
            "validation": "3/20",
            "split": SCHEMES[scheme].model_dump(mode="json"),
            "outcomes": OUTCOMES,
            "eligibility": {"washout_days": 60},
        },
    )
    cohort = cohort._rows(~target | np.isin(split, (*TARGET_SPLITS, "fold")))
    order = np.zeros(len(cohort), np.int64)
    for role in ("source", "target"):
        rows = cohort.role == role
        of_role = zip(cohort.patient_id[rows].tolist(), cohort.split[rows].tolist(), strict=True)
        rank = patient_order(dict(of_role), seed=seed, role=role)
        order[rows] = [rank[name] for name in cohort.patient_id[rows].tolist()]
    mixed = draw.permutation(n)
    waveform = draw.choice(2**62, n, replace=False).astype(np.uint64)
    return replace(cohort, order=order), (ids[mixed], recorded[mixed], waveform[mixed])
