"""Cohorts from a table of labels: which row is which ECG, who is target, and what is left out."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from precordial.cohort import LabelsSettings, build_cohort
from precordial.cohort.labels import join_by_file, key_length, target_patients
from precordial.errors import RegisterError, SettingsError

START = datetime(2017, 1, 1)


def archive(*sources: str, **columns: Any) -> pl.DataFrame:
    n = len(sources)
    given: dict[str, Any] = {
        "ecg_id": [f"{i:016x}" for i in range(n)],
        "patient_id": [None] * n,
        "recorded_at": [None] * n,
        "age": [None] * n,
        "sex": [None] * n,
        "source": list(sources),
    }
    return pl.DataFrame(
        {**given, **columns},
        schema_overrides={
            "patient_id": pl.String,
            "recorded_at": pl.Datetime("us"),
            "age": pl.Float64,
            "sex": pl.Float64,
        },
    )


def table_of(*files: str | None, **more: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"row": list(range(2, len(files) + 2)), "file": list(files), **more}, schema_overrides={"file": pl.String}
    )


@pytest.mark.parametrize(
    ("paths", "length"),
    [(["a/1.hea", "b/2.hea"], 1), (["a/1.hea", "b/1.hea"], 2), (["1.hea"], 1), (["a/1.hea", "a/1.xml"], None), ([], 1)],
)
def test_key_length(paths: list[str], length: int | None) -> None:
    assert key_length(paths) == length


@pytest.mark.parametrize(
    ("sources", "files", "matched"),
    [
        # The ingest was given the folder above, the same one, or the one below.
        (["r/0/1.hea", "r/0/2.hea"], ["0/2", "0/1", "0/3"], {2: 1, 3: 0}),
        (["0/1.hea", "0/2.hea"], ["r/0/2.dat", "r/0/1"], {2: 1, 3: 0}),
        (["1.hea", "2.hea"], ["r\\0\\2.hea", None], {2: 1}),
        # The same name in two folders takes the folder to tell apart …
        (["a/1.hea", "b/1.hea"], ["x/b/1", "x/a/1"], {2: 1, 3: 0}),
        # … also where only one of the two was ingested: row 2 is not that ECG.
        (["r/a/1.hea"], ["b/1", "a/1"], {3: 0}),
        (["a/1.5.hea", "a/1.6.hea"], ["1.6", "1.5"], {2: 1, 3: 0}),
        # One of a file's several ECGs has a name of its own behind the file's.
        (["p/part0.hdf5#7", "p/part1.hdf5#8"], ["part1.hdf5#8", "#7", "part1.hdf5#9"], {2: 1, 3: 0}),
        (["part0.hdf5#7", "part1.hdf5#7"], ["part1.hdf5#7", "part0.hdf5#7"], {2: 1, 3: 0}),
        (["a/1#2.hea", "b#c/3.hea"], ["b#c/3", "a/1#2"], {2: 1, 3: 0}),
    ],
)
def test_rows_find_their_ecg_by_file(sources: list[str], files: list[str | None], matched: dict[int, int]) -> None:
    joined = join_by_file(table_of(*files), archive(*sources))
    assert {row: int(ecg, 16) for row, ecg in joined.select("row", "ecg_id").iter_rows()} == matched


def test_another_name_of_the_recording() -> None:
    table = table_of("r100/1_lr", "r100/2_lr", file_hr=["r500/1_hr", "r500/2_hr"])
    joined = join_by_file(table, archive("1_hr.hea", "2_hr.hea"))
    assert joined["ecg_id"].to_list() == ["0" * 16, "0" * 15 + "1"]


@pytest.mark.parametrize(
    ("sources", "files", "problem"),
    [
        (["a/1.hea", "b/1.hea"], ["1"], r"row 2, column 'file': the path has fewer than 2 parts"),
        (["1.hea", "1.xml"], ["1"], "files of the same path"),
        (["1.hea"], ["1", "1.dat"], "row 3: this row is about the same ECG as row 2"),
    ],
)
def test_files_that_cannot_be_told_apart(sources: list[str], files: list[str], problem: str) -> None:
    with pytest.raises(RegisterError, match=problem):
        join_by_file(table_of(*files), archive(*sources), file=Path("labels.csv"))


def test_target_patients() -> None:
    labelled = pl.DataFrame(
        {"patient_id": ["a", "a", "b", *(f"c{i}" for i in range(20))], "label": [0.0, 1.0, 1.0] + [0.0] * 20}
    )
    everyone = set(labelled["patient_id"].to_list())
    assert targets(labelled) == everyone
    chosen = targets(labelled, controls_per_case=3)
    assert len(chosen) == 2 + 6
    assert {"a", "b"} <= chosen
    assert chosen == targets(labelled.reverse(), controls_per_case=3)
    assert chosen != targets(labelled, controls_per_case=3, seed=1)
    assert targets(labelled, controls_per_case=30) == everyone
    some = targets(labelled, share=Fraction(1, 2))
    assert len(some) == 11
    assert some == targets(labelled.reverse(), share=Fraction(1, 2))
    assert targets(labelled, share=Fraction(1, 4)) <= some


def targets(labelled: pl.DataFrame, **changes: Any) -> set[str]:
    return target_patients(
        labelled, **{"label": "label", "controls_per_case": None, "share": None, "seed": 0, **changes}
    )


def labels_file(folder: Path, text: str, columns: dict[str, Any], **changes: Any) -> LabelsSettings:
    (folder / "labels.csv").write_text(text)
    given = {"table": {"file": "labels.csv", "columns": columns}, **changes}
    return LabelsSettings.model_validate(given).resolve(folder)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    text = "id,pid,when,alder,kon,mi\n"
    text += "".join(f"{i:016x},P{i // 2},2017-01-{i + 1:02} 12:00,{50 + i},F,{i % 2}\n" for i in range(20))
    # A recording without label or date, one that is not in the archive, and a patient without any label.
    text += f"{20:016x},P0,2017-01-30,,M,\n{21:016x},P1,,,,1\n{99:016x},P1,2017-01-30,,,1\n{22:016x},Q,2017-02-01,,,\n"
    columns = {
        "ecg_id": "id",
        "patient_id": "pid",
        "recorded_at": "when",
        "age": "alder",
        "sex": "kon",
        "labels": ["mi"],
    }
    settings = labels_file(tmp_path, text, columns, source_validation=0)
    ecgs = archive(
        *(f"{i}.hea" for i in range(24)),
        age=[30.0] * 24,
        sex=[0.0] * 24,
        recorded_at=[START if i == 22 else None for i in range(24)],
    )
    cohort = build_cohort(settings, ecgs)
    target, source = cohort.select(role="target"), cohort.select(role="source")
    assert source.ecg_id.tolist() == [f"{22:016x}"]
    assert (source.age.tolist(), source.age_source.tolist(), source.sex_source.tolist()) == (
        [30],
        ["header"],
        ["header"],
    )
    assert source.prediction_time.tolist() == [datetime(2017, 2, 1)], "the table's time goes before the header's"
    assert len(target) == 20 - cohort.flow["target/splits"].excluded_ecgs  # type: ignore[operator]
    by_ecg = {int(ecg, 16): i for i, ecg in enumerate(target.ecg_id.tolist())}
    for number, i in by_ecg.items():
        assert target.visit_id[i] == target.ecg_id[i]
        assert (target.label[i], target.age[i], target.sex[i]) == (number % 2, 50 + number, 1)
        assert target.prediction_time[i].item() == datetime(2017, 1, 1, 12) + timedelta(days=number)
    # ceil(0.15 · 10) patients are met on the way back over the last three or four recordings.
    temporal = target.select(split="temporal_test")
    assert sorted(int(ecg, 16) for ecg in temporal.ecg_id.tolist()) == [17, 18, 19]
    assert 16 not in by_ecg, "the older recording of a patient of the temporal test"
    flow = cohort.flow
    assert flow["archive/in-table"].excluded_ecgs == 1
    assert flow["archive/in-table"].reasons == {"rows of the label table without an ECG in the archive": 1}
    assert flow["archive/identified"].excluded_ecgs == 1
    assert flow["target/labelled"].excluded_ecgs == 1
    assert flow["target/splits"].excluded_ecgs == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"id,label\n{0:016x},2\n", r"row 2, column 'label': an outcome must be 0, 1 or empty"),
        (f"id,label\n{0:016x},yes\n", r"row 2, column 'label': an outcome must be 0, 1 or empty"),
        (f"id,label\n{7:016x},1\n", r"none of the 1 rows .* has an ECG"),
        (f"id,label\n{0:016x},1\n{0:016x},1\n", r"row 3: this row is about the same ECG as row 2"),
        (f"id,label\n{0:016x},\n", "no ECG has a label"),
        (f"id,label,years\n{0:016x},1,300\n", r"row 2, column 'years': this is no age from 0 to 125 years.*write 90"),
    ],
)
def test_faults_of_a_table(tmp_path: Path, text: str, problem: str) -> None:
    text = "".join(line + (",patient_id\n" if i == 0 else ",P\n") for i, line in enumerate(text.splitlines()))
    columns = {"ecg_id": "id"} | ({"age": "years"} if "years" in text else {})
    settings = labels_file(tmp_path, text, columns)
    with pytest.raises(RegisterError, match=problem):
        build_cohort(settings, archive("1.hea", recorded_at=[START]))


def test_a_label_that_the_set_does_not_have() -> None:
    settings = LabelsSettings(dataset="ptb-xl", folder=Path("x"), labels=["mi"])
    table = table_of("1").with_columns(patient_id=pl.lit("P"), MI=pl.lit(1.0), file_hr=pl.lit("2"))
    with pytest.raises(SettingsError, match=r"key 'cohort\.labels': ptb-xl has no label 'mi'; choose of MI$"):
        build_cohort(settings, archive("1.hea"), table=table)
