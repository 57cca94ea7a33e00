"""GE MUSE XML."""

from __future__ import annotations

import base64
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_samples.sample import Decoded, Sample

MUSE_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")  # the order in which MUSE stores them


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


def decode_muse(path: Path) -> Decoded:
    root = ElementTree.fromstring(path.read_bytes())
    rhythm = next(w for w in root.iter("Waveform") if w.findtext("WaveformType") == "Rhythm")
    rate = int(rhythm.findtext("SampleBase")) * 10 ** int(rhythm.findtext("SampleExponent"))
    leads, traces = [], []
    for lead in rhythm.iter("LeadData"):
        data = base64.b64decode(lead.findtext("WaveFormData"))
        scale = float(lead.findtext("LeadAmplitudeUnitsPerBit")) / 1000
        leads.append(lead.findtext("LeadID"))
        traces.append([value * scale for (value,) in struct.iter_unpack("<h", data)])
    return rate, leads, traces


def write(folder: Path) -> Path:
    path = folder / "export.xml"
    path.write_bytes(make_muse_xml())
    return path


def waveform(path: Path) -> tuple[Path, int, int]:
    data = path.read_bytes()
    start = data.index(b"<WaveFormData>", data.index(b"Rhythm")) + len(b"<WaveFormData>")
    return path, start, data.index(b"</WaveFormData>", start)


SAMPLE = Sample(write, decode_muse, ("formats/muse/*.xml",), waveform)
