"""Where the public sets live, and the lists of their files with checksums."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import quote

from precordial.errors import PrecordialError

_SUM = re.compile(r"([0-9a-fA-F]{64})[ \t]+\*?(?:\./)?(\S.*)")
_MD5 = re.compile(r"md5:([0-9a-fA-F]{32})")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a set: its POSIX path below the set's folder, address, checksum, and bytes where they are known."""

    name: str
    url: str
    algorithm: Literal["sha256", "md5"]
    digest: str
    size: int | None = None


@dataclass(frozen=True)
class Home:
    """Where a set lives.

    Attributes:
        title: the set's name and version.
        base_url: its address.
        list_url: the list of its files with their checksums, behind `base_url`.
        list_name: the name under which that list is kept with the files.
        parse: its text and `base_url` into the files.
        always: patterns of the tables and licences, which come with every part of the set.
        bytes: about how much all files take, where the list does not say.
        unpacks: what its ``.zip`` files are unpacked for, as a suffix, before they are deleted; empty: they are kept.
    """

    title: str
    base_url: str
    list_url: str
    list_name: str
    parse: Callable[[str, str], list[RemoteFile]]
    always: tuple[str, ...]
    bytes: int | None = None
    unpacks: str = ""


def parse_sums(text: str, base_url: str) -> list[RemoteFile]:
    """PhysioNet's SHA256SUMS.txt: a line for each file, its digest, a blank, its path.

    Raises:
        PrecordialError: this is no such list, or a path leads out of the folder.
    """
    files = []
    for row, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = _SUM.fullmatch(line.strip())
        if found is None:
            raise _no_list(row, base_url)
        name = checked_name(found[2], base_url)
        files.append(RemoteFile(name, f"{base_url}/{quote(name)}", "sha256", found[1].lower()))
    return _visible(files, base_url)


def parse_zenodo(text: str, base_url: str) -> list[RemoteFile]:
    """A record of Zenodo's API, as JSON.

    The files' addresses are built from the record's own: what it says of them could lead anywhere.

    Raises:
        PrecordialError: this is no such record, or a name leads out of the folder.
    """
    files = []
    try:
        for entry in json.loads(text)["files"]:
            name, size, found = str(entry["key"]), int(entry["size"]), _MD5.fullmatch(entry["checksum"])
            if found is None or size < 0:
                raise ValueError
            url = f"{base_url}/files/{quote(name, safe='')}/content"
            files.append(RemoteFile(checked_name(name, base_url), url, "md5", found[1].lower(), size))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _no_list(None, base_url) from None
    return _visible(files, base_url)


def _visible(files: list[RemoteFile], base_url: str) -> list[RemoteFile]:
    """Without hidden files: no recordings, and what is kept beside the set has such names."""
    visible = [file for file in files if not any(part.startswith(".") for part in file.name.split("/"))]
    if not visible:
        raise _no_list(None, base_url)
    return visible


def checked_name(name: str, url: str | Path) -> str:
    """A path from a list or a zip, if it stays below the folder into which it is put.

    Raises:
        PrecordialError: it is absolute, goes up, or has characters that some systems take for more than a name.
    """
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts) or re.search(r"[\\:\x00-\x1f\x7f]", name):
        raise PrecordialError(
            "a file's name in it leads out of its folder", file=url, remedy="do not use it, and tell its publisher"
        )
    return str(PurePosixPath(*parts))


def _no_list(row: int | None, base_url: str) -> PrecordialError:
    return PrecordialError(
        "this is no list of files with checksums",
        file=base_url,
        row=row,
        remedy="open the address in a browser: a proxy or a login may stand before it",
    )


def _physionet(title: str, path: str, size: float, *always: str) -> Home:
    url = f"https://physionet.org/files/{path}"
    return Home(title, url, "/SHA256SUMS.txt", "SHA256SUMS.txt", parse_sums, ("LICENSE*", *always), int(size))


# The sizes are counted from the numbers, lengths and rates of the recordings, two bytes a sample.
HOMES: dict[str, Home] = {
    "ptb-xl": _physionet("PTB-XL 1.0.3", "ptb-xl/1.0.3", 3.2e9, "*.csv"),
    "cinc2021": _physionet("PhysioNet/CinC Challenge 2021, 1.0.3", "challenge-2021/1.0.3", 13.5e9),
    "code-15": Home(
        "CODE-15 %",
        "https://zenodo.org/api/records/4916206",
        "",
        "zenodo.json",
        parse_zenodo,
        ("exams.csv",),
        unpacks=".hdf5",
    ),
    "ludb": _physionet("Lobachevsky University Database 1.0.1", "ludb/1.0.1", 3e7, "*.csv"),
}
