"""Label tables of the public sets, from files in the sets' layouts and from the real ones."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from precordial.cohort.labels import NOT_LABELS, join_by_file, label_names
from precordial.datasets import DATASETS, dataset_files, load_dataset, preset_metadata
from precordial.datasets.cinc import scored_codes
from precordial.errors import RegisterError, SettingsError
from public_sets import challenge, code_15, mimic


def labels_of(table: pl.DataFrame) -> dict[str, set[str]]:
    """file → the labels that are 1."""
    names = label_names(table.columns)
    return {row["file"]: {name for name in names if row[name] == 1} for row in table.iter_rows(named=True)}


def archive_of(sources: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"ecg_id": [f"{i:016x}" for i in range(len(sources))], "source": sources})


def joined_files(table: pl.DataFrame, sources: list[str]) -> dict[int, str]:
    """row → the source of its ECG."""
    joined = join_by_file(table, archive_of(sources))
    return {row: sources[int(ecg, 16)] for row, ecg in joined.select("row", "ecg_id").iter_rows()}


def write_code15(folder: Path) -> None:
    code_15.write_exams(folder, 9, waveforms=False)


def write_cinc(folder: Path) -> None:
    challenge.write_challenge(folder, waveforms=False)


def write_one(folder: Path) -> Path:
    """The Challenge with one recording a collection; the header of that with the diagnosis 59118001."""
    (source,) = (
        s for s, told in challenge.write_challenge(folder, 1, waveforms=False).items() if "CRBBB" in told.labels
    )
    return folder / source


def write_ptbxl(folder: Path) -> None:
    (folder / "ptbxl_database.csv").write_text(
        "ecg_id,patient_id,age,sex,site,device,recording_date,scp_codes,strat_fold,filename_lr,filename_hr\n"
        "1,5.0,50,1,0.0,CS-12,1984-11-09,{'IMI': 100.0},3,records100/00000/00001_lr,records500/00000/00001_hr\n"
    )
    (folder / "scp_statements.csv").write_text(",diagnostic_class,diagnostic_subclass\nIMI,MI,IMI\nSR,,\n")


WRITERS: dict[str, Callable[[Path], None]] = {"ptb-xl": write_ptbxl, "code-15": write_code15, "cinc2021": write_cinc}


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_table_keeps_to_the_contract(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path)
    table = load_dataset(name, tmp_path)
    assert set(table.columns) >= NOT_LABELS
    text = ("file", "patient_id", "site", "device", "fold")
    assert {table.schema[column] for column in text} == {pl.String()}
    assert table.schema["recorded_at"] == pl.Datetime("us")
    assert {table.schema[column] for column in ("age", "sex")} == {pl.Float64()}
    assert table.schema["age_above_89"] == pl.Boolean()
    assert table["age_above_89"].null_count() == 0
    assert table["row"].is_unique().all()
    labels = label_names(table.columns)
    assert labels
    for label in labels:
        assert table.schema[label] == pl.Float64()
        assert set(table[label].drop_nulls()) <= {0.0, 1.0}
    assert set(table["sex"].drop_nulls()) <= {0.0, 1.0}


def test_no_such_set_or_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="choose one of ptb-xl, code-15, cinc2021"):
        load_dataset("ptbxl", tmp_path)
    for name, problem in {
        "ptb-xl": r"ptbxl_database\.csv: there is no such file",
        "code-15": r"exams\.csv: there is no such file; give the folder",
        "cinc2021": r"none of the Challenge's folders is here; give the folder that holds training/",
    }.items():
        with pytest.raises(RegisterError, match=problem):
            load_dataset(name, tmp_path)


def test_code15(tmp_path: Path) -> None:
    answers = code_15.write_exams(tmp_path, 30, waveforms=False)
    table = load_dataset("code-15", tmp_path)
    assert labels_of(table) == {source: labels for source, (_, labels) in answers.items()}
    assert dict(table.select("file", "patient_id").iter_rows()) == {s: patient for s, (patient, _) in answers.items()}
    assert table["age"].to_list()[:3] == [17, 17, 18]
    assert table["sex"].to_list()[:3] == [0, 0, 1], "is_male is the other way round"
    assert table["recorded_at"].null_count() == len(table) == len(answers)
    assert label_names(table.columns) == list(code_15.LABELS)


def test_code15_joins_by_exam(tmp_path: Path) -> None:
    """As an archive names them, in whichever folder the parts lay, and where the table does not know the part."""
    answers = code_15.write_exams(tmp_path, 6, waveforms=False)
    table = load_dataset("code-15", tmp_path)
    sources = sorted(answers, reverse=True)
    assert list(joined_files(table, sources).values()) == list(answers)
    below = [f"parts/{source}" for source in sources[1:]]
    assert list(joined_files(table, below).values()) == [f"parts/{s}" for s in answers if s != sources[0]]
    path = tmp_path / "exams.csv"
    path.write_text(path.read_text().replace("exams_part1.hdf5", ""))
    assert list(joined_files(load_dataset("code-15", tmp_path), sources).values()) == list(answers)


def test_code15_as_the_preset_reads_it(tmp_path: Path) -> None:
    answers = code_15.write_exams(tmp_path, 12, waveforms=False)
    metadata = preset_metadata("code-15", tmp_path)
    for row in load_dataset("code-15", tmp_path).iter_rows(named=True):
        details = metadata(row["file"])
        assert details is not None
        assert (details.patient_id, details.age) == (row["patient_id"], row["age"])
        assert details.sex == {1.0: "female", 0.0: "male"}[row["sex"]]
    assert len(answers) == 15


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("1dAVb", "1davb", r"column '1dAVb': there is no such column; take the table"),
        ("900000,17,True", "900000,17,yes", r"row 2, column 'is_male': this is neither True nor False"),
        ("False,False,500001", "False,No,500001", r"row 4, column 'AF': this is neither True nor False; take the"),
        ("899993,17", "899993,x", r"row 3, column 'age': this is not a number"),
    ],
)
def test_code15_errors(tmp_path: Path, was: str, becomes: str, problem: str) -> None:
    code_15.write_exams(tmp_path, 4, waveforms=False)
    path = tmp_path / "exams.csv"
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, becomes, 1))
    with pytest.raises(RegisterError, match=problem) as caught:
        load_dataset("code-15", tmp_path)
    assert "50000" not in str(caught.value)


def test_empty_labels_are_unknown(tmp_path: Path) -> None:
    code_15.write_exams(tmp_path, 2, waveforms=False)
    path = tmp_path / "exams.csv"
    path.write_text(path.read_text().replace("40.25,True,", "40.25,,", 1))
    assert load_dataset("code-15", tmp_path)["1dAVb"].to_list() == [None, 1, 0]


def test_cinc(tmp_path: Path) -> None:
    answers = challenge.write_challenge(tmp_path, 7, waveforms=False)
    table = load_dataset("cinc2021", tmp_path)
    assert labels_of(table) == {source: set(told.labels) for source, told in answers.items()}
    for row in table.iter_rows(named=True):
        told = answers[row["file"]]
        assert (row["age"], row["sex"], row["site"]) == (told.age, told.sex, told.site)
        assert row["patient_id"] == Path(row["file"]).stem
    assert table["recorded_at"].null_count() == len(table)
    assert label_names(table.columns)[-2:] == ["snomed:164865005", "snomed:164867002"]
    assert len(label_names(table.columns)) == 28
    assert not any("orig" in file for file in table["file"])


def test_cinc_joins_and_agrees_with_the_preset(tmp_path: Path) -> None:
    answers = challenge.write_challenge(tmp_path, 3, waveforms=False)
    table = load_dataset("cinc2021", tmp_path)
    for cut in (0, len("training/")):
        sources = [source[cut:] for source in answers]
        assert sorted(joined_files(table, sources).values()) == sorted(sources)
    metadata = preset_metadata("cinc2021", tmp_path)
    found = [metadata(source) for source in table["file"]]
    assert [d.patient_id for d in found if d] == table["patient_id"].to_list()
    assert [d.site for d in found if d] == table["site"].to_list()


def test_cinc_knows_the_patients_of_ptbxl(tmp_path: Path) -> None:
    challenge.write_challenge(tmp_path, 3, waveforms=False)
    (tmp_path / "ptbxl_database.csv").write_text("ecg_id,patient_id\n5001,77.0\n5003,77.0\n")
    table = load_dataset("cinc2021", tmp_path).filter(site="ptb-xl")
    assert [Path(file).stem for file in table["file"]] == ["HR05001", "HR05003"], "5002 was withdrawn"
    assert table["patient_id"].to_list() == ["77", "77"]


@pytest.mark.parametrize("dx", ["#Dx: Unknown", "#Dx:", "#Dx: nan", "#Hx: Unknown"])
def test_a_header_without_diagnoses_has_no_labels(tmp_path: Path, dx: str) -> None:
    (header,) = (
        tmp_path / source for source in challenge.write_challenge(tmp_path, 1, waveforms=False) if "A" in source
    )
    header.write_text(header.read_text().replace("#Dx: 59118001", dx))
    table = load_dataset("cinc2021", tmp_path)
    labels = table.filter(site="cpsc_2018").select(label_names(table.columns))
    assert labels.null_count().row(0) == (1,) * labels.width
    assert table["CRBBB"].null_count() == 1


@pytest.mark.parametrize("dx", ["RBBB", "59118001;164889003", "59118001.0", "1²"])
def test_a_diagnosis_that_is_no_code(tmp_path: Path, dx: str) -> None:
    (header,) = (
        tmp_path / source for source in challenge.write_challenge(tmp_path, 1, waveforms=False) if "A" in source
    )
    header.write_text(header.read_text().replace("#Dx: 59118001", f"#Dx: {dx}"), encoding="latin-1")
    with pytest.raises(RegisterError, match=r"A1001\.hea, column 'Dx': a diagnosis is no SNOMED CT code"):
        load_dataset("cinc2021", tmp_path)


def test_hidden_ages_of_the_challenge(tmp_path: Path) -> None:
    (source, *_) = challenge.write_challenge(tmp_path, 1, waveforms=False)
    header = tmp_path / source
    for age, shown, above in (("300", 90, True), ("-1", None, False), ("89", 89, False)):
        header.write_text(f"JS00001 12 500 5000\n#Age: {age}\n#Dx: 426783006\n")
        row = load_dataset("cinc2021", tmp_path).row(0, named=True)
        assert (row["age"], row["age_above_89"]) == (shown, above)


def test_the_scored_diagnoses() -> None:
    codes = scored_codes()
    assert len(codes) == 30
    assert len(set(codes.values())) == 26
    equal = [sorted(code for code in codes if codes[code] == label) for label in ("CLBBB", "CRBBB", "PAC", "PVC")]
    assert equal == [
        ["164909002", "733534002"],
        ["59118001", "713427006"],
        ["284470004", "63593006"],
        ["17338001", "427172004"],
    ]
    assert all(code.isdecimal() for code in codes)


def test_the_real_challenge(shared_data: Path) -> None:
    """Against a count of the words behind #Dx, by themselves."""
    folder = shared_data / "cinc2021"
    equal = {"59118001": "713427006", "63593006": "284470004", "17338001": "427172004", "733534002": "164909002"}
    counts: Counter[str] = Counter()
    headers = list(folder.rglob("*.hea"))
    for header in headers:
        (line,) = (line for line in header.read_text().splitlines() if line.startswith("#Dx"))
        codes = line.partition(":")[2].replace(" ", "").split(",")
        counts.update({equal.get(code, code) for code in codes})
    table = load_dataset("cinc2021", folder)
    assert len(table) == len(headers) == 71
    label_of = {code: scored_codes().get(code, f"snomed:{code}") for code in counts}
    assert len(set(label_of.values())) == len(counts)
    expected = dict.fromkeys(label_names(table.columns), 0.0) | {label_of[code]: n for code, n in counts.items()}
    assert {label: table[label].sum() for label in label_names(table.columns)} == expected
    assert table["age"].null_count() == 3  # grep -c '^#Age: NaN'
    assert table["sex"].sum() == 32  # grep -rl --include=*.hea "^#Sex: Female" | wc -l
    assert table["site"].n_unique() == 6


def test_the_layout_of_mimic(tmp_path: Path) -> None:
    """The maker's tables have MIMIC's columns in every row, and the preset finds every ECG's patient, time and age."""
    answers = mimic.write_mimic(tmp_path, 3, waveforms=False)
    for name, header in mimic.COLUMNS.items():
        packed = tmp_path / f"{name}.csv.gz"
        text = gzip.decompress(packed.read_bytes()).decode() if packed.exists() else packed.with_suffix("").read_text()
        first, *rows = csv.reader(text.splitlines())
        assert first == header.split(",")
        assert {len(row) for row in rows} == {len(first)}
    metadata = preset_metadata("mimic-iv-ecg", tmp_path / "mimic-iv-ecg")
    with (tmp_path / "mimic-iv-ecg" / "record_list.csv").open(encoding="utf-8", newline="") as file:
        found = [metadata(f"{row['path']}.hea") for row in csv.DictReader(file)]
    ages = {details.patient_id: details.age for details in found if details}
    assert len(ages) == 3 * len(mimic.STORIES)
    assert {stay: ages[patient] for stay, patient in answers.patients.items()} == answers.ages
    assert Counter(answers.outcome.values()) == {1: 12, 0: 24}


def test_the_files_behind_a_table(tmp_path: Path) -> None:
    answers = challenge.write_challenge(tmp_path, 2, waveforms=False)
    (tmp_path / "ptbxl_database.csv").write_text("ecg_id,patient_id\n")
    named = [path.relative_to(tmp_path).as_posix() for path in dataset_files("cinc2021", tmp_path)]
    assert named == ["ptbxl_database.csv", *sorted(answers)]
    code_15.write_exams(tmp_path / "code", 2, waveforms=False)
    assert [path.name for path in dataset_files("code-15", tmp_path / "code")] == ["exams.csv"]


def test_the_table_of_codes_is_well_formed() -> None:
    """Its source and version stand in it, and every row has a code, a label and a diagnosis."""
    import precordial.datasets

    path = Path(precordial.datasets.__file__).with_name("snomed-challenge-2021-1.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    notes = [line for line in lines if line.startswith("#")]
    assert notes[0] == "# version: 1"
    assert any("physionetchallenges/evaluation-2021" in note for note in notes)
    rows = list(csv.DictReader(lines[len(notes) :]))
    assert all(row.keys() == {"code", "label", "diagnosis"} and all(row.values()) for row in rows)
