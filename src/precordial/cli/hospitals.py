"""Commands of the synthetic hospital."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from precordial.cli.app import Changes, app
from precordial.cli.studies import changed, finish_report, tell_failures

if TYPE_CHECKING:
    from precordial.twin import Hospital, PaperRegisters


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything goes.")] = Path("precordial-demo"),
    seed: Annotated[int, typer.Option(help="Of the synthetic hospital.")] = 1,
    patients: Annotated[int, typer.Option(help="Of the synthetic hospital.")] = 10_000,
    changes: Changes = None,
) -> None:
    """Make a synthetic hospital, run the study on it, and print its tables. A second call goes on from there."""
    from precordial.demo import DemoHospital, introduction, limit_rows, make_demo_hospital, next_steps, write_study
    from precordial.progress import ConsoleWatcher
    from precordial.report.summary import key_results
    from precordial.study import hold_study, load_study, run_study, write_results_table

    hospital = DemoHospital(patients=patients, seed=seed)
    again = shlex.join(["precordial", "demo", "--out", str(out), *_given(hospital), *changed(changes)])
    study = write_study(out)
    settings = load_study(study, changes or ())
    print(introduction(settings, hospital))
    with ConsoleWatcher() as watcher:
        truth = make_demo_hospital(out, hospital, progress=watcher.written)
        outcome = run_study(settings, watcher)
    tell_failures(outcome)
    rows = [*outcome.rows, *limit_rows(settings, outcome.cohort, truth)]
    with hold_study(settings):
        write_results_table(settings.folder, rows)
        page = finish_report(settings, outcome.cohort, rows, again, flow=True)
    counts = not settings.privacy.smallest_cell
    print("In short", *key_results(rows, outcome.cohort.outcomes, counts=counts), "", sep="\n")
    print(next_steps(study, again))
    print(f"\nreport: {page}")


@app.command()
def twin(
    context: typer.Context,
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
    shape: Annotated[
        Literal["paper"] | None, typer.Option(help="Registers of the paper's size, with its flow chart.")
    ] = None,
    scale: Annotated[float, typer.Option(metavar="TIMES", help="The paper's size, so many times.")] = 1,
) -> None:
    """Make a synthetic hospital: ECG files, visits, diagnoses and patients as CSV, and the truth about them."""
    from precordial.progress import ConsoleWatcher
    from precordial.twin import make_hospital, make_paper_registers

    _check_shape(context, shape, registers_only)
    made: Hospital | PaperRegisters
    try:
        if shape == "paper":
            made = make_paper_registers(out, seed, scale)
        else:
            with ConsoleWatcher() as watcher:
                made = make_hospital(
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
    print(made.text())


def _check_shape(context: typer.Context, shape: str | None, registers_only: bool) -> None:
    """Refuse options that would have no effect."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    if shape is None:
        if "scale" in given:
            raise typer.BadParameter("it goes with --shape paper", param_hint="'--scale'")
        return
    if not registers_only:
        raise typer.BadParameter("this shape has no waveforms: add --registers-only", param_hint="'--shape'")
    useless = sorted(given - {"out", "seed", "registers_only", "shape", "scale"})
    if useless:
        name = {"file_format": "format"}.get(useless[0], useless[0]).replace("_", "-")
        raise typer.BadParameter("it has no effect with --shape paper", param_hint=f"'--{name}'")


def _given(hospital: object) -> list[str]:
    """The options of the demo's hospital that are not the default."""
    usual = type(hospital)()
    return [
        f"--{name}={getattr(hospital, name)}"
        for name in ("patients", "seed")
        if getattr(hospital, name) != getattr(usual, name)
    ]
