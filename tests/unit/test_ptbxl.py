"""PTB-XL as a label table and as a cohort, on the real tables where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from precordial.cohort import LabelsSettings, build_cohort, check_leaks
from precordial.datasets import DATASETS, load_dataset
from precordial.errors import RegisterError, SettingsError

HEADER = "ecg_id,patient_id,age,sex,recording_date,scp_codes,filename_lr,filename_hr\n"
STATEMENTS = ",description,diagnostic_class\nNORM,normal ECG,NORM\nIMI,inferior infarction,MI\nSR,sinus rhythm,\n"


def write(folder: Path, *rows: str) -> Path:
    (folder / "ptbxl_database.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    (folder / "scp_statements.csv").write_text(STATEMENTS)
    return folder


def test_the_table(tmp_path: Path) -> None:
    write(
        tmp_path,
        """1,15709.0,300.0,1,1984-11-09 09:17:34,"{'NORM': 100.0, 'SR': 0.0}",records100/1_lr,records500/1_hr""",
        """2,5.0,,0,1984-11-10 09:17:34,"{'IMI': 0.0}",records100/2_lr,records500/2_hr""",
    )
    table = load_dataset("ptb-xl", tmp_path)
    first, second = table.iter_rows(named=True)
    assert (first["patient_id"], first["age"], first["age_above_89"], first["sex"]) == ("15709", 90, True, 1)
    assert (second["patient_id"], second["age"], second["age_above_89"], second["sex"]) == ("5", None, False, 0)
    assert (first["NORM"], first["MI"], first["STTC"]) == (1, 0, 0)
    assert (second["NORM"], second["MI"]) == (0, 1), "likelihood 0 means unknown, not absent"
    assert (first["file"], first["file_hr"]) == ("records100/1_lr", "records500/1_hr")


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
    good = """1,1.0,50,1,1984-11-09,{'NORM': 100.0},a,b"""
    write(tmp_path, good, f"""2,1.0,50,1,1984-11-09,"{codes}",a,b""")
    with pytest.raises(RegisterError, match=f"row 3, column 'scp_codes': {problem}"):
        load_dataset("ptb-xl", tmp_path)


def test_no_such_set_or_folder(tmp_path: Path) -> None:
    assert list(DATASETS) == ["ptb-xl"]
    with pytest.raises(SettingsError, match="choose one of ptb-xl"):
        load_dataset("ptbxl", tmp_path)
    with pytest.raises(RegisterError, match=r"ptbxl_database\.csv: there is no such file"):
        load_dataset("ptb-xl", tmp_path)


def test_the_real_tables(shared_data: Path) -> None:
    table = load_dataset("ptb-xl", shared_data / "ptbxl")
    assert len(table) == 1987
    assert table["patient_id"].n_unique() == 1850
    assert table["MI"].sum() == 370
    assert table["age"].max() == 90
    assert table["age_above_89"].sum() == 33  # grep -c ',300.0,' ptbxl_database.csv
    assert table["recorded_at"].null_count() == 0


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
