"""GE MUSE RestingECG XML: the Rhythm waveform, 16-bit little-endian in base64, with a CRC32 per lead.

The CRC32 is zlib's, of the bytes behind the base64, written in decimal; so it is for all 48 leads of the three
files of MUSE 9 at hand. A lead without one is read, and the ECG is flagged `Flag.NO_CHECKSUM`.
"""

from __future__ import annotations

import re
import zlib
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from precordial.ecg import Ecg, Flag
from precordial.errors import UnusableEcg
from precordial.formats.reader import (
    Reader,
    checked_leads,
    checked_rate,
    parse_number,
    parse_sex,
    plausible_age,
)
from precordial.formats.xml import decode_base64, parse_with_bodies, text

# A ten-second file has 0.15 MB. The limit stops a bomb before it is parsed: 8 MB of empty elements take 300 MB parsed.
SIZE_LIMIT = 8 << 20

_ROOT = re.compile(rb"<(!DOCTYPE\s+)?RestingECG\b")
_DATE = re.compile(r"(\d{1,2})-(\d{1,2})-(\d{4})")  # month first
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})")
_PER_YEAR = {"YEARS": 1.0, "MONTHS": 12.0, "WEEKS": 365.25 / 7, "DAYS": 365.25, "HOURS": 365.25 * 24}
_MICROVOLTS = {"MICROVOLTS": 1.0, "MILLIVOLTS": 1000.0}


def read_muse(path: Path, *, check_median: bool = False) -> Ecg:
    """Read a GE MUSE RestingECG XML file.

    Names and the date of birth are not read. Age and sex may be missing.

    Args:
        path: the file.
        check_median: also reject the ECG for a missing or faulty Median waveform, as the authors' code does.

    Returns:
        The Rhythm waveform's stored leads, (leads, samples) float32 mV.

    Raises:
        UnusableEcg: see `precordial.errors.REASONS`.
    """
    root, bodies = parse_with_bodies(path, SIZE_LIMIT, "RestingECG", "WaveFormData")
    patient_id = text(root, "PatientDemographics/PatientID")
    if not patient_id:
        raise UnusableEcg("no-patient-id", "the patient id is missing", file=path)
    recorded_at = _moment(
        text(root, "TestDemographics/AcquisitionDate"), text(root, "TestDemographics/AcquisitionTime")
    )
    if recorded_at is None:
        raise UnusableEcg("no-time", "the acquisition date or time is missing or is not a date", file=path)
    rhythm = _waveform(root, "Rhythm")
    if rhythm is None:
        raise UnusableEcg("no-rhythm", "the Rhythm waveform is missing", file=path)
    if check_median:
        median = _waveform(root, "Median")
        if median is None:
            raise UnusableEcg("unreadable", "the Median waveform is missing", file=path)
        _leads(median, bodies, path)
    leads, digital, microvolts, flags = _leads(rhythm, bodies, path)
    signal = np.empty(digital.shape, np.float32)
    # Products of doubles, rounded as they are written: an array of doubles would not fit the processor's cache.
    np.multiply(digital, (np.array(microvolts) / 1000)[:, None], out=signal, dtype=np.float64, casting="unsafe")
    age = parse_number(text(root, "PatientDemographics/PatientAge"))
    per_year = _PER_YEAR.get(text(root, "PatientDemographics/AgeUnits").upper())
    return Ecg(
        signal,
        rate=_rate(rhythm, path),
        leads=leads,
        patient_id=patient_id,
        recorded_at=recorded_at,
        age=plausible_age(age / per_year) if age is not None and per_year else None,
        sex=parse_sex(text(root, "PatientDemographics/Gender")),
        device=text(root, "TestDemographics/AcquisitionDevice") or None,
        site=text(root, "TestDemographics/SiteName") or text(root, "TestDemographics/Site") or None,
        uv_per_unit=microvolts[0] if len(set(microvolts)) == 1 else None,
        flags=flags,
        source="muse",
    )


def _waveform(root: etree._Element, kind: str) -> etree._Element | None:
    """The first waveform of a kind, if it has leads."""
    found = (waveform for waveform in root.iterfind("Waveform") if text(waveform, "WaveformType") == kind)
    waveform = next(found, None)
    return None if waveform is None or waveform.find("LeadData") is None else waveform


def _moment(date: str, time: str) -> datetime | None:
    day, clock = _DATE.fullmatch(date), _TIME.fullmatch(time)
    if day is None or clock is None:
        return None
    hour, minute, second = map(int, clock.groups())
    try:
        return datetime(int(day[3]), int(day[1]), int(day[2]), hour, minute, second)
    except ValueError:
        return None


def _rate(waveform: etree._Element, path: Path) -> float:
    base = parse_number(text(waveform, "SampleBase"))
    exponent = parse_number(text(waveform, "SampleExponent") or "0")
    if base is None or exponent is None or not -9 <= exponent <= 9:
        raise UnusableEcg("unreadable", "the sampling rate is missing or is not a number", file=path)
    return checked_rate(base * 10**exponent, path)


def _leads(
    waveform: etree._Element, bodies: list[bytes], path: Path
) -> tuple[tuple[str, ...], NDArray[np.int16], list[float], Flag]:
    """Names, integers (leads, samples), µV per unit of each lead, and whether checksums were missing."""
    fields = [_fields(element) for element in waveform.iterfind("LeadData")]
    names = checked_leads((one.get("LeadID", "") for one in fields), path)
    traces, flags = [], Flag(0)
    for name, one in zip(names, fields, strict=True):
        data, checked = _samples(one, bodies, name or "without a name", path)
        traces.append(np.frombuffer(data, "<i2"))
        flags |= Flag(0) if checked else Flag.NO_CHECKSUM
    if len({len(trace) for trace in traces}) > 1:
        raise UnusableEcg("unreadable", "its leads differ in length", file=path)
    if len({one.get("LeadTimeOffset") or "0" for one in fields}) > 1:
        raise UnusableEcg("unsupported", "its leads were not recorded at the same time", file=path)
    return names, np.stack(traces), [_microvolts(one, path) for one in fields], flags


def _fields(element: etree._Element) -> dict[str, str]:
    """The children of a lead and their texts; the first where one stands twice."""
    return {child.tag: (child.text or "").strip() for child in reversed(element) if isinstance(child.tag, str)}


def _samples(fields: dict[str, str], bodies: list[bytes], lead: str, path: Path) -> tuple[bytes, bool]:
    """The bytes of one lead, and whether there was a checksum to hold them against."""
    if fields.get("LeadSampleSize", "") not in {"", "2"}:
        raise UnusableEcg("unsupported", f"lead {lead} is not stored in 16 bits", file=path)
    try:
        data = decode_base64(bodies[int(fields["WaveFormData"])] if "WaveFormData" in fields else b"")
        crc, count = fields.get("LeadDataCRC32"), fields.get("LeadSampleCountTotal")
        crc_matches = not crc or int(crc) == zlib.crc32(data)
        count_matches = not count or 2 * int(count) == len(data)
    except ValueError:
        raise UnusableEcg("unreadable", f"the waveform of lead {lead} is damaged", file=path) from None
    if not data or len(data) % 2 or not count_matches:
        raise UnusableEcg("unreadable", f"lead {lead} does not have the samples announced", file=path)
    if not crc_matches:
        raise UnusableEcg("bad-checksum", f"the checksum of lead {lead} does not match", file=path)
    return data, bool(crc)


def _microvolts(fields: dict[str, str], path: Path) -> float:
    """µV per unit of one lead."""
    per_unit = parse_number(fields.get("LeadAmplitudeUnitsPerBit"))
    unit = _MICROVOLTS.get((fields.get("LeadAmplitudeUnits") or "MICROVOLTS").upper())
    if unit is None:
        raise UnusableEcg("unsupported", "a lead is neither in microvolts nor in millivolts", file=path)
    if per_unit is None or not 1e-6 <= per_unit * unit <= 1e6:
        raise UnusableEcg("unreadable", "the amplitude of one unit is missing or impossible", file=path)
    return per_unit * unit


MUSE = Reader(
    "muse",
    lambda head: _ROOT.search(head) is not None,
    read_muse,
    read_strictly=partial(read_muse, check_median=True),
)
