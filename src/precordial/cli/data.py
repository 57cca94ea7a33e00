"""Commands that fetch public data, and that make tables fit a pseudonymised archive."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from precordial.cli.app import app

Columns = list[str] | None


@app.command()
def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="ptb-xl, cinc2021, code-15 or ludb.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the set.")],
    only: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only files of this pattern, such as 'records500/*'.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="A mirror in place of the set's home.")] = None,
) -> None:
    """Fetch a public set of ECGs from its home, and compare checksums. A second call goes on where the first ended."""
    from precordial.datasets.download import download as fetch
    from precordial.progress import ConsoleWatcher

    with ConsoleWatcher() as watcher:
        done = fetch(name, out, only=only or (), base_url=base_url, progress=watcher.downloaded)
    print(f"{done.fetched:,} files fetched ({done.bytes / 1e6:,.1f} MB), {done.present:,} there from before; in {out}")


@app.command("pseudonymise-table")
def pseudonymise_table(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="A register extract.")],
    key: Annotated[Path, typer.Option(metavar="KEYFILE", help="By which the archive is pseudonymised.")],
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="Where the new table goes.")],
    patient: Annotated[str, typer.Option("--id", metavar="COLUMN", help="Patients' ids.")],
    dates: Annotated[Columns, typer.Option("--date", metavar="COLUMN", help="Dates, to be shifted.")] = None,
    codes: Annotated[Columns, typer.Option("--code", metavar="COLUMN", help="Other ids, such as visits'.")] = None,
    births: Annotated[Columns, typer.Option("--birth", metavar="COLUMN", help="Birth dates.")] = None,
    drop: Annotated[Columns, typer.Option("--drop", metavar="COLUMN", help="To be left out, such as names.")] = None,
    keep: Annotated[Columns, typer.Option("--keep", metavar="COLUMN", help="Look telling, and are not.")] = None,
    ages_at: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The day of ages, for a table without other dates.")
    ] = None,
    formats: Annotated[
        Columns, typer.Option("--date-format", metavar="COLUMN=PATTERN", help="Of dates unlike 2017-03-31 14:05.")
    ] = None,
    separator: Annotated[str, typer.Option(help="Between the columns.")] = ",",
    encoding: Annotated[str, typer.Option(help="Of the table.")] = "utf8",
) -> None:
    """Write a register extract anew with the pseudonyms and shifted dates of an archive."""
    from precordial.archive.pseudonyms import Pseudonyms
    from precordial.registers.pseudonyms import pseudonymise_table as write

    patterns = {}
    for one in formats or ():
        column, equals, pattern = one.partition("=")
        if not equals or not pattern:
            raise typer.BadParameter("write COLUMN=PATTERN, such as arrival=%d.%m.%Y", param_hint="'--date-format'")
        patterns[column] = pattern
    try:
        day = date.fromisoformat(ages_at) if ages_at else None
    except ValueError:
        raise typer.BadParameter("write a date as 2024-12-31", param_hint="'--ages-at'") from None
    rows = write(
        table,
        out,
        pseudonyms=Pseudonyms.open(key, create=False),
        id_column=patient,
        date_columns=dates or (),
        birth_columns=births or (),
        code_columns=codes or (),
        drop=drop or (),
        keep=keep or (),
        ages_at=day,
        date_formats=patterns,
        separator=separator,
        encoding=encoding,
    )
    print(f"{rows:,} rows in {out}")
