"""HL7 annotated ECG (aECG): the rhythm series; representative beats and annotations are not read.

A sequence of voltages is a list of digits, each of which stands for origin + digit × scale (SLIST_PQ); a sequence
of times says how far apart they are (GLIST). What the reader decides where the files leave room:

- Of several sets of sequences, in one rhythm series or more, the first of ten seconds or more is read, else the first.
- The time is that of the series, else that of the whole document, as written: the time of the place. A date without a
  time is no time.
- The age follows from the date of birth; the reported age is read where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from precordial.ecg import SECONDS, Ecg, Signal
from precordial.errors import UnusableEcg
from precordial.formats.reader import (
    Reader,
    age_from_birth,
    checked_leads,
    checked_rate,
    parse_number,
    parse_sex,
    plausible_age,
)
from precordial.formats.xml import parse_xml

# Ten seconds of 12 leads take 0.4 MB. The limits stop a bomb before it is parsed (8 MB of empty elements take 240 MB
# then) and before its sequences are read one by one; they leave room for two minutes of 12 leads at 500 Hz.
SIZE_LIMIT = 8 << 20
SEQUENCES_LIMIT = 1000
DIGIT_LIMIT = 1 << 31

_ROOT = re.compile(rb"""<(\w+:)?AnnotatedECG\b[^>]*["']urn:hl7-org:v3["']""")
_MICROVOLTS = {"nV": 1e-3, "uV": 1.0, "µV": 1.0, "μV": 1.0, "mV": 1e3, "V": 1e6}  # both signs for micro
_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "µs": 1e6, "μs": 1e6}
_PER_YEAR = {"a": 1.0, "mo": 12.0, "wk": 365.25 / 7, "d": 365.25, "h": 365.25 * 24}
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(\.\d+)?([+-]\d{4})?", re.ASCII)
_DAY = re.compile(r"(\d{4})(\d\d)(\d\d)(\d{2,6}(\.\d+)?([+-]\d{4})?)?", re.ASCII)
_SUBJECT = "componentOf/timepointEvent/componentOf/subjectAssignment/subject/trialSubject"
_TRIAL_SITE = "componentOf/timepointEvent/componentOf/subjectAssignment/componentOf/clinicalTrial/location/trialSite"
_REPORTED_AGE = "21612-7"  # LOINC


def read_aecg(path: Path) -> Ecg:
    """Read an HL7 annotated ECG; see the module for what is decided.

    Names of persons are not read, and the date of birth for the age only. Subject, time, age and sex may be missing.

    Args:
        path: the file.

    Returns:
        The rhythm waveform's leads, (leads, samples) float32 mV.

    Raises:
        UnusableEcg: see `precordial.errors.REASONS`.
    """
    root = parse_xml(path, SIZE_LIMIT, "AnnotatedECG")
    series, rate, leads, signal, uv_per_unit = _recording(root, path)
    recorded_at = _recorded_at(series, root)
    sex = _value(root, f"{_SUBJECT}/subjectDemographicPerson/administrativeGenderCode", "code")
    device = _find(series, "author/seriesAuthor/manufacturedSeriesDevice/manufacturerModelName")
    site = _find(root, "location/testingSite/location/name")
    site = _find(root, f"{_TRIAL_SITE}/location/name") if site is None else site
    return Ecg(
        signal,
        rate=rate,
        leads=leads,
        patient_id=_known(_value(root, f"{_SUBJECT}/id", "extension")),
        recorded_at=recorded_at,
        age=_age(root, recorded_at),
        sex=parse_sex(sex),
        device=None if device is None else _known(device.text),
        site=None if site is None else _known(site.text),
        uv_per_unit=uv_per_unit,
        source="aecg",
    )


def _path(path: str) -> str:
    return "/".join("{*}" + step for step in path.split("/"))


def _find(element: etree._Element, path: str) -> etree._Element | None:
    return element.find(_path(path))


def _value(element: etree._Element, path: str, attribute: str = "value") -> str:
    found = _find(element, path)
    return "" if found is None else found.get(attribute, "").strip()


def _known(text: str | None) -> str | None:
    """The text, or None where there is none; dashes and question marks stand for nothing."""
    stripped = (text or "").strip()
    return stripped if stripped.strip("-? ") else None


_Recording = tuple[etree._Element, float, tuple[str, ...], Signal, float | None]


def _recording(root: etree._Element, path: Path) -> _Recording:
    """The first recording of ten seconds or more, else the first."""
    first = None
    for recording in _recordings(root, path):
        first = first or recording
        _, rate, _, signal, _ = recording
        if signal.shape[1] >= SECONDS * rate:
            return recording
    if first is None:
        raise UnusableEcg("no-rhythm", "the rhythm series is missing or has no leads", file=path)
    return first


def _recordings(root: etree._Element, path: Path) -> Iterator[_Recording]:
    """Of each set of sequences: its series, rate, leads, (leads, samples) mV, and µV per unit if leads share them."""
    if sum(1 for _ in root.iter("{*}sequence")) > SEQUENCES_LIMIT:
        raise UnusableEcg("unsupported", f"more than {SEQUENCES_LIMIT} sequences; an ECG has a few dozen", file=path)
    for series in root.iterfind(_path("component/series")):
        if _value(series, "code", "code").upper() != "RHYTHM":
            continue
        for sequences in series.iterfind(_path("component/sequenceSet")):
            times: list[etree._Element] = []
            voltages: dict[str, etree._Element] = {}
            for sequence in sequences.iterfind(_path("component/sequence")):
                kind, value = _value(sequence, "code", "code"), _find(sequence, "value")
                lead = kind.upper().partition("ECG_LEAD_")[2]
                if value is not None and kind.upper().startswith("TIME_"):
                    times.append(value)
                elif value is not None and lead:
                    if lead in voltages:
                        raise UnusableEcg("unreadable", "a lead stands twice", file=path)
                    voltages[lead] = value
            if voltages:
                leads = checked_leads(voltages, path)
                yield series, _rate(times, path), leads, *_signal(list(voltages.values()), path)


def _rate(times: list[etree._Element], path: Path) -> float:
    """Samples per second, from the first sequence of times."""
    step = parse_number(_value(times[0], "increment")) if times else None
    per_second = _PER_SECOND.get(_value(times[0], "increment", "unit")) if times else None
    if not step or per_second is None:
        raise UnusableEcg("unreadable", "the time between samples is missing or in no known unit", file=path)
    return checked_rate(per_second / step, path)


def _signal(voltages: list[etree._Element], path: Path) -> tuple[Signal, float | None]:
    """(leads, samples) mV, and µV per unit if all leads share them and zero is a whole unit."""
    scales = [_microvolts(value, "scale", path) for value in voltages]
    origins = [_microvolts(value, "origin", path) for value in voltages]
    if not all(1e-6 <= scale <= 1e6 for scale in scales):
        raise UnusableEcg("unreadable", "the amplitude of one unit is impossible", file=path)
    signal: Signal | None = None
    for i, (value, scale, origin) in enumerate(zip(voltages, scales, origins, strict=True)):
        digits = _digits(value, path)
        if signal is None:
            signal = np.empty((len(voltages), len(digits)), np.float32)
        if len(digits) != signal.shape[1]:
            raise UnusableEcg("unreadable", "its leads differ in length", file=path)
        signal[i] = digits * (scale / 1000) + origin / 1000
    assert signal is not None
    whole = len(set(scales)) == 1 and all((origin / scales[0]).is_integer() for origin in origins)
    return signal, scales[0] if whole else None


def _microvolts(value: etree._Element, name: str, path: Path) -> float:
    """The scale or the origin in µV; an origin that is not there is zero."""
    if name == "origin" and _find(value, name) is None:
        return 0.0
    number = parse_number(_value(value, name))
    unit = _MICROVOLTS.get(_value(value, name, "unit"))
    if unit is None:
        raise UnusableEcg("unsupported", "a lead is in no unit of voltage that is known", file=path)
    if number is None or abs(number * unit) > 1e9:
        raise UnusableEcg("unreadable", f"the {name} of a lead is missing or impossible", file=path)
    return number * unit


def _digits(value: etree._Element, path: Path) -> NDArray[np.int64]:
    element = _find(value, "digits")
    text = "" if element is None or len(element) else element.text or ""
    try:
        digits = np.fromstring(text, np.int64, sep=" ")
    except ValueError:  # older releases of NumPy stop there without an error, so that numbers are counted too
        digits = np.empty(0, np.int64)
    dark = np.frombuffer(f" {text}".encode(), np.uint8) > ord(" ")
    count = np.count_nonzero(dark[1:] & ~dark[:-1])
    if not count or len(digits) != count or not -DIGIT_LIMIT <= digits.min() <= digits.max() <= DIGIT_LIMIT:
        raise UnusableEcg("unreadable", "the digits of a lead are missing or are not whole numbers", file=path)
    return digits


def _recorded_at(series: etree._Element, root: etree._Element) -> datetime | None:
    for element in (series, root):
        for place in ("effectiveTime/low", "effectiveTime/center", "effectiveTime"):
            moment = _TIME.fullmatch(_value(element, place))
            if moment is not None:
                year, month, day, hour, minute, second = (int(part or 0) for part in moment.groups()[:6])
                try:
                    return datetime(year, month, day, hour, minute, second)
                except ValueError:
                    continue
    return None


def _age(root: etree._Element, recorded_at: datetime | None) -> float | None:
    """Whole days from birth to the ECG in years of 365.25 days, else the reported age."""
    born = _DAY.fullmatch(_value(root, f"{_SUBJECT}/subjectDemographicPerson/birthTime"))
    if born is not None and recorded_at is not None:
        try:
            day = date(int(born[1]), int(born[2]), int(born[3]))
            return age_from_birth(day, recorded_at)
        except ValueError:
            pass
    for observation in root.iterfind(_path("controlVariable/relatedObservation")):
        if _value(observation, "code", "code") == _REPORTED_AGE:
            age = parse_number(_value(observation, "value"))
            per_year = _PER_YEAR.get(_value(observation, "value", "unit"))
            return plausible_age(age / per_year) if age is not None and per_year else None
    return None


AECG = Reader("aecg", lambda head: _ROOT.search(head.replace(b"\0", b"")) is not None, read_aecg)
