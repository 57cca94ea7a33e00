"""Commands of a study: its cohort, its trainings, its report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from precordial.cli.app import Changes, StudyFile, app, cohort_app, study_app
from precordial.errors import PrecordialError
from precordial.study.tables import PREDICTIONS, RESULTS, RESULTS_CSV

if TYPE_CHECKING:
    from precordial.cohort import Cohort
    from precordial.evaluation import Row
    from precordial.study import Study, StudyOutcome


@cohort_app.command("build")
def cohort_build(study: StudyFile, changes: Changes = None) -> None:
    """Read the registers, build the cohort, prove that nothing leaks; print and write its flow chart and Table I."""
    from precordial.progress import ConsoleWatcher
    from precordial.report.cohort_files import write_cohort_files
    from precordial.report.withheld import flow_and_table
    from precordial.study import checked_cohort, ecg_source, load_study

    settings = load_study(study, changes or ())
    with ConsoleWatcher() as watcher:
        cohort = checked_cohort(settings, ecg_source(settings, watcher), watcher, mend=True)
    flow, table = flow_and_table(cohort, settings.privacy.smallest_cell)
    write_cohort_files(settings.folder / "cohort", flow, table)
    print(flow.text())
    print(table.text())
    print(f"cohort, flow chart and Table I in {settings.folder / 'cohort'}")


@cohort_app.command("check")
def cohort_check(study: StudyFile, changes: Changes = None) -> None:
    """Read every register to its end, say what stands in them and what must be mended; build nothing."""
    from precordial.progress import ConsoleWatcher
    from precordial.study import check_registers, load_study

    settings = load_study(study, changes or ())
    with ConsoleWatcher() as watcher:
        found = check_registers(settings, watcher)
    print(found.text())
    if found.problems:
        raise typer.Exit(2)


@cohort_app.command("codes")
def cohort_codes() -> None:
    """Print the code lists that come with precordial, for `code_list` of an outcome."""
    from precordial.cohort.code_lists import code_lists

    for name, one in code_lists().items():
        print(f"{name}: {one.title}")
        for words, codes in (("codes", one.codes), ("but not", one.exclude), ("procedures", one.procedures)):
            if codes:
                print(f"  {words}: {', '.join(codes)}")
        print(f"  source: {one.source}")


@cohort_app.command("flow")
def cohort_flow(
    study: StudyFile,
    changes: Changes = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="A .svg, .png, .pdf or .txt file.")] = None,
) -> None:
    """Print the flow chart of a cohort that has been built, or draw it."""
    from precordial.cohort import Cohort
    from precordial.report.cohort_files import write_flow
    from precordial.report.withheld import flow_and_table
    from precordial.study.settings import load_study

    settings = load_study(study, changes or ())
    flow, _ = flow_and_table(Cohort.load(settings.folder / "cohort"), settings.privacy.smallest_cell)
    if out is None:
        print(flow.text())
    else:
        write_flow(flow, out)


@cohort_app.command("table")
def cohort_table(
    study: StudyFile,
    changes: Changes = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="A .txt, .csv, .md or .tex file.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Put the paper's numbers beside.")] = False,
    smd: Annotated[bool, typer.Option("--smd", help="Add standardised differences to the training set.")] = False,
) -> None:
    """Print Table I of a cohort that has been built, or write it."""
    from precordial.cohort import Cohort
    from precordial.report.withheld import flow_and_table
    from precordial.study.settings import load_study

    settings = load_study(study, changes or ())
    cohort = Cohort.load(settings.folder / "cohort")
    _, table = flow_and_table(cohort, settings.privacy.smallest_cell, paper=paper, differences=smd)
    if out is None:
        print(table.text())
    else:
        table.write(out)


@cohort_app.command("verify")
def cohort_verify(study: StudyFile, changes: Changes = None) -> None:
    """Check a cohort that has been built for leaks, and its leakage.json for changes; print the rules."""
    from precordial.cohort import Cohort, fold_names, folds_text
    from precordial.study import load_study, verify_cohort

    settings = load_study(study, changes or ())
    cohort = Cohort.load(settings.folder / "cohort")
    print(verify_cohort(settings, cohort).text())
    if fold_names(cohort):
        print(folds_text(cohort))
    print(f"no leak in {len(cohort):,} rows; {settings.folder / 'cohort' / 'leakage.json'} holds")


@app.command()
def models() -> None:
    """Print the models with their sizes beside the paper's Table II, and variants of them."""
    from precordial.models import VARIANTS, model_table
    from precordial.report import table_two

    print(table_two(model_table()).text())
    print(table_two(model_table(names=VARIANTS), "Variants, not in the paper").text())


@study_app.command("plan")
def study_plan(
    study: StudyFile,
    changes: Changes = None,
    every: Annotated[bool, typer.Option("--all", help="List every training.")] = False,
    no_calibrate: Annotated[bool, typer.Option("--no-calibrate", help="Do not measure this machine's rates.")] = False,
    rates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rates of another machine, as TOML or JSON.")
    ] = None,
) -> None:
    """Print which trainings a study needs, how many hours and how much disk they take, and what is done."""
    from precordial.report.plan import plan_lines, plan_table
    from precordial.study import load_study
    from precordial.study.forecast import forecast

    settings = load_study(study, changes or ())
    found = forecast(settings, rates, calibrate=not no_calibrate)
    if every:
        for run in found.plan.runs:
            print(f"{run.kind:9} {run.epochs:4} epochs  {run.describe()}")
    first, *more = plan_lines(found)
    print(first, "", plan_table(found).text(), *more, sep="\n")


@study_app.command("run")
def study_run(
    study: StudyFile,
    changes: Changes = None,
    engine: Annotated[
        Literal["local", "ray", "slurm"], typer.Option(help="What runs the trainings: this machine, Ray, Slurm.")
    ] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 1,
    gpus: Annotated[float | None, typer.Option(min=0, help="Of each worker, such as 0.5; for Ray and Slurm.")] = None,
    cpus: Annotated[int | None, typer.Option(min=1, help="Cores of each worker.")] = None,
    memory: Annotated[float | None, typer.Option(min=0, help="GB of each worker; for Ray and Slurm.")] = None,
    slurm: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Option of sbatch, such as partition=gpu.")
    ] = None,
) -> None:
    """Do what the study still needs, and print its tables. A second call goes on where the first ended."""
    from precordial.progress import ConsoleWatcher
    from precordial.study import Engine, hold_study, load_study, run_study
    from precordial.training.distributed import is_first

    settings = load_study(study, changes or ())
    how = Engine(engine, workers, gpus, cpus, memory, _options(slurm))
    with ConsoleWatcher() as watcher:
        outcome = run_study(settings, watcher, how)
    if not is_first():  # of several processes, the first one writes and prints
        return
    if outcome.rows:
        with hold_study(settings):
            _finish(settings, outcome, _again(study, changes))
    tell_failures(outcome)


def _finish(settings: Study, outcome: StudyOutcome, command: str) -> None:
    page = finish_report(settings, outcome.cohort, outcome.rows, command, flow=True)
    print(f"tables and flow chart in {page.parent}, every number in {settings.folder / RESULTS_CSV}")
    print(f"report: {page}")


def _options(slurm: list[str] | None) -> dict[str, str]:
    """The options of sbatch that were given."""
    found = {}
    for option in slurm or ():
        name, equals, value = option.removeprefix("--").partition("=")
        if not equals or not name:
            raise typer.BadParameter("write NAME=VALUE, such as partition=gpu", param_hint="'--slurm'")
        found[name] = value
    return found


def tell_failures(outcome: StudyOutcome) -> None:
    """Print what has failed, a line for each, and end with an error if there is any."""
    for failure in outcome.failures:
        waiting = f" ({_several(failure.waiting, 'training')} from it left out)" if failure.waiting else ""
        print(f"failed: {failure.text}{waiting}", file=sys.stderr)
    if outcome.failures:
        count = f"{len(outcome.failures)} of {_several(len(outcome.plan.runs), 'training')} failed"
        raise PrecordialError(count, remedy="mend what is said of each above; the same command tries them again")


@study_app.command("status")
def study_status(study: StudyFile, changes: Changes = None) -> None:
    """Print how far each training of a study is, who is at it, and why it has failed."""
    from precordial.report.plan import status_table
    from precordial.study import load_study
    from precordial.study import study_status as statuses

    rows = statuses(load_study(study, changes or ()))
    print(status_table(rows).text())
    states = {state: sum(row.state == state for row in rows) for state in ("running", "failed")}
    more = "".join(f", {count} {state}" for state, count in states.items() if count)
    print(f"{sum(row.state == 'done' for row in rows)} of {len(rows)} trainings done{more}")


@app.command()
def report(study: StudyFile, changes: Changes = None) -> None:
    """Write the report of a finished study again: its page, and its tables as text and CSV; print the tables."""
    from precordial.cohort import Cohort
    from precordial.study import hold_study, load_study, read_results_table

    settings = load_study(study, changes or ())
    cohort, rows = Cohort.load(settings.folder / "cohort"), read_results_table(settings.folder)
    with hold_study(settings):
        print(f"report: {finish_report(settings, cohort, rows, _again(study, changes))}")


@study_app.command("results")
def study_results(
    study: StudyFile,
    changes: Changes = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that measure.")] = 1,
) -> None:
    """Make the table of results and that of all predictions again, from the trainings that are done."""
    from precordial.cohort import Cohort
    from precordial.study import hold_study, load_study, make_plan, write_tables

    settings = load_study(study, changes or ())
    cohort = Cohort.load(settings.folder / "cohort")
    plan = make_plan(settings, cohort.digest, cohort.outcomes)
    with hold_study(settings):
        rows = write_tables(settings, cohort, plan, workers)
    runs = len({row.run for row in rows if row.kind in ("pretrain", "scratch", "finetune")})
    print(f"{_several(len(rows), 'result')} of {_several(runs, 'training')} in {settings.folder / RESULTS}")
    print(f"their predictions in {settings.folder / PREDICTIONS}")


def finish_report(settings: Study, cohort: Cohort, rows: list[Row], command: str, *, flow: bool = False) -> Path:
    """Write page, tables and figures of a study, print the tables, and return the page.

    Args:
        settings, cohort, rows: of the study.
        command: that makes the report again.
        flow: print the flow chart, too.
    """
    from precordial.report import results_tables
    from precordial.report.html import write_html
    from precordial.report.withheld import flow_and_table

    chart, characteristics = flow_and_table(cohort, settings.privacy.smallest_cell)
    results = results_tables(rows, cohort.outcomes, counts=not settings.privacy.smallest_cell)
    if flow:
        print(chart.text())
    page = write_html(settings.folder / "report", settings, cohort, rows, command=command, files=True)
    for table in (characteristics, *results.values()):
        print(table.text())
    return page


def _again(study: Path, changes: list[str] | None) -> str:
    """The command that makes a study again."""
    return shlex.join(["precordial", "study", "run", str(study), *changed(changes)])


def changed(changes: list[str] | None) -> list[str]:
    return [word for change in changes or () for word in ("--set", change)]


def _several(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
