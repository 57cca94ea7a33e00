"""DICOM ECG waveforms: written by pydicom, decoded by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ecg_samples.sample import Decoded, Sample
from precordial.ecg import TWELVE

TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
# The numbers of the leads in ISO/IEEE 11073-10101 and in SCP-ECG, as DICOM's context group 3001 has them.
NUMBERS = dict(zip(TWELVE, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))
LONG = {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT", b"UN", b"SV", b"UV"}
UNDEFINED = 0xFFFFFFFF


def code(value: str, scheme: str, meaning: str) -> list[Dataset]:
    """A sequence of one code."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


def make_group(
    digital: NDArray[Any],
    *,
    leads: Sequence[str] = TWELVE,
    rate: float = 500,
    originality: str = "ORIGINAL",
    interpretation: str = "SS",
    microvolts: float = 2.5,
    unit: str = "uV",
    correction: float | None = 1,
    baseline: float | None = 0,
    lead_code: Callable[[str], list[Dataset]] = lambda lead: code(f"2:{NUMBERS[lead]}", "MDC", f"Lead {lead}"),
) -> Dataset:
    """A multiplex group of (leads, samples) integers of 8, 16 or 32 bits."""
    group = Dataset()
    group.WaveformOriginality = originality
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = digital.shape
    group.SamplingFrequency = rate
    group.WaveformBitsAllocated = 8 * digital.itemsize
    group.WaveformSampleInterpretation = interpretation
    group.ChannelDefinitionSequence = []
    for lead in leads:
        channel = Dataset()
        channel.ChannelSourceSequence = lead_code(lead)
        channel.ChannelSensitivity = microvolts
        channel.ChannelSensitivityUnitsSequence = code(unit, "UCUM", unit)
        if correction is not None:
            channel.ChannelSensitivityCorrectionFactor = correction
        if baseline is not None:
            channel.ChannelBaseline = baseline
        channel.WaveformBitsStored = 8 * digital.itemsize
        group.ChannelDefinitionSequence.append(channel)
    data = np.ascontiguousarray(digital.T).tobytes()
    group.add_new("WaveformData", "OB" if digital.itemsize == 1 else "OW", data + bytes(len(data) % 2))
    return group


def make_dicom(
    groups: Sequence[Dataset],
    *,
    sop_class: str = TWELVE_LEAD_ECG,
    explicit: bool = True,
    undefined: bool = False,
    **elements: object,
) -> Dataset:
    """A data set that `write_dicom` writes; `elements` by keyword, and None leaves one out.

    `undefined` gives sequences and items no length but an end.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
    usual = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": sop_class,
        "SOPInstanceUID": "1.2.3.4",
        "AcquisitionDateTime": "20210510130516",
        "Modality": "ECG",
        "InstitutionName": "Sjællands Hospital",
        "ManufacturerModelName": "ELI280",
        "PatientName": "TEST^NAME",
        "PatientID": "TEST0001",
        "PatientBirthDate": "19610510",
        "PatientSex": "F",
        "PatientAge": "060Y",
    }
    with disable_value_validation():  # some are wrong on purpose
        for name, value in (usual | elements).items():
            if value is not None:
                setattr(dataset, name, value)
    dataset.WaveformSequence = list(groups)
    if undefined:
        for inner in [dataset, *groups, *(channel for group in groups for channel in group.ChannelDefinitionSequence)]:
            for element in inner:
                if element.VR == "SQ":
                    element.is_undefined_length = True
                    for item in element.value:
                        item.is_undefined_length_sequence_item = True
    return dataset


def write_dicom(path: Path, dataset: Dataset) -> Path:
    with disable_value_validation():
        dataset.save_as(path, enforce_file_format=True)
    return path


def walk(data: bytes, at: int, end: int, explicit: bool) -> tuple[dict[int, Any], int]:
    """The elements from `at`, by tag, and where they end; sequences as lists."""
    found: dict[int, Any] = {}
    while at + 8 <= end:
        group, element = struct.unpack_from("<HH", data, at)
        tag, kind = group << 16 | element, data[at + 4 : at + 6]
        if tag == 0xFFFEE00D:  # the end of an item
            return found, at + 8
        if explicit and kind in LONG:
            (length,), at = struct.unpack_from("<L", data, at + 8), at + 12
        elif explicit:
            (length,), at = struct.unpack_from("<H", data, at + 6), at + 8
        else:
            (length,), at = struct.unpack_from("<L", data, at + 4), at + 8
        if kind == b"SQ" or length == UNDEFINED or tag in (0x54000100, 0x003A0200, 0x003A0208, 0x003A0211):
            items, stop = [], end if length == UNDEFINED else at + length
            while at < stop:
                mark, size = struct.unpack_from("<HHL", data, at)[1:]
                at += 8
                if mark == 0xE0DD:  # the end of the sequence
                    break
                item, after = walk(data, at, stop if size == UNDEFINED else at + size, explicit)
                at = after if size == UNDEFINED else at + size
                items.append(item)
            found[tag] = items
        else:
            found[tag], at = data[at : at + length], at + length
    return found, at


def decode_dicom(path: Path) -> Decoded:
    data = path.read_bytes()
    meta_end = 144 + struct.unpack_from("<L", data, 140)[0]
    explicit = b"1.2.840.10008.1.2.1\0" in data[132:meta_end]
    elements, _ = walk(data, meta_end, len(data), explicit)
    group = next(g for g in elements[0x54000100] if g[0x003A0004].strip() == b"ORIGINAL")
    kind = {b"SS": "h", b"SL": "i", b"SB": "b"}[group[0x54001006].strip()]
    channels = group[0x003A0200]
    count = struct.unpack("<L", group[0x003A0010])[0]
    frames = list(struct.iter_unpack(f"<{len(channels)}{kind}", group[0x54001010]))[:count]
    names, traces = [], []
    for i, channel in enumerate(channels):
        number = channel[0x003A0208][0][0x00080100].decode().strip("\0 ").replace(":", "-").rpartition("-")[2]
        names.append(next(lead for lead, known in NUMBERS.items() if known == int(number)))
        scale = float(channel[0x003A0210].decode().strip("\0 ")) / 1000
        traces.append([frame[i] * scale for frame in frames])
    return float(group[0x003A001A].decode().strip("\0 ")), names, traces


def write(folder: Path) -> Path:
    noise = np.random.default_rng(2).integers(-900, 900, (12, 5000)).astype("<i2")
    median = make_group(noise[:, :600], originality="DERIVED")
    return write_dicom(folder / "export.dcm", make_dicom([make_group(noise), median]))


def waveform(path: Path) -> tuple[Path, int, int]:
    data = path.read_bytes()
    start = data.index(b"\x00\x54\x10\x10OW") + 12
    return path, start, start + struct.unpack_from("<L", data, start - 4)[0]


SAMPLE = Sample(write, decode_dicom, ("formats/dicom/*.dcm",), waveform, checksum=False)
