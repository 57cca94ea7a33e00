"""Write the tables of the documentation that follow from the code, between their marks in the Markdown files; and
``models/table.json``, the sizes of the models for who has no torch.

    python docs/make_tables.py

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``. A test runs the same functions and fails when
a page is behind the code, so that a new setting, reason or model cannot be forgotten.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Callable, Iterable
from datetime import date
from fractions import Fraction
from functools import partial
from inspect import getdoc
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from precordial.cohort.definitions import Eligibility, FollowUp, Outcome
from precordial.cohort.flow import number_text
from precordial.cohort.schemes import ColumnSplit, FoldSplit, PaperSplit, SiteSplit
from precordial.cohort.settings import LabelColumns, LabelsSettings, RegistersSettings
from precordial.ecg import LIMB, TWELVE
from precordial.errors import REASONS
from precordial.models import MODELS, RATES, VARIANTS, Cropping, model_table
from precordial.registers.settings import (
    Adjudicated,
    AdjudicatedColumns,
    DeathColumns,
    Diagnoses,
    DiagnosisColumns,
    EcgColumns,
    IdKeyColumns,
    Join,
    PatientColumns,
    ProcedureColumns,
    TableSettings,
    VisitColumns,
)
from precordial.study.settings import (
    ArchiveSettings,
    EvaluationSettings,
    FractionText,
    GridSettings,
    ModelName,
    PrivacySettings,
    StageLists,
    Study,
    TrainingSettings,
)
from precordial.training import RECIPES, Augment, Stage
from precordial.twin.conditions import CONDITIONS, PREMATURE
from precordial.twin.heart import INJURY, TERRITORIES, course
from precordial.twin.leads import DOWER
from precordial.twin.persons import PARAMETERS
from precordial.twin.shaped import Shape

DOCS = Path(__file__).parent
MODEL_SIZES = DOCS.parent / "src" / "precordial" / "models" / "table.json"
_BLOCK = re.compile(r"(<!-- table: ([\w.-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

_SHARES = {
    "seed": "of the random draws of patients",
    "temporal_test": "share of the patients, the newest",
    "random_test": "share of the patients",
    "validation": "share of the patients",
    "source_validation": "share of the source patients",
    "female_values": "words for female in sex columns, in upper or lower case",
    "male_values": "words for male in sex columns, in upper or lower case",
}
_CODES = {
    "patient_id": "id of the patient",
    "code": "column of the codes, or several: a list of columns, or a pattern with `*` such as `DIA*`",
    "main": "of several columns, that of the main code; without it the first",
    "position": "of one column, another one that says which position a code has",
}
# Meanings of the keys that the docstrings of the settings leave to their names.
MEANINGS: dict[str, dict[str, str]] = {
    "TableSettings": {
        "date_format": "strftime pattern of dates that are text, for all columns, or as a table from precordial's name "
        "of a column to its pattern; ISO 8601 without one",
    },
    "GridSettings": {"models": "names that `precordial models` prints"},
    "Stage": {
        "awake": "layers of a frozen body that go on working; see [method notes](../method-notes.md)",
        "augment": "how its ECGs are changed in training, [below](#augmentations); by default not at all",
    },
    "StageLists": {
        "crops": "crops of a length and number of one's own, in all its trainings, [below](#crops); by default "
        "`rn-900k` alone reads crops, of 2.5 s",
    },
    "TrainingSettings": {
        "schedule_per": "the learning rate moves with each step, or each epoch; by default as `rules` say",
        "crop_per": "a model of crops draws one for each ECG, or one for each batch; by default as `rules` say",
        "augment": "how ECGs are changed in training, [below](#augmentations), in stages that say nothing of their "
        "own; by default not at all",
        "extra_inputs": "what the head reads beside the ECG in trainings on the target: `age`, `sex`, or `inputs` of "
        "the cohort, [below](#inputs-beside-the-ecg); pre-trainings have the ECG alone",
        "track": "where the metrics go beside `metrics.jsonl`, [below](#tracking)",
        "age_bias": "where the age output starts: at zero, as in the paper, or at the median age of the training set",
        "device": "`auto` takes a GPU where there is one",
    },
    "EvaluationSettings": {"resample": "what a bootstrap resample draws"},
    "VisitColumns": {
        "visit_id": "id of the visit, unique",
        "patient_id": "id of the patient, as in the ECG files",
        "arrival": "date and time of arrival",
        "complaint": "main complaint",
        "discharge": "date and time of discharge; decides between two visits of one patient in one second",
        "age": "completed years at the visit",
        "sex": "sex",
        "site": "hospital or ward",
        "fold": 'a split that is given, for `split.scheme = "column"`',
        "inputs": "columns of numbers that models may read beside the ECG, see "
        "[`extra_inputs`](#inputs-beside-the-ecg)",
    },
    "DiagnosisColumns": {
        **_CODES,
        "date": "the day that counts, as a rule that of admission",
        "register": "name of the register that a row comes from; goes with `registers`",
    },
    "Diagnoses": {"columns": "see above"},
    "PatientColumns": {
        "patient_id": "id of the patient",
        "birth_date": "date of birth",
        "sex": "sex",
        "left": "day on which follow-up ended, such as that of emigration",
    },
    "DeathColumns": {**_CODES, "date": "day of death", "code": "causes of death, as of diagnoses"},
    "ProcedureColumns": {**_CODES, "date": "day of the procedure"},
    "EcgColumns": {
        "ecg_id": "id of the ECG, unique",
        "patient_id": "id of the patient",
        "recorded_at": "date and time of the recording",
        "age": "years",
        "sex": "sex",
        "site": "hospital or ward",
        "device": "recorder",
        "waveform": "digest of the signal, by which identical ones are found: unsigned integers, or hex",
    },
    "Adjudicated": {"columns": "see below"},
    "AdjudicatedColumns": {
        "visit_id": "id of the visit; this, or both others",
        "patient_id": "id of the patient",
        "arrival": "date and time of arrival",
    },
    "IdKeyColumns": {
        "old": "an id that stands in the tables",
        "new": "the id that it became",
        "valid_from": "first day on which it did; without one, from ever",
        "valid_to": "last day on which it did; without one, for ever",
    },
    "LabelColumns": {
        "file": "path of the ECG's file; this or `ecg_id`",
        "ecg_id": "id of the ECG in the archive; this or `file`",
        "patient_id": "id of the patient",
        "recorded_at": "date and time of the recording; else the file's",
        "age": "years; else the file's",
        "sex": "sex; else the file's",
        "site": "hospital or ward; else the file's",
        "device": "recorder; else the file's",
        "fold": 'a split that is given, for `split.scheme = "column"`',
        "labels": "columns of 0, 1 or nothing, each an outcome of its name; the first is the main one",
        "inputs": "columns of numbers that models may read beside the ECG, see "
        "[`extra_inputs`](#inputs-beside-the-ecg)",
    },
    "RegistersSettings": {
        **_SHARES,
        "kind": "says that the cohort is one of visits, from registers",
        "rules": "as at the top of the file, for the cohort alone",
        "before_hours": "if there is none after arrival, the last ECG in so many hours before it is taken",
        "after_hours": "the index ECG is the first in so many hours from arrival",
        "age_from": "sources of the age, the first that has one counts",
        "sex_from": "sources of the sex, the first that has one counts",
        "eligibility": "who else is left out, [below](#cohorteligibility)",
        "outcomes": "what is to be predicted, the main one first, [below](#cohortoutcomes)",
        "follow_up": "until when events would be in the registers, [below](#cohortfollow_up)",
        "split": "how patients are divided, [below](#cohortsplit)",
        "visits": "the register of visits",
        "diagnoses": "the register of diagnoses",
        "patients": "the register of patients, if there is one",
        "deaths": "the register of deaths, if there is one",
        "procedures": "the register of procedures, if there is one",
        "id_key": "a key of merged and reused patient ids, applied to every register and to the ECGs",
        "ecgs": "a table of ECGs in place of an archive; such a cohort can be looked at, and not trained on",
        "adjudicated": "labels that somebody has decided; they stand above the registers'",
    },
    "Eligibility": {
        "min_age": "completed years at the index ECG, at least; a visit of unknown age is left out",
        "max_age": "completed years at the index ECG, at most; a visit of unknown age is left out",
        "first_day": "of arrival, included",
        "last_day": "of arrival, included",
    },
    "Outcome": {
        "from_days": "the event is dated so many days after the day of arrival, or later",
        "days": "the event is dated so many days after the day of arrival, or earlier",
    },
    "LabelsSettings": {
        **_SHARES,
        "kind": "says that the cohort is one of labelled ECGs",
        "table": "the label table; this or `dataset`",
        "dataset": 'name of a public set: `"ptb-xl"`, `"code-15"` or `"cinc2021"`; this or `table`',
        "folder": "of the public set's own tables",
        "labels": "of the public set's labels those to predict, the main one first; names, or patterns such as "
        "`statement:*`",
        "controls_per_case": "target patients are those with a positive label (the main one) and so many others for "
        "each, drawn by seeded hash; the rest are source",
        "target_share": "share of the patients with a label, drawn by seeded hash, who are target; the rest are "
        "source. Without either key every patient with a label is target, and the source is empty but for patients "
        "without one",
        "split": "how patients are divided, [above](#cohortsplit)",
    },
    **{
        model: {"scheme": f"says that patients are divided {how}"}
        for model, how in (
            ("PaperSplit", "as in the paper"),
            ("FoldSplit", "into folds"),
            ("SiteSplit", "by site"),
            ("ColumnSplit", "by a column"),
        )
    },
    "Study": {
        "archive": "the ECGs",
        "cohort": "who is in the study; `study plan` does without",
        "grid": "what is trained",
        "training": "how it is trained",
        "evaluation": "intervals",
        "privacy": "which counts are too small to be shown",
    },
}
SETTINGS: dict[str, tuple[type[BaseModel], ...]] = {
    "study": (Study,),
    "archive": (ArchiveSettings,),
    "registers": (RegistersSettings,),
    "table": (TableSettings,),
    "visits.columns": (VisitColumns,),
    "diagnoses": (Diagnoses,),
    "diagnoses.columns": (DiagnosisColumns,),
    "patients.columns": (PatientColumns,),
    "joins": (Join,),
    "deaths.columns": (DeathColumns,),
    "procedures.columns": (ProcedureColumns,),
    "ecgs.columns": (EcgColumns,),
    "adjudicated": (Adjudicated,),
    "adjudicated.columns": (AdjudicatedColumns,),
    "id_key.columns": (IdKeyColumns,),
    "split.paper": (PaperSplit,),
    "split.k-fold": (FoldSplit,),
    "split.sites": (SiteSplit,),
    "split.column": (ColumnSplit,),
    "eligibility": (Eligibility,),
    "outcomes": (Outcome,),
    "follow_up": (FollowUp,),
    "labels": (LabelsSettings,),
    "labels.columns": (LabelColumns,),
    "grid": (GridSettings,),
    "training": (TrainingSettings,),
    "training.models": (StageLists,),
    "stage": (Stage,),
    "augment": (Augment,),
    "crops": (Cropping,),
    "evaluation": (EvaluationSettings,),
    "privacy": (PrivacySettings,),
}


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    cells = [list(header), *map(list, rows)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def settings_table(*models: type[BaseModel]) -> str:
    """Key, type, default and meaning of each field."""
    rows = []
    for model in models:
        told = {**attribute_texts(model), **MEANINGS.get(model.__name__, {})}
        # A table's own keys before those that it shares with others.
        own = model.__annotations__
        shared = set(TableSettings.model_fields) if model is not TableSettings else set()
        for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] not in own):
            if name in shared:  # told once, for all tables
                continue
            key = field.alias or name
            rows.append((f"`{key}`", type_text(field.annotation, field), default_text(field), told[key]))
    return markdown(("key", "type", "default", "meaning"), rows)


def attribute_texts(model: type[BaseModel]) -> dict[str, str]:
    """Field → its text under "Attributes:" in the docstring; "a, b: text" is about both."""
    _, _, section = (getdoc(model) or "").partition("Attributes:\n")
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        head = re.match(r"    (\w+(?:, \w+)*): (.*)", line)
        if head:
            names = head[1].split(", ")
            texts |= dict.fromkeys(names, head[2])
        elif line.startswith("        "):
            texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
        elif line.strip():
            # An item such as "table: the label table, or", which goes on with the next.
            names = []
    return {name: text.replace("``", "`").rstrip(".") for name, text in texts.items()}


def type_text(kind: Any, field: FieldInfo | None = None) -> str:
    """A type in the words of TOML."""
    bounds = ""
    for rule in field.metadata if field else ():
        for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            if hasattr(rule, attribute):
                bounds += f"{' and' * bool(bounds)} {sign} {getattr(rule, attribute):g}"
    if kind == FractionText or kind is Fraction:
        return "share"
    if kind == ModelName:
        return "model"
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return type_text(inner[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_text(part) for part in inner if part is not type(None))) + bounds
    if origin is Literal:
        return " or ".join(f'`"{value}"`' if isinstance(value, str) else f"`{value}`" for value in inner)
    if origin is tuple:
        one = type_text(inner[0])
        return f"list of {one}" if "`" in one or one == "text" else f"list of {one}s"
    if origin is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return "table"
    if kind is date:
        return "date"
    names = {"int": "whole number", "float": "number", "str": "text", "Path": "path", "bool": "true or false"}
    return names[kind.__name__] + bounds


def default_text(field: FieldInfo) -> str:
    """A default as it would stand in the file."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel | dict):
        return "–"
    if isinstance(value, tuple) and any(isinstance(part, BaseModel) for part in value):
        return "the paper's"
    return f"`{toml_text(value)}`"


def toml_text(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, tuple):
        words = any(isinstance(part, str) and part != "1" for part in value)
        parts = [f'"{part}"' for part in value] if words else [toml_text(part) for part in value]
        return f"[{', '.join(parts)}]"
    if isinstance(value, Fraction):
        return f"{float(value):g}"
    if isinstance(value, str) and value != "1":  # "1" is the exact share 1
        return f'"{value}"'
    return str(value)


def reasons_table() -> str:
    """Why a file is not taken."""
    return markdown(("reason", "meaning"), ((f"`{reason}`", text) for reason, text in REASONS.items()))


def models_table(rate: int, names: Iterable[str] = tuple(MODELS)) -> str:
    """The models for archives of this rate, by default the paper's."""
    rows = (
        (
            f"`{row['name']}`",
            str(row["input"]),
            f"{row['conv_layers']} + {row['shortcut_convs']}",
            f"{row['trainable']:,}".replace(",", " "),
            f"{row['with_statistics']:,}".replace(",", " "),
            str(row["source"]).replace("doi:", "https://doi.org/"),
        )
        for row in model_table(rate, names)
    )
    header = ("model", "input", "convolutions + shortcuts", "trainable", "with batch-norm statistics", "described by")
    return markdown(header, rows)


def recipes_table() -> str:
    """The paper's schedule of each model."""
    rows = (
        (
            f"`{name}`",
            f"{recipe.epochs}",
            f"{recipe.start:g} → {recipe.peak:g} → {recipe.peak / 100:g}",
            f"{recipe.scratch_epochs}",
            f"{recipe.target_epochs}",
            f"{recipe.target_start:g} → 0.001 → 1e-05",
            f"{recipe.adam_epsilon:g}",
        )
        for name, recipe in RECIPES.items()
    )
    header = (
        *("model", "pre-training epochs", "its rate", "epochs from scratch", "fine-tuning epochs"),
        *("rate of the frozen stage", "Adam's epsilon"),
    )
    return markdown(header, rows)


def twin_parameters_table() -> str:
    """What a synthetic heartbeat is drawn from."""
    rows = (
        (
            name,
            f"{row.men:g}",
            f"{row.women:g}",
            f"{row.men_decade:+g}, {row.women_decade:+g}",
            f"{row.between:g}",
            f"{row.within:g}",
            row.source,
        )
        for name, row in PARAMETERS.items()
    )
    header = (
        *("parameter", "men of 50", "women of 50", "per decade: men, women"),
        *("SD between persons", "SD within a person", "published"),
    )
    return markdown(header, rows)


def twin_conditions_table() -> str:
    """Who has which lasting condition."""
    ages = np.array([30, 50, 70, 85], np.float32)
    rows = []
    for name, condition in CONDITIONS.items():
        shares = [condition.share(ages, np.full(4, female)) for female in (False, True)]
        rows.append((name, *(", ".join(f"{100 * one:.2g}" for one in share) for share in shares), condition.source))
    return markdown(("condition", "% of men of 30, 50, 70, 85", "% of women", "published"), rows)


def twin_premature_table() -> str:
    """How often premature beats come."""
    rows = (
        (
            name,
            *(f"{kind.median * np.exp(kind.decade * decades):.2g}" for decades in (-2, 0, 2)),
            f"{np.exp(1.645 * kind.spread):.0f}",
            kind.source,
        )
        for name, kind in PREMATURE.items()
    )
    header = (
        "premature beats",
        "median per hour at 30",
        "at 50",
        "at 70",
        "95th percentile, times the median",
        "published",
    )
    return markdown(header, rows)


def twin_territories_table() -> str:
    """Where an injury points, and what that does to the leads."""
    limb = np.array([LIMB[name] for name in TWELVE[:6]]) @ DOWER[6:]
    leads = dict(zip(TWELVE, np.concatenate([limb, DOWER[:6]]), strict=True))
    rows = []
    for name, vector in list(zip(TERRITORIES, INJURY, strict=True))[1:]:
        shift = {lead: float(row @ vector / np.linalg.norm(vector)) for lead, row in leads.items()}
        x, y, z = vector / np.linalg.norm(vector)
        up = ", ".join(lead for lead, value in shift.items() if value > 0.3)
        down = ", ".join(lead for lead, value in shift.items() if value < -0.15)
        rows.append((name, f"{x:+.2f}, {y:+.2f}, {z:+.2f}", up, down))
    return markdown(("territory", "ST vector: left, down, back", "ST up", "ST down"), rows)


def twin_course_table() -> str:
    """How an infarction changes with time."""
    times = {"30 min": 0.5, "2 h": 2.0, "6 h": 6.0, "30 h": 30.0, "1 week": 168.0, "1 year": 8766.0}
    parts = course(np.array(list(times.values()), np.float32))
    return markdown(("change", *times), ((name, *(f"{x:.2f}" for x in values)) for name, values in parts.items()))


def twin_paper_counts_table() -> str:
    """What a cohort from the registers of the paper's shape must count, at the paper's size and ten times it."""
    ten = Shape().times(Fraction(10)).expected()
    rows = ((name, number_text(count), number_text(ten[name])) for name, count in Shape().expected().items())
    return markdown(("count", "paper's size", "ten times"), rows)


TABLES: dict[str, Callable[[], str]] = {
    **{name: partial(settings_table, *models) for name, models in SETTINGS.items()},
    "reasons": reasons_table,
    "models-500": partial(models_table, 500),
    "models-100": partial(models_table, 100),
    "models-variants": partial(models_table, 500, tuple(VARIANTS)),
    "recipes": recipes_table,
    "twin-parameters": twin_parameters_table,
    "twin-conditions": twin_conditions_table,
    "twin-premature": twin_premature_table,
    "twin-territories": twin_territories_table,
    "twin-course": twin_course_table,
    "twin-paper-counts": twin_paper_counts_table,
}


def with_tables(text: str) -> str:
    """A page with its tables as the code says now."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{TABLES[block[2]]()}\n{block[4]}", text)


def model_sizes() -> str:
    """The contents of ``models/table.json``, by the archive's rate; see `precordial.report.table_one.model_rows`."""
    names = (*MODELS, *VARIANTS)
    return json.dumps({str(rate): model_table(rate, names) for rate in RATES}, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every page anew that is behind."""
    MODEL_SIZES.write_text(model_sizes(), encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        new = with_tables(text)
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(page.relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
