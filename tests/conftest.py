"""Fixtures that many tests share: where the real recordings lie, and small ECG files made on the spot."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

MUSE_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")  # the order in which MUSE stores them


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings, or a skip."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real recordings (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def muse_xml() -> Callable[..., bytes]:
    """A maker of GE MUSE XML files; every field can be changed, and None leaves it out."""
    return make_muse_xml


@pytest.fixture(scope="session")
def wfdb_record() -> Callable[..., Path]:
    """A maker of WFDB records in format 16 or 212."""
    return make_wfdb_record


def make_muse_xml(
    leads: dict[str, NDArray[np.int16]] | None = None,
    *,
    seed: int = 0,
    samples: int = 5000,
    rate: int = 500,
    exponent: int = 0,
    microvolts: float = 4.88,
    patient_id: str | None = "TEST0001",
    date: str | None = "05-10-2021",
    time: str | None = "13:05:16",
    age: str | None = "60",
    age_units: str | None = "YEARS",
    gender: str | None = "FEMALE",
    device: str | None = "MAC55",
    crc_error: int | None = 0,
    median_crc_error: int | None = 0,
    waveforms: Sequence[str] = ("Median", "Rhythm"),
    doctype: str = '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">',
    encoding: str = "ISO-8859-1",
) -> bytes:
    """A MUSE file as bytes. Without `leads`, eight leads of noise that follow from `seed`.

    `crc_error` is added to each Rhythm checksum (None leaves the checksums out); `median_crc_error` likewise.
    """
    if leads is None:
        noise = np.random.default_rng(seed).integers(-400, 400, (8, samples)).astype("<i2")
        leads = dict(zip(MUSE_LEADS, noise, strict=True))
    errors = {"Rhythm": crc_error, "Median": median_crc_error}

    def tag(name: str, value: object) -> str:
        return "" if value is None else f"<{name}>{value}</{name}>\n"

    def lead_data(kind: str, name: str, trace: NDArray[np.int16]) -> str:
        data = np.asarray(trace, "<i2").tobytes()
        text = base64.b64encode(data).decode()
        lines = "\n".join(text[i : i + 76] for i in range(0, len(text), 76))
        error = errors[kind]
        return tag(
            "LeadData",
            tag("LeadByteCountTotal", len(data))
            + tag("LeadTimeOffset", 0)
            + tag("LeadSampleCountTotal", len(data) // 2)
            + tag("LeadAmplitudeUnitsPerBit", microvolts)
            + tag("LeadAmplitudeUnits", "MICROVOLTS")
            + tag("LeadID", name)
            + tag("LeadSampleSize", 2)
            + tag("LeadDataCRC32", None if error is None else zlib.crc32(data) + error)
            + tag("WaveFormData", f"\n{lines}\n     "),
        )

    def waveform(kind: str) -> str:
        shown = {name: trace[:600] if kind == "Median" else trace for name, trace in leads.items()}
        return tag(
            "Waveform",
            tag("WaveformType", kind)
            + tag("NumberofLeads", len(shown))
            + tag("SampleBase", rate)
            + tag("SampleExponent", exponent)
            + "".join(lead_data(kind, name, trace) for name, trace in shown.items()),
        )

    patient = tag("PatientID", patient_id) + tag("PatientAge", age) + tag("AgeUnits", age_units)
    test = tag("AcquisitionDevice", device) + tag("AcquisitionTime", time) + tag("AcquisitionDate", date)
    body = tag("PatientDemographics", patient + tag("Gender", gender) + tag("PatientLastName", "TÉST"))
    body += tag("TestDemographics", test) + "".join(waveform(kind) for kind in waveforms)
    prolog = f'<?xml version="1.0" encoding="{encoding}"?>\n{doctype}\n'
    return (prolog + tag("RestingECG", body)).encode(encoding)


def make_wfdb_record(
    folder: Path,
    digital: NDArray[np.int16],
    *,
    name: str = "record",
    leads: Sequence[str] = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"),
    record_line: str | None = None,
    rate: float = 500,
    storage: str = "16",
    gain: str = "1000.0(0)/mV",
    comments: Sequence[str] = (),
) -> Path:
    """Write a record of `digital`, (leads, samples), with checksums, and return its header.

    `storage` is the header's format field, such as ``16``, ``212`` or ``16+24``; an offset is filled with zeros.
    """
    kind, _, offset = storage.partition("+")
    frames = np.ascontiguousarray(np.asarray(digital, "<i2").T)
    data = pack_212(frames.ravel()) if kind.startswith("212") else frames.tobytes()
    (folder / f"{name}.dat").write_bytes(bytes(int(offset or 0)) + data)
    lines = [record_line or f"{name} {len(digital)} {rate:g} {digital.shape[1]}"]
    for lead, trace in zip(leads, digital, strict=False):
        checksum = int(trace.sum(dtype=np.int64)) % 65536
        lines.append(f"{name}.dat {storage} {gain} 16 0 {trace[0]} {checksum} 0 {lead}")
    header = folder / f"{name}.hea"
    header.write_text("\n".join([*lines, *comments]) + "\n")
    return header


def pack_212(values: NDArray[np.int16]) -> bytes:
    """Format 212, number by number as signal(5) describes it: two 12-bit numbers in three bytes."""
    packed = bytearray()
    for i in range(0, len(values), 2):
        first = int(values[i]) & 0xFFF
        second = int(values[i + 1]) & 0xFFF if i + 1 < len(values) else 0
        packed += bytes([first & 0xFF, first >> 8 | (second >> 8) << 4, second & 0xFF])
    return bytes(packed)
