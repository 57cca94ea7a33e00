"""Build a cohort: the steps of `visits` and `labels` in their order, counted into the flow chart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from precordial.cohort import visits as steps
from precordial.cohort.cohort import COLUMNS, Cohort
from precordial.cohort.counting import FlowChart
from precordial.cohort.demographics import add_age_and_sex, first_contacts
from precordial.cohort.labels import complete_from_archive, join_by_file, join_by_id, target_patients
from precordial.cohort.read import read_diagnoses, read_label_table, read_patients, read_visits
from precordial.cohort.settings import LabelsSettings, RegistersSettings
from precordial.cohort.splits import OLDER_VISIT, patient_order, source_splits, target_splits
from precordial.errors import RegisterError

SECOND = pl.Datetime("us")


def build_cohort(
    settings: RegistersSettings | LabelsSettings,
    ecgs: pl.DataFrame,
    *,
    table: pl.DataFrame | None = None,
    rejects: Mapping[str, int] | None = None,
) -> Cohort:
    """Build the cohort of a study from an archive's ECGs and the registers or labels named in the settings.

    The result depends on the contents of the tables and on the seed, not on the order of any rows.

    Args:
        settings: with their files resolved.
        ecgs: the usable ECGs of the archive: ecg_id, patient_id, recorded_at, age (years) and sex (1 = female)
            of the header, source (path relative to the ingested folder).
        table: label table of a public set, as from `precordial.datasets.DATASETS`.
        rejects: reason → number of unusable ECGs, for the flow chart.

    Raises:
        RegisterError: a table cannot be understood, or nothing is left.
    """
    chart = FlowChart()
    unusable = dict(sorted((rejects or {}).items()))
    chart.archive(ecgs, unusable)
    ecgs = ecgs.with_columns(
        pl.col("recorded_at").cast(SECOND).dt.truncate("1s"),
        pl.col("age").cast(pl.Float64),
        pl.col("sex").cast(pl.Float64),
    )
    if isinstance(settings, RegistersSettings):
        target, source = _from_registers(settings, ecgs, chart)
    else:
        target, source = _from_labels(settings, ecgs, table, chart)
    return _assemble(settings, target, source, chart)


def _from_registers(
    settings: RegistersSettings, ecgs: pl.DataFrame, chart: FlowChart
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The target visits with split and label, and the source ECGs with split."""
    register = read_visits(settings)
    diagnoses = read_diagnoses(settings)
    contacts = first_contacts(register)

    known = steps.identified_ecgs(ecgs)
    chart.step("archive", "identified", "with patient and time", ecgs, known, "without patient or time")
    usable = steps.merge_same_second_ecgs(known)
    chart.step("archive", "merged", "one per patient and second", known, usable, "the same patient and second")
    usable = add_age_and_sex(
        usable, contacts, read_patients(settings), age_from=settings.age_from, sex_from=settings.sex_from
    )

    chart.start("target", "visits", "visits in the register", register)
    complete = steps.complete_visits(register)
    chart.step("target", "complete", "complete", register, complete, "id, patient, arrival or complaint missing")
    merged = steps.merge_same_second(complete)
    chart.step("target", "merged", "one per patient and second", complete, merged, "the same patient and second")
    _check_visit_ids(merged, settings)
    chest_pain = steps.with_complaint(merged, settings.complaint)
    chart.step("target", "complaint", "for chest pain", merged, chest_pain, "for another complaint")
    if not len(chest_pain):
        raise RegisterError(
            "no visit has one of the complaints",
            file=settings.visits.file,
            column=settings.visits.columns.complaint,
            key="cohort.complaint",
            remedy="write the complaints as they stand in this column",
        )
    indexed = steps.index_ecgs(
        chest_pain,
        usable,
        before_seconds=round(settings.before_hours * 3600),
        after_seconds=round(settings.after_hours * 3600),
        ends_belong=settings.window_ends == "closed",
    )
    window = f"{settings.before_hours:g} h before to {settings.after_hours:g} h after arrival"
    chart.step("target", "index-ecg", "with an index ECG", chest_pain, indexed, f"without a usable ECG from {window}")
    if not len(indexed):
        shared = register["patient_id"].drop_nulls().unique().is_in(usable["patient_id"].implode()).sum()
        raise RegisterError(
            f"none of the {len(chest_pain)} visits has an index ECG",
            file=settings.visits.file,
            remedy=f"{shared} patients of the register have ECGs in the archive: check the patient ids and the times",
        )
    visits = steps.one_visit_per_ecg(indexed, lowest_visit_id=settings.shared_ecg == "lowest-visit-id")
    chart.step("target", "one-visit-per-ecg", "each ECG once", indexed, visits, "their ECG serves another visit")
    visits = visits.with_columns(
        (pl.col("arrival") + pl.duration(seconds=round(settings.after_hours * 3600))).alias("prediction_time")
    )
    outcomes = steps.outcome_diagnoses(
        diagnoses.drop_nulls(["patient_id", "code", "date"]), settings.outcome_codes, settings.diagnoses.registers
    )
    visits = steps.outcome(visits, outcomes, days=settings.outcome_days)
    visits = _split_target(settings, visits, "arrival", chart)
    visits = visits.join(usable.select("ecg_id", "age", "sex", "age_source", "sex_source"), on="ecg_id", how="left")

    chart.start("source", "ecgs", "usable ECGs", usable)
    in_register = steps.known_patients(usable, register)
    chart.step("source", "known", "of patients in the visit register", usable, in_register, "of unknown patients")
    source = steps.without_patients(in_register, visits)
    left = chest_pain.join(visits.select("patient_id"), on="patient_id", how="anti").select("patient_id")
    chart.step(
        "source",
        "others",
        "of patients without a target visit",
        in_register,
        source,
        "of target patients",
        reasons={
            "ECGs of patients with chest pain but without an index ECG, who stay": len(
                source.join(left.unique(), on="patient_id", how="semi")
            )
        },
    )
    return visits, source.with_columns(pl.col("recorded_at").alias("prediction_time"))


def _from_labels(
    settings: LabelsSettings, ecgs: pl.DataFrame, table: pl.DataFrame | None, chart: FlowChart
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The target ECGs with split and label, and the source ECGs with split."""
    rows = read_label_table(settings, table)
    file = settings.table.file if settings.table else settings.folder
    join = join_by_file if "file" in rows.columns else join_by_id
    joined = complete_from_archive(join(rows, ecgs, file=file), ecgs)
    chart.join(ecgs, joined, rows)
    if not len(joined):
        raise RegisterError(
            f"none of the {len(rows)} rows of the label table has an ECG in the archive",
            file=file,
            remedy="check the column of the ECG's file or id against `precordial archive info`",
        )
    known = steps.identified_ecgs(joined)
    chart.step("archive", "identified", "with patient and time", joined, known, "without patient or time")
    usable = steps.merge_same_second_ecgs(known).with_columns(pl.col("recorded_at").alias("prediction_time"))
    chart.step("archive", "merged", "one per patient and second", known, usable, "the same patient and second")

    labelled = usable.drop_nulls("label")
    chosen = target_patients(labelled, controls_per_case=settings.controls_per_case, seed=settings.seed)
    patients = pl.DataFrame({"patient_id": sorted(chosen)}, schema={"patient_id": pl.String})
    chart.start("target", "ecgs", "usable ECGs", usable)
    recordings = usable.join(patients, on="patient_id", how="semi")
    chart.step("target", "patients", "of target patients", usable, recordings, "of source patients")
    target = recordings.drop_nulls("label").with_columns(pl.col("ecg_id").alias("visit_id"))
    chart.step("target", "labelled", "with a label", recordings, target, "without a label")
    if not len(target):
        raise RegisterError("no ECG has a label", file=file, remedy="check the column of the label")
    target = _split_target(settings, target, "recorded_at", chart)

    chart.start("source", "ecgs", "usable ECGs", usable)
    source = steps.without_patients(usable, patients)
    chart.step("source", "others", "of patients who are not target", usable, source, "of target patients")
    return target, source


def _split_target(
    settings: RegistersSettings | LabelsSettings, visits: pl.DataFrame, time: str, chart: FlowChart
) -> pl.DataFrame:
    """Add `split`; older visits of temporal-test patients stay, with their own word."""
    split = target_splits(
        visits["patient_id"].to_list(),
        visits[time].to_numpy(),
        visits["visit_id"].to_list(),
        seed=settings.seed,
        temporal_test=settings.temporal_test,
        random_test=settings.random_test,
        validation=settings.validation,
    )
    visits = visits.with_columns(pl.Series("split", split.tolist(), pl.String))
    kept = steps.drop_older_visits(visits)
    chart.step("target", "splits", "in the four splits", visits, kept, "older, of temporal-test patients")
    chart.parts("target", kept)
    return visits


def _assemble(
    settings: RegistersSettings | LabelsSettings, target: pl.DataFrame, source: pl.DataFrame, chart: FlowChart
) -> Cohort:
    """Both roles as one cohort, in the order that every build of it has."""
    split = source_splits(source["patient_id"].to_list(), seed=settings.seed, validation=settings.source_validation)
    source = source.with_columns(
        pl.col("patient_id").replace_strict(split, default=None, return_dtype=pl.String).alias("split"),
        pl.lit("").alias("visit_id"),
        pl.lit(None, pl.Float64).alias("label"),
    )
    chart.parts("source", source)
    tables = []
    for role, table in (("target", target.filter(pl.col("split") != OLDER_VISIT)), ("source", source)):
        splits = dict(table.select("patient_id", "split").unique().iter_rows())
        order = patient_order(splits, seed=settings.seed, role=role)
        tables.append(
            table.with_columns(
                pl.lit(role).alias("role"),
                pl.col("patient_id").replace_strict(order, default=None, return_dtype=pl.Int64).alias("order"),
            ).select(list(COLUMNS))
        )
    rows = pl.concat(tables).sort("role", "split", "patient_id", "prediction_time", "visit_id", "ecg_id")
    columns = {name: _numpy(rows[name], kind) for name, kind in COLUMNS.items()}
    return Cohort(**columns, flow=chart.flow(), settings=settings.model_dump(mode="json"))


def _numpy(column: pl.Series, kind: str) -> np.ndarray:  # type: ignore[type-arg]
    if kind == "time":
        return column.to_numpy().astype("datetime64[s]")
    if kind == "float":
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if kind == "int":
        return column.to_numpy().astype(np.int64)
    return np.array(column.to_list(), np.str_)


def _check_visit_ids(visits: pl.DataFrame, settings: RegistersSettings) -> None:
    rows = visits.filter(pl.col("visit_id").is_duplicated()).sort("visit_id", "row")["row"].to_list()
    if rows:
        raise RegisterError(
            f"the visit id also stands in row {rows[0]}, with another patient or arrival",
            file=settings.visits.file,
            row=rows[1],
            column=settings.visits.columns.visit_id,
            remedy="give each visit its own id",
        )
