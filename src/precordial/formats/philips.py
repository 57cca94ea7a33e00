"""Philips Sierra ECG XML 1.03, 1.04 and 1.04.01: the continuous waveform, plain or compressed (XLI).

What the reader decides where the files leave room:

- The attributes of ``parsedwaveforms`` hold for the samples; ``signalcharacteristics`` says how the signal was
  acquired and stands in where they are silent, as in 1.03. The resolution is in µV, as the schema of 1.04.01 has it.
- Electrocardiographs write 11 s and end them with a calibration pulse of 1 mV (10.7 s to 10.9 s). It is handed
  on, since it is in the file; `precordial.ecg.normalise` keeps the first ten seconds, which are free of it.
- The age that a device assumes where it was told none (``defaultage``) is not the patient's and not read.
- A ``crc`` of the whole document may be there; how it is computed is not published, so that it is not compared.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from precordial.ecg import TWELVE, Ecg
from precordial.errors import UnusableEcg
from precordial.formats.philips_xli import decode_xli
from precordial.formats.reader import (
    Reader,
    age_from_birth,
    checked_leads,
    checked_rate,
    parse_number,
    parse_sex,
    plausible_age,
)
from precordial.formats.xml import decode_base64, parse_xml

VERSIONS = ("1.03", "1.04", "1.04.01")

# A file has 0.06 MB (compressed) to 0.5 MB (plain, UTF-16). The limits stop a bomb before it is parsed (8 MB of empty
# elements take 240 MB then) and before it is decompressed; they leave room for two minutes of 12 leads at 500 Hz.
SIZE_LIMIT = 8 << 20
SAMPLES_LIMIT = 1 << 20

_ROOT = re.compile(rb"<(\w+:)?restingecgdata\b")
_PER_YEAR = {
    "years": 1.0,
    "months": 12.0,
    "weeks": 365.25 / 7,
    "days": 365.25,
    "hours": 365.25 * 24,
    "minutes": 365.25 * 24 * 60,
}
_SETTINGS = {  # attributes of 1.04, and what 1.03 calls them
    "dataencoding": "dataencoding",
    "compressflag": "compressflag",
    "compression": "compressmethod",
    "leadlabels": "leadset",
    "numberofleads": "numberchannelsallocated",
    "durationperchannel": "durationperchannel",
    "samplespersecond": "samplingrate",
    "resolution": "signalresolution",
    "signaloffset": "signaloffset",
    "signalsigned": "signalsigned",
    "bitspersample": "nbitspersample",
}
_SITES = ("institutionname", "facilityname", "departmentname", "departmentid")


def read_philips(path: Path) -> Ecg:
    """Read a Philips Sierra ECG XML file; see the module for what is decided.

    Names are not read, and the date of birth for the age only. Patient id, time, age and sex may be missing.

    Args:
        path: the file.

    Returns:
        The continuous waveform's leads, (leads, samples) float32 mV.

    Raises:
        UnusableEcg: see `precordial.errors.REASONS`.
    """
    root = parse_xml(path, SIZE_LIMIT, "restingecgdata")
    if _text(root, "documentinfo/documentversion") not in VERSIONS:
        raise UnusableEcg(
            "unsupported",
            "this version of Philips Sierra ECG XML is not read",
            file=path,
            remedy=f"versions read: {', '.join(VERSIONS)}",
        )
    waveforms = _find(root, "waveforms/parsedwaveforms")
    if waveforms is None:
        raise UnusableEcg("no-rhythm", "the continuous waveform (parsedwaveforms) is missing", file=path)
    settings = _settings(root, waveforms)
    leads = _leads(settings, path)
    rate = checked_rate(parse_number(settings["samplespersecond"]) or 0, path)
    microvolts = _microvolts(settings, path)
    units = _units(waveforms, settings, leads, rate, path)
    recorded_at = _moment(root)
    acquirer = "dataacquisition/acquirer/"
    return Ecg(
        (units * (microvolts / 1000)).astype(np.float32),
        rate=rate,
        leads=leads,
        patient_id=_known(_text(root, "patient/generalpatientdata/patientid")),
        recorded_at=recorded_at,
        age=_age(root, recorded_at),
        sex=parse_sex(_text(root, "patient/generalpatientdata/sex")),
        device=_known(_text(root, "dataacquisition/machine")),
        site=next(filter(None, (_known(_text(root, acquirer + name)) for name in _SITES)), None),
        uv_per_unit=microvolts,
        source="philips",
    )


def _find(root: etree._Element, path: str) -> etree._Element | None:
    return root.find("/".join("{*}" + step for step in path.split("/")))


def _text(root: etree._Element, path: str) -> str:
    element = _find(root, path)
    return "" if element is None else (element.text or "").strip()


def _known(text: str) -> str | None:
    """The text, or None where there is none; dashes stand for nothing."""
    return text if text.strip("- ") else None


def _settings(root: etree._Element, waveforms: etree._Element) -> dict[str, str]:
    """What describes the samples, by the names of 1.04; empty where it is not said."""

    def said(name: str) -> str:
        return waveforms.get(name, "").strip() or _text(root, f"dataacquisition/signalcharacteristics/{name}")

    return {name: said(name) or said(old) for name, old in _SETTINGS.items()}


def _leads(settings: dict[str, str], path: Path) -> tuple[str, ...]:
    """The leads' names; 1.03 has none, but says which set of leads it is."""
    names = TWELVE if settings["leadlabels"] == "STD-12" else tuple(settings["leadlabels"].split())
    if not names or parse_number(settings["numberofleads"]) != len(names):
        raise UnusableEcg("unreadable", "its leads are not named, or not as many as announced", file=path)
    return checked_leads(names, path)


def _microvolts(settings: dict[str, str], path: Path) -> float:
    """µV per unit."""
    microvolts = parse_number(settings["resolution"])
    if microvolts is None or not 0.01 <= microvolts <= 1000:
        raise UnusableEcg("unreadable", "the resolution is missing or impossible", file=path)
    return microvolts


def _units(
    waveforms: etree._Element, settings: dict[str, str], leads: tuple[str, ...], rate: float, path: Path
) -> NDArray[np.int64]:
    """The samples as stored, less their offset, (leads, samples)."""
    method, flag = settings["compression"].upper(), settings["compressflag"].lower()
    if flag == "true":
        method = method or "UNNAMED"
    elif flag == "false" or method in {"NONE", "UNCOMPRESSED"}:
        method = ""
    if settings["dataencoding"].lower() != "base64" or method not in {"", "XLI"}:
        raise UnusableEcg("unsupported", "its waveform is stored neither in base64 nor in XLI in base64", file=path)
    if settings["bitspersample"] != "16" or settings["signalsigned"].lower() not in {"", "true"}:
        raise UnusableEcg("unsupported", "its samples are not signed numbers of 16 bits", file=path)
    offset = parse_number(settings["signaloffset"] or "0")
    if offset is None or not offset.is_integer() or abs(offset) > 1 << 16:
        raise UnusableEcg("unreadable", "the offset of its samples is impossible", file=path)
    samples = round((parse_number(settings["durationperchannel"]) or 0) * rate / 1000)
    if not 0 < len(leads) * samples <= SAMPLES_LIMIT:
        raise UnusableEcg("unreadable", "its duration is missing or impossible", file=path)
    try:
        units = _decode(waveforms, method, leads, samples)
    except ValueError:
        raise UnusableEcg("unreadable", "the waveform is damaged or not as long as announced", file=path) from None
    return units - int(offset)


def _decode(waveforms: etree._Element, method: str, leads: tuple[str, ...], samples: int) -> NDArray[np.int64]:
    if len(waveforms):
        raise ValueError("elements among the samples")
    data = decode_base64((waveforms.text or "").encode())
    if method == "XLI":
        units = decode_xli(data, leads, samples)
        if np.abs(units).max() > 1 << 15:
            raise ValueError("samples beyond 16 bits")
        return units
    if len(data) != 2 * len(leads) * samples:
        raise ValueError("another length than announced")
    return np.frombuffer(data, "<i2").reshape(len(leads), samples).astype(np.int64)


def _moment(root: etree._Element) -> datetime | None:
    acquisition = _find(root, "dataacquisition")
    if acquisition is None:
        return None
    day, time = acquisition.get("date", "").strip(), acquisition.get("time", "").strip()
    try:
        return datetime.fromisoformat(f"{day}T{time}").replace(microsecond=0, tzinfo=None)
    except ValueError:
        return None


def _age(root: etree._Element, recorded_at: datetime | None) -> float | None:
    """The stated age, else whole days from birth to the ECG, in years of 365.25 days."""
    age = _find(root, "patient/generalpatientdata/age")
    if age is None:
        return None
    for unit, per_year in _PER_YEAR.items():
        number = parse_number(_text(age, unit))
        if number is not None:
            return plausible_age(number / per_year)
    try:
        born = date.fromisoformat(_text(age, "dateofbirth"))
    except ValueError:
        return None
    return age_from_birth(born, recorded_at)


PHILIPS = Reader("philips", lambda head: _ROOT.search(head.replace(b"\0", b"")) is not None, read_philips)
