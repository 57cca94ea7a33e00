"""For whom, until when and by what: subgroups, drift in time, and age and sex as a shortcut."""

from __future__ import annotations

import math

import numpy as np

from precordial.evaluation.drift import Sample, drift
from precordial.evaluation.operating import operate, usual_thresholds
from precordial.evaluation.shortcut import fit_combined, shortcut
from precordial.evaluation.subgroups import age_bands, subgroups
from precordial.report.clinical_data import BOTH
from precordial.report.clinical_figures import forest_figure
from precordial.report.clinical_group_tables import table_drift, table_shifts, table_shortcut, table_subgroups
from precordial.report.clinical_hiding import combined, small_cells
from precordial.report.clinical_part import Chapter, Drawing, Part

MOST_GROUPS = 8  # sites or devices with a line of their own; the rarer are left out of the subgroups


def subgroups_part(this: Chapter) -> Part:
    """AUC by group on the main test set."""
    part, run = this.reading.splits[this.reading.main], this.reading.best
    factors = {
        "Sex": np.where(np.isnan(part.sex), "", np.where(part.sex == 1, "female", "male")),
        "Age": age_bands(part.age),
        "Site": _most(part.site),
        "Device": _most(part.device),
        "ECG recorded": part.recorded,
    }
    factors = {name: groups for name, groups in factors.items() if len(set(groups.tolist()) - {""}) > 1}
    threshold = None
    if this.reading.validation:
        validation = this.reading.validation
        threshold = usual_thresholds(validation.truth, validation.scores[run])[1]
    found = subgroups(
        part.truth,
        part.scores[run],
        factors,
        part.patients,
        threshold=threshold.value if threshold else math.nan,
        level=this.level,
    )
    text = (
        f"{this.names[run]} on {this.where}. The p of interaction asks whether the AUC is the same in all groups "
        "under a heading; it is not corrected for the number of headings. Groups with fewer than 10 ECGs with or "
        "without the outcome are too few and take no part in it; ECGs whose group is not known are left out."
    )
    if not found:
        return this.part("subgroups", "Subgroups", "The cohort tells no groups.")
    overall = subgroups(part.truth, part.scores[run], {"All": np.full(len(part.truth), "all")}, part.patients)[0]
    auc = overall.groups[0].auc
    drawing = Drawing(
        f"subgroups{this.suffix}",
        forest_figure(found, auc.value if auc else 0.5, counts=not this.smallest),
        "Forest plot of the AUC by group; numbers in the table of subgroups.",
        f"AUC with {100 * this.level:g} % interval by group. Dashed: all ECGs. Grey: chance.",
    )
    named = threshold.name if threshold and not math.isnan(threshold.value) else ""
    hidden: frozenset[str] = frozenset()
    if threshold and named:  # what the table of thresholds hides of these ECGs
        on = this.reading.tests.values() if this.reading.main == "combined_test" else (part,)
        points = [operate(one.truth, one.scores[run], threshold.value, level=this.level) for one in on]
        hidden = combined([small_cells(point, this.smallest) for point in points])
    table = table_subgroups(found, this.smallest, this.level, threshold=named, hidden=hidden)
    return this.part("subgroups", "Subgroups", text, tables={f"subgroups{this.suffix}": table}, drawings=(drawing,))


def drift_part(this: Chapter) -> Part | None:
    """The random and the temporal test."""
    if not set(BOTH) <= set(this.reading.splits):
        return None
    run, line = this.reading.best, this.recalibrations[this.reading.best]
    samples, counts = [], []
    for split in BOTH:
        part = this.reading.splits[split]
        score = line.apply(part.scores[run]) if line else part.scores[run]
        inputs = {"age": part.age, "female": part.sex}
        samples.append(Sample(part.truth, score, part.patients, inputs))
        counts.append(part)
    found = drift(*samples, level=this.level)
    told = {
        "Prevalence": [int(n) for part in counts for n in (part.truth.sum(), (1 - part.truth).sum())],
        "Mean female": [int((part.sex == value).sum()) for part in counts for value in (0, 1)],
    }
    text = (
        f"{this.names[run]}, {'recalibrated' if line else 'as trained'}. The temporal test holds the latest patients, "
        "the random test others of the time of training. A PSI below 0.1 is usually called small, above 0.25 large."
    )
    tables = {
        f"drift{this.suffix}": table_drift(found, this.smallest, told, this.level),
        f"drift-shifts{this.suffix}": table_shifts(found),
    }
    return this.part("drift", "Drift in time", text, tables=tables)


def shortcut_part(this: Chapter) -> Part | None:
    """The network beside age and sex."""
    run, validation = this.reading.best, this.reading.validation
    parts = {split: part for split, part in this.reading.tests.items() if "baseline" in part.scores}
    parts = {split: part for split, part in parts.items() if not np.isnan(part.scores["baseline"]).any()}
    if not parts:
        return None
    combined = (
        fit_combined(validation.truth, validation.scores[run], validation.age, validation.sex) if validation else None
    )
    found = {
        split: shortcut(
            part.truth,
            part.scores[run],
            part.scores["baseline"],
            part.age,
            part.sex,
            part.patients,
            combined=combined,
            level=this.level,
        )
        for split, part in parts.items()
    }
    main = found[this.reading.main if this.reading.main in found else next(iter(found))]
    text = (
        f"Age and sex alone tell much of who has {this.reading.outcome}, and a network can read both in an ECG. Here "
        f"{this.names[run]} stands beside a logistic regression on age and sex that was fitted on the training set. "
        "Within strata (four age bands, two sexes) an ECG with the outcome is compared with those without it of its "
        f"own stratum; {100 * main.strata:.0f} % of the former have such a stratum. The likelihood ratio asks whether "
        "the network's logit adds to age and sex, and they to it; it takes each ECG for itself."
    )
    tables = {f"shortcut{this.suffix}": table_shortcut(found, this.level)}
    return this.part("shortcut", "More than age and sex?", text, tables=tables)


def _most(values: np.ndarray) -> np.ndarray:
    """The commonest values; rarer ones as unknown."""
    names, counts = np.unique(values[values != ""], return_counts=True)
    kept = names[np.argsort(-counts, kind="stable")[:MOST_GROUPS]]
    return np.where(np.isin(values, kept), values, "")
