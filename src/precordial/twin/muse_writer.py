"""Writing an ECG as GE MUSE RestingECG XML, in the layout of real exports.

What real files show: eight stored leads in the order I, II, V1 … V6; integers of 4.88 µV, little-endian,
base64 in lines of 68 characters; a Median beat of 1.2 s before the Rhythm; and LeadDataCRC32, which is zlib's
CRC-32 of the lead's raw bytes (before base64).
"""

from __future__ import annotations

import base64
import zlib
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from precordial.twin.faults import truncate
from precordial.twin.header import DEVICES, SITES, UV_PER_UNIT, Header

# (name in the file, row in precordial.ecg.EIGHT)
LEADS = (("I", 6), ("II", 7), ("V1", 0), ("V2", 1), ("V3", 2), ("V4", 3), ("V5", 4), ("V6", 5))


def muse_files(
    name: str, rhythm: NDArray[np.int16], median: NDArray[np.int16], header: Header, rate: int = 500, fault: str = ""
) -> dict[str, bytes]:
    """The one file of an ECG, by its suffix.

    Args:
        name: not written; MUSE files do not say their own names.
        rhythm, median, header, rate: as in `muse_xml`.
        fault: one of `precordial.twin.faults.FAULTS`; the checksum and the length are spoilt here.
    """
    data = muse_xml(rhythm, median, header, rate)
    if fault == "bad-checksum":  # one character in the last lead of the Rhythm
        place = data.rindex(b"<WaveFormData>") + 2000
        place += data[place : place + 1] == b"\n"
        data = data[:place] + (b"B" if data[place : place + 1] == b"A" else b"A") + data[place + 1 :]
    return {".xml": truncate(data) if fault == "unreadable" else data}


def muse_xml(rhythm: NDArray[np.int16], median: NDArray[np.int16], header: Header, rate: int = 500) -> bytes:
    """One file.

    Args:
        rhythm: (8, samples) integers of 4.88 µV, in the order of `precordial.ecg.EIGHT`.
        median: (8, samples) the typical beat, likewise.
        header: what else the file says; without a time it gets a date that is none.
        rate: samples per second.
    """
    date = f"{header.recorded_at:%m-%d-%Y}" if header.recorded_at else "00-00-0000"
    time = f"{header.recorded_at:%H:%M:%S}" if header.recorded_at else "00:00:00"
    corrected = header.qt * (header.heart_rate / 60) ** 0.5  # Bazett's, as in MUSE
    head = f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE RestingECG SYSTEM "restecg.dtd">
<RestingECG>
   <MuseInfo>
      <MuseVersion>9.0.9.18167</MuseVersion>
   </MuseInfo>
   <PatientDemographics>
      <PatientID>{escape(header.patient_id)}</PatientID>
      <PatientAge>{header.age}</PatientAge>
      <AgeUnits>YEARS</AgeUnits>
      <Gender>{escape(header.sex)}</Gender>
   </PatientDemographics>
   <TestDemographics>
      <DataType>RESTING</DataType>
      <Site>{header.site + 1}</Site>
      <SiteName>{SITES[header.site]}</SiteName>
      <AcquisitionDevice>{DEVICES[header.device]}</AcquisitionDevice>
      <Status>UNCONFIRMED</Status>
      <Priority>NORMAL</Priority>
      <AcquisitionTime>{time}</AcquisitionTime>
      <AcquisitionDate>{date}</AcquisitionDate>
   </TestDemographics>
   <RestingECGMeasurements>
      <VentricularRate>{header.heart_rate:.0f}</VentricularRate>
      <AtrialRate>{header.heart_rate:.0f}</AtrialRate>
      <PRInterval>{header.pr:.0f}</PRInterval>
      <QRSDuration>{header.qrs:.0f}</QRSDuration>
      <QTInterval>{header.qt:.0f}</QTInterval>
      <QTCorrected>{corrected:.0f}</QTCorrected>
      <RAxis>{header.axis:.0f}</RAxis>
      <ECGSampleBase>{rate}</ECGSampleBase>
      <ECGSampleExponent>0</ECGSampleExponent>
   </RestingECGMeasurements>
   <Diagnosis>
      <Modality>RESTING</Modality>
      <DiagnosisStatement>
         <StmtFlag>ENDSLINE</StmtFlag>
         <StmtText>Synthetic ECG, of no patient</StmtText>
      </DiagnosisStatement>
   </Diagnosis>
"""
    parts = [head.encode("latin-1"), _waveform("Median", median, rate), _waveform("Rhythm", rhythm, rate)]
    return b"".join([*parts, b"</RestingECG>\n"])


def _waveform(kind: str, units: NDArray[np.int16], rate: int) -> bytes:
    """A Waveform element with its eight leads."""
    parts = [
        f"""   <Waveform>
      <WaveformType>{kind}</WaveformType>
      <WaveformStartTime>0</WaveformStartTime>
      <NumberofLeads>8</NumberofLeads>
      <SampleType>CONTINUOUS_SAMPLES</SampleType>
      <SampleBase>{rate}</SampleBase>
      <SampleExponent>0</SampleExponent>
      <HighPassFilter>16</HighPassFilter>
      <LowPassFilter>150</LowPassFilter>
      <ACFilter>50</ACFilter>
""".encode()
    ]
    for name, row in LEADS:
        raw = np.ascontiguousarray(units[row], "<i2").tobytes()
        parts += [
            f"""      <LeadData>
         <LeadByteCountTotal>{len(raw)}</LeadByteCountTotal>
         <LeadTimeOffset>0</LeadTimeOffset>
         <LeadSampleCountTotal>{len(raw) // 2}</LeadSampleCountTotal>
         <LeadAmplitudeUnitsPerBit>{UV_PER_UNIT}</LeadAmplitudeUnitsPerBit>
         <LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>
         <LeadHighLimit>32767</LeadHighLimit>
         <LeadLowLimit>-32768</LeadLowLimit>
         <LeadID>{name}</LeadID>
         <LeadOffsetFirstSample>0</LeadOffsetFirstSample>
         <FirstSampleBaseline>0</FirstSampleBaseline>
         <LeadSampleSize>2</LeadSampleSize>
         <LeadOff>FALSE</LeadOff>
         <BaselineSway>FALSE</BaselineSway>
         <LeadDataCRC32>{zlib.crc32(raw)}</LeadDataCRC32>
         <WaveFormData>
""".encode(),
            _lines(base64.b64encode(raw)),
            b"\n         </WaveFormData>\n      </LeadData>\n",
        ]
    return b"".join([*parts, b"   </Waveform>\n"])


def _lines(text: bytes) -> bytes:
    """The text in lines of 68 characters."""
    whole = len(text) // 68
    lines = np.full((whole, 69), ord("\n"), np.uint8)
    lines[:, :68] = np.frombuffer(text, np.uint8, 68 * whole).reshape(whole, 68)
    return (lines.tobytes() + text[68 * whole :]).removesuffix(b"\n")
