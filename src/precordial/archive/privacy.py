"""The proof that a pseudonymised archive tells no id, name or date: everything in it is read back.

Three things are shown:

1. Every byte of every file but the signals, and every file's name, is searched for the identifying texts of the key
   table and, where the sources are given, of the source files (`precordial.archive.identifiers`), as whole words: a
   name of two letters in the middle of a digest is none. In files that are no text, such as the index, only words of
   eight letters and more are searched for, as shorter ones come about by chance; the third shows what the index has.
2. Every row's patient, source, site and device has the form that pseudonyms have, and is one that this key gives to
   what stands in the key table; so are the rejects' sources. Ages are whole years up to 90. Why a file was rejected
   is told in the program's words.
3. Every row's date differs from its original by the patient's own shift, which is a number of whole weeks that is not
   zero. So order and intervals within a patient are those of the originals. The rows themselves are in no order from
   which dates could be estimated.
"""

from __future__ import annotations

import codecs
import mmap
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from precordial.archive.archive import Archive
from precordial.archive.identifiers import Identifier, identifiers
from precordial.archive.pseudonymised_rows import KeyTable, check_rejects, check_rows, in_order_of_dates, read_key_table
from precordial.archive.pseudonyms import Pseudonyms, is_device_model
from precordial.archive.sought import Sought
from precordial.errors import ArchiveError
from precordial.processes import in_batches, in_order

KEPT = 100  # findings that are listed; all are counted
CHUNK = 64  # source files that a process looks into at a time


@dataclass(frozen=True)
class Finding:
    """Something that should not be in the archive, by its place alone.

    Attributes:
        kind: "name", "id", "date", "address", "site", "device", "file" or "text" for what was read somewhere; "form"
            for what is no pseudonym, "key" for one that this key does not give, "age" for an age that tells too much,
            "shift" for a date that is not shifted as it should be, and "order" for rows in the order of their dates.
        file: in the archive's folder; empty where it is a file's own name.
        offset: first byte in the file.
        row: row of the index, or line of the rejects, from 0.
    """

    kind: str
    file: str
    offset: int | None = None
    row: int | None = None

    def text(self) -> str:
        """As one line."""
        where = "".join(
            [f", byte {self.offset}" if self.offset is not None else "", f", row {self.row}" * (self.row is not None)]
        )
        return f"{self.kind}: {self.file or 'the name of a file'}{where}"


@dataclass(frozen=True)
class PrivacyReport:
    """What `check_privacy` found.

    Attributes:
        ecgs: rows of the archive.
        files, bytes: of the archive, that were read.
        sources: source files that were looked into.
        sought: texts that were searched for.
        left_out: texts that were not, since they are single letters, small numbers or the program's own words.
        counts: how many findings there are, by kind.
        findings: the first of them.
    """

    ecgs: int
    files: int
    bytes: int
    sources: int
    sought: int
    left_out: int
    counts: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.counts

    def text(self) -> str:
        """For the terminal; it quotes nothing."""
        lines = [
            f"{self.ecgs:,} ECGs, {self.files} files and {self.bytes:,} bytes read back; "
            f"{self.sought:,} spellings of ids, names, dates and file names sought, "
            f"from the key table and {self.sources:,} source files"
        ]
        lines += [f"  {count:,} × {kind}" for kind, count in self.counts.items()] or ["none of them is in the archive"]
        return "\n".join(lines + [f"  {finding.text()}" for finding in self.findings])


def check_privacy(
    archive: str | Path,
    pseudonyms: Pseudonyms,
    sources: Sequence[str | Path] = (),
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> PrivacyReport:
    """Read a pseudonymised archive back and search it for everything that tells who a patient is.

    Args:
        archive: its folder.
        pseudonyms: of the key it was made with; the key table must be beside the key file.
        sources: the files, or folders of files, that it was made from. Without them names cannot be searched for, as
            they are not in the key table.
        workers: processes that look into the source files.
        progress: called with (source files done, source files in all).

    Raises:
        ArchiveError: there is no archive, it is damaged, or it was not made with this key.
        PrecordialError: the key table is absent or damaged.
    """
    opened = Archive(archive)
    if opened.manifest.key != pseudonyms.fingerprint:
        how = "with another key" if opened.manifest.key else "without a key"
        raise ArchiveError(f"the archive was made {how}", file=opened.path, remedy="name the key file that made it")
    table = read_key_table(pseudonyms)
    sought, looked_into = Sought(), 0
    for identifier in _of_table(table):
        sought.add(identifier)
    paths = [path for source in sources for path in _files(Path(source))]
    for found in in_order(_of_files, in_batches(paths, CHUNK), workers):
        for identifier in found[1]:
            sought.add(identifier)
        looked_into += found[0]
        if progress:
            progress(looked_into, len(paths))
    own = [path for path in _files(opened.path) if path.relative_to(opened.path).parts[0] != "signals"]
    counts: Counter[str] = Counter()
    findings: list[Finding] = []
    for finding in _search(opened, own, sought, table, pseudonyms):
        counts[finding.kind] += 1
        if len(findings) < KEPT:
            findings.append(finding)
    return PrivacyReport(
        ecgs=len(opened),
        files=len(own),
        bytes=sum(path.stat().st_size for path in own),
        sources=looked_into,
        sought=len(sought),
        left_out=sought.left_out,
        counts=dict(sorted(counts.items())),
        findings=tuple(findings),
    )


def _search(
    archive: Archive, files: list[Path], sought: Sought, table: KeyTable, pseudonyms: Pseudonyms
) -> Iterator[Finding]:
    for path in files:
        name = path.relative_to(archive.path).as_posix()
        yield from (Finding(kind, "") for _, kind in sought.find(name.encode(errors="backslashreplace")))
        if path.stat().st_size:
            with path.open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            found = sought.find(data, binary=not _is_text(data))
            yield from (Finding(kind, name, offset=at) for at, kind in found)
    yield from (Finding(kind, "index.bin", row=row) for row, kind in check_rows(archive, table))
    if in_order_of_dates(archive, table):
        yield Finding("order", "index.bin")
    yield from (Finding(kind, "rejects.jsonl", row=row) for row, kind in check_rejects(archive, table))
    yield from (Finding("key", pseudonyms.table.name, row=row) for row in table.wrong(pseudonyms))


def _is_text(data: mmap.mmap) -> bool:
    """Whether bytes are UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(data), 1 << 20):
            decoder.decode(data[at : at + (1 << 20)], final=at + (1 << 20) >= len(data))
    except UnicodeDecodeError:
        return False
    return True


def _of_table(table: KeyTable) -> Iterator[Identifier]:
    """What the key table says of patients, files, sites and devices."""
    for _, kind, original, _, _, recorded_at in table.lines.iter_rows():
        if kind == "file":
            path, _, name = original.partition("#")
            yield from (("file", part.partition(".")[0]) for part in PurePosixPath(path).parts)
            yield "file", name.partition("@")[0]
        elif kind != "device" or not is_device_model(original):
            yield "id" if kind == "patient" else kind, original
        if recorded_at is not None:
            yield "date", recorded_at.date().isoformat()


def _of_files(paths: list[Path]) -> tuple[int, set[Identifier]]:
    """Called in worker processes: how many files they are, and what is in them."""
    return len(paths), {identifier for path in paths for identifier in identifiers(path)}


def _files(path: Path) -> Iterator[Path]:
    """A file itself, or every file below a folder, hidden ones too."""
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path):
        folders.sort()
        paths = (Path(folder, name) for name in sorted(names))
        yield from (path for path in paths if path.is_file())  # to read a pipe may never end
