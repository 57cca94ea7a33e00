"""The program, its groups of commands, and the arguments that several of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from precordial import __version__

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
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as training.batch=64.")
]
Numbers = Annotated[
    Literal["auto", "fp32", "bf16"] | None, typer.Option("--precision", help="Short for --set training.precision=….")
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
