"""The commands. Each is a few lines around a function of the package; settings live in the study's TOML file."""

from __future__ import annotations

import errno
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from precordial import __version__
from precordial.errors import REASONS, PrecordialError

if TYPE_CHECKING:
    from precordial.cohort import Cohort
    from precordial.evaluation import Row
    from precordial.study import Study

# What a user can cause: no space, no right to write, a file where a folder should be, and the like.
USERS_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EMFILE,
}

# No pretty tracebacks: they print local variables, and those may hold patients' data.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From ECG files and registers to a transfer-learned infarction model and its evidence.",
)
archive_app = typer.Typer(no_args_is_help=True, help="Look at an archive of ECGs.")
cohort_app = typer.Typer(no_args_is_help=True, help="Build a study's cohort.")
study_app = typer.Typer(no_args_is_help=True, help="Plan and run a study.")
app.add_typer(archive_app, name="archive")
app.add_typer(cohort_app, name="cohort")
app.add_typer(study_app, name="study")

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study's TOML file.")]
Rules = Literal["paper", "authors-code"]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as training.batch=64.")
]
ArchiveFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the archive.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"precordial {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def ingest(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Files or folders of ECGs.")],
    archive: Annotated[Path, typer.Option("--archive", metavar="DIR", help="Folder of the archive.")],
    rate: Annotated[int | None, typer.Option(help="Hz of a new archive: 500 (the default) or 100.")] = None,
    rules: Annotated[Rules | None, typer.Option(help="By which files are rejected; paper by default.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")] = None,
) -> None:
    """Read ECG files into an archive. A second call goes on where the first ended."""
    from precordial.archive import ingest as run_ingest
    from precordial.progress import ConsoleWatcher

    with ConsoleWatcher() as watcher:
        summary = run_ingest(sources, archive, rate=rate, rules=rules, workers=workers, progress=watcher.files)
    read = summary.added + sum(summary.rejected.values())
    print(
        f"{summary.added:,} ECGs added, {summary.skipped:,} files known from before; "
        f"{summary.total:,} ECGs in {archive}"
    )
    if read:
        print(f"{read:,} files in {summary.seconds:.1f} s ({read / max(summary.seconds, 1e-9):,.0f} files/s)")
    _print_rejects(summary.rejected, archive)


@archive_app.command("info")
def archive_info(folder: ArchiveFolder) -> None:
    """Print what an archive holds."""
    from precordial.archive import Archive

    archive = Archive(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    times = archive.index["recorded_at"]
    dated = times[times == times]  # a missing time is not equal to itself
    table = archive.table()
    print(f"{len(archive):,} ECGs of {archive.samples} samples at {archive.rate} Hz, {size / 1e6:,.1f} MB")
    print(f"{table['patient_id'].drop_nulls().n_unique():,} patient ids in the files")
    if len(dated):
        print(f"recorded from {str(dated.min())[:10]} to {str(dated.max())[:10]}")
    formats = table["format"].unique().sort().to_list()
    print(f"formats: {', '.join(formats) or 'none'}; digest {archive.digest}")
    _print_rejects(archive.reject_counts(), folder)


@archive_app.command("verify")
def archive_verify(folder: ArchiveFolder) -> None:
    """Check every ECG against its checksum; exit code 1 if one is damaged."""
    from precordial.archive import verify
    from precordial.progress import ConsoleWatcher

    with ConsoleWatcher() as watcher:
        found = verify(folder, progress=watcher.ecgs)
    if found.torn:
        print(f"{found.torn:,} bytes of an interrupted write; the next ingest cuts them")
    print(f"{found.ecgs:,} ECGs checked, {len(found.damaged)} damaged")
    for ecg_id in found.damaged[:20]:
        print(f"  damaged: {ecg_id}")
    for fault in found.faults:
        print(f"  {fault}")
    if not found.ok:
        raise typer.Exit(1)


@cohort_app.command("build")
def cohort_build(study: StudyFile, changes: Changes = None) -> None:
    """Read the registers, build the cohort, prove that nothing leaks, and print the flow chart."""
    from precordial.progress import ConsoleWatcher
    from precordial.report import table_one
    from precordial.study import checked_cohort, load_study, prepare_archive

    settings = load_study(study, changes or ())
    with ConsoleWatcher() as watcher:
        archive = prepare_archive(settings, watcher)
        cohort = checked_cohort(settings, archive, watcher)
    print(cohort.flow.text())
    print(table_one(cohort, settings.label).text())
    print(f"cohort in {settings.folder / 'cohort'}")


@cohort_app.command("flow")
def cohort_flow(study: StudyFile, changes: Changes = None) -> None:
    """Print the flow chart of a cohort that has been built."""
    from precordial.cohort import Cohort
    from precordial.study.settings import load_study

    print(Cohort.load(load_study(study, changes or ()).folder / "cohort").flow.text())


@app.command()
def models() -> None:
    """Print the models with their sizes beside the paper's Table II."""
    from precordial.models import model_table
    from precordial.report import table_two

    print(table_two(model_table()).text())


@study_app.command("plan")
def study_plan(
    study: StudyFile,
    changes: Changes = None,
    every: Annotated[bool, typer.Option("--all", help="List every training.")] = False,
) -> None:
    """Print which trainings a study needs."""
    from precordial.study import load_study, make_plan

    settings = load_study(study, changes or ())
    plan = make_plan(settings)
    if every:
        for run in plan.runs:
            print(f"{run.kind:9} {run.epochs:4} epochs  {run.describe()}")
    print(
        f"{settings.name}: {_several(plan.count('pretrain'), 'pre-training')}, "
        f"{_several(plan.count('scratch'), 'training')} from scratch, "
        f"{_several(plan.count('finetune'), 'fine-tuning')}; {_several(len(plan.runs), 'training')} in all, "
        f"{sum(run.epochs for run in plan.runs):,} epochs, seeds {', '.join(map(str, settings.seeds))}"
    )


@study_app.command("run")
def study_run(study: StudyFile, changes: Changes = None) -> None:
    """Do what the study still needs, and print its tables. A second call goes on where the first ended."""
    from precordial.progress import ConsoleWatcher
    from precordial.study import load_study, run_study

    settings = load_study(study, changes or ())
    with ConsoleWatcher() as watcher:
        outcome = run_study(settings, watcher)
    print(outcome.cohort.flow.text())
    page = _report(settings, outcome.cohort, outcome.rows, _again(study, changes))
    print(f"tables and flow chart in {page.parent}, every number in {settings.folder / 'results.csv'}")
    print(f"report: {page}")


@study_app.command("status")
def study_status(study: StudyFile, changes: Changes = None) -> None:
    """Print how far each training of a study is."""
    from precordial.study import load_study
    from precordial.study import study_status as statuses

    rows = statuses(load_study(study, changes or ()))
    for row in rows:
        print(f"{row.state:8} {row.epochs:4}/{row.run.epochs:<4} epochs  {row.run.id}  {row.run.describe()}")
    done = sum(row.state == "done" for row in rows)
    print(f"{done} of {len(rows)} trainings done")


@app.command()
def report(study: StudyFile, changes: Changes = None) -> None:
    """Write the report of a finished study again: its page, and its tables as text and CSV; print the tables."""
    from precordial.cohort import Cohort
    from precordial.evaluation import read_results
    from precordial.study.settings import load_study

    settings = load_study(study, changes or ())
    cohort, results = Cohort.load(settings.folder / "cohort"), settings.folder / "results.csv"
    if not results.exists():
        raise PrecordialError("the study has no results yet", file=results, remedy=f"precordial study run {study}")
    print(f"report: {_report(settings, cohort, read_results(results), _again(study, changes))}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything goes.")] = Path("precordial-demo"),
    seed: Annotated[int, typer.Option(help="Of the synthetic hospital.")] = 1,
    patients: Annotated[int, typer.Option(help="Of the synthetic hospital.")] = 10_000,
    changes: Changes = None,
) -> None:
    """Make a synthetic hospital, run the study on it, and print its tables. A second call goes on from there."""
    from precordial.demo import DemoHospital, introduction, limit_rows, make_demo_hospital, next_steps, write_study
    from precordial.evaluation import write_results
    from precordial.progress import ConsoleWatcher
    from precordial.report.summary import key_results
    from precordial.study import load_study, run_study

    hospital = DemoHospital(patients=patients, seed=seed)
    again = shlex.join(["precordial", "demo", "--out", str(out), *_given(hospital), *_sets(changes)])
    study = write_study(out)
    settings = load_study(study, changes or ())
    print(introduction(settings, hospital))
    with ConsoleWatcher() as watcher:
        truth = make_demo_hospital(out, hospital, progress=watcher.written)
        outcome = run_study(settings, watcher)
    rows = [*outcome.rows, *limit_rows(settings, outcome.cohort, truth)]
    write_results(settings.folder / "results.csv", rows)
    print(outcome.cohort.flow.text())
    page = _report(settings, outcome.cohort, rows, again)
    print("In short", *key_results(rows, settings.label), "", sep="\n")
    print(next_steps(study, again))
    print(f"\nreport: {page}")


@app.command()
def twin(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the hospital goes.")],
    patients: Annotated[int, typer.Option(help="How many patients.")] = 1000,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal hospitals.")] = 0,
    file_format: Annotated[Literal["muse", "wfdb"], typer.Option("--format", help="Of the ECG files.")] = "muse",
    registers_only: Annotated[bool, typer.Option("--registers-only", help="Make no ECG files.")] = False,
    rate: Annotated[int, typer.Option(help="Hz of the ECGs: 500 or 100.")] = 500,
    chest_pain: Annotated[float, typer.Option(metavar="SHARE", help="Of the patients, with chest pain.")] = 0.38,
    prevalence: Annotated[float, typer.Option(metavar="SHARE", help="Of these visits, with an infarction.")] = 0.15,
    silent: Annotated[float, typer.Option(metavar="SHARE", help="Of the infarctions, seen in no ECG.")] = 0.43,
    clinic_ecgs: Annotated[float, typer.Option(metavar="MEAN", help="ECGs of other clinics per source patient.")] = 2.2,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")] = None,
) -> None:
    """Make a synthetic hospital: ECG files, visits, diagnoses and patients as CSV, and the truth about them."""
    from precordial.progress import ConsoleWatcher
    from precordial.twin import make_hospital

    try:
        with ConsoleWatcher() as watcher:
            hospital = make_hospital(
                patients,
                seed,
                out,
                chest_pain=chest_pain,
                prevalence=prevalence,
                silent=silent,
                clinic_ecgs=clinic_ecgs,
                rate=rate,
                format=file_format,
                registers_only=registers_only,
                workers=workers,
                progress=watcher.written,
            )
    except KeyboardInterrupt:  # main() would promise that the same command goes on from here
        print("\nprecordial: stopped; nothing of the unfinished hospital is kept", file=sys.stderr)
        sys.exit(130)
    print(hospital.text())


def _report(settings: Study, cohort: Cohort, rows: list[Row], command: str) -> Path:
    """Write page, tables and flow chart of a study, print the tables, and return the page.

    Args:
        settings, cohort, rows: of the study.
        command: that makes the report again.
    """
    from precordial.report import report_tables, write_report
    from precordial.report.html import write_html

    folder, tables = settings.folder / "report", report_tables(cohort, rows, settings.label)
    write_report(folder, tables, flow=cohort.flow.text())
    page = write_html(folder, settings, cohort, rows, command=command)
    for table in tables.values():
        print(table.text())
    return page


def _again(study: Path, changes: list[str] | None) -> str:
    """The command that makes a study again."""
    return shlex.join(["precordial", "study", "run", str(study), *_sets(changes)])


def _sets(changes: list[str] | None) -> list[str]:
    return [word for change in changes or () for word in ("--set", change)]


def _given(hospital: object) -> list[str]:
    """The options of the demo's hospital that are not the default."""
    usual = type(hospital)()
    return [
        f"--{name}={getattr(hospital, name)}"
        for name in ("patients", "seed")
        if getattr(hospital, name) != getattr(usual, name)
    ]


def _several(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _print_rejects(counts: dict[str, int], archive: Path) -> None:
    for reason, count in counts.items():
        print(f"  {count:,} rejected: {REASONS[reason]} ({reason})")
    if counts:
        print(f"  each is listed in {archive / 'rejects.jsonl'}")


def main() -> None:
    """Entry point: a user's mistake is one line and exit code 2, Ctrl-C is 130."""
    try:
        code = app(standalone_mode=False, prog_name="precordial")
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except PrecordialError as error:
        print(f"precordial: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        print("\nprecordial: stopped; what was finished is kept, the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in USERS_ERRORS and not (error.errno == errno.ENOENT and error.filename):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"precordial: {where}{error.strerror or error} (says the system)", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        # Typer brings its own copy of click's errors, known by what they can do.
        if not hasattr(error, "show") or not hasattr(error, "format_message"):
            raise
        _complain(error)


def _complain(error: Any) -> None:
    """Say a wrong option in one line."""
    message = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    context = getattr(error, "ctx", None)
    if message:
        print(f"precordial: {message}; see {context.command_path if context else 'precordial'} --help", file=sys.stderr)
    else:  # no word at all was given, and the help is shown
        error.show()
    sys.exit(2)


if __name__ == "__main__":
    main()
