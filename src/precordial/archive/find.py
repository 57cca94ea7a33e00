"""Which files under some folders are to be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from precordial.archive.taken import SourceFile
from precordial.errors import ArchiveError

# Files that belong to one of the same name and another suffix: a change of theirs is a change of the ECG.
COMPANIONS = {"hea": ("dat", "mat"), "npy": ("toml",), "npz": ("toml",), "csv": ("toml",)}
FOLDER_SIDECAR = "matrix.toml"  # of all matrices of a folder


def find_files(sources: Sequence[Path], *, archive: Path | None = None) -> Iterator[SourceFile]:
    """Every file to read, sorted by name within its folder, found as it is asked for.

    Data files of a WFDB header, and what describes a matrix, belong to it; a header kept as ``.orig`` beside its mended
    form is left alone. Hidden files, the archive itself, pipes and devices are not looked at.

    Raises:
        ArchiveError: the system does not let a folder be read.
    """
    for given in sources:
        source = given.resolve() if given.is_dir() else given.parent.resolve() / given.name
        base = str(source if source.is_dir() else source.parent)
        for folder, names, present in _folders(source, archive):
            below = os.path.relpath(folder, base).replace(os.sep, "/")
            prefix = "" if below == "." else f"{below}/"
            for name in names:
                path = Path(folder, name)
                own = _size_and_time(path)
                if own is None:
                    continue
                stem, _, suffix = name.rpartition(".")
                beside = [f"{stem}.{other}" for other in COMPANIONS.get(suffix, ())]
                if "toml" in COMPANIONS.get(suffix, ()):
                    beside.append(FOLDER_SIDECAR)
                others = (_size_and_time(Path(folder, other)) for other in beside if other in present)
                sizes, times = zip(own, *(other for other in others if other), strict=True)
                yield SourceFile(path, _as_text(prefix + name), sum(sizes), max(times))


def count_files(sources: Sequence[Path], *, archive: Path | None = None) -> int:
    """How many files `find_files` will find; 0 for a source that is not there."""
    return sum(len(names) for source in sources for _, names, _ in _folders(source, archive))


def check_sources(sources: Sequence[Path], *, archive: Path | None = None) -> None:
    """Raise an error for a source that is not there or holds no files, before anything is made."""
    for source in sources:
        if not source.exists():
            raise ArchiveError("there is no such file or folder", file=source, remedy="check the path")
        if not any(names for _, names, _ in _folders(source, archive)):
            raise ArchiveError("the folder holds no files", file=source, remedy="give the folder with the ECG files")


def _folders(source: Path, archive: Path | None) -> Iterator[tuple[str, list[str], set[str]]]:
    """Each folder below a source: its path, the names to be read in it, and all of its names."""
    walk = os.walk(source, onerror=_refuse) if source.is_dir() else iter([(str(source.parent), [], [source.name])])
    for folder, folders, names in walk:
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if archive is not None and Path(folder).resolve().is_relative_to(archive.resolve()):
            folders.clear()
            continue
        present = set(names)
        yield folder, [name for name in sorted(names) if _is_read(name, present)], present


def _refuse(error: OSError) -> None:
    """A folder that cannot be listed must not pass for an empty one; one that has just gone is none."""
    if not isinstance(error, FileNotFoundError):
        raise ArchiveError(
            f"the system does not let this folder be read ({error.strerror})",
            file=error.filename,
            remedy="get the right to read it, or give the folders beside it",
        )


def _size_and_time(path: Path) -> tuple[int, int] | None:
    """Bytes of a file, and when it was changed, in ns; None: it is none, such as a pipe, which may never end."""
    try:
        found = path.stat()
    except OSError:  # such as a link to nowhere; reading it will say what is wrong
        return 0, 0
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _as_text(name: str) -> str:
    """A name with what is no UTF-8 in it spelled out: on a disk any bytes are a name."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _is_read(name: str, present: set[str]) -> bool:
    stem, _, suffix = name.rpartition(".")
    owners = [owner for owner, own in COMPANIONS.items() if suffix in own]
    owned = any(f"{stem}.{owner}" in present for owner in owners) or name == FOLDER_SIDECAR
    return not (name.startswith(".") or owned or (suffix == "orig" and stem in present))
