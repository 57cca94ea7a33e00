"""Commands of a study: its cohort, its trainings, its report."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from precordial.cli.app import Changes, StudyFile, app, cohort_app, study_app
from precordial.study.tables import PREDICTIONS, RESULTS, RESULTS_CSV

if TYPE_CHECKING:
    from precordial.cohort import Cohort
    from precordial.evaluation import Row
    from precordial.study import Study


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
    from precordial.training.distributed import is_first

    settings = load_study(study, changes or ())
    with ConsoleWatcher() as watcher:
        outcome = run_study(settings, watcher)
    if not is_first():  # of several processes, the first one writes and prints
        return
    page = finish_report(settings, outcome.cohort, outcome.rows, _again(study, changes), flow=True)
    print(f"tables and flow chart in {page.parent}, every number in {settings.folder / RESULTS_CSV}")
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
    from precordial.study import load_study, read_results_table

    settings = load_study(study, changes or ())
    cohort, rows = Cohort.load(settings.folder / "cohort"), read_results_table(settings.folder)
    print(f"report: {finish_report(settings, cohort, rows, _again(study, changes))}")


@study_app.command("results")
def study_results(
    study: StudyFile,
    changes: Changes = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that measure.")] = 1,
) -> None:
    """Make the table of results and that of all predictions again, from the trainings that are done."""
    from precordial.cohort import Cohort
    from precordial.study import load_study, make_plan, write_tables

    settings = load_study(study, changes or ())
    cohort = Cohort.load(settings.folder / "cohort")
    plan = make_plan(settings, cohort.digest, cohort.outcomes)
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
