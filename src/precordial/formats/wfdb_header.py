"""WFDB headers: text into a `Header`.

Follows header(5) of the WFDB Applications Guide, and takes the deviations found in the files of the
PhysioNet/CinC Challenges: a record name with a suffix, and a date such as 05-May-2020 before the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from precordial.errors import UnusableEcg
from precordial.formats.reader import checked_rate
from precordial.formats.wfdb_storage import WIDE

DEFAULT_RATE = 250.0  # Hz, of a header without one
DEFAULT_GAIN = 200.0  # units per mV, where the gain is zero or missing
FORMATS = (8, 16, 24, 32, 61, 80, 160, 212, 310, 311, 508, 516, 524)  # those that the specification knows

_RECORD = re.compile(r"[^\s/#]+(/\d+)?[ \t]+\d{1,4}([ \t]+\d.*)?\s*$")
_SIGNAL = re.compile(rf"\S+[ \t]+({'|'.join(map(str, FORMATS))})(x\d+)?(:\d+)?(\+\d+)?(\s|$)")
_STORAGE = re.compile(r"(\d{1,3})(?:x(\d{1,6}))?(?::(\d{1,6}))?(?:\+(\d{1,9}))?")
_GAIN = re.compile(r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)(?:\((-?\d{1,10})\))?(?:/(\S+))?")
_COMMENT = re.compile(r"#\s*(\w+(?: \w+)?)\s*:\s*(.*)")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?")
_DATE = re.compile(r"(\d{1,2})([/-])(\d{1,2}|[A-Za-z]{3})\2(\d{4})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# How many mV one unit of the header's physical unit is. The micro sign and the Greek mu are both in use.
_MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3}


class Channel(NamedTuple):
    """One signal: `file` beside the header, storage `format` and byte `offset`, `gain` in units per mV.

    `initial` is what format 8 begins with, which stores differences only; 0 in other formats.
    """

    file: str
    format: int
    offset: int
    gain: float
    baseline: int
    initial: int
    checksum: int | None
    lead: str


@dataclass(frozen=True)
class Header:
    """A header; `samples` is None where it is not said. Comments such as ``#Age: 82`` under lower-case keys."""

    rate: float
    samples: int | None
    recorded_at: datetime | None
    channels: tuple[Channel, ...]
    comments: dict[str, str]


def looks_like_header(head: bytes) -> bool:
    """Whether the first bytes of a file are a record line with a signal line, or of several segments."""
    if b"\0" in head:
        return False
    lines = content_lines(head.decode("latin-1"))
    record = _RECORD.match(lines[0]) if lines else None
    return record is not None and (record[1] is not None or (len(lines) > 1 and bool(_SIGNAL.match(lines[1]))))


@lru_cache(maxsize=4)  # asked for to know a file, to find its companions, and to read it
def content_lines(text: str) -> list[str]:
    """The lines that are neither empty nor comments, stripped."""
    stripped = (line.strip() for line in text.split("\n"))
    return [line for line in stripped if line and not line.startswith("#")]


@lru_cache(maxsize=64)
def is_beside(name: str) -> bool:
    """Whether a file name stays in the header's own folder: a header must not reach for other files."""
    return not set(name) & set("/\\:\0") and name not in {".", "..", "-", "~"} and len(name.encode()) < 256


def parse_header(text: str, path: Path) -> Header:
    """Parse the text of the header file at `path` (named in errors only).

    Raises:
        UnusableEcg: ``unreadable`` where it breaks the format, ``unsupported`` for several segments, several
            samples per frame, skew, or a unit that is no voltage.
    """
    lines = content_lines(text)
    try:
        name, count, *fields = lines[0].split()
        signals = int(count)
        rate = float(fields[0].partition("/")[0]) if fields else DEFAULT_RATE
        samples = int(fields[1]) if len(fields) > 1 and fields[1].isdecimal() else 0
    except (IndexError, ValueError):
        raise UnusableEcg("unreadable", "the record line of the header is damaged", file=path) from None
    if "/" in name:
        raise UnusableEcg(
            "unsupported",
            "a record of several segments",
            file=path,
            remedy="give the headers of its segments, or join them with WFDB's xform",
        )
    if not 0 < signals < len(lines):
        raise UnusableEcg(
            "unreadable", f"the header announces {signals} signals and describes {len(lines) - 1}", file=path
        )
    return Header(
        rate=checked_rate(rate, path),
        samples=samples or None,
        recorded_at=_moment(fields[1:]),
        channels=tuple(_channel(line, i, path) for i, line in enumerate(lines[1 : signals + 1], 1)),
        comments=parse_comments(text),
    )


def parse_comments(text: str) -> dict[str, str]:
    """What a header's comments such as ``#Age: 82`` say, by their lower-case keys; of equal keys the last."""
    return {m[1].lower(): m[2].strip() for m in map(_COMMENT.match, text.split("\n")) if m}


def _moment(fields: list[str]) -> datetime | None:
    """Date and time in either order; None unless both are there and form one."""
    times = [m for m in map(_TIME.fullmatch, fields) if m]
    dates = [m for m in map(_DATE.fullmatch, fields) if m]
    if not times or not dates:
        return None
    day, _, month, year = dates[0].groups()
    hour, minute, second, fraction = times[0].groups()
    try:
        number = int(month) if month.isdecimal() else _MONTHS.index(month.lower()) + 1
        microsecond = int((fraction or "").ljust(6, "0"))
        return datetime(int(year), number, int(day), int(hour), int(minute), int(second), microsecond)
    except ValueError:
        return None


def _channel(line: str, number: int, path: Path) -> Channel:
    """One signal line. The fields that stand at its end may be missing; each then has its default."""
    fields = line.split(maxsplit=8)
    have = len(fields)
    coding = _coding(*fields[1:3], *fields[4:5]) if have > 1 else "damaged"
    if not isinstance(coding, str) and not is_beside(fields[0]):
        coding = "outside"
    if isinstance(coding, str):
        raise _wrong(coding, number, path)
    try:
        initial = 0
        if coding.format == 8 and have > 4:
            initial = int(fields[5] if have > 5 else fields[4])
        checksum = int(fields[6]) if have > 6 else None
    except ValueError:
        raise _wrong("damaged", number, path) from None
    if abs(initial) >= 1 << 30:
        raise _wrong("impossible", number, path)
    lead = fields[8] if have > 8 else f"signal {number}"
    return Channel(fields[0], coding.format, coding.offset, coding.gain, coding.baseline, initial, checksum, lead)


class _Coding(NamedTuple):
    format: int
    offset: int
    gain: float
    baseline: int


@lru_cache(maxsize=512)  # the lines of a set's headers hardly differ in this
def _coding(storage_field: str, gain_field: str = "0", zero_field: str = "0") -> _Coding | str:
    """How a signal is coded; or a word for what is wrong."""
    storage, gain = _STORAGE.fullmatch(storage_field), _GAIN.fullmatch(gain_field)
    if storage is None or gain is None:
        return "damaged"
    if int(storage[2] or 1) != 1 or int(storage[3] or 0) != 0:
        return "frames"
    scale = _MILLIVOLTS.get((gain[3] or "mV").lower())
    if scale is None:
        return "unit"
    try:
        units_per_mv = (float(gain[1]) or DEFAULT_GAIN) / scale
        zero = int(zero_field)
    except ValueError:
        return "damaged"
    baseline = int(gain[2]) if gain[2] is not None else zero
    # What is read from 16 bits is worked on in float32, where the difference from the baseline must be exact.
    bits = 31 if int(storage[1]) in WIDE else 23
    if not 1e-3 <= abs(units_per_mv) <= 1e9 or abs(baseline) >= 1 << bits:
        return "impossible"
    return _Coding(int(storage[1]), int(storage[4] or 0), units_per_mv, baseline)


def _wrong(what: str, number: int, path: Path) -> UnusableEcg:
    """The error of a signal line."""
    if what == "frames":
        problem, remedy = "has several samples per frame or is skewed", "rewrite the record with WFDB's xform"
        return UnusableEcg("unsupported", f"signal {number} {problem}", file=path, remedy=remedy)
    if what == "unit":
        return UnusableEcg(
            "unsupported", f"signal {number} is not in volts", file=path, remedy="keep the ECG leads only"
        )
    problems = {
        "damaged": f"the line of signal {number} is damaged",
        "outside": f"the line of signal {number} names a file outside the header's folder",
        "impossible": f"gain or baseline of signal {number} is impossible",
    }
    return UnusableEcg("unreadable", problems[what], file=path)
