"""The paper's cohort by pandas, as one would write it by hand: what `benchmarks/cohort.py` measures precordial against.

    python benchmarks/cohort_pandas.py REGISTERS OUT

Reads visits.csv, ecgs.csv, diagnoses.csv and patients.csv of the folder REGISTERS; writes OUT/cohort.csv and
OUT/counts.json, patients and rows after each step. The rules are the study's, and nothing of precordial is used. The
random splits are drawn by NumPy, so that they have the right sizes and other patients.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd

BEFORE, AFTER = pd.Timedelta(hours=-2), pd.Timedelta(hours=3)


def build(folder: Path) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    """The rows of the cohort, and the counts of each step."""
    counts: dict[str, list[int]] = {}

    def count(step: str, table: pd.DataFrame) -> pd.DataFrame:
        counts[step] = [int(table["patient_id"].nunique()), len(table)]
        return table

    # ECGs: with patient and time, one per patient and second.
    few = ["sex", "site", "device"]
    ecgs = pd.read_csv(
        folder / "ecgs.csv",
        usecols=["ecg_id", "patient_id", "recorded_at", "age", *few],
        dtype={"ecg_id": str, "patient_id": str, **dict.fromkeys(few, "category")},
        parse_dates=["recorded_at"],
    )
    ecgs = count("archive/identified", ecgs.dropna(subset=["patient_id", "recorded_at"]))
    ecgs = one_of_each(ecgs, ["patient_id", "recorded_at"], {"ecg_id": True})
    ecgs = with_age_and_sex(count("archive/merged", ecgs), folder)

    # Visits: complete; of a patient's in one second that with the latest discharge; then the complaint.
    register = pd.read_csv(
        folder / "visits.csv",
        usecols=["visit_id", "patient_id", "arrival", "discharge", "complaint"],
        dtype={"visit_id": str, "patient_id": str, "complaint": "category"},
        parse_dates=["arrival", "discharge"],
    )
    count("target/visits", register)
    visits = count("target/complete", register.dropna(subset=["visit_id", "patient_id", "arrival", "complaint"]))
    visits = one_of_each(visits, ["patient_id", "arrival"], {"discharge": False, "visit_id": True})
    count("target/merged", visits)
    words = visits["complaint"].cat.categories
    visits = visits[visits["complaint"].isin(words[words.str.strip().str.lower() == "chest pain"])]
    chest_pain = count("target/complaint", visits)

    # Index ECG: the first within three hours of arrival, else the last of the two before; each serves one visit.
    pairs = chest_pain.merge(ecgs, on="patient_id")
    apart = pairs["recorded_at"] - pairs["arrival"]
    pairs = pairs.assign(before=apart < pd.Timedelta(0), apart=apart.abs())[apart.between(BEFORE, AFTER)]
    pairs = pairs.sort_values(["before", "apart", "ecg_id"])
    target = count("target/index-ecg", pairs.drop_duplicates("visit_id"))
    target = target.sort_values(["arrival", "visit_id"])
    target = count("target/one-visit-per-ecg", target.drop_duplicates("ecg_id"))
    target["prediction_time"] = target["arrival"] + AFTER

    # Outcome: the first I21 of the inpatient register from the day of arrival to 30 days after.
    diagnoses = pd.read_csv(
        folder / "diagnoses.csv",
        usecols=["patient_id", "code", "date", "register"],
        dtype={"patient_id": str, "code": "category", "date": str, "register": "category"},
    )
    codes = diagnoses["code"].cat.categories
    wanted = diagnoses["code"].isin(codes[codes.str.startswith("I21")]) & (diagnoses["register"] == "inpatient")
    infarctions = diagnoses.loc[wanted, ["patient_id", "date"]].assign(date=lambda rows: pd.to_datetime(rows["date"]))
    events = target[["visit_id", "patient_id", "arrival"]].merge(infarctions, on="patient_id")
    days = (events["date"] - events["arrival"].dt.normalize()).dt.days
    target["event"] = target["visit_id"].map(events[days.between(0, 30)].groupby("visit_id")["date"].min())
    target["label"] = target["event"].notna().astype(float)

    # Temporal test: from the newest visit back until 15 % of the patients are met; their older visits are left out.
    target = target.sort_values(["arrival", "visit_id"], ascending=False)
    met = (~target["patient_id"].duplicated()).cumsum().shift(fill_value=0)
    newest = met < ceil(Fraction(15, 100) * target["patient_id"].nunique())
    older = ~newest & target["patient_id"].isin(target.loc[newest, "patient_id"])
    target["split"] = np.where(newest, "temporal_test", "train")
    everyone, target = target, count("target/splits", target[~older])
    count("target/temporal_test", target[target["split"] == "temporal_test"])
    rng = np.random.default_rng(0)
    others = rng.permutation(target.loc[target["split"] == "train", "patient_id"].unique())
    tests = ceil(Fraction(15, 85) * len(others))
    validating = int(Fraction(15, 70) * (len(others) - tests))
    target.loc[target["patient_id"].isin(others[:tests]), "split"] = "random_test"
    target.loc[target["patient_id"].isin(others[tests : tests + validating]), "split"] = "validation"

    # Source: ECGs of patients whom the visit register knows, but those of the target.
    count("source/ecgs", ecgs)
    known = count("source/known", ecgs[ecgs["patient_id"].isin(register["patient_id"].dropna().unique())])
    source = count("source/others", known[~known["patient_id"].isin(everyone["patient_id"])])
    people = rng.permutation(source["patient_id"].unique())
    validates = source["patient_id"].isin(people[: int(Fraction(5, 100) * len(people))])
    source = source.assign(split=np.where(validates, "validation", "train"), prediction_time=source["recorded_at"])

    rows = pd.concat([target.assign(role="target"), source.assign(role="source")])
    rank = rows.drop_duplicates(["role", "split", "patient_id"]).sample(frac=1, random_state=rng)
    order = rank.assign(order=rank.groupby(["role", "split"]).cumcount()).set_index("patient_id")["order"]
    rows["order"] = rows["patient_id"].map(order)
    columns = "ecg_id patient_id visit_id recorded_at arrival prediction_time role split order age sex site device"
    return rows[[*columns.split(), "age_source", "sex_source", "label", "event"]], counts


def one_of_each(table: pd.DataFrame, key: list[str], ascending: dict[str, bool]) -> pd.DataFrame:
    """One row of those with the same key, the first in an order; only those that stand twice are sorted."""
    twice = table.duplicated(key, keep=False)
    ordered = table[twice].sort_values(list(ascending), ascending=list(ascending.values()))
    return pd.concat([table[~twice], ordered.drop_duplicates(key)])


def with_age_and_sex(ecgs: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Age on the day of the ECG and sex (1 = female) by the register of patients, else by the ECG's header."""
    patients = pd.read_csv(
        folder / "patients.csv",
        usecols=["patient_id", "birth_date", "sex"],
        dtype={"patient_id": str, "sex": "category"},
        parse_dates=["birth_date"],
    ).set_index("patient_id")
    born = ecgs["patient_id"].map(patients["birth_date"])
    age = (ecgs["recorded_at"].dt.normalize() - born).dt.days / 365.25
    number = {"female": 1.0, "male": 0.0}
    sex = ecgs["patient_id"].map(patients["sex"].map(number).astype(float))
    header = ecgs["sex"].map(number).astype(float)
    return ecgs.assign(
        age_source=source_of(age, "birth-date", ecgs["age"]),
        sex_source=source_of(sex, "register", header),
        age=age.fillna(ecgs["age"]),
        sex=sex.fillna(header),
    )


def source_of(first: pd.Series, name: str, header: pd.Series) -> np.ndarray:
    """Where each value comes from."""
    return np.where(first.notna(), name, np.where(header.notna(), "header", ""))


def main() -> None:
    """Build and save."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    rows, counts = build(folder)
    out.mkdir(parents=True, exist_ok=True)
    rows.to_csv(out / "cohort.csv", index=False, date_format="%Y-%m-%dT%H:%M:%S")
    (out / "counts.json").write_text(json.dumps(counts, indent=1))


if __name__ == "__main__":
    main()
