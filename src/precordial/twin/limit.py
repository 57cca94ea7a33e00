"""The Bayes limit of the synthetic task: what the best possible reader of the ECGs could know.

A heart that shows an infarction shows it to this reader, however small it is beside everything else that shapes an
ECG. Where a heart shows none, the reader is left with what the generator drew from: the risk by sex and age of the
heart, less the infarctions that would have shown. No score that is computed from ECG, age and sex can have a higher
expected AUC.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.errors import PrecordialError

FRESH_HOURS = 72  # the oldest infarction that a visit is for is 63 hours old at the end of the index window


def best_scores(
    truth: str | Path, visit_id: NDArray[np.str_], patient_id: NDArray[np.str_], recorded_at: NDArray[np.datetime64]
) -> NDArray[np.float64]:
    """Probability (n,) of the label for the best possible reader of these ECGs.

    Args:
        truth: folder ``truth`` of a hospital made by `make_hospital`.
        visit_id: (n,) the visits to be judged, as in the registers.
        patient_id: (n,) whose they are.
        recorded_at: (n,) datetime64, when the ECG of each was taken.

    Raises:
        PrecordialError: the folder is not there or incomplete, or a visit or an ECG is not in it.
    """
    import polars as pl

    truth = Path(truth)
    for name in ("settings.json", "visits.csv", "truth.csv"):
        if not (truth / name).is_file():
            raise PrecordialError(
                "this truth about a synthetic hospital is missing", file=truth / name, remedy="make the hospital again"
            )
    settings = json.loads((truth / "settings.json").read_text(encoding="utf-8"))
    hidden = 1 - (1 - settings["silent"]) * (1 - settings["delayed"])

    keys = ["patient_id", "recorded_at"]
    ecgs = pl.read_csv(truth / "truth.csv", schema_overrides={"patient_id": pl.String}, infer_schema_length=None)
    hours = (pl.col("recorded_at") - pl.col("onset")).dt.total_seconds() / 3600
    ecgs = (
        ecgs.with_columns(pl.col("recorded_at", "onset").cast(pl.String).str.to_datetime(time_unit="ms"))
        .with_columns(shows=((pl.col("severity_mv") > 0) & hours.is_between(0, FRESH_HOURS)).fill_null(False))
        .select(*keys, "shows")
        .unique(keys)
    )
    visits = pl.read_csv(truth / "visits.csv", schema_overrides={"patient_id": pl.String}, infer_schema_length=None)
    asked = pl.DataFrame(
        {
            "visit_id": visit_id,
            "patient_id": patient_id,
            "recorded_at": recorded_at.astype("datetime64[ms]"),
        }
    )
    found = asked.join(visits.select("visit_id", "risk"), on="visit_id", how="left", maintain_order="left").join(
        ecgs, on=keys, how="left", maintain_order="left"
    )
    lost = found.filter(pl.col("risk").is_null() | pl.col("shows").is_null()).height
    if lost:
        raise PrecordialError(
            f"{lost} of {len(asked)} visits or their ECGs are not in the truth",
            file=truth,
            remedy="give the truth of the hospital that the cohort was built from",
        )
    risk = found["risk"].to_numpy()
    return np.where(found["shows"].to_numpy(), 1.0, risk * hidden / (1 - risk + risk * hidden))
