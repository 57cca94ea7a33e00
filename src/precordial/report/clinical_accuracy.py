"""What the probabilities are worth: discrimination, calibration, thresholds, zones, decision curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

from precordial.evaluation import Row
from precordial.evaluation.calibration import Calibration, calibration
from precordial.evaluation.decision import decision_curve, useful_range
from precordial.evaluation.metrics import Floats
from precordial.evaluation.operating import OperatingPoint, Threshold, operate, usual_thresholds
from precordial.evaluation.zones import LUND, Zones, find_zones, measure_zones
from precordial.report.clinical_data import Ecgs
from precordial.report.clinical_figures import calibration_figure, decision_figure, zones_figure
from precordial.report.clinical_part import NO_VALIDATION, Chapter, Drawing, Part
from precordial.report.clinical_tables import (
    criteria_text,
    held_text,
    plain,
    table_bins,
    table_by_patient,
    table_calibration,
    table_decision,
    table_discrimination,
    table_thresholds,
    table_zones,
)
from precordial.report.style import name_of
from precordial.report.tables import SETS


def discrimination_part(this: Chapter, rows: Sequence[Row]) -> Part:
    """Which runs are read, and their AUC and average precision."""
    best = this.reading.runs[0]
    how = "the highest AUC on the validation set" if this.reading.validation else "the first place in the results"
    among = "fine-tuned" if best.kind == "finetune" else "trained"
    text = f"What follows is about {name_of(best)}, which has {how} among the {among} runs"
    if len(this.reading.runs) > 1:
        text += f", and about its twin that was trained from scratch: {name_of(this.reading.runs[1])}"
    text += ". Nothing was chosen on a test set." if this.reading.validation else "."
    prevalence = {}
    for split, part in this.reading.splits.items():
        prevalence[split] = f"{100 * part.truth.mean():.1f}"
    if this.smallest:
        text += f" Sets with fewer than {this.smallest} ECGs with {this.reading.outcome}, or without, are left out."
    table = table_discrimination(rows, this.names, this.reading.outcome, prevalence)
    return this.part("clinical", "Clinical reading", text, tables={f"discrimination{this.suffix}": table})


def calibration_part(this: Chapter) -> Part:
    """Before and after recalibration."""
    found: dict[str, dict[str, tuple[Calibration, Calibration | None]]] = {}
    for run, name in this.names.items():
        line = this.recalibrations[run]
        found[name] = {
            split: (
                _calibrated(this, part, part.scores[run]),
                _calibrated(this, part, line.apply(part.scores[run])) if line else None,
            )
            for split, part in this.reading.tests.items()
        }
    main = this.reading.main
    fitted = [
        f"{this.names[run]}: {plain(one.intercept, 2)} + {plain(one.slope, 2)} · logit"
        for run, one in this.recalibrations.items()
        if one
    ]
    text = (
        "A slope of 1, an intercept of 0 and a ratio of 1 are perfect; a slope below 1 tells of probabilities that "
        "are too extreme. "
    )
    if fitted:
        text += (
            f"Recalibration is a logistic regression on the logit, fitted on the validation set ({'; '.join(fitted)}). "
        )
    if not this.reading.validation:
        text += f"There is no recalibration. {NO_VALIDATION}"
    else:
        lost = [this.names[run] for run, one in this.recalibrations.items() if one is None]
        text += "".join(
            f"{name} cannot be recalibrated: on the validation set its probabilities do not rise with the outcome. "
            for name in lost
        )
    runs = [(this.lines[run], *found[name][main]) for run, name in this.names.items()]
    drawing = Drawing(
        f"calibration{this.suffix}",
        calibration_figure(runs),
        f"Calibration curves on {this.where}; numbers in the table of calibration.",
        f"Calibration on {this.where}: tenths of the probabilities with exact intervals, and a smooth curve "
        f"(logistic regression on splines) with its {100 * this.level:g} % band. The diagonal is perfect.",
    )
    bins = table_bins({name: pairs[main] for name, pairs in found.items()}, counts=not this.smallest)
    return this.part(
        "calibration",
        "Calibration",
        text,
        tables={f"calibration{this.suffix}": table_calibration(found, this.level)},
        drawings=(drawing,),
        files={f"calibration-curve{this.suffix}": bins},
    )


def _calibrated(this: Chapter, part: Ecgs, probability: Floats) -> Calibration:
    return calibration(part.truth, probability, part.patients, smallest=this.smallest, level=this.level)


def thresholds_part(this: Chapter) -> Part:
    """Thresholds fixed on validation, and what they do on the tests."""
    title = "Sensitivity and specificity"
    validation = this.reading.validation
    if validation is None:
        return this.part("thresholds", title, f"No thresholds. {NO_VALIDATION}")
    found: dict[str, list[tuple[Threshold, dict[str, OperatingPoint]]]] = {}
    for run, name in this.names.items():
        found[name] = []
        for threshold in usual_thresholds(validation.truth, validation.scores[run]):
            points = {}
            for split, part in this.reading.tests.items() if not math.isnan(threshold.value) else ():
                points[split] = operate(
                    part.truth,
                    part.scores[run],
                    threshold.value,
                    part.patients,
                    level=this.level,
                    replicates=this.evaluation.replicates,
                    seed=this.evaluation.seed,
                )
            found[name].append((threshold, points))
    text = (
        "Each threshold was fixed on the validation set, for the number in its name, and then used on the test sets. "
        "PPV and NPV hold for the prevalence there."
    )
    tables = {f"thresholds{this.suffix}": table_thresholds(found, this.smallest, this.level)}
    by_patient = None if this.smallest else table_by_patient(found, this.level)
    if by_patient:
        text += " Where patients have several ECGs, exact intervals are too short; a second table resamples patients."
        tables[f"thresholds-by-patient{this.suffix}"] = by_patient
    return this.part("thresholds", title, text, tables=tables)


def zones_part(this: Chapter) -> Part:
    """The three zones."""
    title = "Rule-out and rule-in"
    validation = this.reading.validation
    if validation is None:
        return this.part("zones", title, f"No zones. {NO_VALIDATION}")
    found: dict[str, dict[str, Zones]] = {}
    sentences = []
    for run, name in this.names.items():
        bounds = find_zones(validation.truth, validation.scores[run])
        found[name] = {
            split: measure_zones(part.truth, part.scores[run], bounds, level=this.level)
            for split, part in this.reading.tests.items()
        }
        missing = [words for words, bound in (("rule-out", bounds.low), ("rule-in", bounds.high)) if math.isnan(bound)]
        if missing:
            sentences.append(
                f"{name}: no threshold meets the criteria of {' or of '.join(missing)} on the validation set, so there "
                f"is no such zone."
            )
    events = int(validation.truth.sum())
    text = (
        f"The Lund group's criteria ({criteria_text(LUND)}), met by the largest possible zones on the validation set; "
        f"the thresholds were then used on the test sets as they were. {' '.join(sentences)}"
    )
    spared = math.ceil(events / 100) - 1
    if not this.smallest:
        text += (
            f"\n\nThe validation set has {events} ECGs with {this.reading.outcome}: a sensitivity above 99 % there "
            f"means that {f'at most {spared} of them were' if spared > 0 else 'none of them was'} missed."
        )
    bars = [
        (
            f"{name}\n{SETS.get(split, split)}",
            (zones.rule_out.value, zones.intermediate.value, zones.rule_in.value),
            held_text(zones).replace(", ", "\n"),
        )
        for name, splits in found.items()
        for split, zones in splits.items()
    ]
    drawings = []
    if not this.smallest:  # the lengths of the bars tell what the table leaves out
        drawings.append(
            Drawing(
                f"zones{this.suffix}",
                zones_figure(bars),
                "Share of ECGs in each zone; numbers in the table of zones.",
                "Share of the ECGs in each zone, and whether the criteria were met on that set.",
            )
        )
    table = table_zones(found, this.smallest, this.level)
    return this.part("zones", title, text, tables={f"zones{this.suffix}": table}, drawings=drawings)


def decision_part(this: Chapter) -> Part | None:
    """Net benefit of recalibrated probabilities on the main test set."""
    part = this.reading.splits[this.reading.main]
    curves = {
        run: decision_curve(part.truth, line.apply(part.scores[run]), part.patients, level=this.level)
        for run, line in this.recalibrations.items()
        if line
    }
    if not curves:
        return None
    text = (
        f"Net benefit of acting on the recalibrated probabilities, on {this.where}: true positives per ECG, less false "
        "positives weighed by the odds of the threshold probability. "
    )
    for run, curve in curves.items():
        useful = useful_range(curve)
        text += f"{this.names[run]} "
        text += (
            f"is better than treating all and treating nobody, beyond chance, for thresholds between "
            f"{100 * useful[0]:g} % and {100 * useful[1]:g} %. "
            if useful
            else "is nowhere better than both treating all and treating nobody, beyond chance. "
        )
    drawing = Drawing(
        f"decision{this.suffix}",
        decision_figure([(this.lines[run], curve) for run, curve in curves.items()], float(part.truth.mean())),
        "Decision curves; numbers in the table of net benefit.",
        f"Decision curves on {this.where}, with pointwise {100 * this.level:g} % bands.",
    )
    table = table_decision({this.names[run]: curve for run, curve in curves.items()}, this.level)
    return this.part("decision", "Decision curve", text, tables={f"decision{this.suffix}": table}, drawings=(drawing,))
