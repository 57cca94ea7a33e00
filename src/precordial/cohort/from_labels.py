"""A cohort of labelled ECGs, from a table of labels."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from precordial.cohort import visits as steps
from precordial.cohort.assemble import split_target
from precordial.cohort.cohort import EVENT, LABEL
from precordial.cohort.counting import FlowChart
from precordial.cohort.labels import complete_from_archive, join_by_file, join_by_id, target_patients
from precordial.cohort.read import read_label_table
from precordial.cohort.settings import LabelsSettings
from precordial.errors import RegisterError
from precordial.registers import Account


def from_labels(
    settings: LabelsSettings, ecgs: pl.DataFrame, table: pl.DataFrame | None, chart: FlowChart, account: Account
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The target ECGs with split and labels, and the source ECGs with split."""
    rows = read_label_table(settings, table, account)
    file = Path(settings.table.where) if settings.table else settings.folder
    join = join_by_file if "file" in rows.columns else join_by_id
    joined = complete_from_archive(join(rows, ecgs, file=file), ecgs)
    chart.join(ecgs, joined, rows)
    if not len(joined):
        raise RegisterError(
            f"none of the {len(rows)} rows of the label table has an ECG in the archive",
            file=file,
            key="archive.path" if settings.dataset else None,
            remedy=f"give the archive into which {settings.dataset} was ingested"
            if settings.dataset
            else "check the column of the ECG's file or id against `precordial archive info`",
        )
    if settings.needs_times:
        known = steps.identified_ecgs(joined)
        chart.step("archive", "identified", "with patient and time", joined, known, "without patient or time")
        if not len(known):
            raise RegisterError(
                "no ECG has a patient and a time, which the temporal test needs",
                file=file,
                key="cohort.temporal_test",
                remedy="set it to 0" + ("" if settings.dataset else ", or name the column of the time"),
            )
    else:
        known = joined.drop_nulls("patient_id")
        chart.step("archive", "identified", "with patient", joined, known, "without patient")
    usable = steps.merge_same_second_ecgs(known).with_columns(pl.col("recorded_at").alias("prediction_time"))
    chart.step("archive", "merged", "one per patient and second", known, usable, "the same patient and second")

    labels = [name for name in usable.columns if name.startswith(LABEL)]
    labelled = ~pl.all_horizontal(pl.col(labels).is_null())
    chosen = target_patients(
        usable.filter(labelled),
        label=labels[0],
        controls_per_case=settings.controls_per_case,
        share=settings.target_share,
        seed=settings.seed,
    )
    patients = pl.DataFrame({"patient_id": sorted(chosen)}, schema={"patient_id": pl.String})
    chart.start("target", "ecgs", "usable ECGs", usable)
    recordings = usable.join(patients, on="patient_id", how="semi")
    chart.step("target", "patients", "of target patients", usable, recordings, "of source patients")
    target = recordings.filter(labelled)
    chart.step("target", "labelled", "with a label", recordings, target, "without a label")
    if not len(target):
        raise RegisterError("no ECG has a label", file=file, remedy="check the columns of the labels")
    target = split_target(settings, target.with_columns(pl.col("ecg_id").alias("visit_id")), "recorded_at", chart)
    nothing = pl.lit(None, pl.Datetime("us"))
    events = [nothing.alias(EVENT + name.removeprefix(LABEL)) for name in labels]
    target = target.with_columns(nothing.alias("arrival"), *events)

    chart.start("source", "ecgs", "usable ECGs", usable)
    source = steps.without_patients(usable, patients)
    chart.step("source", "others", "of patients who are not target", usable, source, "of target patients")
    return target, source.with_columns(nothing.alias("arrival"))
