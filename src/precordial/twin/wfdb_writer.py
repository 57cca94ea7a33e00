"""Writing an ECG as a WFDB record: a header and its samples in format 16.

Twelve leads in the usual order; the integers of the eight that MUSE stores are the same as in its files. The
format has no place for a patient id: the header names the patient in a comment, which `precordial.formats.wfdb` reads,
and the record list `registers/labels.csv` says it for all records.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import LIMB, TWELVE
from precordial.twin.faults import truncate
from precordial.twin.header import DEVICES, SITES, UV_PER_UNIT, Header


def wfdb_files(
    name: str, rhythm: NDArray[np.int16], median: NDArray[np.int16], header: Header, rate: int = 500, fault: str = ""
) -> dict[str, bytes]:
    """The two files of a record, by suffix.

    Args:
        name: of the record.
        rhythm: (8, samples) integers of 4.88 µV, in the order of `precordial.ecg.EIGHT`.
        median: not written; WFDB records have no typical beat.
        header: what else the files say.
        rate: samples per second.
        fault: one of `precordial.twin.faults.FAULTS`; the checksum and the length are spoilt here.
    """
    units = _twelve(rhythm)
    data = np.ascontiguousarray(units.T, "<i2").tobytes()
    files = {".hea": _header(name, units, header, rate).encode(), ".dat": data}
    if fault == "bad-checksum":  # one bit of the last sample
        files[".dat"] = data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]
    if fault == "unreadable":
        files[".dat"] = truncate(data)
    return files


def _twelve(units: NDArray[np.int16]) -> NDArray[np.int16]:
    """(12, samples) in the order of `TWELVE`; leads derived by halves are rounded."""
    limb = np.array([LIMB[lead] for lead in TWELVE[:6]], np.float32) @ units[6:8].astype(np.float32)
    derived = np.clip(np.rint(limb), -32768, 32767).astype(np.int16)
    return np.concatenate([derived, units[:6]])


def _header(name: str, units: NDArray[np.int16], header: Header, rate: int) -> str:
    when = f" {header.recorded_at:%H:%M:%S %d/%m/%Y}" if header.recorded_at else ""
    lines = [f"{name} {len(units)} {rate} {units.shape[1]}{when}"]
    sums = (units.sum(axis=1, dtype=np.int64) + 0x8000) % 0x10000 - 0x8000  # of 16 bits with a sign
    for lead, first, total in zip(TWELVE, units[:, 0].tolist(), sums.tolist(), strict=True):
        lines.append(f"{name}.dat 16 {1000 / UV_PER_UNIT!r}(0)/mV 16 0 {first} {total} 0 {lead}")
    lines += [f"#Age: {header.age}", f"#Sex: {header.sex.capitalize()}"]
    if header.patient_id:
        lines.append(f"#Patient: {header.patient_id}")
    lines += [f"#Site: {SITES[header.site]}", f"#Device: {DEVICES[header.device]}"]
    return "\n".join(lines) + "\n"
