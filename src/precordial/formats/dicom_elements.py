"""DICOM's elements: bytes into the few that an ECG needs, through pydicom (the extra ``dicom``).

Names are not among what is read. A lead is known by its code (MDC ``2:n`` or SCPECG ``5.6.3-9-n``; the numbers are the
same), and by the code's meaning only under another scheme: the official meaning of MDC 2:65, minus aVR, is "aVR".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from precordial.ecg import LIMB, TWELVE, canonical_lead
from precordial.errors import UnusableEcg
from precordial.formats.checks import held_in, optional
from precordial.formats.reader import parse_number

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# The reads that pydicom may need, about two for each element. The real files at hand take 700 and 4000.
READS = 100_000

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

_CODE = re.compile(r"(?:2:|5\.6\.3-9-)(\d{1,5})")
_LEADS = {str(n): lead for n, lead in enumerate(("I", "II", *TWELVE[6:]), 1)}
_LEADS |= {str(n): lead for n, lead in enumerate(tuple(LIMB)[2:], 61)}
_MEANING = re.compile(r"(?:lead\s+)?(I{1,3}|aV[RLF]|V[1-6])(?:\s*[(,].*)?", re.IGNORECASE)


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


def parse_dicom(data: bytes, path: Path) -> tuple[dict[str, str], list[Group]]:
    """The elements of `TEXTS`, as text, and the multiplex groups.

    Raises:
        UnusableEcg: ``unreadable`` where pydicom cannot read it, ``unsupported`` for a compressed transfer syntax, and
            where pydicom is not installed.
    """
    reading = optional("pydicom.filereader", "DICOM", "dicom", path)
    config = optional("pydicom.config", "DICOM", "dicom", path)
    # Without the validation of values, which would quote them in the log.
    with held_in(path, "the DICOM data set"), config.disable_value_validation():
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
    from pydicom.dataelem import RawDataElement
    from pydicom.filereader import read_sequence

    element: Any = dataset.get_item(name) if name in dataset else None
    if element is None or not element.value:
        return []
    if not isinstance(element, RawDataElement):
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
