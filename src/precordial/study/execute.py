"""Running a study: archive, cohort, guard, trainings, results; each step skipped where it is done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from precordial import __version__
from precordial.archive import Archive, ingest
from precordial.archive.layout import REJECTS
from precordial.cohort import Cohort, CohortSettings, LabelsSettings, RegistersSettings, build_cohort, check_leaks
from precordial.cohort.cohort import TABLE
from precordial.cohort.ecg_table import EcgTable
from precordial.datasets import dataset_files, load_dataset
from precordial.errors import SettingsError
from precordial.evaluation import Row, write_results
from precordial.files import hold_folder, write_atomic
from precordial.registers.account import Account
from precordial.study.plan import Plan, make_plan
from precordial.study.results import collect_results
from precordial.study.settings import Study
from precordial.training import TrainingRun, train
from precordial.training.state import BEST, DONE, remove_state
from precordial.watcher import Watcher

if TYPE_CHECKING:
    import polars as pl

    from precordial.cohort.check import Check


@dataclass(frozen=True)
class StudyOutcome:
    """What a study came to.

    Attributes:
        cohort: the examples.
        plan: the trainings.
        rows: the results table.
        folder: where everything lies.
    """

    cohort: Cohort
    plan: Plan
    rows: list[Row]
    folder: Path


def run_study(study: Study, watcher: Watcher | None = None) -> StudyOutcome:
    """Do what a study still needs: ingest, cohort, guard, trainings, results.

    What is finished is not done again; an interrupted training goes on after its last epoch. The leakage guard
    runs each time, before any training.

    Args:
        study: from `load_study`.
        watcher: is told what happens.

    Raises:
        PrecordialError: a fault in the settings or the data, or a leak; what was finished stays.
    """
    watcher = watcher or Watcher()
    lock = hold_folder(study.folder, "running this study")
    try:
        archive = ecg_source(study, watcher)
        if not isinstance(archive, Archive):
            raise SettingsError(
                "the ECGs are a table, and trainings need their signals",
                key="cohort.ecgs",
                remedy="take the key away and name the archive or its sources under [archive]",
            )
        cohort = checked_cohort(study, archive, watcher)
        plan = make_plan(study, cohort.digest, cohort.outcomes)
        for number, run in enumerate(plan.runs, start=1):
            train_run(study, run, cohort, archive, watcher, number, len(plan.runs))
        watcher.note("results: bootstrap intervals")
        results = collect_results(study, cohort, plan)
        write_results(study.folder / "results.csv", results)
        return StudyOutcome(cohort, plan, results, study.folder)
    finally:
        lock.close()


def prepare_archive(study: Study, watcher: Watcher) -> Archive:
    """The study's archive, with every file of its sources in it."""
    settings = study.archive
    if settings.sources:
        watcher.note(f"archive: {study.archive_path}")
        summary = ingest(
            settings.sources, study.archive_path, rate=settings.rate, rules=study.rules, progress=watcher.files
        )
        rejects = sum(summary.rejected.values())
        watcher.note(
            f"archive: {summary.total} ECGs, {summary.added} of them new, "
            f"{summary.skipped} files known from before, {rejects} rejected now"
            + (f", listed in {study.archive_path / REJECTS}" if rejects else "")
        )
    archive = Archive(study.archive_path)
    if archive.rate != settings.rate:
        raise SettingsError(
            f"the archive holds ECGs at {archive.rate} Hz",
            file=study.archive_path,
            key="archive.rate",
            remedy=f"set it to {archive.rate}, or give another archive",
        )
    if archive.manifest.rules != study.rules:
        raise SettingsError(
            f"files were taken into the archive by the rules '{archive.manifest.rules}', not '{study.rules}'",
            file=study.archive_path,
            key="rules",
            remedy="ingest the files into another archive",
        )
    if len(archive) == 0:
        raise SettingsError(
            "the archive holds no usable ECG",
            file=study.archive_path,
            key="archive.sources",
            remedy="precordial archive info says why each file was rejected",
        )
    return archive


def ecg_source(study: Study, watcher: Watcher) -> Archive | EcgTable:
    """Where the study's ECGs stand: its archive, or the table that takes its place."""
    settings = study.cohort
    if isinstance(settings, RegistersSettings) and settings.ecgs is not None:
        words = {"female": settings.female_values, "male": settings.male_values}
        return EcgTable.read(settings.ecgs, Account(), **words)
    return prepare_archive(study, watcher)


def check_registers(study: Study, watcher: Watcher) -> Check:
    """Read everything that the cohort is to be built from, and build nothing. No file is taken into an archive."""
    from precordial.cohort.check import check_cohort  # loads Polars

    settings = cohort_settings(study)
    account = Account(collect=True)
    ecgs = None
    if isinstance(settings, RegistersSettings) and settings.ecgs is not None:
        words = {"female": settings.female_values, "male": settings.male_values}
        ecgs = EcgTable.read(settings.ecgs, account, **words).table()
    elif study.archive_path.is_dir():
        ecgs = Archive(study.archive_path).table()
    watcher.note("registers: reading")
    return check_cohort(settings, ecgs, table=_label_table(settings), account=account)


def cohort_settings(study: Study) -> RegistersSettings | LabelsSettings:
    """The study's [cohort].

    Raises:
        SettingsError: it has none.
    """
    if study.cohort is None:
        raise SettingsError(
            "the study has no [cohort]", key="cohort", remedy="describe it: see docs/reference/study.md"
        )
    return study.cohort


def _label_table(settings: CohortSettings) -> pl.DataFrame | None:
    """The label table of a public set, where the cohort is one."""
    if isinstance(settings, LabelsSettings) and settings.dataset and settings.folder:
        return load_dataset(settings.dataset, settings.folder)
    return None


def prepare_cohort(study: Study, ecgs: Archive | EcgTable, watcher: Watcher) -> Cohort:
    """The study's cohort: built, or loaded where the same settings, ECGs and register files built it before."""
    settings = cohort_settings(study)
    folder = study.folder / "cohort"
    key = _cohort_key(study, ecgs)
    key_file = folder / "built-from.json"
    if key_file.exists() and json.loads(key_file.read_text()).get("key") == key:
        return Cohort.load(folder)
    watcher.note("cohort: building")
    cohort = build_cohort(settings, ecgs.table(), table=_label_table(settings), rejects=ecgs.reject_counts())
    key_file.unlink(missing_ok=True)
    cohort.save(folder, archive={"digest": ecgs.digest, "ecgs": len(ecgs), "rate": study.archive.rate})
    write_atomic(key_file, json.dumps({"key": key}) + "\n")
    return cohort


def checked_cohort(study: Study, archive: Archive, watcher: Watcher) -> Cohort:
    """The study's cohort, proven to have no leak.

    Raises:
        LeakageError: there is one; the message lists the rows.
    """
    cohort = prepare_cohort(study, archive, watcher)
    index = archive.index
    check_leaks(
        cohort,
        ecg_id=archive.ids,
        recorded_at=index["recorded_at"],
        waveform=index["waveform"],
        file=study.folder / "cohort" / TABLE,
    )
    watcher.note(f"leakage guard: no leak in {len(cohort):,} rows")
    return cohort


def _cohort_key(study: Study, ecgs: Archive | EcgTable) -> str:
    """Digest of all that a cohort follows from: settings, ECGs, and the tables by size and time."""
    settings = cohort_settings(study)
    parts = [__version__, settings.model_dump_json(), ecgs.digest]
    parts += [f"{name}={count}" for name, count in ecgs.reject_counts().items()]
    files = settings.files()
    if isinstance(settings, LabelsSettings) and settings.dataset and settings.folder:
        files = dataset_files(settings.dataset, settings.folder)
    for file in files:
        if file.exists():
            status = file.stat()
            parts.append(f"{file} {status.st_size} {status.st_mtime_ns}")
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def run_folder(study: Study, run: TrainingRun) -> Path:
    """Where a training lives."""
    return study.folder / "runs" / run.id


def train_run(
    study: Study, run: TrainingRun, cohort: Cohort, archive: Archive, watcher: Watcher, number: int, total: int
) -> None:
    """Train one run of a study if it is not finished."""
    folder = run_folder(study, run)
    if (folder / DONE).exists():
        remove_state(folder)
        return
    watcher.run_begins(number, total, run)
    parent = run_folder(study, run.parent) / BEST if run.parent else None
    device = study.training.device
    train(run, cohort, archive, folder, parent=parent, device=device, progress=watcher.step, note=watcher.note)
    watcher.run_ends(run)
