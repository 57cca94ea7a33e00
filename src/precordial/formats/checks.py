"""What the readers of binary formats share: other libraries' parsers held in, and samples that are no numbers."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import Flag, Signal
from precordial.errors import UnusableEcg

AMPLITUDE_LIMIT = 1e9  # mV; beyond every electrode, and far from where arithmetic in float32 overflows


def optional(package: str, what: str, extra: str, path: Path) -> ModuleType:
    """A package that not everyone installs.

    Args:
        package: what to import.
        what: the files that need it, to be said where it is missing.
        extra: the extra of precordial that installs it.
        path: the file to be read.

    Raises:
        UnusableEcg: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise UnusableEcg(
            "unsupported",
            f"{what} files need the package {name}",
            file=path,
            remedy=f"pip install 'precordial[{extra}]'",
        ) from None


@contextmanager
def held_in(path: Path, what: str) -> Iterator[None]:
    """Let another library parse bytes from strangers: it may warn and raise as it likes.

    Warnings are not shown; whatever is raised, but for an `UnusableEcg`, becomes ``unreadable``. Keep our own code
    outside, so that its faults are not taken for the file's.

    Args:
        path: the file that is read.
        what: what it should be, such as "the DICOM data set".
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnusableEcg:
        raise
    except Exception as error:
        raise UnusableEcg("unreadable", f"{what} is damaged ({type(error).__name__})", file=path) from None


def fill_gaps(signal: NDArray[np.floating], path: Path) -> tuple[Signal, Flag]:
    """A signal of floating-point numbers, with zeros where it has none.

    Args:
        signal: (leads, samples) mV; NaN stands for a missing sample.
        path: the file it is from.

    Returns:
        (leads, samples) float32 mV, rows contiguous, and `Flag.MISSING_SAMPLES` where there were any.

    Raises:
        UnusableEcg: a value is infinite, or larger than any voltage.

    >>> fill_gaps(np.array([[0.5, np.nan]]), Path("a.npy"))
    (array([[0.5, 0. ]], dtype=float32), <Flag.MISSING_SAMPLES: 16>)
    """
    missing = np.isnan(signal)
    if not missing.any():
        filled, flags = signal, Flag(0)
    else:
        filled, flags = np.where(missing, signal.dtype.type(0), signal), Flag.MISSING_SAMPLES
    if filled.size and not -AMPLITUDE_LIMIT <= filled.min() <= filled.max() <= AMPLITUDE_LIMIT:
        raise UnusableEcg("unreadable", "a sample is infinite or larger than any voltage", file=path)
    return np.ascontiguousarray(filled, np.float32), flags
