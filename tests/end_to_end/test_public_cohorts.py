"""The shipped studies of public sets, by command line: on trees whose answers are known, and on real PTB-XL."""

from __future__ import annotations

import ast
import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from command_line import CommandLine
from end_to_end.conftest import Called
from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.cohort.folds import in_fold
from precordial.cohort.splits import FOLD, SITE_TEST
from public_sets import challenge, code_15, mimic

STUDIES = Path(__file__).parents[2] / "studies"
SUPERCLASSES = ["NORM", "MI", "STTC", "CD", "HYP"]
PARTS = {"1": "train", "9": "validation", "10": "random_test"} | {str(fold): "train" for fold in range(2, 9)}
Truth = dict[str, tuple[str, str, set[str]]]  # file → patient, split, labels


class OneStudy:
    """A study of the repository whose files lie elsewhere; everything that it makes goes below one folder."""

    def __init__(self, command: CommandLine, name: str, folder: Path, *changes: str) -> None:
        self.command, self.path, self.folder = command, STUDIES / f"{name}.toml", folder / "out"
        self.archive = folder / "archive"
        paths = (f'out="{self.folder}"', f'archive.path="{self.archive}"', *changes)
        self.changes = [word for change in paths for word in ("--set", change)]

    def run(self, *words: str, more: tuple[str, ...] = ()) -> tuple[int, str, str]:
        return self.command.run(*words, self.path, *self.changes, *(w for m in more for w in ("--set", m)))

    def done(self, *words: str, more: tuple[str, ...] = ()) -> str:
        return self.command.done(*words, self.path, *self.changes, *(w for m in more for w in ("--set", m)))

    def complaint(self, *words: str, more: tuple[str, ...] = ()) -> str:
        return self.command.complaint(*words, self.path, *self.changes, *(w for m in more for w in ("--set", m)))

    def ingest(self, folder: Path, preset: str, *words: str) -> str:
        return self.command.done("ingest", folder, "--archive", self.archive, "--preset", preset, *words)

    def cohort(self, more: tuple[str, ...] = ()) -> Cohort:
        """What check, build and verify make, one after the other."""
        assert self.done("cohort", "check", more=more).endswith("the cohort can be built\n")
        self.done("cohort", "build", more=more)
        cohort = Cohort.load(self.folder / "cohort")
        verified = self.done("cohort", "verify", more=more)
        assert f"no leak in {len(cohort):,} rows" in verified
        return cohort

    def source_of(self, cohort: Cohort) -> list[str]:
        """The file that each row was read from."""
        sources = dict(Archive(self.archive).table().select("ecg_id", "source").iter_rows())
        return [sources[ecg] for ecg in cohort.ecg_id.tolist()]


def labels_of(cohort: Cohort, row: int) -> set[str]:
    return {name for name in cohort.outcomes if cohort.labels[name][row] == 1}


# MIMIC


def mimic_study(command: CommandLine, folder: Path) -> OneStudy:
    ed, hosp = folder / "mimic-iv-ed" / "ed", folder / "mimic-iv" / "hosp"
    return OneStudy(
        command,
        "mimic-ami",
        folder,
        f'cohort.visits.file="{ed / "edstays.csv.gz"}"',
        f'cohort.visits.joins.0.file="{ed / "triage.csv.gz"}"',
        f'cohort.diagnoses.file="{hosp / "diagnoses_icd.csv.gz"}"',
        f'cohort.diagnoses.joins.0.file="{hosp / "admissions.csv.gz"}"',
        f'cohort.patients.file="{hosp / "patients.csv.gz"}"',
        f'cohort.deaths.file="{hosp / "patients.csv.gz"}"',
    )


def events_of(cohort: Cohort, outcome: str) -> dict[str, date]:
    return {
        visit: day.astype(object)
        for visit, day in zip(cohort.visit_id.tolist(), cohort.events[outcome].astype("datetime64[D]"), strict=True)
        if not np.isnat(day)
    }


def test_mimic_visit_by_visit(command: CommandLine, tmp_path: Path) -> None:
    answers = mimic.write_mimic(tmp_path, 2)
    study = mimic_study(command, tmp_path)
    assert f"{2 * len(mimic.STORIES)} ECGs added" in study.ingest(tmp_path / "mimic-iv-ecg", "mimic-iv-ecg")
    cohort = study.cohort()
    target, source = cohort.select(role="target"), cohort.select(role="source")
    visits = target.visit_id.tolist()
    assert dict(zip(visits, target.labels["AMI"].tolist(), strict=True)) == answers.outcome
    assert events_of(target, "AMI") == answers.events
    assert dict(zip(visits, target.patient_id.tolist(), strict=True)) == answers.patients
    assert dict(zip(visits, target.age.tolist(), strict=True)) == answers.ages
    assert set(source.patient_id.tolist()) == answers.source
    assert set(cohort.sex_source.tolist()) == {"register"}
    assert not (cohort.split == "temporal_test").any(), "the years mean nothing"
    # Two patients for each story; the flow chart says what became of them.
    flow = cohort.flow
    for step, left_out in (
        ("complete", ["no complaint", "no row in the triage table"]),
        ("complaint", ["another complaint", "other pain of the chest"]),
        ("index-ecg", ["no ECG at the visit", "ECG after the window", "ECG before the window"]),
    ):
        assert flow[f"target/{step}"].excluded_visits == 2 * len(left_out), step
    assert flow["source/known"].excluded_patients == 2, "no visit"
    assert not any("not followed" in reason for step in flow.steps for reason in step.reasons)


def test_deaths_of_mimic_can_be_part_of_the_outcome(command: CommandLine, tmp_path: Path) -> None:
    answers = mimic.write_mimic(tmp_path, 1)
    study = mimic_study(command, tmp_path)
    study.ingest(tmp_path / "mimic-iv-ecg", "mimic-iv-ecg")
    either = 'cohort.outcomes=[{name = "either", code_list = "ami-icd9-icd10", days = 30, death = "event"}]'
    target = study.cohort((either,)).select(role="target")
    days = answers.events | {visit: min(day, answers.events.get(visit, day)) for visit, day in answers.deaths.items()}
    assert len(answers.deaths) == 2
    assert len(days) == len(answers.events) + 1, "one of the dead had an infarction before"
    assert events_of(target, "either") == days
    assert set(target.visit_id[target.labels["either"] == 1].tolist()) == days.keys()


def check_complaints(study: OneStudy, *expected: tuple[str, str]) -> None:
    """What is said of one change after the other; by the check, too, which then does not say that all is well."""
    for change, words in expected:
        assert re.search(words, study.complaint("cohort", "build", more=(change,))), change
        code, out, err = study.run("cohort", "check", more=(change,))
        assert code == 2
        assert re.search(words, out + err, re.MULTILINE), change


def test_mistakes_with_mimic(command: CommandLine, tmp_path: Path) -> None:
    mimic.write_mimic(tmp_path, 1)
    study = mimic_study(command, tmp_path)
    said = command.complaint("ingest", tmp_path, "--archive", study.archive, "--preset", "mimic-iv-ecg")
    assert said.endswith("record_list.csv: there is no such file; give the folder that holds the set's tables")
    study.ingest(tmp_path / "mimic-iv-ecg", "mimic-iv-ecg")
    check_complaints(
        study,
        ('cohort.complaint=["CP"]', r"triage\.csv\.gz, column 'chiefcomplaint', key 'cohort\.complaint': no visit has"),
        (
            'cohort.visits.joins.0.columns.complaint="complaint"',
            r"triage\.csv\.gz, column 'complaint', .* no such column; did you mean 'chiefcomplaint'\?",
        ),
        (
            f'cohort.diagnoses.file="{tmp_path / "d.csv.gz"}"',
            r"d\.csv\.gz: there is no such file; set cohort\.diagnoses",
        ),
    )


# CODE-15 %


def test_code15_patients_of_source_and_target(command: CommandLine, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    answers = code_15.write_exams(tmp_path / "set", 100)
    study = OneStudy(command, "code15", tmp_path, f'cohort.folder="{tmp_path / "set"}"')
    assert f"{len(answers)} ECGs added" in study.ingest(tmp_path / "set", "code-15")
    cohort = study.cohort()
    assert cohort.outcomes == code_15.LABELS
    target, source = cohort.select(role="target"), cohort.select(role="source")
    assert len(set(target.patient_id.tolist())) == 10, "a tenth of them"
    assert set(target.patient_id.tolist()).isdisjoint(source.patient_id.tolist())
    assert len(target) + len(source) == len(answers), "every exam of both"
    patients: dict[str, set[str]] = defaultdict(set)
    for row, file in enumerate(study.source_of(target)):
        patient, labels = answers[file]
        assert (target.patient_id[row], labels_of(target, row)) == (patient, labels)
        patients[str(target.split[row])].add(patient)
    assert {split: len(some) for split, some in patients.items()} == {"train": 7, "validation": 1, "random_test": 2}
    assert all(np.isnan(source.labels[label]).all() for label in cohort.outcomes)
    assert not np.isnan(source.age).any()
    assert not np.isnan(source.sex).any()
    check_complaints(
        study,
        ('cohort.labels=["AFIB"]', r"code-15 has no label 'AFIB'; choose of AF"),
        (
            'cohort.temporal_test="1/10"',
            r"no ECG has a patient and a time, which the temporal test needs; set it to 0$",
        ),
        (
            'cohort.split={scheme="column", train=["1"], validation=["2"]}',
            r"'cohort\.split\.scheme': code-15 has no folds of its own; choose \"paper\", \"k-fold\"",
        ),
    )


# The Challenge


def test_the_challenge_leaves_each_collection_out_once(command: CommandLine, tmp_path: Path) -> None:
    answers = challenge.write_challenge(tmp_path / "set", 6)
    study = OneStudy(command, "cinc2021", tmp_path, f'cohort.folder="{tmp_path / "set"}"')
    assert f"{len(answers)} ECGs added" in study.ingest(tmp_path / "set", "cinc2021")
    cohort = study.cohort()
    scored = {label for label in challenge.LABELS.values() if not label.startswith("snomed:")}
    assert scored < set(cohort.outcomes)
    assert len(cohort.outcomes) == 26
    files = study.source_of(cohort)
    assert set(files) == answers.keys()
    for row, file in enumerate(files):
        told = answers[file]
        assert labels_of(cohort, row) == told.labels & scored
        assert cohort.site[row] == told.site
        assert cohort.age[row] == told.age or (told.age is None and np.isnan(cohort.age[row]))
    assert set(cohort.split.tolist()) == {FOLD}
    sites = cohort.settings["split"]["sites"]
    parts = [(step.text, step.ecgs) for step in cohort.flow.steps if step.part and step.branch == "target"]
    assert parts == [*((f"site {site}", 6) for site in sites), ("other sites, never tested", 6)]
    table = (study.folder / "cohort" / "table-1.csv").read_text(encoding="utf-8").splitlines()
    assert "never tested" in table[0]
    for number, site in enumerate(sites):
        fold = in_fold(cohort, number)
        tested = fold.select(split=SITE_TEST)
        assert set(tested.site.tolist()) == {site}
        assert len(tested) == 6
        assert len(fold) == len(cohort), "nobody is at two sites"
        assert set(fold.site[fold.split != SITE_TEST].tolist()) == set(challenge.COLLECTIONS) - {site}
        assert set(fold.split.tolist()) == {"train", "validation", SITE_TEST}


def test_a_collection_that_was_not_fetched(command: CommandLine, tmp_path: Path) -> None:
    challenge.write_challenge(tmp_path / "set", 2)
    study = OneStudy(command, "cinc2021", tmp_path, f'cohort.folder="{tmp_path / "set"}"')
    study.ingest(tmp_path / "set", "cinc2021")
    # The check tries what the build would do, and says which sites there are.
    wrong = 'cohort.split.sites=["georgia", "cspc_2018", "ningbo"]'
    expected = (
        "key 'cohort.split.sites': no row of the target is at the site 'cspc_2018', or all of them are in the temporal "
        "test; write sites as they stand in the column, and leave out those without any row"
    )
    code, said, _ = study.run("cohort", "check", more=(wrong,))
    assert code == 2
    assert said.endswith(f"to be mended\n  {expected}\n\n1 to be mended\n")
    assert (
        "  sites: chapman_shaoxing (2), cpsc_2018 (2), cpsc_2018_extra (2), georgia (2), ningbo (2), ptb (2), " in said
    )
    assert study.complaint("cohort", "build", more=(wrong,)) == expected


# PTB-XL, the real one


@pytest.fixture(scope="module")
def ptbxl_archive(
    shared_data: Path, precordial: Callable[..., Called], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The recordings at 100 Hz, as the command line takes them in."""
    archive = tmp_path_factory.mktemp("ptb-xl") / "archive"
    done = precordial("ingest", shared_data / "ptbxl", "--archive", archive, "--preset", "ptb-xl", "--rate", "100")
    assert done.returncode == 0, done.stderr
    assert "1,987 ECGs added" in done.stdout
    return archive


def ptbxl_study(command: CommandLine, name: str, folder: Path, archive: Path, data: Path, *changes: str) -> OneStudy:
    where = f'cohort.folder="{data / "ptbxl"}"'
    study = OneStudy(command, name, folder, where, f'archive.path="{archive}"', "archive.rate=100", *changes)
    study.archive = archive
    return study


def ptbxl_truth(data: Path) -> Truth:
    """file → patient, split, superclasses and statements; by csv and ast alone."""
    with (data / "ptbxl" / "scp_statements.csv").open(encoding="utf-8", newline="") as file:
        superclass = {row[""]: row["diagnostic_class"] for row in csv.DictReader(file)}
    assert len(superclass) == 71
    found = {}
    with (data / "ptbxl" / "ptbxl_database.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            codes = ast.literal_eval(row["scp_codes"])
            labels = {f"statement:{code}" for code in codes} | {superclass[code] for code in codes} - {""}
            patient, split = row["patient_id"].removesuffix(".0"), PARTS[row["strat_fold"].removesuffix(".0")]
            found[f"{row['filename_lr']}.hea"] = (patient, split, labels)
    return found


def check_ptbxl(study: OneStudy, truth: Truth) -> Cohort:
    """Every recording is in the split of its fold with its labels, and the counts are those of plain loops."""
    cohort = study.cohort()
    files = study.source_of(cohort)
    assert set(files) == truth.keys()
    chosen = set(cohort.outcomes)
    for row, file in enumerate(files):
        patient, split, labels = truth[file]
        assert (cohort.patient_id[row], cohort.split[row], cohort.role[row]) == (patient, split, "target")
        assert labels_of(cohort, row) == labels & chosen
    expected = Counter((split, label) for _, split, labels in truth.values() for label in labels & chosen)
    counted = {
        (split, name): int(np.nansum(cohort.labels[name][cohort.split == split]))
        for split in set(PARTS.values())
        for name in cohort.outcomes
    }
    assert {key: count for key, count in counted.items() if count} == expected
    return cohort


def test_superclasses_of_ptbxl_are_those_of_its_tables(
    command: CommandLine, shared_data: Path, ptbxl_archive: Path, tmp_path: Path
) -> None:
    study = ptbxl_study(command, "ptbxl-superclasses", tmp_path, ptbxl_archive, shared_data)
    cohort = check_ptbxl(study, ptbxl_truth(shared_data))
    assert list(cohort.outcomes) == SUPERCLASSES
    assert Counter(cohort.split.tolist()) == {"train": 1490, "validation": 242, "random_test": 255}
    assert "139 with NORM" in study.done("cohort", "flow")  # of fold 10
    check_complaints(
        study,
        ('cohort.folder="nowhere"', r"nowhere/ptbxl_database\.csv: there is no such file; give the folder"),
        ('cohort.labels=["NORMAL"]', r"'cohort\.labels': ptb-xl has no label 'NORMAL'; choose of NORM, "),
        ("cohort.split.random_test=[10]", r"'cohort\.split\.random_test\.0': this must be a text; write it in quotes"),
        ('cohort.split.random_test=["11"]', r"split\.random_test': no row of the target has one of these values"),
    )


def test_all_71_statements_of_ptbxl_are_those_of_its_tables(
    command: CommandLine, shared_data: Path, ptbxl_archive: Path, tmp_path: Path
) -> None:
    study = ptbxl_study(command, "ptbxl-statements", tmp_path, ptbxl_archive, shared_data)
    cohort = check_ptbxl(study, ptbxl_truth(shared_data))
    assert len(cohort.outcomes) == 71


def test_five_superclasses_from_one_network(
    command: CommandLine, shared_data: Path, ptbxl_archive: Path, tmp_path: Path
) -> None:
    """One fold of training, for one epoch: every label has its predictions, results, tables and chapter of the page."""
    study = ptbxl_study(
        command,
        "ptbxl-superclasses",
        tmp_path,
        ptbxl_archive,
        shared_data,
        'cohort.split.train=["1"]',
        'grid.0.models=["cnn-20k"]',
        "training.models.cnn-20k.scratch=[{epochs = 1, peak = 1e-3}]",
        "evaluation.replicates=50",
    )
    said = study.done("study", "run")
    (run,) = (path for path in (study.folder / "runs").iterdir() if path.is_dir())
    with (run / "predictions.csv").open(newline="") as file:
        predictions = list(csv.DictReader(file))
    truth = ptbxl_truth(shared_data)
    tested = {split: sum(part == split for _, part, _ in truth.values()) for split in ("validation", "random_test")}
    assert Counter((row["split"], row["target"]) for row in predictions) == {
        (split, label): count for split, count in tested.items() for label in SUPERCLASSES
    }
    assert all(0 < float(row["score"]) < 1 for row in predictions)
    with (study.folder / "results.csv").open(newline="") as file:
        results = [row for row in csv.DictReader(file) if (row["split"], row["metric"]) == ("random_test", "auc")]
    assert Counter((row["kind"], row["target"]) for row in results) == {
        (kind, label): 1 for kind in ("baseline", "scratch") for label in SUPERCLASSES
    }
    page = (study.folder / "report" / "report.html").read_text(encoding="utf-8")
    for label in SUPERCLASSES:
        assert f"AUC for {label}" in said
        assert f"Finding {label}" in page
