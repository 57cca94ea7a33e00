"""Commands from files to an archive, and of an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from precordial.cli.app import ArchiveFolder, app, archive_app
from precordial.errors import REASONS, PrecordialError

Rules = Literal["paper", "authors-code"]
Windows = Literal["first", "every"]
Codec = Literal["raw", "pco"]
Engine = Literal["local", "ray"]


@app.command()
def ingest(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Files or folders of ECGs.")],
    archive: Annotated[Path, typer.Option("--archive", metavar="DIR", help="Folder of the archive.")],
    rate: Annotated[int | None, typer.Option(help="Hz of a new archive: 500 (the default) or 100.")] = None,
    rules: Annotated[Rules | None, typer.Option(help="By which files are rejected; paper by default.")] = None,
    windows: Annotated[Windows | None, typer.Option(help="The first ten seconds of a recording, or every ten.")] = None,
    codec: Annotated[Codec | None, typer.Option(help="raw, or pco: smaller, and slower to read.")] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="A public set, whose own tables are read too: ptb-xl, code-15 …")
    ] = None,
    pseudonymise: Annotated[
        Path | None, typer.Option(metavar="KEYFILE", help="Replace ids and shift dates by a key; made if absent.")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="Processes of this machine, or a Ray cluster.")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")] = None,
) -> None:
    """Read ECG files into an archive. A second call goes on where the first ended."""
    from precordial.archive import ingest as run_ingest
    from precordial.archive.find import check_sources
    from precordial.archive.layout import Manifest, read_manifest
    from precordial.datasets import preset_metadata
    from precordial.progress import ConsoleWatcher

    known = None
    if preset:
        check_sources(sources)
        if len(sources) != 1 or not sources[0].is_dir():
            raise PrecordialError(
                "a preset needs the set's own folder", file=sources[-1], remedy="give that folder, and it alone"
            )
        old = read_manifest(archive) if (archive / "archive.json").exists() else Manifest()
        known = preset_metadata(preset, sources[0], rate=rate or old.rate)
    with ConsoleWatcher() as watcher:
        summary = run_ingest(
            sources,
            archive,
            rate=rate,
            rules=rules,
            windows=windows,
            codec=codec,
            preset=known,
            pseudonymise=pseudonymise,
            engine=engine,
            workers=workers,
            progress=watcher.files,
        )
    read = summary.added + sum(summary.rejected.values())
    print(
        f"{summary.added:,} ECGs added, {summary.skipped:,} files known from before; "
        f"{summary.total:,} ECGs in {archive}"
    )
    if read:
        print(f"{read:,} recordings in {summary.seconds:.1f} s ({read / max(summary.seconds, 1e-9):,.0f} a second)")
    _print_rejects(summary.rejected, archive)


@app.command()
def show(
    target: Annotated[str, typer.Argument(metavar="FILE|ARCHIVE:ID", help="A file, or an archive and an id.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture: .png, .svg or .pdf, true to scale.")
    ] = None,
    identify: Annotated[bool, typer.Option("--identify", help="Show the patient id too.")] = False,
) -> None:
    """Draw an ECG on ECG paper, 25 mm/s and 10 mm/mV, and print its header and flags."""
    from precordial.report.show import show as show_ecg

    print(show_ecg(target, out, identify=identify))


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


@archive_app.command("convert")
def archive_convert(
    folder: ArchiveFolder,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the copy; it must not be there.")],
    codec: Annotated[Codec, typer.Option(help="Of the copy: raw or pco.")],
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")] = None,
) -> None:
    """Write an archive once more with another codec; every ECG is checked on the way."""
    from precordial.archive import convert
    from precordial.progress import ConsoleWatcher

    with ConsoleWatcher() as watcher:
        ecgs = convert(folder, out, codec=codec, workers=workers, progress=watcher.ecgs)
    sizes = [sum(path.stat().st_size for path in (one / "signals").iterdir()) for one in (folder, out)]
    part = f", {sizes[1] / sizes[0]:.1%} of the size before" if sizes[0] else ""
    print(f"{ecgs:,} ECGs in {out}; their signals take {sizes[1] / 1e6:,.1f} MB{part}")


@archive_app.command("quality")
def archive_quality(
    folder: ArchiveFolder,
    out: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Write the table to a file too.")] = None,
    suppress_below: Annotated[int, typer.Option(min=0, metavar="N", help="Leave out counts from 1 to N - 1.")] = 0,
) -> None:
    """Print how many ECGs have which flags, for each device, site and year; and why files were rejected."""
    from precordial.archive import Archive
    from precordial.archive.quality_table import quality_table, quality_text, reject_table
    from precordial.files import write_atomic

    archive = Archive(folder)
    quality = quality_table(archive.table(), suppress_below=suppress_below)
    rejects = reject_table(archive.rejects(), suppress_below=suppress_below)
    if out:
        write_atomic(out, quality.write_csv())
    print(quality_text(quality, rejects, suppress_below=suppress_below))


@archive_app.command("check-privacy")
def archive_check_privacy(
    folder: ArchiveFolder,
    key: Annotated[Path, typer.Option(metavar="KEYFILE", help="By which the archive is pseudonymised.")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SOURCE...", help="What it was made from, for its names."),
    ] = None,
) -> None:
    """Read a pseudonymised archive back and search it for ids, names and dates; exit code 1 if one is found."""
    from precordial.archive.find import check_sources
    from precordial.archive.privacy import check_privacy
    from precordial.archive.pseudonyms import Pseudonyms
    from precordial.progress import ConsoleWatcher

    check_sources(sources or ())  # or the check would pass for a path with a slip in it
    pseudonyms = Pseudonyms.open(key, archive=folder, create=False)
    with ConsoleWatcher() as watcher:
        found = check_privacy(folder, pseudonyms, sources or (), progress=watcher.files)
    print(found.text())
    if not found.ok:
        raise typer.Exit(1)


def _print_rejects(counts: dict[str, int], archive: Path) -> None:
    for reason, count in counts.items():
        print(f"  {count:,} rejected: {REASONS[reason]} ({reason})")
    if counts:
        print(f"  each is listed in {archive / 'rejects.jsonl'}")
