"""The methods of a paper, filled with what was really done; what only the authors know is marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from precordial.cohort import fold_names
from precordial.report.material import Material
from precordial.report.methods_models import computation, models
from precordial.report.prose import Part, todo
from precordial.report.summary import interval_words, listed, outcome_notes
from precordial.report.table import grouped

SIGNAL = "the eight independent leads V1 to V6, I and II; the other four follow from these"
REGISTERS = ("visits", "diagnoses", "patients", "deaths", "procedures")
SOURCES = {
    "birth-date": "the date of birth",
    "first-contact": "the age at the first contact",
    "header": "the ECG's header",
    "register": "the register",
}
MEASURES = {
    "auc": "area under the ROC curve (AUC)",
    "average_precision": "average precision",
    "mae": "mean absolute error",
    "r2": "r²",
    "accuracy": "accuracy",
    "brier": "Brier score",
}


def methods(material: Material) -> list[Part]:
    """The parts of a methods section, in the order of a paper."""
    return [
        Part("Data", tuple(_data(material))),
        Part("Participants", tuple(_participants(material))),
        Part("Outcome", tuple(_outcome(material))),
        Part("Predictors and missing data", tuple(_predictors(material))),
        Part("Training, validation and test sets", (" ".join(_splits(material)),)),
        Part("Models and their training", tuple(models(material))),
        Part("Statistical analysis", (" ".join(_statistics(material)),)),
        Part("Software and computation", tuple(computation(material))),
    ]


def _data(material: Material) -> Iterable[str]:
    settings, archive = material.cohort.settings, material.archive
    ecgs = f"{grouped(int(archive['ecgs']))} " if archive and material.counts else ""
    rate = f", stored at {archive['rate']} Hz" if archive else ""
    if settings.get("kind") == "registers":
        named = listed(name for name in REGISTERS if settings.get(name))
        yield (
            f"Registers of {named} were joined with {ecgs}ECGs of ten seconds{rate}. The models read {SIGNAL}. "
            f"{todo('name the hospitals, the registers and the devices, and why these data were used')}"
        )
        yield todo("first and last day of the visits, and of follow-up; this report holds no dates")
    else:
        of = f"the public set {settings['dataset']}" if settings.get("dataset") else "a table of labelled ECGs"
        yield (
            f"The {ecgs}ECGs{rate} and their labels are those of {of}. The models read {SIGNAL}. "
            f"{todo('cite the data with their version, and say who was recorded, where and when')}"
        )


def _participants(material: Material) -> Iterable[str]:
    settings = material.cohort.settings
    if settings.get("kind") == "registers":
        yield " ".join(_visits(settings))
    else:
        share = settings.get("target_share")
        yield "Each ECG with a label is an example." + (
            f" Of the patients with a label {percent(share)}, drawn by a hash of their ids, are the target, the others "
            "the source."
            if share
            else ""
        )
    if (material.cohort.role == "source").any():
        yield "The source, for pre-training, holds the ECGs of patients of whom nothing is in the target."
    yield (
        "Recordings that are damaged or too short, lack a lead or do not name patient and time are not used; the flow "
        f"chart counts them. {todo('treatments that patients received, if they matter')}"
    )


def _visits(settings: Mapping[str, Any]) -> Iterable[str]:
    """Which visits take part, and which ECG of each."""
    if settings.get("complaint"):
        words = listed([f"“{word}”" for word in settings["complaint"]], "or")
        how = "contains" if settings.get("complaint_match") == "contains" else "is"
        yield f"A visit takes part if its main complaint {how} {words}."
    else:
        yield "Visits take part whatever their complaint."
    rules = settings.get("eligibility", {})
    low, high = rules.get("min_age"), rules.get("max_age")
    if low is not None or high is not None:
        ages = f"at least {low:g}" if high is None else f"at most {high:g}" if low is None else f"{low:g} to {high:g}"
        yield f"Patients are {ages} years old at the index ECG."
    if rules.get("sites"):
        yield f"Visits to {len(rules['sites'])} of the sites take part."
    if rules.get("visits", "all") != "all":
        which = "visit" if rules["visits"] == "first" else "visit with an index ECG"
        yield f"Of each patient the first {which} takes part."
    if rules.get("washout_days"):
        codes = listed(rules.get("washout_codes") or settings["outcomes"][0].get("codes") or ["the outcome"], "or")
        yield f"Visits within {rules['washout_days']} days after a diagnosis of {codes} are left out."
    if rules.get("first_day") or rules.get("last_day"):
        yield "Visits from a chosen span of days take part."
    before, after = settings.get("before_hours", 2), settings.get("after_hours", 3)
    yield (
        f"Of each visit one ECG is used: the first usable one within {after:g} h after arrival or, where there is "
        f"none, the last within {before:g} h before it. Visits without one are left out; an ECG serves one visit."
    )


def _outcome(material: Material) -> Iterable[str | tuple[str, ...]]:
    found = [how for what, how in outcome_notes(material.cohort) if what in ("Outcome", "Follow-up", "Adjudicated")]
    if len(found) > 1:
        yield tuple(found)
    else:
        yield f"{found[0][0].upper()}{found[0][1:]}."
    if material.cohort.settings.get("kind") == "registers":
        yield (
            "Labels were made by program from the registers' codes, without sight of the ECGs. "
            f"{todo('how well the registers record this outcome, and who set the diagnoses')}"
        )
    else:
        yield todo("who labelled the ECGs, how, and whether they saw other data of the patients")


def _predictors(material: Material) -> Iterable[str]:
    settings = material.cohort.settings
    extra = list(dict.fromkeys(name for run in material.runs for name in run.settings.get("extra_inputs") or ()))
    beside = f"Beside it the head reads {listed(extra)}." if extra else "Age and sex are not given to the models."
    yield f"The only predictor is the ECG's waveform in millivolts, neither filtered nor standardised. {beside}"
    if "age_from" in settings:
        age, sex = (listed([SOURCES[one] for one in settings[key]], "or else") for key in ("age_from", "sex_from"))
        yield f"Age is from {age}, sex from {sex}."
    yield (
        "Nothing is imputed. An ECG whose outcome is unknown is left out of training and evaluation for that outcome, "
        "one whose age or sex is unknown out of pre-training on it; Table I counts them."
    )


def _splits(material: Material) -> Iterable[str]:
    cohort, settings = material.cohort, material.cohort.settings
    split = settings.get("split", {})
    scheme, folds = split.get("scheme", "paper"), fold_names(cohort)
    if scheme == "column":
        yield "The splits are those given in the data."
    else:
        yield "All splits are by patient: nobody is in two of them."
    if scheme == "paper" and "temporal_test" in settings:
        newest, drawn, held = (percent(settings[key]) for key in ("temporal_test", "random_test", "validation"))
        if split.get("temporal_from") is not None:
            yield "Visits from a chosen day on are the temporal test set; older visits of their patients are not used."
        elif newest != "0 %":
            yield (
                f"The newest visits of {newest} of the patients are the temporal test set; older visits of these "
                "patients are not used."
            )
        yield (
            f"Of all patients {drawn}, drawn by a hash of their ids and a seed, are the random test set and {held} the "
            "validation set; the others train."
        )
    elif folds:
        yield (
            f"Each of {len(folds)} {'sites' if scheme == 'sites' else 'folds'} is tested once, by models that have "
            f"seen none of its patients; of the others {percent(settings.get('validation', 0))} validate in each."
        )
    if (cohort.role == "source").any() and "source_validation" in settings:
        yield f"Of the source's patients {percent(settings['source_validation'])} validate, the others train."
    yield (
        "The epoch that is kept, and any threshold, are chosen on the validation set; the test sets have no part in "
        "training or in any choice. A guard against leaks passed before the trainings; the cohort's leakage.json has "
        "its rules and findings."
    )
    smaller = sorted({row.target_fraction for row in material.rows if row.target_fraction})
    if len(smaller) > 1:
        yield (
            f"For the dependence on size, {100 * smaller[0]:g} to {100 * smaller[-1]:g} % of the target's training "
            "patients were used, each set inside the next; validation and test sets stay the same."
        )


def _statistics(material: Material) -> Iterable[str]:
    evaluation, rows = material.study.evaluation, material.largest
    resampled = f"{evaluation.resample}, those with an event and those without apart" * evaluation.stratify
    resampled = resampled or evaluation.resample
    metrics = {row.metric for row in rows}
    yield (
        f"Measured were {listed([words for name, words in MEASURES.items() if name in metrics])}. Intervals are "
        f"{100 * evaluation.level:g} % intervals, {interval_words(evaluation)}, over {grouped(evaluation.replicates)} "
        f"resamples of {resampled} (seed {evaluation.seed}); bands of curves are percentiles over resampled "
        f"{evaluation.resample}, point by point. The combined test set is the random and the temporal one, one after "
        "the other."
    )
    if any(row.kind == "difference" for row in rows):
        yield (
            "Pre-trained models were compared with training from scratch by paired differences on the same resamples; "
            "p-values, DeLong's for AUCs, are two-sided and corrected by Holm's method for all comparisons on a test "
            "set."
        )
    if any(row.kind == "baseline" for row in rows):
        yield "For comparison, a logistic regression on age and sex alone was fitted to the same training patients."
    if len({row.seed for row in rows if row.model}) > 1:
        yield "Of several seeds, the mean and the standard deviation between seeds are given."
    yield todo("how the size of the study was chosen, and whether it suffices")


def percent(share: object) -> str:
    """An exact share in per cent.

    >>> percent("3/25"), percent(0.15)
    ('12 %', '15 %')
    """
    return f"{float(100 * Fraction(str(share))):.3g} %"
