"""Commands that fetch public data, and that make tables fit a pseudonymised archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from precordial.cli.app import app


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
