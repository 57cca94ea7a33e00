"""A cohort of emergency visits, from the visit, diagnosis and patient registers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import polars as pl

from precordial.cohort import eligibility
from precordial.cohort import visits as steps
from precordial.cohort.assemble import split_target
from precordial.cohort.cohort import LABEL
from precordial.cohort.counting import FlowChart
from precordial.cohort.demographics import add_age_and_sex, first_contacts
from precordial.cohort.outcomes import add_outcome, diagnosed
from precordial.cohort.people import numbered
from precordial.cohort.read import Registers, final_ids, read_registers
from precordial.cohort.settings import RegistersSettings
from precordial.errors import RegisterError
from precordial.registers import Account
from precordial.registers.joins import standing_twice


def from_registers(
    settings: RegistersSettings, ecgs: pl.DataFrame, chart: FlowChart, account: Account
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The target visits with split and labels, and the source ECGs with split."""
    registers = _numbered(read_registers(settings, account))
    usable = _usable_ecgs(settings, registers, ecgs, chart, account)
    register = registers.visits.drop("age", "sex")  # at the visit; those at the ECG come with the ECG

    chart.start("target", "visits", "visits in the register", register)
    complete = steps.complete_visits(register, complaint=settings.complaint is not None)
    needed = "id, patient, arrival or complaint" if settings.complaint is not None else "id, patient or arrival"
    chart.step("target", "complete", "complete", register, complete, f"{needed} missing")
    merged = steps.merge_same_second(complete)
    chart.step("target", "merged", "one per patient and second", complete, merged, "the same patient and second")
    _check_visit_ids(merged, settings)
    eligible = _eligible(settings, merged, registers, chart)
    indexed = steps.index_ecgs(
        eligible,
        usable,
        before_seconds=round(settings.before_hours * 3600),
        after_seconds=round(settings.after_hours * 3600),
        ends_belong=settings.window_ends == "closed",
    )
    window = f"{settings.before_hours:g} h before to {settings.after_hours:g} h after arrival"
    chart.step("target", "index-ecg", "with an index ECG", eligible, indexed, f"without a usable ECG from {window}")
    if not len(indexed):
        shared = register["patient_id"].drop_nulls().unique().is_in(usable["patient_id"].implode()).sum()
        raise RegisterError(
            f"none of the {len(eligible)} visits has an index ECG",
            file=settings.visits.where,
            remedy=f"{shared} patients of the register have ECGs in the archive: check the patient ids and the times",
        )
    visits = steps.one_visit_per_ecg(indexed, lowest_visit_id=settings.shared_ecg == "lowest-visit-id")
    chart.step("target", "one-visit-per-ecg", "each ECG once", indexed, visits, "their ECG serves another visit")
    visits = _with_ecg(settings, visits, usable)
    visits = _eligible_with_ecg(settings, visits, chart)
    visits = _with_outcomes(settings, visits, registers, chart)
    visits = split_target(settings, visits, "arrival", chart)
    return visits, _source(usable, register, eligible, visits, chart)


def _numbered(registers: Registers) -> Registers:
    """The registers with patients by number."""
    outcomes = registers.outcomes
    tables = {name: getattr(outcomes, name) for name in ("diagnoses", "procedures", "deaths", "left")}
    by_number: dict[str, Any] = {name: numbered(table) for name, table in tables.items() if table is not None}
    visits, patients = numbered(registers.visits), numbered(registers.patients)
    return replace(registers, visits=visits, patients=patients, outcomes=replace(outcomes, **by_number))


def _usable_ecgs(
    settings: RegistersSettings, registers: Registers, ecgs: pl.DataFrame, chart: FlowChart, account: Account
) -> pl.DataFrame:
    """The ECGs whose patient and time are known, one per patient and second, with the registers' age and sex."""
    own = final_ids(ecgs, registers.ids, account, "ECGs", "recorded_at")
    if registers.ids is not None:
        lost = ecgs.join(own, on="ecg_id", how="anti")["patient_id"].drop_nulls().n_unique()
        why = "patient id not valid at their time"
        chart.step("archive", "ids", "with a valid patient id", ecgs, own, why, touched=lost)
    own = numbered(own)
    known = steps.identified_ecgs(own)
    chart.step("archive", "identified", "with patient and time", own, known, "without patient or time")
    usable = steps.merge_same_second_ecgs(known)
    chart.step("archive", "merged", "one per patient and second", known, usable, "the same patient and second")
    contacts = first_contacts(registers.visits)
    return add_age_and_sex(usable, contacts, registers.patients, age_from=settings.age_from, sex_from=settings.sex_from)


def _eligible(
    settings: RegistersSettings, visits: pl.DataFrame, registers: Registers, chart: FlowChart
) -> pl.DataFrame:
    """The visits that fulfil every criterion that needs no ECG, each a step of the flow chart."""
    asked = settings.eligibility

    def step(key: str, text: str, why: str, after: pl.DataFrame) -> None:
        nonlocal visits
        chart.step("target", key, text, visits, after, why)
        if not len(after):
            raise none_left(settings, key, len(visits), why)
        visits = after

    if asked.sites is not None:
        step("sites", "at the sites of the study", "at another site", eligibility.at_sites(visits, asked.sites))
    if asked.first_day is not None or asked.last_day is not None:
        inside = eligibility.in_period(visits, asked.first_day, asked.last_day)
        step("period", f"within the period{_period(settings)}", "outside the period", inside)
    if settings.complaint is not None:
        contains = settings.complaint_match == "contains"
        found = eligibility.with_complaint(visits, settings.complaint, contains=contains)
        step("complaint", "for chest pain", "for another complaint", found)
    if asked.washout_days is not None:
        sources = registers.outcomes
        earlier = diagnosed(sources.diagnoses, settings.washout_codes, registers=sources.registers)
        kept = eligibility.washed_out(visits, earlier, asked.washout_days)
        step("washout", "without an earlier infarction", f"had one within {asked.washout_days} days before", kept)
    if asked.visits == "first":
        step("first", "the patient's first", "later visits", eligibility.first_of_patient(visits))
    return visits


def none_left(settings: RegistersSettings, step: str, visits: int, why: str) -> RegisterError:
    """What to say when a criterion leaves nobody."""
    if step == "complaint":
        joined = [join for join in settings.visits.joins if "complaint" in join.columns]
        exact = settings.complaint_match == "exact"
        return RegisterError(
            "no visit has one of the complaints",
            file=joined[0].where if joined else settings.visits.where,
            column=joined[0].columns["complaint"] if joined else settings.visits.columns.complaint,
            key="cohort.complaint",
            remedy="write the complaints as they stand in this column"
            + (', or set complaint_match = "contains"' if exact else ""),
        )
    return RegisterError(
        f"no visit is left: all {visits} are left out ({why})",
        file=settings.visits.where,
        key="cohort.eligibility",
        remedy="precordial cohort check says what stands in the registers",
    )


def _period(settings: RegistersSettings) -> str:
    asked = settings.eligibility
    first = f" from {asked.first_day}" if asked.first_day else ""
    return first + (f" to {asked.last_day}" if asked.last_day else "")


def _with_ecg(settings: RegistersSettings, visits: pl.DataFrame, usable: pl.DataFrame) -> pl.DataFrame:
    """The visits with what is known of their index ECG, and the time of prediction."""
    about = usable.select(
        "ecg_id",
        "age",
        "sex",
        "age_source",
        "sex_source",
        "device",
        pl.col("site").alias("ecg_site"),
    )
    return (
        visits.join(about, on="ecg_id", how="left")
        .with_columns(
            (pl.col("arrival") + pl.duration(seconds=round(settings.after_hours * 3600))).alias("prediction_time"),
            pl.coalesce("site", "ecg_site").alias("site"),
        )
        .drop("ecg_site")
    )


def _eligible_with_ecg(settings: RegistersSettings, visits: pl.DataFrame, chart: FlowChart) -> pl.DataFrame:
    """The visits that fulfil the criteria for which the index ECG must be known."""
    asked = settings.eligibility
    if asked.min_age is not None or asked.max_age is not None:
        aged = eligibility.of_age(visits, asked.min_age, asked.max_age)
        low = "0" if asked.min_age is None else f"{asked.min_age:g}"
        years = f"{low} years or older" if asked.max_age is None else f"{low} to {asked.max_age:g} years old"
        chart.step("target", "age", years, visits, aged, "of another or unknown age")
        if not len(aged):
            raise none_left(settings, "age", len(visits), "of another or unknown age")
        visits = aged
    if asked.visits == "first-with-ecg":
        first = eligibility.first_of_patient(visits)
        chart.step("target", "first", "the patient's first with an index ECG", visits, first, "later visits")
        visits = first
    return visits


def _with_outcomes(
    settings: RegistersSettings, visits: pl.DataFrame, registers: Registers, chart: FlowChart
) -> pl.DataFrame:
    """The visits with label and event of each outcome; those of which no label is known are left out."""
    notes: Counter[str] = Counter()
    for outcome in settings.outcomes:
        visits = add_outcome(visits, outcome, registers.outcomes, settings.follow_up, notes)
    labels = [LABEL + outcome.name for outcome in settings.outcomes]
    known = visits.filter(~pl.all_horizontal(pl.col(labels).is_null()))
    said = {words: count for words, count in notes.items() if count}
    if said or len(known) < len(visits):
        chart.step("target", "outcome", "with a known outcome", visits, known, "outcome unknown", reasons=said)
    if not len(known):
        raise RegisterError(
            "no visit has a known outcome",
            file=settings.diagnoses.where,
            key="cohort.outcomes",
            remedy="precordial cohort check says until when the registers reach",
        )
    return known


def _source(
    usable: pl.DataFrame, register: pl.DataFrame, eligible: pl.DataFrame, visits: pl.DataFrame, chart: FlowChart
) -> pl.DataFrame:
    """The ECGs of registered patients without a target visit, those with chest pain and no index ECG among them."""
    chart.start("source", "ecgs", "usable ECGs", usable)
    in_register = steps.known_patients(usable, register)
    chart.step("source", "known", "of patients in the visit register", usable, in_register, "of unknown patients")
    source = steps.without_patients(in_register, visits)
    staying = steps.known_patients(source, steps.without_patients(eligible, visits))
    # Where visits were left out for more than that, these patients may have had an index ECG.
    only_ecg = chart.flow()["target/splits"].patients == chart.flow()["target/index-ecg"].patients
    visit = "chest pain but without an index ECG" if only_ecg else "an eligible visit that was left out"
    chart.step(
        "source",
        "others",
        "of patients without a target visit",
        in_register,
        source,
        "of target patients",
        reasons={
            f"patients with {visit} stay": staying["patient_id"].n_unique(),
            "ECGs of theirs": len(staying),
        },
    )
    return source.with_columns(
        pl.col("recorded_at").alias("prediction_time"), pl.lit(None, pl.Datetime("us")).alias("arrival")
    )


def _check_visit_ids(visits: pl.DataFrame, settings: RegistersSettings) -> None:
    rows = visits.filter(standing_twice(visits, ["visit_id"])).sort("visit_id", "row")["row"].to_list()
    if rows:
        raise RegisterError(
            f"the visit id also stands in row {rows[0]}, with another patient or arrival",
            file=settings.visits.where,
            row=rows[1],
            column=settings.visits.columns.visit_id,
            remedy="give each visit its own id",
        )
