"""DICOM: the waveform objects 12-lead ECG and general ECG, through pydicom (the extra ``dicom``).

pydicom finds the elements; the samples are decoded here. Only the elements that are needed are taken up; names are not
among them.

What the reader decides where the files leave room:

- Of the multiplex groups those count that are original, not derived (the median beats). Several of them: a group of ten
  seconds before a shorter one, then the one of more channels, then the longer one.
- A lead is known by its code (MDC ``2:n`` or SCPECG ``5.6.3-9-n``; the numbers are the same), and by the code's meaning
  only under another scheme: the official meaning of MDC 2:65, which is minus aVR, is "aVR".
- A millivolt value is sample × sensitivity × correction factor + baseline (PS3.3 C.10.9.1.4.4).
- A padding value marks samples as missing, but for the value zero: the ECGToolkit file at hand has it, and its zeros are
  ordinary samples.
- A patient id and an acquisition time must be there, as in MUSE files. An offset from UTC behind the time is left out:
  what is wanted is the local time. Age is PatientAge, or else follows from the date of birth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import LIMB, TWELVE, Ecg, Flag, Signal, canonical_lead
from precordial.errors import UnusableEcg
from precordial.formats.checks import held_in, optional
from precordial.formats.reader import (
    Reader,
    checked_leads,
    checked_rate,
    parse_number,
    parse_sex,
    plausible_age,
    read_bytes,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Ten seconds of 12 leads at 1000 Hz take 0.24 MB. The limit leaves room for more than ten minutes of that.
SIZE_LIMIT = 32 << 20
# The reads that pydicom may need, about two for each element. The real files at hand take 700 and 4000.
READS = 200_000

SOP_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.9.1.1": "12-lead ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.2": "general ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.4": "general 32-bit ECG",
}
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"  # transfer syntaxes, both little-endian

# What is read: no name is among them.
TEXTS = {
    "SOPClassUID": 0x00080016,
    "AcquisitionDateTime": 0x0008002A,
    "InstitutionName": 0x00080080,
    "ManufacturerModelName": 0x00081090,
    "PatientID": 0x00100020,
    "PatientBirthDate": 0x00100030,
    "PatientSex": 0x00100040,
    "PatientAge": 0x00101010,
}
TAGS = [*TEXTS.values(), 0x54000100]  # the last: WaveformSequence

SAMPLES = {
    ("8", "SB"): "<i1",
    ("8", "UB"): "<u1",
    ("16", "SS"): "<i2",
    ("16", "US"): "<u2",
    ("32", "SL"): "<i4",
    ("32", "UL"): "<u4",
}
MICROVOLTS = {"nV": 1e-3, "uV": 1.0, "µV": 1.0, "mV": 1e3, "V": 1e6}  # by UCUM code, whose letter case counts

_CODE = re.compile(r"(?:2:|5\.6\.3-9-)(\d{1,5})")
_LEADS = {str(n): lead for n, lead in enumerate(("I", "II", *TWELVE[6:]), 1)}
_LEADS |= {str(n): lead for n, lead in enumerate(tuple(LIMB)[2:], 61)}
_MEANING = re.compile(r"(?:lead\s+)?(I{1,3}|aV[RLF]|V[1-6])(?:\s*[(,].*)?", re.IGNORECASE)
_MOMENT = re.compile(r"(\d{8})(\d{4})(\d\d)?(?:\.(\d{1,6}))?(?:[-+]\d{4})?")
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}


@dataclass(frozen=True)
class Channel:
    """What a channel's definition says, as it stands there. `still` is false where a skew or offset is not zero."""

    lead: str
    sensitivity: str
    correction: str
    baseline: str
    unit: str
    still: bool


@dataclass(frozen=True)
class Group:
    """A multiplex group; numbers as they stand there."""

    original: bool
    rate: str
    samples: str
    channel_count: str
    bits: str
    interpretation: str
    padding: bytes
    data: bytes
    channels: tuple[Channel, ...]


def read_dicom(path: Path) -> Ecg:
    """Read a DICOM ECG; see the module for what is decided.

    Returns:
        The original rhythm, (leads, samples) float32 mV; padding samples are zero and flagged.

    Raises:
        UnusableEcg: see `precordial.errors.REASONS`; ``unsupported`` also where pydicom is not installed.
    """
    texts, groups = _parse(read_bytes(path, SIZE_LIMIT), path)
    sop_class = texts["SOPClassUID"]
    if sop_class not in SOP_CLASSES:
        raise UnusableEcg("unsupported", f"a DICOM object other than {', '.join(SOP_CLASSES.values())}", file=path)
    if not texts["PatientID"]:
        raise UnusableEcg("no-patient-id", "the patient id is missing", file=path)
    recorded_at = _moment(texts["AcquisitionDateTime"])
    if recorded_at is None:
        raise UnusableEcg("no-time", "the acquisition date or time is missing or is not a date", file=path)
    group = _rhythm(groups, path)
    signal, uv_per_unit, flags = _signal(group, path)
    return Ecg(
        signal,
        rate=_rate(group, path),
        leads=checked_leads((channel.lead for channel in group.channels), path),
        patient_id=texts["PatientID"],
        recorded_at=recorded_at,
        age=_age(texts["PatientAge"], texts["PatientBirthDate"], recorded_at),
        sex=parse_sex(texts["PatientSex"]),
        device=texts["ManufacturerModelName"] or None,
        site=texts["InstitutionName"] or None,
        uv_per_unit=uv_per_unit,
        flags=flags,
        source="dicom",
    )


class _Allowance:
    """The reads that are left: what stops a bomb of a million empty elements."""

    left = READS


class _Counted(BytesIO):
    """Bytes that are read in no more pieces than allowed."""

    def __init__(self, data: bytes, allowance: _Allowance) -> None:
        super().__init__(data)
        self.allowance = allowance

    def read(self, size: int | None = -1, /) -> bytes:
        self.allowance.left -= 1
        if self.allowance.left < 0:
            raise ValueError("too many elements")
        return super().read(size)


def _parse(data: bytes, path: Path) -> tuple[dict[str, str], list[Group]]:
    """The elements that are needed, as text, and the multiplex groups; all that pydicom does is done here."""
    reading = optional("pydicom.filereader", "DICOM", "dicom", path)
    with held_in(path, "the DICOM data set"):
        allowance = _Allowance()
        file = _Counted(data, allowance)
        reading.read_preamble(file, False)
        meta = reading.read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
        syntax = _text(meta, "TransferSyntaxUID")
        if syntax not in (IMPLICIT, EXPLICIT):  # also keeps out the deflated one, in which a bomb could hide
            raise UnusableEcg(
                "unsupported",
                "a DICOM transfer syntax other than little-endian, uncompressed",
                file=path,
                remedy="rewrite it with DCMTK's dcmconv +te",
            )
        dataset = reading.read_dataset(file, syntax == IMPLICIT, True, specific_tags=TAGS)
        groups = [_group(item, allowance) for item in _items(dataset, "WaveformSequence", allowance)]
        return {name: _text(dataset, name) for name in TEXTS}, groups


def _text(dataset: Dataset | None, name: str) -> str:
    """An element as text; the first of several values, empty where there is none."""
    value = None if dataset is None else dataset.get(name)
    if value is not None and not isinstance(value, str) and hasattr(value, "__getitem__"):
        value = value[0] if len(value) else None
    return "" if value is None else str(value).strip(" \0")


def _bytes(dataset: Dataset, name: str) -> bytes:
    value = dataset.get(name)
    return value if isinstance(value, bytes) else b""


def _items(dataset: Dataset, name: str, allowance: _Allowance) -> list[Dataset]:
    """The items of a sequence; pydicom leaves those of defined length unparsed, and would not count their pieces."""
    from pydicom.filereader import read_sequence

    element = dataset.get_item(name) if name in dataset else None
    if element is None or not element.value:
        return []
    if not isinstance(element.value, bytes):
        return list(element.value)
    if len(element.value) != element.length:
        raise EOFError
    file = _Counted(element.value, allowance)
    return list(read_sequence(file, element.is_implicit_VR, True, len(element.value), "iso8859"))


def _group(item: Dataset, allowance: _Allowance) -> Group:
    original = _text(item, "WaveformOriginality") != "DERIVED"
    channels = _items(item, "ChannelDefinitionSequence", allowance) if original else []
    return Group(
        original=original,
        rate=_text(item, "SamplingFrequency"),
        samples=_text(item, "NumberOfWaveformSamples"),
        channel_count=_text(item, "NumberOfWaveformChannels"),
        bits=_text(item, "WaveformBitsAllocated"),
        interpretation=_text(item, "WaveformSampleInterpretation"),
        padding=_bytes(item, "WaveformPaddingValue"),
        data=_bytes(item, "WaveformData"),
        channels=tuple(_channel(channel, allowance) for channel in channels),
    )


def _channel(item: Dataset, allowance: _Allowance) -> Channel:
    source = next(iter(_items(item, "ChannelSourceSequence", allowance)), None)
    unit = next(iter(_items(item, "ChannelSensitivityUnitsSequence", allowance)), None)
    delays = ("ChannelTimeSkew", "ChannelSampleSkew", "ChannelOffset")
    return Channel(
        lead=_lead(*(_text(source, name) for name in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning"))),
        sensitivity=_text(item, "ChannelSensitivity"),
        correction=_text(item, "ChannelSensitivityCorrectionFactor") or "1",
        baseline=_text(item, "ChannelBaseline") or "0",
        unit=_text(unit, "CodeValue"),
        still=all(parse_number(_text(item, name) or "0") == 0 for name in delays),
    )


def _lead(scheme: str, code: str, meaning: str) -> str:
    """The lead's name as in `TWELVE`; for another one the code's meaning, or the code.

    >>> _lead("SCPECG", "5.6.3-9-61", "Lead III"), _lead("MDC", "2:65", "aVR"), _lead("99X", "a", "Lead I (Einthoven)")
    ('III', 'MDC 2:65', 'I')
    """
    number = _CODE.fullmatch(code) if scheme in ("MDC", "SCPECG") else None
    if number is not None and number[1] in _LEADS:
        return _LEADS[number[1]]
    named = _MEANING.fullmatch(meaning)
    if named is None:
        return meaning or f"{scheme} {code}"
    return canonical_lead(named[1]) if number is None else f"{scheme} {code}"


def _rhythm(groups: list[Group], path: Path) -> Group:
    """The group that is the recording; see the module."""
    originals = [group for group in groups if group.original and group.data and group.channels]
    if not originals:
        raise UnusableEcg("no-rhythm", "it holds no original waveform", file=path)

    def rank(group: Group) -> tuple[float, int, float]:
        rate, samples = parse_number(group.rate), parse_number(group.samples)
        seconds = samples / rate if samples and rate else 0.0
        return min(seconds, 10.0), len(group.channels), seconds

    return max(originals, key=rank)


def _rate(group: Group, path: Path) -> float:
    rate = parse_number(group.rate)
    if rate is None:
        raise UnusableEcg("unreadable", "the sampling rate is missing or is not a number", file=path)
    return checked_rate(rate, path)


def _signal(group: Group, path: Path) -> tuple[Signal, float | None, Flag]:
    """(leads, samples) mV, µV per unit where all leads share it, and whether samples were missing."""
    if not all(channel.still for channel in group.channels):
        raise UnusableEcg("unsupported", "its channels were not recorded at the same time", file=path)
    digital = _digital(group, path)
    gains, offsets = zip(*(_microvolts(channel, path) for channel in group.channels), strict=True)
    signal = np.empty(digital.shape[::-1], np.float32)
    for i, (gain, offset) in enumerate(zip(gains, offsets, strict=True)):  # by channel: float64 takes room
        signal[i] = digital[:, i] * (gain / 1000) + offset / 1000
    flags = Flag(0)
    if len(group.padding) >= digital.itemsize and any(group.padding):
        missing = (digital == np.frombuffer(group.padding, digital.dtype, 1)).T
        if missing.any():
            signal[missing] = 0.0
            flags = Flag.MISSING_SAMPLES
    shift = offsets[0] / gains[0]
    same = len(set(gains)) == 1 and len(set(offsets)) == 1 and shift == round(shift)
    # An archive can keep the file's integers only where 16 bits suffice.
    kept = same and -(1 << 15) <= digital.min() + shift <= digital.max() + shift < 1 << 15
    return signal, gains[0] if kept else None, flags


def _digital(group: Group, path: Path) -> NDArray[np.integer[Any]]:
    """The stored integers, (samples, channels)."""
    kind = SAMPLES.get((group.bits, group.interpretation))
    if kind is None:
        raise UnusableEcg("unsupported", "its samples are not integers of 8, 16 or 32 bits", file=path)
    channels, samples = parse_number(group.channel_count), parse_number(group.samples)
    if channels != len(group.channels) or not samples:
        raise UnusableEcg("unreadable", "it does not describe the channels or samples announced", file=path)
    announced = int(samples) * len(group.channels) * np.dtype(kind).itemsize
    if len(group.data) not in (announced, announced + announced % 2):  # padded to an even number of bytes
        raise UnusableEcg("unreadable", "the waveform does not have the samples announced", file=path)
    return np.frombuffer(group.data[:announced], kind).reshape(int(samples), len(group.channels))


def _microvolts(channel: Channel, path: Path) -> tuple[float, float]:
    """µV per unit of a channel, and µV of a sample that is zero."""
    unit = MICROVOLTS.get(channel.unit)
    if unit is None:
        raise UnusableEcg("unsupported", "a channel is not in volts", file=path)
    sensitivity, correction = parse_number(channel.sensitivity), parse_number(channel.correction)
    baseline = parse_number(channel.baseline)
    if sensitivity is None or correction is None or baseline is None:
        raise UnusableEcg("unreadable", "sensitivity or baseline of a channel is missing or is no number", file=path)
    gain, offset = sensitivity * correction * unit, baseline * unit
    if not 1e-6 <= gain <= 1e6 or not abs(offset) <= 1e9:
        raise UnusableEcg("unreadable", "sensitivity or baseline of a channel is impossible", file=path)
    return gain, offset


def _moment(text: str) -> datetime | None:
    parts = _MOMENT.fullmatch(text)
    if parts is None:
        return None
    second, fraction = parts[3] or "00", (parts[4] or "").ljust(6, "0")
    try:
        return datetime.strptime(parts[1] + parts[2] + second + fraction, "%Y%m%d%H%M%S%f")
    except ValueError:
        return None


def _age(age: str, birth_date: str, recorded_at: datetime) -> float | None:
    """Age in years, from PatientAge such as ``042Y``, or else from the date of birth."""
    said = _AGE.fullmatch(age)
    if said is not None:
        return plausible_age(int(said[1]) / _PER_YEAR[said[2]])
    try:
        born = datetime.strptime(birth_date, "%Y%m%d")
    except ValueError:
        return None
    return plausible_age((recorded_at - born).days / 365.25)


DICOM = Reader("dicom", lambda head: head[128:132] == b"DICM", read_dicom)
