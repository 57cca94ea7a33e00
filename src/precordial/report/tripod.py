"""The TRIPOD+AI checklist of a study: what the run can say of each item, and what the authors must still write.

``tripod.csv`` has the 27 items with their parts, in our own words, and what only authors can write of each. Source:
Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction
models that use regression or machine learning methods. BMJ 2024;385:e078378. The numbers are the statement's, its words
are not used; for a submission the authors fill its own form from this.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from html import escape
from importlib.resources import files

from precordial.cohort import fold_names
from precordial.report.material import Material
from precordial.report.methods import SIGNAL
from precordial.report.summary import listed, outcome_notes
from precordial.report.table import Table, grouped
from precordial.report.tables import MODELS, TESTS, TRAINED, main_split, ordered

HEADER = ("Item", "Topic", "What is to be reported", "From this study", "The authors must still write")
WIDTHS = (0.05, 0.12, 0.25, 0.33, 0.25)  # of the columns, where long text is set
NOTHING = "not examined"


def checklist(material: Material, shown: Collection[str] = ()) -> Table:
    """The checklist as a table, a line for each part of the 27 items.

    Args:
        material: of the study.
        shown: keys of the sections that the report has, so that only these are named.
    """
    known = answers(material, shown)
    text = files(__package__).joinpath("tripod.csv").read_text(encoding="utf-8")
    rows = [
        (item["item"], item["topic"], item["asks"], known.get(item["item"], ""), item["write"])
        for item in csv.DictReader(text.splitlines())
    ]
    words = "items of TRIPOD+AI in our words; names in quotation marks are sections of this report"
    return Table(f"TRIPOD+AI ({words})", HEADER, tuple(rows), WIDTHS)


def open_items(table: Table) -> list[str]:
    """Numbers of the items to which the authors must still write something."""
    return [row[0] for row in table.rows if row[-1]]


def as_html(table: Table) -> str:
    """The checklist with what must still be written marked."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    lines = []
    for number, *cells, write in table.rows:
        parts = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        last = f"<mark>{escape(write)}</mark>" if write else "–"
        lines.append(f'<tr><th scope="row">{number}</th>{parts}<td>{last}</td></tr>')
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="TRIPOD+AI">\n<table class="long">\n'
        f"<caption>{escape(table.title)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + "\n</tbody>\n</table>\n</div>"
    )


def answers(material: Material, shown: Collection[str]) -> Mapping[str, str]:
    """What the run knows, by the item's number."""
    found = {**_constant(), **_of_the_data(material), **_of_the_models(material, shown)}
    return {number: text for number, text in found.items() if text}


def _constant() -> dict[str, str]:
    """What is so in every study of this program."""
    return {
        "6b": "“Methods and results”, Participants; “Flow chart”",
        "7": "Unusable recordings are left out by fixed rules, the same for everybody; the flow chart counts them",
        "9a": "None was chosen: the models read the whole waveform",
        "9b": f"The waveform of one ECG of ten seconds: {SIGNAL}. “Methods and results”, Participants: which one",
        "9c": "Does not apply: the waveform is read as it is",
        "11": "Nothing is imputed; “Methods and results”, Predictors and missing data",
        "12a": "“Methods and results”, Training, validation and test sets",
        "12b": "Millivolts as recorded, brought to each model's rate and length; “Models”",
        "12c": "“Methods and results”, Models and their training; the best epoch is chosen on the validation set",
        "12g": "The predictions of each run are in its folder; “Model cards” name the runs",
        "15": "A probability, not calibrated unless said otherwise; thresholds are fixed on the validation set",
        "18f": "precordial is free software (Apache 2.0); “Make it again” has the command",
        "20a": "“Flow chart”",
        "20b": "“Patients” (Table I)",
        "20c": "“Patients” (Table I): a column for each set",
        "22": "The architectures are public; the weights are the best.safetensors of each run, see “Model cards”",
        "26": "“Model cards”, Limits",
        "27a": "Unusable recordings are refused with a reason, and get no score",
    }


def _of_the_data(material: Material) -> dict[str, str]:
    cohort, registers = material.cohort, material.cohort.settings.get("kind") == "registers"
    sites, folds = len(set(cohort.site.tolist()) - {""}), fold_names(cohort)
    temporal = any(row.split == "temporal_test" for row in material.rows)
    by_code = registers and "Labels are made by program from codes"
    return {
        "5a": f"“Methods and results”, Data: {'registers and ECGs of routine care' if registers else 'labelled ECGs'}",
        "6a": f"{sites} sites are named in the data" if sites > 1 and material.counts else "",
        "8a": "; ".join(how for what, how in outcome_notes(cohort) if what == "Outcome"),
        "8b": by_code or "",
        "8c": "The program that makes the labels does not see the ECGs" if registers else "",
        "10": _sizes(material),
        "12d": f"Each of {len(folds)} folds is tested by models that have not seen it" if folds else NOTHING,
        "16": "The same source, eligibility, outcome and predictor"
        + ("; the temporal test set is of later visits" if temporal else ""),
        "21": "“Trainings”" + ("" if material.counts else "; numbers are withheld"),
        "23b": "Table III, by site" if any(row.split == "site_test" for row in material.rows) else NOTHING,
    }


def _of_the_models(material: Material, shown: Collection[str]) -> dict[str, str]:
    trained = [row for row in material.largest if row.kind in TRAINED and row.metric == "auc"]
    models = (
        listed(MODELS.get(name, name) for name in ordered((row.model for row in trained), MODELS)) if trained else ""
    )
    tests = [TESTS[split].lower() for split in TESTS if any(row.split == split for row in trained)]
    weights = any(run.settings.get("class_weights") for run in material.runs)
    clinical = [title for key, title in CLINICAL.items() if any(one.startswith(key) for one in shown)]
    calibration = CLINICAL["calibration"] in clinical
    subgroups = CLINICAL["subgroups"] in clinical
    beside = f"; {listed(clinical)}" if clinical else ""
    on = f", evaluated on the {listed(tests)} test sets of the same source" if tests else ""
    return {
        "4": f"Development of {models}{on}" if models else "Pre-training alone",
        "12e": f"“Methods and results”, Statistical analysis{beside}",
        "12f": "Recalibration fitted on the validation set; “Calibration”" if calibration else NOTHING,
        "13": "Class weights; “Methods and results”, Models"
        if weights
        else "Nothing: losses are unweighted, all ECGs are used",
        "14": "Performance is shown by subgroup" if subgroups else "",
        "23a": f"Tables III and IV{beside}",
        "24": "“Calibration”" if calibration else NOTHING,
    }


# Sections of the clinical reading by the beginnings of their keys, with their titles.
CLINICAL = {
    "calibration": "“Calibration”",
    "thresholds": "“Sensitivity and specificity”",
    "zones": "“Rule-out and rule-in”",
    "decision": "“Decision curve”",
    "subgroups": "“Subgroups”",
    "drift": "“Drift in time”",
    "shortcut": "“More than age and sex?”",
    "learning": "“How many ECGs are needed?”",
}


def _sizes(material: Material) -> str:
    """How many events the test set has, where that may be told."""
    split = main_split(material.largest)
    aucs = [row for row in material.largest if row.split == split and row.metric == "auc" and row.kind in TRAINED]
    if not aucs or not material.counts:
        return ""
    row = aucs[0]
    return (
        f"All that there were: {grouped(row.events or 0)} events in {grouped(row.n)} test ECGs; intervals show the rest"
    )
