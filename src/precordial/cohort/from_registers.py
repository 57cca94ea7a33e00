"""A cohort of emergency visits, from the visit, diagnosis and patient registers."""

from __future__ import annotations

import polars as pl

from precordial.cohort import visits as steps
from precordial.cohort.assemble import split_target
from precordial.cohort.counting import FlowChart
from precordial.cohort.demographics import add_age_and_sex, first_contacts
from precordial.cohort.read import read_diagnoses, read_patients, read_visits
from precordial.cohort.settings import RegistersSettings
from precordial.errors import RegisterError


def from_registers(
    settings: RegistersSettings, ecgs: pl.DataFrame, chart: FlowChart
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The target visits with split and label, and the source ECGs with split."""
    register = read_visits(settings)
    diagnoses = read_diagnoses(settings)
    contacts = first_contacts(register)
    register = register.drop("age", "sex")  # at the visit; those at the ECG come with the ECG

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
            file=settings.visits.where,
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
            file=settings.visits.where,
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
    visits = visits.join(usable.select("ecg_id", "age", "sex", "age_source", "sex_source"), on="ecg_id", how="left")
    visits = split_target(settings, visits, "arrival", chart)

    return visits, _source(usable, register, chest_pain, visits, chart)


def _source(
    usable: pl.DataFrame, register: pl.DataFrame, chest_pain: pl.DataFrame, visits: pl.DataFrame, chart: FlowChart
) -> pl.DataFrame:
    """The ECGs of registered patients without a target visit, those with chest pain and no index ECG among them."""
    chart.start("source", "ecgs", "usable ECGs", usable)
    in_register = steps.known_patients(usable, register)
    chart.step("source", "known", "of patients in the visit register", usable, in_register, "of unknown patients")
    source = steps.without_patients(in_register, visits)
    left = chest_pain.join(visits.select("patient_id"), on="patient_id", how="anti").select("patient_id").unique()
    staying = source.join(left, on="patient_id", how="semi")
    chart.step(
        "source",
        "others",
        "of patients without a target visit",
        in_register,
        source,
        "of target patients",
        reasons={
            "patients with chest pain but without an index ECG stay": staying["patient_id"].n_unique(),
            "ECGs of theirs": len(staying),
        },
    )
    return source.with_columns(pl.col("recorded_at").alias("prediction_time"))


def _check_visit_ids(visits: pl.DataFrame, settings: RegistersSettings) -> None:
    rows = visits.filter(pl.col("visit_id").is_duplicated()).sort("visit_id", "row")["row"].to_list()
    if rows:
        raise RegisterError(
            f"the visit id also stands in row {rows[0]}, with another patient or arrival",
            file=settings.visits.where,
            row=rows[1],
            column=settings.visits.columns.visit_id,
            remedy="give each visit its own id",
        )
