"""SCP-ECG (EN 1064, ISO 11073-91064): sections of binary data, each with a checksum, as the whole file has one.

The rhythm of Section 6 is read, stored plainly or in Huffman codes, as it is or as differences, with the reference
beats of Section 5 added again where they were subtracted.

What the reader decides where files and standard leave room:

- A checksum that does not match is taken as damage: of the file, or of a section that is read.
- Bimodal compression is refused. It keeps every fourth value or so outside the QRS complexes, and how the rest is
  to be made up again differs between the programs that do it; there was no file to hold one against.
- Leads of different beginnings or ends are refused, since they were not recorded at the same time.
- Patient id, date and time may be missing, as in WFDB records. Names are not read; the date of birth is read for the
  age only, where the file says no age.
"""

from __future__ import annotations

import binascii
import math
import struct
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import Ecg, Sex
from precordial.errors import UnusableEcg
from precordial.formats.reader import Reader, age_from_birth, checked_leads, checked_rate, plausible_age, read_bytes
from precordial.formats.scp_coding import Table, decode, integrate, read_tables

SIZE_LIMIT = 1 << 20  # bytes; a lead can have no more than 65 535, and a ten-second file has 34 kB
SAMPLES_LIMIT = 2_000_000  # of all leads; more than twelve leads of that size can hold

# The standard's numbers of the twelve leads; a lead of another number is called by it.
LEADS = {1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6"}
LEADS |= {61: "III", 62: "aVR", 63: "aVL", 64: "aVF"}

_PER_YEAR = {1: 1.0, 2: 12.0, 3: 365.25 / 7, 4: 365.25, 5: 365.25 * 24}  # years, months, weeks, days, hours
_SEXES: dict[int, Sex] = {1: "male", 2: "female"}
_SECTION = struct.Struct("<HHI8x")  # checksum, number, length with this header; versions and a reserved part follow
_POINTER = struct.Struct("<HII")  # number, length, and where it begins, counted from 1


@dataclass(frozen=True)
class Rhythm:
    """What Sections 5 and 6 hold: `digital`, (leads, samples), in units of `nanovolts`, a sample each `interval` µs."""

    digital: NDArray[np.int64]
    nanovolts: int
    interval: int


def read_scp(path: Path) -> Ecg:
    """Read an SCP-ECG file; see the module for what is decided.

    Args:
        path: the file.

    Returns:
        The rhythm, (leads, samples) float32 mV.

    Raises:
        UnusableEcg: see `precordial.errors.REASONS`.
    """
    data = read_bytes(path, SIZE_LIMIT)
    try:
        sections = _sections(data, path)
        rhythm, leads = _rhythm(sections, path)
        tags = _tags(sections.get(1, b""))
        age, recorded_at = _age_and_time(tags)
    except (struct.error, IndexError):  # a field beyond the end of its section
        raise UnusableEcg("unreadable", "a section is shorter than what it announces", file=path) from None
    device = tags.get(14, b"")
    language = device[16] if len(device) > 16 else 0
    return Ecg(
        (rhythm.digital * rhythm.nanovolts / 1e6).astype(np.float32),
        rate=checked_rate(1e6 / rhythm.interval, path),
        leads=checked_leads(leads, path),
        patient_id=_text(tags.get(2, b""), language),
        recorded_at=recorded_at,
        age=plausible_age(age),
        sex=_SEXES.get(tags.get(8, b"\0")[0]) if tags.get(8) else None,
        device=_text(device[8:14], 0),
        site=_text(tags.get(16, b""), language) or _text(tags.get(18, b""), language),
        uv_per_unit=rhythm.nanovolts / 1000,
        source="scp",
    )


def looks_like_scp(head: bytes) -> bool:
    """Whether the first bytes of a file are the record's length and a Section 0 that points to itself."""
    if len(head) < 32 or head[8:10] != b"\0\0":
        return False
    return head[16:22] == b"SCPECG" or _POINTER.unpack_from(head, 22)[::2] == (0, 7)


def _sections(data: bytes, path: Path) -> dict[int, bytes]:
    """The contents of the sections up to 6 that are there, and of Section 12, without their headers."""
    checksum, length = struct.unpack_from("<HI", data)
    if not 6 < length <= len(data):
        raise UnusableEcg("unreadable", f"{len(data)} bytes are there of the {length} announced", file=path)
    data = data[:length]
    if binascii.crc_hqx(data[2:], 0xFFFF) != checksum:
        raise UnusableEcg("bad-checksum", "the checksum of the file does not match", file=path)
    sections = {0: _section(data, 0, 6, path)}
    pointers = sections[0]
    for at in range(0, len(pointers) - _POINTER.size + 1, _POINTER.size):
        number, size, begin = _POINTER.unpack_from(pointers, at)
        if size and number not in sections and (number <= 6 or number == 12):
            sections[number] = _section(data, number, begin - 1, path)
    return sections


def _section(data: bytes, number: int, begin: int, path: Path) -> bytes:
    if not 0 <= begin <= len(data) - _SECTION.size:
        raise UnusableEcg("unreadable", f"Section {number} lies outside the file", file=path)
    checksum, found, length = _SECTION.unpack_from(data, begin)
    section = data[begin : begin + length]
    if found != number or not _SECTION.size <= length == len(section):
        raise UnusableEcg("unreadable", f"Section {number} is not where the file says, or is cut off", file=path)
    if binascii.crc_hqx(section[2:], 0xFFFF) != checksum:
        raise UnusableEcg("bad-checksum", f"the checksum of Section {number} does not match", file=path)
    return section[_SECTION.size :]


def _rhythm(sections: dict[int, bytes], path: Path) -> tuple[Rhythm, list[str]]:
    """The whole rhythm, and the names of its leads."""
    if 6 not in sections:
        if 12 in sections:
            raise UnusableEcg("unsupported", "a long-term recording without a resting ECG", file=path)
        raise UnusableEcg("no-rhythm", "the rhythm data (Section 6) are missing", file=path)
    if 3 not in sections:
        raise UnusableEcg("unreadable", "the definition of the leads (Section 3) is missing", file=path)
    count, kind = struct.unpack_from("<BB", sections[3])
    leads = list(struct.iter_unpack("<IIB", sections[3][2 : 2 + 9 * count]))
    if not leads or len(leads) < count:
        raise UnusableEcg("unreadable", "leads are announced and not defined", file=path)
    if len({lead[:2] for lead in leads}) > 1:
        raise UnusableEcg("unsupported", "its leads were not recorded at the same time", file=path)
    first, last, _ = leads[0]
    tables = read_tables(sections[2], path) if 2 in sections else []
    rhythm = _lead_data(sections[6], count, last - first + 1, tables, path)
    beats_subtracted, bimodal = kind & 1, sections[6][5]
    if beats_subtracted and not {4, 5} <= sections.keys():
        raise UnusableEcg("unreadable", "the reference beat (Sections 4 and 5) is missing", file=path)
    at_full_rate = 5 in sections and struct.unpack_from("<H", sections[5], 2)[0] == rhythm.interval
    if (beats_subtracted or bimodal) and not at_full_rate:
        raise UnusableEcg(
            "unsupported",
            "bimodal compression, which leaves samples out",
            file=path,
            remedy="export it again without this compression",
        )
    if beats_subtracted:
        rhythm = _add_beats(rhythm, first, sections, tables, path)
    return rhythm, [LEADS.get(code, f"lead {code}") for _, _, code in leads]


def _lead_data(section: bytes, leads: int, samples: int, tables: list[Table], path: Path) -> Rhythm:
    """The numbers that Section 5 or 6 holds for each lead."""
    nanovolts, interval, differences = struct.unpack_from("<HHB", section)
    if not nanovolts or not interval or differences > 2:
        raise UnusableEcg("unreadable", "its unit, sample interval or kind of differences is impossible", file=path)
    if not 0 < samples * leads <= SAMPLES_LIMIT:
        raise UnusableEcg("unreadable", f"{leads} leads cannot have {samples} samples each", file=path)
    sizes = struct.unpack_from(f"<{leads}H", section, 6)
    digital = np.empty((leads, samples), np.int64)
    at = 6 + 2 * leads
    for row, size in zip(digital, sizes, strict=True):
        stored = section[at : at + size]
        if tables:
            row[:] = decode(stored, samples, tables, path)
        elif len(stored) < 2 * samples:
            raise UnusableEcg("unreadable", f"a lead has {len(stored) // 2} of its {samples} samples", file=path)
        else:
            row[:] = np.frombuffer(stored, "<i2", samples)
        at += size
    return Rhythm(integrate(digital, differences), nanovolts, interval)


def _add_beats(rhythm: Rhythm, first: int, sections: dict[int, bytes], tables: list[Table], path: Path) -> Rhythm:
    """Add the reference beat to the residual at each place where it was subtracted.

    Sample numbers count from 1, in the beat as in the rhythm; the fiducial points of both lie on one another.
    """
    milliseconds, fiducial, count = struct.unpack_from("<HHH", sections[4])
    leads, samples = rhythm.digital.shape
    beat = _lead_data(sections[5], leads, round(milliseconds * 1000 / rhythm.interval), tables, path)
    nanovolts = math.gcd(rhythm.nanovolts, beat.nanovolts)
    whole = rhythm.digital * (rhythm.nanovolts // nanovolts)
    scaled = beat.digital * (beat.nanovolts // nanovolts)
    added = 0
    for at in range(6, 6 + 14 * count, 14):
        kind, begin, middle, end = struct.unpack_from("<HIII", sections[4], at)
        if kind != 0:  # a beat of another type than the reference
            continue
        shift = fiducial - 1 - (middle - first)  # from a column of the rhythm to the beat's
        start = max(begin - first, 0, -shift)
        stop = min(end - first + 1, samples, scaled.shape[1] - shift)
        if start < stop:
            whole[:, start:stop] += scaled[:, start + shift : stop + shift]
            added += stop - start
        if added > 2 * samples:
            raise UnusableEcg("unreadable", "the places of its beats lie over one another", file=path)
    return Rhythm(whole, nanovolts, rhythm.interval)


def _tags(section: bytes) -> dict[int, bytes]:
    """The fields of Section 1 that are used, by their tags; of several the first."""
    tags: dict[int, bytes] = {}
    at = 0
    while at < len(section) and section[at] != 255:
        tag, length = struct.unpack_from("<BH", section, at)
        if at + 3 + length > len(section):
            raise IndexError
        if tag in {2, 4, 5, 8, 14, 16, 18, 25, 26}:
            tags.setdefault(tag, section[at + 3 : at + 3 + length])
        at += 3 + length
    return tags


def _age_and_time(tags: dict[int, bytes]) -> tuple[float | None, datetime | None]:
    """Age in years, and the local time of the recording; None for what is not said or is not possible."""
    date, clock = _date(tags.get(25, b"")), tags.get(26, b"")
    recorded_at = None
    if date is not None and len(clock) == 3 and clock[0] < 24 and max(clock[1:]) < 60:
        recorded_at = date.replace(hour=clock[0], minute=clock[1], second=clock[2])
    if len(tags.get(4, b"")) == 3:
        number, unit = struct.unpack("<HB", tags[4])
        if number and unit in _PER_YEAR:
            return number / _PER_YEAR[unit], recorded_at
    born = _date(tags.get(5, b""))
    return age_from_birth(born.date(), date) if born else None, recorded_at


def _date(field: bytes) -> datetime | None:
    try:
        return datetime(*struct.unpack("<HBB", field))
    except (struct.error, ValueError):
        return None


def _text(field: bytes, language: int) -> str | None:
    """A text up to its first zero; None for an empty one."""
    if language == 7:  # the code for ISO 10646, in two bytes each
        text = field.decode("utf-16-le", "replace")
    else:
        try:
            text = field.split(b"\0")[0].decode()
        except UnicodeDecodeError:
            text = field.split(b"\0")[0].decode("latin-1")
    return text.split("\0")[0].strip() or None


SCP = Reader("scp", looks_like_scp, read_scp)
