"""Files that match their checksums: comparing, remembering, unpacking."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from precordial.datasets.homes import RemoteFile, checked_name
from precordial.datasets.transfer import check_space
from precordial.errors import PrecordialError

KNOWN = ".verified.jsonl"


class Known:
    """The files of a folder that were found to match, so that they need not be read again.

    It is a list of lines that only grows: a file's name and digest, and what came of it (the file itself, or what a zip
    was unpacked to) with size and time. A file that has changed since is unknown.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.path = out, out / KNOWN
        self.entries: dict[str, tuple[str, dict[str, list[int]]]] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else ():
            try:
                name, digest, made = json.loads(line)
                self.entries[name] = str(digest), dict(made)
            except (ValueError, TypeError):  # empty, or it was being written when the power went
                continue

    def holds(self, file: RemoteFile) -> bool:
        """Whether a file was found to match and has not changed since."""
        digest, made = self.entries.get(file.name, ("", {}))
        return digest == file.digest and all(_stamp(self.out / name) == stamp for name, stamp in made.items())

    def add(self, file: RemoteFile, made: Iterable[Path]) -> None:
        """Remember a file that matches, and what came of it."""
        stamps = {path.relative_to(self.out).as_posix(): _stamp(path) for path in made}
        with self.path.open("a", encoding="utf-8") as known:  # the line feed first: the last line may be torn
            known.write("\n" + json.dumps([file.name, file.digest, stamps]))


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def matches(path: Path, file: RemoteFile) -> bool:
    """Whether a local file has the size and the checksum of a remote one."""
    if file.size is not None and path.stat().st_size != file.size:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, file.algorithm).hexdigest() == file.digest


def is_page(path: Path) -> bool:
    """Whether a file begins as a web page does."""
    with path.open("rb") as file:
        return file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))


def unpack(path: Path, suffix: str) -> list[Path]:
    """Unpack the files with a suffix from a zip, beside it; each gets its name once it is whole.

    Zips have a checksum for each file, which is compared.

    Raises:
        PrecordialError: the zip is damaged or holds no such file, a name in it leads elsewhere, or there is no room.
    """
    made = []
    try:
        with zipfile.ZipFile(path) as packed:
            members = [member for member in packed.infolist() if _is_file(member) and member.filename.endswith(suffix)]
            targets = [path.parent / checked_name(member.filename, path) for member in members]
            check_space(path.parent, sum(member.file_size for member in members))
            for member, target in zip(members, targets, strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_name(f"{target.name}.part")
                with packed.open(member) as source, part.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(target)
                made.append(target)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise PrecordialError(
            f"the zip cannot be unpacked ({error})", file=path, remedy="delete it, and run the command again"
        ) from error
    if not made:
        raise PrecordialError(f"the zip holds no *{suffix}", file=path, remedy="look into it; the set may have changed")
    return made


def _is_file(member: zipfile.ZipInfo) -> bool:
    """Neither a folder nor a link, and not hidden, as the doubles that some zips bring along."""
    hidden = member.filename.rpartition("/")[2].startswith(".")
    return not member.is_dir() and not hidden and not stat.S_ISLNK(member.external_attr >> 16)
