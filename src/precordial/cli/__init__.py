"""The commands. Each is a few lines around a function of the package; settings live in the study's TOML file."""

from __future__ import annotations

import errno
import io
import sys
from typing import Any

import typer

# Each module gives its commands to the app.
from precordial.cli import archives, data, hospitals, statistics, studies  # noqa: F401
from precordial.cli.app import app
from precordial.errors import PrecordialError

# What a user can cause: no space, no right to write, a file where a folder should be, and the like.
USERS_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EMFILE,
    errno.EFBIG,
}
REMEDIES = {
    errno.ENOSPC: "; make room, and run the same command again",
    errno.EDQUOT: "; make room, and run the same command again",
    errno.EFBIG: "; allow larger files (ulimit -f), and run the same command again",
}


def main() -> None:
    """Entry point: a user's mistake is one line and exit code 2, Ctrl-C is 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not every terminal, nor every file name, knows all letters
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False, prog_name="precordial")
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except PrecordialError as error:
        print(f"precordial: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        print("\nprecordial: stopped; what was finished is kept, the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in USERS_ERRORS and not (error.errno == errno.ENOENT and error.filename):
            raise
        file = error.filename2 or error.filename  # of a file that was to be renamed, its name in the end
        where = f"{file}: " if file else ""
        remedy = REMEDIES.get(error.errno, "")
        print(f"precordial: {where}{error.strerror or error} (says the system){remedy}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        # Typer brings its own copy of click's errors, known by what they can do.
        if not hasattr(error, "show") or not hasattr(error, "format_message"):
            raise
        _complain(error)


def _complain(error: Any) -> None:
    """Say a wrong option in one line."""
    message = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    context = getattr(error, "ctx", None)
    if message:
        print(f"precordial: {message}; see {context.command_path if context else 'precordial'} --help", file=sys.stderr)
    else:  # no word at all was given, and the help is shown
        error.show()
    sys.exit(2)
