"""A hospital's folder appears whole or not at all."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from precordial.errors import PrecordialError


@contextmanager
def whole_folder(out: Path, names: Sequence[str], remedy: str) -> Iterator[Path]:
    """Give a folder beside `out` to write into, and rename it when all went well; else nothing of it stays.

    Args:
        out: must not exist, or be empty.
        names: what may be in it: a folder of this name that holds anything else is left alone.
        remedy: of a full disk.

    Raises:
        PrecordialError: the folder is in use, or the disk is full.
    """
    partial = _empty(out, names)
    try:
        yield partial
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PrecordialError("the disk is full; what was written is removed", file=out, remedy=remedy) from error
        raise


def _empty(out: Path, names: Sequence[str]) -> Path:
    """The folder to write into, beside the final one; what a killed run left there is removed."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PrecordialError("there is something here already", file=out, remedy="name a new or an empty folder")
    partial = out.with_name(out.name + ".partial")
    if partial.exists():
        if not partial.is_dir() or not {path.name for path in partial.iterdir()} <= set(names):
            raise PrecordialError("this is no unfinished hospital", file=partial, remedy="move it away")
        shutil.rmtree(partial)
    return partial
