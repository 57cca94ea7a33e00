"""DICOM: the waveform objects 12-lead ECG and general ECG.

pydicom finds the elements (`precordial.formats.dicom_elements`); the samples are decoded here.

What the reader decides where the files leave room:

- Of the multiplex groups those count that are original, not derived (the median beats). Several of them: a group of ten
  seconds before a shorter one, then the one of more channels, then the longer one.
- A millivolt value is sample × sensitivity × correction factor + baseline (PS3.3 C.10.9.1.4.4).
- A padding value marks samples as missing, but for the value zero: the ECGToolkit file at hand has it, and its zeros
  are ordinary samples.
- A patient id and an acquisition time may be missing, as in sets without names. An offset from UTC behind the time is
  left out: what is wanted is the local time. Age is PatientAge, or else follows from the date of birth.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import Ecg, Flag, Signal
from precordial.errors import UnusableEcg
from precordial.formats.dicom_elements import Channel, Group, parse_dicom
from precordial.formats.reader import (
    Reader,
    age_from_birth,
    checked_leads,
    checked_rate,
    parse_number,
    parse_sex,
    plausible_age,
    read_bytes,
)

# Ten seconds of 12 leads at 1000 Hz take 0.24 MB. The limit leaves room for more than ten minutes of that.
SIZE_LIMIT = 32 << 20

SOP_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.9.1.1": "12-lead ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.2": "general ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.4": "general 32-bit ECG",
}
SAMPLES = {
    ("8", "SB"): "<i1",
    ("8", "UB"): "<u1",
    ("16", "SS"): "<i2",
    ("16", "US"): "<u2",
    ("32", "SL"): "<i4",
    ("32", "UL"): "<u4",
}
MICROVOLTS = {"nV": 1e-3, "uV": 1.0, "µV": 1.0, "mV": 1e3, "V": 1e6}  # by UCUM code, whose letter case counts

_MOMENT = re.compile(r"(\d{8})(\d{4})(\d\d)?(?:\.(\d{1,6}))?(?:[-+]\d{4})?")
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}


def read_dicom(path: Path) -> Ecg:
    """Read a DICOM ECG; see the module for what is decided.

    Returns:
        The original rhythm, (leads, samples) float32 mV; padding samples are zero and flagged.

    Raises:
        UnusableEcg: see `precordial.errors.REASONS`; ``unsupported`` also where pydicom is not installed.
    """
    texts, groups = parse_dicom(read_bytes(path, SIZE_LIMIT), path)
    sop_class = texts["SOPClassUID"]
    if sop_class not in SOP_CLASSES:
        raise UnusableEcg("unsupported", f"a DICOM object other than {', '.join(SOP_CLASSES.values())}", file=path)
    recorded_at = _moment(texts["AcquisitionDateTime"])
    group = _rhythm(groups, path)
    signal, uv_per_unit, flags = _signal(group, path)
    return Ecg(
        signal,
        rate=_rate(group, path),
        leads=checked_leads((channel.lead for channel in group.channels), path),
        patient_id=texts["PatientID"] or None,
        recorded_at=recorded_at,
        age=_age(texts["PatientAge"], texts["PatientBirthDate"], recorded_at),
        sex=parse_sex(texts["PatientSex"]),
        device=texts["ManufacturerModelName"] or None,
        site=texts["InstitutionName"] or None,
        uv_per_unit=uv_per_unit,
        flags=flags,
        source="dicom",
    )


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


def _age(age: str, birth_date: str, recorded_at: datetime | None) -> float | None:
    """Age in years, from PatientAge such as ``042Y``, or else from the date of birth."""
    said = _AGE.fullmatch(age)
    if said is not None:
        return plausible_age(int(said[1]) / _PER_YEAR[said[2]])
    try:
        born = datetime.strptime(birth_date, "%Y%m%d").date()
    except ValueError:
        return None
    return age_from_birth(born, recorded_at)


DICOM = Reader("dicom", lambda head: head[128:132] == b"DICM", read_dicom)
