"""Presets: what each public set's own tables say of its recordings, from files in the set's layout."""

from __future__ import annotations

import gzip
import pickle
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from precordial.archive.details import Details
from precordial.datasets import PRESETS, preset_metadata
from precordial.ecg import Ecg, Flag
from precordial.errors import RegisterError, SettingsError

PTBXL = "ecg_id,patient_id,age,sex,height,site,device,recording_date,scp_codes,filename_lr,filename_hr\n"
EXAMS = (
    "exam_id,age,is_male,nn_predicted_age,1dAVb,RBBB,LBBB,SB,ST,AF,patient_id,death,timey,normal_ecg,trace_file\n"
    "1169160,38,True,40.160484,False,False,False,False,False,False,523632,False,2.098628,True,exams_part13.hdf5\n"
    "2873686,73,True,67.05944,False,False,False,False,False,False,1724173,False,6.657529,False,exams_part0.hdf5\n"
    "168405,67,False,79.62174,False,False,False,False,False,True,523632,,,False,\n"
)
# As published: every cell of text ends in a line feed, and one age is hidden.
LUDB = 'ID,Sex,Age,Rhythms\n1,"F\n","51\n","Sinus bradycardia\n"\n34,"M\n",">89\n","Atrial fibrillation\n"\n'
MIMIC = (
    "subject_id,study_id,file_name,ecg_time,path\n"
    "10000032,40689238,40689238,2180-07-23 08:44:00,files/p1000/p10000032/s40689238/40689238\n"
    "10000032,44458630,44458630,2183-07-23 09:54:00,files/p1000/p10000032/s44458630/44458630\n"
    "10000117,49036311,49036311,2181-03-04 17:14:00,files/p1000/p10000117/s49036311/49036311\n"
)
PATIENTS = (
    "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n"
    "10000032,F,52,2180,2014 - 2016,2180-09-09\n10000117,M,91,2174,2008 - 2010,\n"
)


def ptbxl(folder: Path, *rows: str) -> Path:
    (folder / "ptbxl_database.csv").write_text(PTBXL + "".join(f"{row}\n" for row in rows))
    for rate in (100, 500):
        (folder / f"records{rate}").mkdir(exist_ok=True)
    return folder


def test_ptbxl(tmp_path: Path) -> None:
    ptbxl(
        tmp_path,
        "1,15709.0,300.0,1,,0.0,CS-12   E,1984-11-09 09:17:34,{},records100/00000/00001_lr,records500/00000/00001_hr",
        "2,5.0,,0,,,,1984-11-10 09:17:34,{},records100/00000/00002_lr,records500/00000/00002_hr",
    )
    metadata = preset_metadata("ptb-xl", tmp_path)
    assert metadata("records500/00000/00001_hr.hea") == Details(
        "15709",
        datetime(1984, 11, 9, 9, 17, 34),
        age=90,
        sex="female",
        device="CS-12   E",
        site="0",
        flags=Flag.AGE_ABOVE_89,
    )
    assert metadata("records500/00000/00002_hr.hea") == Details("5", datetime(1984, 11, 10, 9, 17, 34), sex="male")
    assert metadata("records500/00000/00002_hr.hea@10") == metadata("records500/00000/00002_hr.hea")
    assert metadata("records500/00000/00003_hr.hea") is None
    wanted = [f"records{rate}/00000/00001_{end}" for rate, end in ((500, "hr.hea"), (500, "hr.dat"), (100, "lr.hea"))]
    assert [metadata.wanted(path) for path in (*wanted, "ptbxl_database.csv")] == [True, False, False, False]
    hundred = preset_metadata("ptb-xl", tmp_path, rate=100)
    assert [hundred.wanted(path) for path in wanted] == [False, False, True]
    assert hundred("records100/00000/00001_lr.hea") == metadata("records500/00000/00001_hr.hea")


def test_ptbxl_of_one_rate(tmp_path: Path) -> None:
    ptbxl(tmp_path)
    (tmp_path / "records500").rmdir()
    with pytest.raises(RegisterError, match=r"records500: there is no such folder; .* make an archive of 100 Hz"):
        preset_metadata("ptb-xl", tmp_path)
    assert not preset_metadata("ptb-xl", tmp_path, rate=100).wanted("records500/a.hea")


def test_the_real_ptbxl(shared_data: Path) -> None:
    """Against the table as Polars reads it by itself."""
    folder = shared_data / "ptbxl"
    table = pl.read_csv(folder / "ptbxl_database.csv")
    metadata = preset_metadata("ptb-xl", folder)
    found = [metadata(f"{name}.hea") for name in table["filename_hr"]]
    assert [d.patient_id for d in found if d] == [str(int(p)) for p in table["patient_id"]]
    assert [d.recorded_at for d in found if d] == table["recording_date"].str.to_datetime().to_list()
    assert [d.sex == "female" for d in found if d] == (table["sex"] == 1).to_list()
    assert [d.age for d in found if d] == [90 if age == 300 else age for age in table["age"]]
    assert sum(bool(d.flags) for d in found if d) == 33  # grep -c ',300.0,' ptbxl_database.csv
    assert {d.device for d in found if d} == set(table["device"].str.strip_chars())
    headers = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.hea"))
    wanted = [name for name in headers if metadata.wanted(name)]
    assert len(wanted) == 509
    assert all(metadata(name) for name in wanted)


def test_code15(tmp_path: Path) -> None:
    (tmp_path / "exams.csv").write_text(EXAMS)
    metadata = preset_metadata("code-15", tmp_path)
    assert metadata("exams_part13.hdf5#1169160") == Details("523632", age=38, sex="male")
    assert metadata("exams_part0.hdf5#168405") == Details("523632", age=67, sex="female"), "trace_file may be empty"
    assert metadata("exams_part0.hdf5#0") is None, "the parts end with a row of zeros"
    names = ("exams_part0.hdf5", "exams_part17.hdf5", "exams.csv", "exams_part0.zip")
    assert [metadata.wanted(name) for name in names] == [True, True, False, False]


def test_ludb(tmp_path: Path) -> None:
    (tmp_path / "ludb.csv").write_text(LUDB)
    metadata = preset_metadata("ludb", tmp_path)
    assert metadata("data/1.hea") == Details("1", age=51, sex="female", device="Cardiovit AT-101")
    hidden = metadata("data/34.hea")
    assert hidden is not None
    assert (hidden.age, hidden.sex, hidden.flags) == (90, "male", Flag.AGE_ABOVE_89)
    assert [metadata.wanted(name) for name in ("data/1.hea", "data/1.dat", "data/1.avf", "ludb.csv")] == [
        True,
        False,
        False,
        False,
    ]
    (tmp_path / "ludb.csv").write_text(LUDB.replace("51", "old"))
    with pytest.raises(RegisterError, match=r"row 2, column 'Age': this is not an age"):
        preset_metadata("ludb", tmp_path)


def test_mimic(tmp_path: Path) -> None:
    (tmp_path / "record_list.csv").write_text(MIMIC)
    first, third = (f"{line.rpartition(',')[2]}.hea" for line in MIMIC.splitlines()[1::2])
    metadata = preset_metadata("mimic-iv-ecg", tmp_path)
    assert metadata(first) == Details("10000032", datetime(2180, 7, 23, 8, 44))
    assert [metadata.wanted(name) for name in (first, "record_list.csv", "RECORDS")] == [True, False, False]
    (tmp_path / "patients.csv").write_text(PATIENTS)  # of MIMIC-IV itself
    metadata = preset_metadata("mimic-iv-ecg", tmp_path)
    assert metadata(first) == Details("10000032", datetime(2180, 7, 23, 8, 44), age=52, sex="female")
    later = metadata("files/p1000/p10000032/s44458630/44458630.hea")
    assert later is not None
    assert later.age == 55
    old = metadata(third)
    assert old is not None
    assert (old.age, old.sex, old.flags) == (90, "male", Flag.AGE_ABOVE_89)


@pytest.mark.parametrize("place", ["mimic-iv-ecg", "mimic-iv/hosp"])
@pytest.mark.parametrize("packed", [False, True])
def test_where_mimic_keeps_its_patients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, packed: bool
) -> None:
    folder, table = tmp_path / "mimic-iv-ecg", tmp_path / place / "patients.csv"
    for made in (folder, table.parent):
        made.mkdir(parents=True, exist_ok=True)
    (folder / "record_list.csv").write_text(MIMIC)
    if packed:
        table.with_name("patients.csv.gz").write_bytes(gzip.compress(PATIENTS.encode()))
    else:
        table.write_text(PATIENTS)
    monkeypatch.chdir(folder)
    for given in (folder, Path()):
        details = preset_metadata("mimic-iv-ecg", given)("files/p1000/p10000032/s40689238/40689238.hea")
        assert details is not None
        assert (details.age, details.sex) == (52, "female")


def test_cinc(tmp_path: Path) -> None:
    (tmp_path / "training" / "ptb-xl").mkdir(parents=True)
    metadata = preset_metadata("cinc2021", tmp_path)
    assert metadata("training/georgia/g1/E00001.hea") == Details("E00001", site="georgia")
    assert metadata("training/ptb-xl/g1/HR00017.hea") == Details("HR00017", site="ptb-xl")
    paths = ("training/ptb/g1/S0001.hea", "training/ptb/g1/S0001.mat", "training/RECORDS", "evaluation/a.hea")
    assert [metadata.wanted(path) for path in paths] == [True, False, False, False]
    assert metadata(paths[3]) is None
    ptbxl(tmp_path, "17,5.0,50,0,,,,1984-11-10 09:17:34,{},records100/00000/00017_lr,records500/00000/00017_hr")
    metadata = preset_metadata("cinc2021", tmp_path)
    assert metadata("training/ptb-xl/g1/HR00017.hea") == Details("5", site="ptb-xl")
    assert metadata("training/ptb-xl/g1/HR00018.hea") is None, "PTB-XL has withdrawn it, as a duplicate"
    assert metadata("training/ptb/g1/S0017.hea") == Details("S0017", site="ptb")


def test_the_real_cinc(shared_data: Path) -> None:
    folder = shared_data / "cinc2021"
    metadata = preset_metadata("cinc2021", folder)
    headers = [path.relative_to(folder).as_posix() for path in folder.rglob("*.hea")]
    assert headers
    assert all(metadata.wanted(name) for name in headers)
    assert len({details.patient_id for details in map(metadata, headers) if details}) == len(headers)


def test_details_take_the_place_of_the_files() -> None:
    signal = np.zeros((1, 10), np.float32)
    ecg = Ecg(signal, 500, ("I",), "a", datetime(2020, 5, 12), 74, "male", "x", "y", flags=Flag.CLIPPED, source="wfdb")
    full = Details("b", datetime(1990, 1, 2), 90, "female", "device", "site", Flag.AGE_ABOVE_89).applied_to(ecg)
    assert (full.patient_id, full.recorded_at, full.age, full.sex) == ("b", datetime(1990, 1, 2), 90, "female")
    assert (full.device, full.site, full.flags) == ("device", "site", Flag.CLIPPED | Flag.AGE_ABOVE_89)
    bare = Details("b").applied_to(ecg)
    assert (bare.recorded_at, bare.age, bare.sex, bare.device, bare.site) == (None, 74, "male", "x", "y")
    assert bare.signal is signal


@pytest.mark.parametrize("name", list(PRESETS))
def test_missing_tables(tmp_path: Path, name: str) -> None:
    with pytest.raises(RegisterError, match="give the folder that holds"):
        preset_metadata(name, tmp_path)


@pytest.mark.parametrize(
    ("table", "was", "becomes", "problem"),
    [
        ("exams.csv", ",patient_id,", ",patient,", r"exams\.csv, column 'patient_id': there is no such column; take"),
        ("exams.csv", "1724173", "", r"row 3, column 'patient_id': the cell is empty"),
        ("exams.csv", "2873686", "", r"row 3, column 'exam_id': the cell is empty"),
        ("exams.csv", "2873686", "1169160", r"row 3, column 'exam_id': the recording stands twice"),
        ("exams.csv", ",73,", ",old,", r"row 3, column 'age': this is not a number; take the table"),
        (
            "record_list.csv",
            "2183-07-23",
            "2183-17-23",
            r"row 3, column 'ecg_time': this is not a date; take the table",
        ),
    ],
)
def test_tables_that_are_not_as_published(tmp_path: Path, table: str, was: str, becomes: str, problem: str) -> None:
    text = {"exams.csv": EXAMS, "record_list.csv": MIMIC}[table]
    assert was in text
    (tmp_path / table).write_text(text.replace(was, becomes, 1))
    name = {"exams.csv": "code-15", "record_list.csv": "mimic-iv-ecg"}[table]
    with pytest.raises(RegisterError, match=problem) as caught:
        preset_metadata(name, tmp_path)
    assert "1169160" not in str(caught.value)
    assert "key" not in str(caught.value), "there is no study file whose keys could be set"


def test_presets_travel_to_other_processes(tmp_path: Path) -> None:
    (tmp_path / "exams.csv").write_text(EXAMS)
    (tmp_path / "ludb.csv").write_text(LUDB)
    (tmp_path / "record_list.csv").write_text(MIMIC)
    (tmp_path / "training" / "georgia").mkdir(parents=True)
    ptbxl(tmp_path, "1,5.0,50,0,,,,1984-11-10,{},records100/00000/00001_lr,records500/00000/00001_hr")
    recordings = {
        "ptb-xl": "records500/00000/00001_hr.hea",
        "code-15": "exams_part0.hdf5#2873686",
        "cinc2021": "training/georgia/g1/E00001.hea",
        "ludb": "data/1.hea",
        "mimic-iv-ecg": "files/p1000/p10000032/s40689238/40689238.hea",
    }
    assert list(recordings) == list(PRESETS)
    for name, source in recordings.items():
        metadata = preset_metadata(name, tmp_path)
        travelled = pickle.loads(pickle.dumps(metadata))
        assert travelled(source) == metadata(source) is not None
        assert travelled.wanted(source.partition("#")[0])


def test_no_such_preset(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no preset 'ptbxl'; choose one of ptb-xl, code-15"):
        preset_metadata("ptbxl", tmp_path)
