"""Fixtures that many tests share: where the real recordings lie, and small ECG files made on the spot."""

from __future__ import annotations

# One thread for each worker of the suite: two workers with two threads each hinder one another on two cores.
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import base64
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from precordial.archive import Archive
from precordial.archive.writer import ArchiveWriter, Taken, to_units
from precordial.cohort import Cohort
from precordial.ecg import EIGHT, Ecg

collect_ignore_glob = ["golden/make_*.py"]  # programs that make golden values; they need what made them

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


@pytest.fixture
def small_cohort(tmp_path: Path) -> Callable[..., tuple[Cohort, Archive]]:
    """A maker of a small archive (100 Hz) and its cohort, with effects of known size."""

    def make(**options: float) -> tuple[Cohort, Archive]:
        return make_small_cohort(tmp_path / "archive", **options)  # type: ignore[arg-type]

    return make


def make_small_cohort(
    folder: Path, *, target: int = 120, source: int = 0, effect: float = 1.0, seed: int = 0
) -> tuple[Cohort, Archive]:
    """Beats at random moments in noise; the T wave is taller with the label and lower with age.

    Every third target ECG has the label. Of the target 70 % is for training and 10 % in each other split; of the
    source 80 % and 20 %.

    Args:
        folder: of the archive.
        target, source: ECGs, each of its own patient.
        effect: of the label on the T wave in mV.
        seed: of everything.
    """
    draw = np.random.default_rng(seed)
    n = target + source
    age, sex = draw.uniform(20, 90, n), draw.integers(0, 2, n).astype(float)
    label = np.where(np.arange(n) < target, np.arange(n) % 3 == 0, np.nan).astype(float)
    height = 0.5 + effect * np.nan_to_num(label) + (55 - age) / 100
    time = np.arange(1000) / 100
    with ArchiveWriter(folder, rate=100, samples=1000) as writer:
        for k in range(n):
            signal = 0.1 * draw.standard_normal((8, 1000))
            for beat in np.arange(draw.uniform(0, 0.8), 10, 0.8):
                signal += np.exp(-(((time - beat) / 0.02) ** 2)) * (1.5 if sex[k] else 1.0)
                signal += height[k] * np.exp(-(((time - beat - 0.25) / 0.06) ** 2))
            ecg = Ecg(signal.astype(np.float32), rate=100, leads=EIGHT, patient_id=f"p{k}", source="test")
            units, uv, flags = to_units(ecg)
            writer.add(Taken(f"{k:016x}", units, uv, flags, ecg, 100.0, (f"{k}", 0, k)))
    part = np.where(np.arange(n) < target, np.arange(n) % 10, 10 + np.arange(n) % 5)
    names = {7: "validation", 8: "random_test", 9: "temporal_test", 10: "validation"}
    split = np.array([names.get(int(p), "train") for p in part])
    role = np.where(np.arange(n) < target, "target", "source")
    order = np.zeros(n, np.int64)
    for key in {(r, s) for r, s in zip(role.tolist(), split.tolist(), strict=True)}:
        rows = (role == key[0]) & (split == key[1])
        order[rows] = np.arange(rows.sum())
    nobody = np.full(n, "test")
    cohort = Cohort(
        ecg_id=np.array([f"{k:016x}" for k in range(n)]),
        patient_id=np.array([f"p{k}" for k in range(n)]),
        visit_id=np.array([str(k) for k in range(n)]),
        prediction_time=np.full(n, np.datetime64("2017-01-01T00:00:00")),
        role=role,
        split=split,
        order=order,
        age=age,
        sex=sex,
        label=label,
        age_source=nobody,
        sex_source=nobody,
    )
    return cohort, Archive(folder)
