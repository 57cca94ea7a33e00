"""PTB-XL as a label table and as a cohort, on the real tables where they are at hand."""

from __future__ import annotations

import ast
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from precordial.cohort import LabelsSettings, build_cohort, check_leaks
from precordial.cohort.labels import label_names
from precordial.datasets import load_dataset
from precordial.datasets.ptbxl import SUPERCLASSES
from precordial.errors import RegisterError

HEADER = "ecg_id,patient_id,age,sex,site,device,recording_date,scp_codes,strat_fold,filename_lr,filename_hr\n"
STATEMENTS = (
    ",description,diagnostic_class,diagnostic_subclass\n"
    "NORM,normal ECG,NORM,NORM\nIMI,inferior infarction,MI,IMI\nSR,sinus rhythm,,\nILMI,inferolateral,MI,IMI\n"
)


def write(folder: Path, *rows: str) -> Path:
    (folder / "ptbxl_database.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    (folder / "scp_statements.csv").write_text(STATEMENTS)
    return folder


def test_the_table(tmp_path: Path) -> None:
    write(
        tmp_path,
        """1,15709.0,300.0,1,2.0,CS-12,1984-11-09,"{'NORM': 100.0, 'SR': 0.0}",3,records100/1_lr,records500/1_hr""",
        """2,5.0,,0,,,1984-11-10 09:17:34,"{'IMI': 0.0}",10,records100/2_lr,records500/2_hr""",
    )
    table = load_dataset("ptb-xl", tmp_path)
    first, second = table.iter_rows(named=True)
    assert (first["patient_id"], first["age"], first["age_above_89"], first["sex"]) == ("15709", 90, True, 1)
    assert (second["patient_id"], second["age"], second["age_above_89"], second["sex"]) == ("5", None, False, 0)
    assert (first["NORM"], first["MI"], first["STTC"]) == (1, 0, 0)
    assert (second["NORM"], second["MI"]) == (0, 1), "likelihood 0 means unknown, not absent"
    assert (first["file"], first["file_hr"]) == ("records100/1_lr", "records500/1_hr")
    assert (first["site"], first["device"], first["fold"]) == ("2", "CS-12", "3")
    assert (second["site"], second["device"], second["fold"]) == (None, None, "10")
    assert label_names(table.columns) == [
        *SUPERCLASSES,
        "subclass:NORM",
        "subclass:IMI",
        "statement:NORM",
        "statement:IMI",
        "statement:SR",
        "statement:ILMI",
    ]
    assert [second[name] for name in label_names(table.columns)[5:]] == [0, 1, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        ("""__import__('os')""", "this is no list of SCP statements"),
        ("""{'NORM': 100.0""", "this is no list of SCP statements"),
        ("""['NORM']""", "this is no list of SCP statements"),
        ("""{1: 2}""", "this is no list of SCP statements"),
        ("", "this is no list of SCP statements"),
        ("(" * 100_000, "this is no list of SCP statements"),
        ("""{'XMI': 100.0}""", r"scp_statements\.csv does not know one of the SCP statements"),
    ],
)
def test_malformed_statements(tmp_path: Path, codes: str, problem: str) -> None:
    good = """1,1.0,50,1,,,1984-11-09,{'NORM': 100.0},1,a,b"""
    write(tmp_path, good, f"""2,1.0,50,1,,,1984-11-09,"{codes}",1,a,b""")
    with pytest.raises(RegisterError, match=f"row 3, column 'scp_codes': {problem}"):
        load_dataset("ptb-xl", tmp_path)


def test_the_real_tables(shared_data: Path) -> None:
    table = load_dataset("ptb-xl", shared_data / "ptbxl")
    assert len(table) == 1987
    assert table["patient_id"].n_unique() == 1850
    assert table["MI"].sum() == 370
    assert table["age"].max() == 90
    assert table["age_above_89"].sum() == 33  # grep -c ',300.0,' ptbxl_database.csv
    assert table["recorded_at"].null_count() == 0


def test_the_real_labels_against_plain_loops(shared_data: Path) -> None:
    """Every superclass, subclass and statement, counted by csv and ast alone; folds and sites too."""
    folder = shared_data / "ptbxl"
    with (folder / "scp_statements.csv").open(encoding="utf-8", newline="") as file:
        known = {row[""]: row for row in csv.DictReader(file)}
    counts, columns = Counter[str](), Counter[tuple[str, str]]()
    with (folder / "ptbxl_database.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            codes = list(ast.literal_eval(row["scp_codes"]))
            counts.update({known[code]["diagnostic_class"] for code in codes})
            counts.update({f"subclass:{known[code]['diagnostic_subclass']}" for code in codes})
            counts.update(f"statement:{code}" for code in codes)
            columns[("fold", row["strat_fold"])] += 1
            columns[("site", row["site"].removesuffix(".0"))] += 1
            columns[("device", row["device"].strip())] += 1
    table = load_dataset("ptb-xl", folder)
    labels = label_names(table.columns)
    assert len([label for label in labels if label.startswith("statement:")]) == 71
    assert len([label for label in labels if label.startswith("subclass:")]) == 23
    assert labels[:5] == list(SUPERCLASSES)
    assert len(labels) == 99
    for label in labels:
        assert table[label].sum() == counts[label], label
        assert table[label].null_count() == 0
    assert set(counts) - set(labels) == {"", "subclass:"}
    for (column, value), count in columns.items():
        found = table[column].is_null() if value == "" else table[column] == value
        assert found.sum() == count, (column, value)
    assert set(table["fold"]) == {str(fold) for fold in range(1, 11)}


@pytest.mark.parametrize(("folder", "recordings", "infarctions"), [("records100", 1987, 370), ("records500", 509, 73)])
def test_the_real_cohort(shared_data: Path, folder: str, recordings: int, infarctions: int) -> None:
    data = shared_data / "ptbxl"
    headers = sorted((data / folder).rglob("*.hea"))
    n = len(headers)
    ecgs = pl.DataFrame(
        {
            "ecg_id": [f"{i:016x}" for i in range(n)],
            "source": [str(path.relative_to(data / folder)) for path in headers],
            "patient_id": pl.Series([None] * n, dtype=pl.String),
            "recorded_at": pl.Series([None] * n, dtype=pl.Datetime("us")),
            "age": pl.Series([None] * n, dtype=pl.Float64),
            "sex": pl.Series([None] * n, dtype=pl.Float64),
        }
    )
    settings = LabelsSettings(dataset="ptb-xl", folder=data, labels=["MI"], controls_per_case=2)
    table = load_dataset("ptb-xl", data)
    cohort = build_cohort(settings, ecgs, table=table)
    flow = cohort.flow
    assert flow["archive/in-table"].ecgs == recordings
    assert flow["archive/in-table"].reasons == {
        "rows of the label table without an ECG in the archive": 1987 - recordings
    }
    names = {path.name for path in headers}
    at_hand = pl.concat_str("file" if folder == "records100" else "file_hr", pl.lit(".hea")).str.split("/").list.last()
    positive = table.filter(at_hand.is_in(names), pl.col("MI") == 1)
    assert len(positive) == infarctions
    cases = set(positive["patient_id"])
    target = set(cohort.select(role="target").patient_id.tolist())
    assert cases <= target
    assert len(target) == 3 * len(cases)
    positives = [step.reasons["with the outcome"] for step in flow.steps if step.branch == "target" and step.part]
    assert infarctions - flow["target/splits"].excluded_ecgs <= sum(positives) <= infarctions  # type: ignore[operator]
    assert not set(cohort.select(role="source").patient_id.tolist()) & cases
    temporal = cohort.select(role="target", split="temporal_test")
    others = cohort.select(role="target", split="train")
    assert temporal.prediction_time.min() > others.prediction_time.max()
    nothing = np.full(n, np.datetime64("NaT"), "datetime64[s]")
    check_leaks(cohort, ecgs["ecg_id"].to_numpy(), nothing, np.arange(n, dtype=np.uint64))
    shuffled = build_cohort(settings, ecgs[::-1], table=table.sample(fraction=1, shuffle=True, seed=1))
    assert shuffled.digest == cohort.digest
