"""The MUSE files of the twin, read by a small decoder that shares no code with the package."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
import zlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from precordial.twin import synthetic_ecgs
from precordial.twin.header import Header, to_units
from precordial.twin.muse_writer import muse_files, muse_xml

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "formats" / "muse"
ORDER = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
HEADER = Header("T<1>&2", datetime(2024, 3, 9, 7, 5, 1), 63, "FEMALE", 71, 160, 90, 400, 35, site=1, device=0)


@pytest.fixture(scope="module")
def written() -> tuple[np.ndarray, ET.Element]:
    """An ECG in mV (8, 5000), V1 … V6, I, II, and the file written from it."""
    signal = synthetic_ecgs([63], [1], seed=2)[0]
    return signal, ET.fromstring(muse_xml(to_units(signal), to_units(signal[:, :600]), HEADER))


def test_waveforms_decode_to_the_signal(written: tuple[np.ndarray, ET.Element]) -> None:
    signal, root = written
    rows = dict(zip(["V1", "V2", "V3", "V4", "V5", "V6", "I", "II"], signal, strict=True))
    assert [wave.findtext("WaveformType") for wave in root.findall("Waveform")] == ["Median", "Rhythm"]
    for wave, samples in zip(root.findall("Waveform"), (600, 5000), strict=True):
        leads = wave.findall("LeadData")
        assert [lead.findtext("LeadID") for lead in leads] == ORDER
        assert wave.findtext("SampleBase") == "500"
        for lead in leads:
            raw = base64.b64decode(lead.findtext("WaveFormData", ""))
            assert int(lead.findtext("LeadByteCountTotal", "")) == len(raw) == 2 * samples
            assert int(lead.findtext("LeadSampleCountTotal", "")) == samples
            assert int(lead.findtext("LeadDataCRC32", "")) == zlib.crc32(raw)
            scale = float(lead.findtext("LeadAmplitudeUnitsPerBit", "")) / 1000
            values = np.frombuffer(raw, "<i2") * scale
            expected = rows[lead.findtext("LeadID", "")][:samples]
            assert np.abs(values - expected).max() <= 0.00244 + 1e-6  # half a unit


def test_header(written: tuple[np.ndarray, ET.Element]) -> None:
    _, root = written
    assert root.findtext("PatientDemographics/PatientID") == "T<1>&2"
    assert root.findtext("PatientDemographics/PatientAge") == "63"
    assert root.findtext("PatientDemographics/Gender") == "FEMALE"
    assert root.findtext("TestDemographics/AcquisitionDate") == "03-09-2024"
    assert root.findtext("TestDemographics/AcquisitionTime") == "07:05:01"
    assert root.findtext("TestDemographics/Site") == "2"
    assert root.findtext("TestDemographics/SiteName") == "Outpatient clinics"
    assert root.findtext("TestDemographics/AcquisitionDevice") == "MAC55"
    assert root.findtext("RestingECGMeasurements/QTCorrected") == "435"  # 400 ms · √(71/60)


def test_what_the_writer_spoils() -> None:
    """One character of the last lead, or the end of the file; nothing else."""
    units = to_units(synthetic_ecgs([63], [1], seed=2)[0])
    good = muse_files("x", units, units[:, :600], HEADER)[".xml"]
    wrong = muse_files("x", units, units[:, :600], HEADER, fault="bad-checksum")[".xml"]
    assert len(wrong) == len(good)
    places = [i for i, (a, b) in enumerate(zip(good, wrong, strict=True)) if a != b]
    assert len(places) == 1
    assert places[0] > good.rindex(b"<WaveFormData>")
    ET.fromstring(wrong)
    cut = muse_files("x", units, units[:, :600], HEADER, fault="unreadable")[".xml"]
    assert good.startswith(cut)
    assert len(cut) < len(good)


@pytest.mark.parametrize("samples", [34 * 3, 34 * 3 + 5])
def test_lines_of_base64(samples: int) -> None:
    """Real exports have lines of 68 characters; also where the last is full."""
    units = np.arange(8 * samples, dtype=np.int16).reshape(8, samples)
    root = ET.fromstring(muse_xml(units, units, HEADER))
    text = root.findtext("Waveform/LeadData/WaveFormData", "")
    lines = text.split()
    assert text == "\n" + "\n".join(lines) + "\n         "
    assert [len(line) for line in lines[:-1]] == [68] * (len(lines) - 1)
    assert 0 < len(lines[-1]) <= 68
    assert base64.b64decode("".join(lines)) == units[6].tobytes()


def test_units_are_clipped_to_16_bits() -> None:
    units = to_units(np.array([[200.0, -200.0, 0.00488]], np.float32))
    assert units.tolist() == [[32767, -32768, 1]]
    assert units.dtype == np.dtype("<i2")


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/formats/muse is not here")
def test_layout_is_that_of_real_files(written: tuple[np.ndarray, ET.Element]) -> None:
    """Waveform elements have the same children in the same order as real exports; so has the line length."""
    _, root = written
    for path in sorted(REAL.glob("*.xml")):
        real = ET.parse(path).getroot()
        for ours, theirs in zip(root.findall("Waveform"), real.findall("Waveform"), strict=True):
            assert [child.tag for child in ours] == [child.tag for child in theirs]
            for a, b in zip(ours.findall("LeadData"), theirs.findall("LeadData"), strict=True):
                assert [child.tag for child in a] == [child.tag for child in b]
                assert a.findtext("LeadID") == b.findtext("LeadID")
                ours_lines, real_lines = (one.findtext("WaveFormData", "").split() for one in (a, b))
                assert [len(line) for line in ours_lines] == [len(line) for line in real_lines]
