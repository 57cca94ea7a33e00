"""A study's cohort: its registers checked, the cohort built or loaded, and the proof that nothing leaks."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING

from precordial import __version__
from precordial.archive import Archive, ingest
from precordial.archive.layout import REJECTS
from precordial.cohort import (
    Cohort,
    CohortSettings,
    LabelsSettings,
    LeakReport,
    RegistersSettings,
    build_cohort,
    find_leaks,
)
from precordial.cohort.cohort import TABLE
from precordial.cohort.ecg_table import EcgTable
from precordial.cohort.leakage import signing_key, verify_leakage, write_leakage
from precordial.datasets import dataset_files, load_dataset
from precordial.errors import LeakageError, RegisterError, SettingsError
from precordial.files import write_atomic
from precordial.registers.account import Account
from precordial.study.settings import Study
from precordial.watcher import Watcher

if TYPE_CHECKING:
    import polars as pl

    from precordial.cohort.check import Check

BUILT_FROM = "built-from.json"
Ecgs = Archive | EcgTable


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


def ecg_source(study: Study, watcher: Watcher) -> Ecgs:
    """Where the study's ECGs stand: its archive, new files taken in, or the table that takes its place."""
    table = _ecg_table(study.cohort, Account())
    return table if table is not None else prepare_archive(study, watcher)


def present_ecgs(study: Study, account: Account | None = None) -> Ecgs:
    """As `ecg_source`, but nothing is taken into the archive."""
    table = _ecg_table(study.cohort, account if account is not None else Account())
    return table if table is not None else Archive(study.archive_path)


def _ecg_table(settings: CohortSettings | None, account: Account) -> EcgTable | None:
    if not isinstance(settings, RegistersSettings) or settings.ecgs is None:
        return None
    return EcgTable.read(settings.ecgs, account, female=settings.female_values, male=settings.male_values)


def _label_table(settings: CohortSettings) -> pl.DataFrame | None:
    """The label table of a public set, where the cohort is one."""
    if isinstance(settings, LabelsSettings) and settings.dataset and settings.folder:
        return load_dataset(settings.dataset, settings.folder)
    return None


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


def check_registers(study: Study, watcher: Watcher) -> Check:
    """Read everything that the cohort is to be built from, and build nothing. No file is taken into an archive."""
    from precordial.cohort.check import check_cohort  # loads Polars

    settings = cohort_settings(study)
    watcher.note("registers: reading")
    account = Account(collect=True)
    in_table = isinstance(settings, RegistersSettings) and settings.ecgs is not None
    ecgs = present_ecgs(study, account).table() if in_table or study.archive_path.is_dir() else None
    return check_cohort(settings, ecgs, table=_label_table(settings), account=account)


def find_leaks_in(study: Study, ecgs: Ecgs, cohort: Cohort) -> LeakReport:
    """What a study's cohort was checked for, against its ECGs."""
    if isinstance(ecgs, EcgTable):
        recorded_at, waveform = ecgs.recorded_at, ecgs.waveform
    else:
        recorded_at, waveform = ecgs.index["recorded_at"], ecgs.index["waveform"]
    return find_leaks(cohort, ecgs.ids, recorded_at, waveform, file=study.folder / "cohort" / TABLE)


def verify_cohort(study: Study, cohort: Cohort) -> LeakReport:
    """Check a cohort again, and its leakage.json.

    Raises:
        LeakageError: there is a leak, or leakage.json does not hold.
    """
    return _held(study, present_ecgs(study), cohort, signing_key(keep_out=study.folder))


def _held(study: Study, ecgs: Ecgs, cohort: Cohort, key: bytes | None) -> LeakReport:
    report = find_leaks_in(study, ecgs, cohort)
    verify_leakage(study.folder / "cohort", report, archive=ecgs.digest, key=key)
    return report


def checked_cohort(study: Study, ecgs: Ecgs, watcher: Watcher, *, mend: bool = False) -> Cohort:
    """The study's cohort, proven to have no leak, with a leakage.json that says so.

    It is loaded where the same settings, ECGs and register files built it before, and else built.

    Args:
        study, watcher: of the study.
        ecgs: from `ecg_source`.
        mend: build a cohort again that was changed since, or whose leakage.json does not hold.

    Raises:
        LeakageError: there is a leak, and the message lists the rows; or leakage.json does not hold any more.
        RegisterError: the cohort was changed since it was built, or the registers have a fault.
    """
    cohort, built = None, _was_built(study, ecgs)
    # Before a long build, which a fault of the key would waste.
    key = signing_key(keep_out=study.folder, create=mend or not built)
    if built:
        try:
            cohort = Cohort.load(study.folder / "cohort")
            _held(study, ecgs, cohort, key)
        except (RegisterError, LeakageError):
            if not mend:
                raise
            cohort = None
    if cohort is None:
        cohort = _build(study, ecgs, watcher, key)
    watcher.note(f"leakage guard: no leak in {len(cohort):,} rows")
    return cohort


def _was_built(study: Study, ecgs: Ecgs) -> bool:
    key_file = study.folder / "cohort" / BUILT_FROM
    return key_file.exists() and json.loads(key_file.read_text()).get("key") == _cohort_key(study, ecgs)


def _build(study: Study, ecgs: Ecgs, watcher: Watcher, key: bytes | None) -> Cohort:
    """Build the cohort, and write down what it was checked for before saying that it leaks."""
    settings = cohort_settings(study)
    folder = study.folder / "cohort"
    watcher.note("cohort: building")
    cohort = build_cohort(settings, ecgs.table(), table=_label_table(settings), rejects=ecgs.reject_counts())
    (folder / BUILT_FROM).unlink(missing_ok=True)
    archive = {"digest": ecgs.digest, "ecgs": len(ecgs), "rate": study.archive.rate}
    with ThreadPoolExecutor(1) as pool:  # one writes while the other looks
        saved = pool.submit(cohort.save, folder, archive=archive)
        report = find_leaks_in(study, ecgs, cohort)
        saved.result()
    write_leakage(folder, report, archive=ecgs.digest, key=key)
    write_atomic(folder / BUILT_FROM, json.dumps({"key": _cohort_key(study, ecgs)}) + "\n")
    report.require_clean(folder / TABLE)
    return cohort


def _cohort_key(study: Study, ecgs: Ecgs) -> str:
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
