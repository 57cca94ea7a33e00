"""The rules of the leakage guard, each a function of arrays: which rows break it, and which it could be checked on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precordial.cohort.cohort import in_fraction
from precordial.cohort.evidence import Evidence, Mask, Numbers, in_two_places, number_texts
from precordial.cohort.splits import FOLD, SITE_TEST, SOURCE_SPLITS, TARGET_SPLITS

FRACTIONS = ("1/50", "1/10", "1/2")
Check = Callable[[Evidence], tuple[Mask, Mask]]


def _everywhere(evidence: Evidence) -> Mask:
    return np.ones(len(evidence.cohort), bool)


def _patient(evidence: Evidence) -> tuple[Mask, Mask]:
    return evidence.apart(evidence.patient), _everywhere(evidence)


def _ecg(evidence: Evidence) -> tuple[Mask, Mask]:
    return evidence.ecg_apart, _everywhere(evidence)


def _waveform(evidence: Evidence) -> tuple[Mask, Mask]:
    if evidence.waveform is None:
        return ~_everywhere(evidence), ~_everywhere(evidence)
    # Two rows of one ECG are the business of the rule "ecg".
    return evidence.apart(evidence.waveform) & ~evidence.ecg_apart, _everywhere(evidence)


def _visit(evidence: Evidence) -> tuple[Mask, Mask]:
    rows = np.flatnonzero(evidence.target & (evidence.cohort.visit_id != ""))
    visit = number_texts(evidence.cohort.visit_id[rows])
    return _at(evidence, rows[np.bincount(visit)[visit] > 1]), _at(evidence, rows)


def _split(evidence: Evidence) -> tuple[Mask, Mask]:
    known = np.zeros(len(evidence.cohort), bool)
    for role, splits in (("source", SOURCE_SPLITS), ("target", (*TARGET_SPLITS, SITE_TEST, FOLD))):
        known |= (evidence.cohort.role == role) & np.isin(evidence.cohort.split, splits)
    return ~known, _everywhere(evidence)


def _time(evidence: Evidence) -> tuple[Mask, Mask]:
    # Comparisons with NaT are false; a row without a prediction time is no proof.
    late = evidence.recorded > evidence.cohort.prediction_time
    late |= evidence.cohort.recorded_at > evidence.cohort.prediction_time
    unknown = np.isnat(evidence.recorded) & np.isnat(evidence.cohort.recorded_at)
    return late, ~unknown & ~np.isnat(evidence.cohort.prediction_time)


def _recorded(evidence: Evidence) -> tuple[Mask, Mask]:
    own = evidence.cohort.recorded_at
    known = ~np.isnat(own) & ~np.isnat(evidence.recorded)
    return known & (own != evidence.recorded) & ~_time(evidence)[0], known


def _days(times: NDArray[np.datetime64]) -> Numbers:
    return times.astype("datetime64[D]").astype(np.int64)


def _event(evidence: Evidence) -> tuple[Mask, Mask]:
    cohort = evidence.cohort
    here = evidence.target & ~np.isnat(cohort.arrival)
    broken, checked = np.zeros(len(cohort), bool), np.zeros(len(cohort), bool)
    by_hand = _adjudicated(cohort.settings)
    for name, outcome in evidence.outcomes():
        label, event = cohort.labels[name], cohort.events[name]
        known = ~np.isnat(event)
        # What somebody decided without an event is dated on the day of arrival.
        first = 0 if name in by_hand else outcome.from_days
        apart = np.where(known & here, _days(event) - _days(cohort.arrival), first)
        broken |= here & ((apart < first) | (apart > outcome.days) | ((label == 1) != known))
        checked |= here
    return broken, checked


def _adjudicated(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Outcomes of which somebody may have decided otherwise than the registers."""
    return tuple(((settings.get("adjudicated") or {}).get("columns") or {}).get("outcomes") or ())


def _washout(evidence: Evidence) -> tuple[Mask, Mask]:
    """The events of all visits of a patient are looked at; those of no visit are not in a cohort."""
    cohort = evidence.cohort
    nothing = np.zeros(len(cohort), bool)
    eligibility = cohort.settings.get("eligibility") or {}
    days, (name, outcome) = eligibility.get("washout_days"), next(evidence.outcomes(), ("", None))
    if not days or outcome is None or eligibility.get("washout_codes"):
        return nothing, nothing
    other_events = outcome.all_procedures or outcome.death == "event" or name in _adjudicated(cohort.settings)
    if other_events or outcome.registers:
        return nothing, nothing  # its events need not be diagnoses that the wash-out looks at
    here = evidence.target & ~np.isnat(cohort.arrival)
    with_event = here & ~np.isnat(cohort.events[name])
    # One number for patient and day, so that a patient's last event before a visit is the one before it in order.
    width, start = 1 << 24, 1 << 23
    events = np.sort(evidence.patient[with_event] * width + _days(cohort.events[name][with_event]) + start)
    visits = evidence.patient[here] * width + _days(cohort.arrival[here]) + start
    last = np.searchsorted(events, visits) - 1
    found = (last >= 0) & (events[last] >= visits - days) if len(events) else np.zeros(len(visits), bool)
    return _at(evidence, np.flatnonzero(here)[found]), here


def _temporal(evidence: Evidence) -> tuple[Mask, Mask]:
    nothing = np.zeros(len(evidence.cohort), bool)
    known = evidence.target & ~np.isnat(evidence.time)
    newest = known & (evidence.cohort.split == "temporal_test")
    others = known & ~newest
    if not newest.any() or not others.any():
        return nothing, nothing
    # Of the rows on the wrong side, those of the side that has fewer: one that was moved, not all that it passed.
    late = others & (evidence.time > evidence.time[newest].min())
    early = newest & (evidence.time < evidence.time[others].max())
    return late if late.sum() <= early.sum() else early, known


def _order(evidence: Evidence) -> tuple[Mask, Mask]:
    """In each place the ranks of the n patients are 0 to n - 1, one each."""
    order = evidence.cohort.order
    broken = np.zeros(len(order), bool)
    for place in np.unique(evidence.place).tolist():
        rows = np.flatnonzero(evidence.place == place)
        patient, rank = evidence.patient[rows], order[rows]
        patients = np.unique(patient)
        wrong = (rank < 0) | (rank >= len(patients)) | in_two_places(patient, rank) | in_two_places(rank, patient)
        broken[rows[wrong]] = True
    return broken, _everywhere(evidence)


def _fraction(evidence: Evidence) -> tuple[Mask, Mask]:
    """Smaller fractions lie in larger ones, and leave out training rows only, in each fold."""
    cohort = evidence.cohort
    broken = np.zeros(len(cohort), bool)
    divisions = [(np.flatnonzero(cohort.role == role), cohort.split) for role in ("source", "target")]
    parts = [(rows, split[rows], cohort.order[rows]) for rows, split in divisions]
    parts += [(rows, split, cohort.order[rows]) for rows, split in evidence.folds]
    for rows, split, order in parts:
        training = split == "train"
        inner = None
        for fraction in FRACTIONS:
            kept = in_fraction(training, order, fraction)
            broken[rows[~kept & ~training]] = True
            if inner is not None:
                broken[rows[inner & ~kept]] = True
            inner = kept
    return broken, _everywhere(evidence)


def _at(evidence: Evidence, rows: Numbers) -> Mask:
    mask = np.zeros(len(evidence.cohort), bool)
    mask[rows] = True
    return mask


@dataclass(frozen=True)
class Rule:
    """What must hold, what a row that breaks it is, what to do about it, and how it is checked."""

    holds: str
    broken: str
    remedy: str
    check: Check


_REBUILD = "build the cohort again; it was changed or merged by hand"
RULES: dict[str, Rule] = {
    "patient": Rule(
        "a patient is in one role and split only, in each fold",
        "a patient is in two roles or splits",
        _REBUILD,
        _patient,
    ),
    "ecg": Rule(
        "an ECG is in one role and split only, in each fold", "an ECG is in two roles or splits", _REBUILD, _ecg
    ),
    "waveform": Rule(
        "no waveform stands in two roles or splits under two ids, in any fold",
        "a waveform stands in two roles or splits under two ids",
        "remove one of the two files, or correct its patient id, ingest and build again",
        _waveform,
    ),
    "visit": Rule("a visit is one row of the target", "a visit stands in two rows", _REBUILD, _visit),
    "split": Rule("each row is in a split of its role", "a row is in no split of its role", _REBUILD, _split),
    "time": Rule(
        "no ECG was recorded after its prediction time",
        "an ECG was recorded after its prediction time",
        "check the times of the archive against those of the register or label table",
        _time,
    ),
    "recorded": Rule(
        "cohort and archive agree when an ECG was recorded",
        "an ECG was recorded at another time than the cohort says",
        "check the times of the archive against those of the label table",
        _recorded,
    ),
    "event": Rule(
        "an outcome has its event in the days after arrival that count, and only then",
        "an outcome and its event do not agree, or the event is dated outside of its days",
        _REBUILD,
        _event,
    ),
    "washout": Rule(
        "no event of the patient's lies in the wash-out before arrival",
        "an event of the patient's lies in the wash-out before arrival",
        _REBUILD,
        _washout,
    ),
    "temporal": Rule(
        "the temporal test is not older than any other row of the target",
        "the temporal test is not the newest: a row is on the wrong side",
        "build the cohort again, or let the column name another split for it",
        _temporal,
    ),
    "order": Rule(
        "the patients of each role and split are ranked without gaps", "a patient's rank is wrong", _REBUILD, _order
    ),
    "fraction": Rule(
        "fractions nest, and change nothing but training, in each fold",
        "a fraction changes more than training",
        _REBUILD,
        _fraction,
    ),
}
