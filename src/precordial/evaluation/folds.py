"""A cross-validation as one table of predictions: each ECG scored by the model that has not seen its patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from precordial.evaluation.predictions import Predictions

# The table of all folds, in the folder of the first fold's run.
CROSS_VALIDATED = "cross-validated.csv"
ROTATING = ("random_test", "site_test")  # each ECG is in it once, in one fold


def pool_folds(tables: Sequence[Predictions], names: Sequence[str]) -> Predictions:
    """The predictions of all folds as those of one run, whose id is the first fold's.

    Rows of the test sets that go round are put one after the other. The temporal test is the same in each fold, and
    its score is the mean over the folds' models, which are an ensemble there. Validation sets are left out. So are
    targets that are not in every table.

    Args:
        tables: predictions of each fold's run.
        names: of the folds. Where sites are left out one by one, the rows of each stand again under the split
            "site_test:NAME".

    Raises:
        ValueError: the folds differ in the ECGs of their temporal test.
    """
    run = str(tables[0].run[0])
    common = sorted(set.intersection(*(set(table.target.tolist()) for table in tables)))
    tables = [table.rows(np.isin(table.target, common)) for table in tables]
    parts = [table.select(split=split) for split in ROTATING for table in tables]
    sites = zip(tables, names, strict=True)
    parts += [_renamed(table.select(split="site_test"), f"site_test:{name}") for table, name in sites]
    temporal = [_sorted(table.select(split="temporal_test")) for table in tables]
    first = temporal[0]
    if any(not np.array_equal(t.ecg_id, first.ecg_id) or not np.array_equal(t.target, first.target) for t in temporal):
        raise ValueError("the folds have different temporal tests")
    score = np.mean([table.score for table in temporal], axis=0)
    parts.append(Predictions(run, first.ecg_id, first.patient_id, first.split, first.target, first.truth, score))
    whole = Predictions.concatenate(parts)
    return Predictions(run, whole.ecg_id, whole.patient_id, whole.split, whole.target, whole.truth, whole.score)


def _renamed(table: Predictions, split: str) -> Predictions:
    return Predictions(table.run, table.ecg_id, table.patient_id, split, table.target, table.truth, table.score)


def _sorted(table: Predictions) -> Predictions:
    return table.rows(np.lexsort((table.ecg_id, table.target)))
