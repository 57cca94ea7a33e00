"""What a run learns from: the ECGs of a part of the cohort with the labels of its task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.errors import PrecordialError
from precordial.training.loader import Examples
from precordial.training.objectives import REGRESSED
from precordial.training.run import TrainingRun


def examples_of(run: TrainingRun, part: Cohort, archive: Archive) -> Examples:
    """The examples of a part of the cohort: on the source those with all labels of the task, on the target with any."""
    truth = truth_of(run, part)
    known = ~np.isnan(truth)
    enough = known.any(axis=1) if run.task == "label" else known.all(axis=1)
    extra = extra_of(run, part)
    return Examples(archive, archive.rows(part.ecg_id[enough]), truth[enough], None if extra is None else extra[enough])


def all_examples(run: TrainingRun, part: Cohort, archive: Archive) -> Examples:
    """Every ECG of a part of the cohort, whether or not a label is known: what is predicted."""
    return Examples(archive, archive.rows(part.ecg_id), truth_of(run, part), extra_of(run, part))


def extra_of(run: TrainingRun, part: Cohort) -> NDArray[np.float32] | None:
    """(n, values) what the run's model reads beside the ECG, NaN where unknown; None: nothing."""
    if not run.extra_inputs:
        return None
    known = {"age": part.age, "sex": part.sex, **part.inputs}
    columns = [known[name] for name in run.extra_inputs]
    return np.stack(columns, axis=1).astype(np.float32)


def truth_of(run: TrainingRun, part: Cohort) -> NDArray[np.float32]:
    """(n, targets) what a run is to predict, NaN where unknown."""
    columns = [part.labels[name] if run.task == "label" else getattr(part, name) for name in run.targets]
    return np.stack(columns, axis=1).astype(np.float32)


def check_examples(run: TrainingRun, training: Examples, validation: Examples) -> list[str]:
    """What should be known about the two sets, as sentences.

    Raises:
        PrecordialError: a set without examples, or in which no outcome has both values; or a training set that has one
            value only of an extra input.
    """
    notes, remedy = [], "take a larger fraction or a larger cohort"
    for name, examples in (("training", training), ("validation", validation)):
        if len(examples) < 2:
            raise PrecordialError(
                f"{run.describe()}: the {name} set has {len(examples)} ECGs with a label", remedy=remedy
            )
        lone = [
            target
            for k, target in enumerate(run.targets)
            if target not in REGRESSED and not {0.0, 1.0} <= set(examples.truth[:, k].tolist())
        ]
        some = ", ".join(lone[:3]) + (f" and {len(lone) - 3} more" if len(lone) > 3 else "")
        if lone and (run.task != "label" or len(lone) == len(run.targets)):
            raise PrecordialError(f"{run.describe()}: all ECGs of the {name} set have the same {some}", remedy=remedy)
        if lone:
            then = "nothing to learn there" if name == "training" else "no help in picking the best epoch"
            notes.append(f"{run.describe()}: all ECGs of the {name} set have the same {some}; {then}")
    for column, name in enumerate(run.extra_inputs):
        assert training.extra is not None
        values = training.extra[:, column]
        if len(np.unique(values[~np.isnan(values)])) < 2:
            raise PrecordialError(
                f"{run.describe()}: the training set has not two values of the extra input '{name}'",
                key="training.extra_inputs",
                remedy=f"take '{name}' away",
            )
    return notes
