"""What a reader is, and the few checks that all readers share."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from precordial.ecg import TWELVE, Ecg, Sex, canonical_lead
from precordial.errors import UnusableEcg

HEAD_BYTES = 4096  # how much of a file a reader sees when it is asked whether the file is its own


def no_companions(path: Path) -> tuple[Path, ...]:
    """The further files of a record, for formats whose record is one file: none."""
    return ()


@dataclass(frozen=True)
class Several:
    """How the ECGs of a file that holds more than one are read.

    Attributes:
        count: how many the file holds, without reading them. Raises `UnusableEcg` for a damaged file.
        find: the number of the ECG with a name; None: there is none. Raises as `count`.
        read: the ECGs from one number to before another, in the file's order, each with its name, which is unique
            in the file; an `UnusableEcg` in place of an ECG that cannot be read.
    """

    count: Callable[[Path], int]
    find: Callable[[Path, str], int | None]
    read: Callable[[Path, int, int], Iterator[tuple[str, Ecg | UnusableEcg]]]

    def only(self, path: Path) -> Ecg:
        """The ECG of a file that holds one.

        Raises:
            UnusableEcg: it cannot be read; ``unsupported`` for a file that holds more.
        """
        count = self.count(path)
        if count != 1:
            remedy = "give one as FILE#NAME, or ingest the file"
            raise UnusableEcg("unsupported", f"holds {count} ECGs", file=path, remedy=remedy)
        ((_, ecg),) = self.read(path, 0, 1)
        if isinstance(ecg, UnusableEcg):
            raise ecg
        return ecg


@dataclass(frozen=True)
class Reader:
    """One ECG file format.

    Attributes:
        name: the format's name, also each `Ecg`'s `source`.
        matches: whether a file is of this format, from its first `HEAD_BYTES` bytes.
        read: reads one file; all its leads, at its own rate and length.
        companions: the existing files that belong to the record besides the one that is read, such as the
            ``.dat`` of a WFDB header. They are no ECG files of their own. Never raises for a damaged file.
        several: for formats whose files may hold more than one ECG; `read` then reads the files that hold one.
        read_strictly: as `read`, but also refuses faults outside the recording itself; None: there are none such.
    """

    name: str
    matches: Callable[[bytes], bool]
    read: Callable[[Path], Ecg]
    companions: Callable[[Path], tuple[Path, ...]] = no_companions
    several: Several | None = None
    read_strictly: Callable[[Path], Ecg] | None = None


@contextmanager
def each_file_once() -> Iterator[None]:
    """Within, a file that is asked for more than once, to be known, digested and read, is read from disk once."""
    token = _HELD.set({})
    try:
        yield
    finally:
        _HELD.reset(token)


_HELD: ContextVar[dict[Path, bytes] | None] = ContextVar("held", default=None)
HOLD_LIMIT = 64 << 20  # bytes of a file that is kept in memory meanwhile


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file.

    Raises:
        UnusableEcg: the system does not let it be read.
    """
    return _load(path, HOLD_LIMIT if _HELD.get() is not None else count, count)[:count]


def read_bytes(path: Path, limit: int) -> bytes:
    """The whole of a file that is not larger than `limit` bytes.

    Raises:
        UnusableEcg: it is larger, or the system does not let it be read.
    """
    data = _load(path, limit, limit + 1)
    if len(data) > limit:
        raise UnusableEcg(
            "unsupported",
            f"larger than {limit >> 20} MB; a resting ECG takes less than 1 MB",
            file=path,
            remedy="cut the recording first",
        )
    return data


def _load(path: Path, limit: int, enough: int) -> bytes:
    """A file, if it has no more than `limit` bytes; else as many as are enough."""
    held = _HELD.get()
    if held is not None and path in held:
        return held[path]
    try:
        with path.open("rb", buffering=0) as file:
            small = os.fstat(file.fileno()).st_size <= limit
            data = file.readall() if small else file.read(enough)
    except OSError as error:
        raise UnusableEcg("unreadable", f"the system could not read it ({error.strerror})", file=path) from error
    if held is not None and small and len(data) <= HOLD_LIMIT:
        held[path] = data
    return data


def checked_rate(rate: float, path: Path) -> float:
    """A sampling rate in Hz, if an electrocardiograph could have it."""
    if not 1 <= rate <= 100_000:  # also catches NaN
        raise UnusableEcg("unreadable", "the sampling rate is not between 1 and 100 000 Hz", file=path)
    return rate


def checked_leads(names: Iterable[str], path: Path) -> tuple[str, ...]:
    """Lead names as in `TWELVE` where they are one of the twelve; none of these may stand twice."""
    leads = tuple(canonical_lead(name) for name in names)
    twice = [lead for lead, count in Counter(leads).items() if count > 1 and lead in TWELVE]
    if twice:
        raise UnusableEcg("unreadable", f"lead {', '.join(twice)} stands twice", file=path)
    return leads


def parse_sex(text: str | None) -> Sex | None:
    """Sex from the words and letters that headers use; None for anything else.

    >>> parse_sex("FEMALE"), parse_sex("m"), parse_sex("Unknown")
    ('female', 'male', None)
    """
    word = (text or "").strip().lower()
    return "female" if word in {"female", "f"} else "male" if word in {"male", "m"} else None


def parse_number(text: str | None) -> float | None:
    """A finite number, or None.

    >>> parse_number("4.88"), parse_number("NaN"), parse_number("n/a")
    (4.88, None, None)
    """
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def plausible_age(years: float | None) -> float | None:
    """The age in years, or None where no one can have it."""
    return years if years is not None and 0 <= years <= 125 else None


def age_from_birth(born: date, recorded_at: date | None) -> float | None:
    """Whole days from birth to the ECG in years of 365.25 days; None where no one can have it, or there is no date.

    >>> age_from_birth(date(2020, 5, 10), datetime(2021, 5, 10, 13, 5))  # 365 days
    0.999315537303217
    """
    if recorded_at is None:
        return None
    day = recorded_at.date() if isinstance(recorded_at, datetime) else recorded_at
    return plausible_age((day - born).days / 365.25)
