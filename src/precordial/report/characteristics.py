"""Tables I and II: who is in each split, and which models there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from precordial.report.table import Table, grouped

COLUMNS = {
    "Source train": ("source", "train"),
    "Source validation": ("source", "validation"),
    "Target train": ("target", "train"),
    "Target validation": ("target", "validation"),
    "Random test": ("target", "random_test"),
    "Temporal test": ("target", "temporal_test"),
}


class Examples(Protocol):
    """What Table I needs of a cohort (`precordial.cohort.Cohort` has it): arrays (n,), one entry per example."""

    @property
    def ecg_id(self) -> NDArray[Any]: ...
    @property
    def patient_id(self) -> NDArray[Any]: ...
    @property
    def role(self) -> NDArray[Any]: ...
    @property
    def split(self) -> NDArray[Any]: ...
    @property
    def age(self) -> NDArray[Any]: ...
    @property
    def sex(self) -> NDArray[Any]: ...
    @property
    def label(self) -> NDArray[Any]: ...


def table_one(cohort: Examples, label: str = "AMI") -> Table:
    """Table I of the paper: patients, ECGs, sex, age and label, split by split.

    Shares and ages are over ECGs, not patients; an ECG whose sex, age or label is unknown (NaN) is left out of
    that line alone.

    Args:
        cohort: sex is 1 for female, 0 for male; age in years; label is 0 or 1 in the target and unused in the source.
        label: name of the outcome.
    """
    columns = []
    for role, split in COLUMNS.values():
        here = (np.asarray(cohort.role) == role) & (np.asarray(cohort.split) == split)
        ages = np.asarray(cohort.age, np.float64)[here]
        columns.append(
            (
                grouped(len(np.unique(np.asarray(cohort.patient_id)[here]))),
                grouped(int(here.sum())),
                _percent(np.asarray(cohort.sex, np.float64)[here], 1),
                _median_and_quartiles(ages[~np.isnan(ages)]),
                "N/A" if role == "source" else _percent(np.asarray(cohort.label, np.float64)[here], 2),
            )
        )
    names = ("Patients", "ECGs", "Female sex, %", "Age, median (IQR)", f"{label}, %")
    header = ("Patient characteristics", *COLUMNS)
    rows = tuple((name, *(column[i] for column in columns)) for i, name in enumerate(names))
    return Table("Table I. Patient characteristics (shares and ages over ECGs)", header, rows)


def table_two(models: Iterable[Mapping[str, str | int]]) -> Table:
    """Table II of the paper, a line per model of `precordial.models.model_table`.

    Convolutional layers are those the paper counts, plus those on shortcuts. The paper gives rn-7m's and rn-33m's
    parameters with the batch-norm statistics, the others' without.
    """
    header = ("Model", "Input", "Conv layers", "Trainable", "With statistics", "Paper", "Source")
    rows = tuple(
        (
            str(model["paper_name"]),
            str(model["input"]),
            f"{model['conv_layers']} + {model['shortcut_convs']}",
            *(grouped(int(model[key])) for key in ("trainable", "with_statistics", "paper_parameters")),
            str(model["source"]).split(", doi:")[0],
        )
        for model in models
    )
    return Table("Table II. Models and their parameters, at one output", header, rows)


def _percent(values: NDArray[np.float64], digits: int) -> str:
    known = values[~np.isnan(values)]
    return f"{100 * known.mean():.{digits}f}" if len(known) else "–"


def _median_and_quartiles(ages: NDArray[np.float64]) -> str:
    if not len(ages):
        return "–"
    low, median, high = np.percentile(ages, [25, 50, 75])
    return f"{median:.0f} ({low:.0f}–{high:.0f})"
