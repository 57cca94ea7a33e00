"""WFDB records: a header and its data files, in all formats of integers, and the ``.mat`` files of the Challenges.

The ``.mat`` files are MATLAB version 4 matrices of 16-bit integers, (leads, samples) by columns; that is
format 16 behind a preamble of 24 bytes, and the headers say so (``16+24``).

What the reader decides where the files leave room:

- A checksum is compared where the header has one and says how many samples there are. All 2496 PTB-XL and
  71 Challenge records at hand match, so that a mismatch is taken as damage. Checksums that are absent or all
  zero (the format's placeholder) are flagged `Flag.NO_CHECKSUM`.
- Date and time are passed on as the header says. In the files of the 2020 and 2021 Challenges they tell
  when the file was made; whoever splits those by time must not trust them.
- The format has no place for a patient id. A comment ``#Patient: …`` or ``#Patient ID: …`` is taken for one;
  without it `Ecg.patient_id` is None. Nor need there be a time. A record without either is taken: a table of labels
  can say both, and a cohort from registers leaves it out and counts it.
- Gains are taken as the header says, also where they look wrong (the Challenge's E00015 and E00018 say
  4880 units per mV, while their values look like whole µV).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import Ecg, Flag, Signal
from precordial.errors import UnusableEcg
from precordial.formats.reader import (
    Reader,
    checked_leads,
    parse_number,
    parse_sex,
    plausible_age,
    read_bytes,
)
from precordial.formats.wfdb_header import (
    Channel,
    Header,
    content_lines,
    is_beside,
    looks_like_header,
    parse_comments,
    parse_header,
)
from precordial.formats.wfdb_storage import BYTES, MISSING, Integers, stored, unpack

HEADER_LIMIT = 1 << 20  # bytes; a header of 12 leads has about 1 kB
DATA_LIMIT = 1 << 26  # bytes; as many as the following values can have
VALUES_LIMIT = 1 << 24  # of a data file; 45 minutes of 12 leads at 500 Hz, and what fits in memory in all its forms

PATIENT = ("patient id", "patient")  # comments that name the patient

# How the Challenges' .mat files begin: integers of 16 bits, two sizes, no imaginary part, and the name "val".
_MATRIX = re.compile(rb"\x1e\0\0\0.{8}\0\0\0\0\x04\0\0\0val\0", re.DOTALL)


def read_wfdb(path: Path) -> Ecg:
    """Read a WFDB record through its header; see the module for what is decided.

    Args:
        path: the header (``.hea``, or any other name).

    Returns:
        All signals of the record, (leads, samples) float32 mV; missing samples are zero and flagged.

    Raises:
        UnusableEcg: see `precordial.errors.REASONS`.
    """
    header = parse_header(_text(read_bytes(path, HEADER_LIMIT)), path)
    digital = _digital(header, path)
    flags = _verify(digital, header, path)
    gains = [channel.gain for channel in header.channels]
    signal, missing = _millivolts(digital, header)
    if missing:
        flags |= Flag.MISSING_SAMPLES
    age = parse_number(header.comments.get("age"))
    if age == 300:  # PTB-XL's code for all ages above 89
        age = 90.0
        flags |= Flag.AGE_ABOVE_89
    return Ecg(
        signal,
        rate=header.rate,
        leads=checked_leads((channel.lead for channel in header.channels), path),
        patient_id=next((header.comments[name] for name in PATIENT if header.comments.get(name)), None),
        recorded_at=header.recorded_at,
        age=plausible_age(age),
        sex=parse_sex(header.comments.get("sex")),
        uv_per_unit=1000 / gains[0] if len(set(gains)) == 1 and gains[0] > 0 else None,
        flags=flags,
        source="wfdb",
    )


def read_comments(path: Path) -> dict[str, str]:
    """The comments of a header, such as ``#Age: 82``, under lower-case keys; the rest may be damaged.

    Raises:
        UnusableEcg: the system does not let it be read, or it is no header by its size.
    """
    return parse_comments(_text(read_bytes(path, HEADER_LIMIT)))


def data_files(path: Path) -> tuple[Path, ...]:
    """The existing data files that the lines of a header name, also where the header is damaged otherwise."""
    try:
        lines = content_lines(_text(read_bytes(path, HEADER_LIMIT)))[1:]
    except UnusableEcg:
        return ()
    names = dict.fromkeys(line.split()[0] for line in lines)
    return tuple(path.with_name(name) for name in names if is_beside(name) and path.with_name(name).is_file())


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _digital(header: Header, path: Path) -> Integers:
    """The stored integers, (signals, samples), in the order of the header's lines."""
    rows: dict[str, list[int]] = {}
    for i, channel in enumerate(header.channels):
        rows.setdefault(channel.file, []).append(i)
    blocks = [_decode([header.channels[i] for i in own], header.samples, path) for own in rows.values()]
    if len(blocks) == 1:
        return blocks[0]
    if len({block.shape[1] for block in blocks}) > 1:
        raise UnusableEcg("unreadable", "its data files differ in length", file=path)
    stored_order = [i for own in rows.values() for i in own]
    return np.concatenate(blocks)[np.argsort(stored_order)]


def _decode(channels: list[Channel], samples: int | None, path: Path) -> Integers:
    """The integers of one data file, (its signals, samples)."""
    first = channels[0]
    file = path.with_name(first.file)
    if {(channel.format, channel.offset) for channel in channels} != {(first.format, first.offset)}:
        raise UnusableEcg("unreadable", "signals of one data file differ in format or offset", file=path)
    if first.format not in MISSING:
        raise UnusableEcg(
            "unsupported",
            f"storage format {first.format}, which is compressed by FLAC",
            file=path,
            remedy="rewrite the record in format 16 with WFDB's xform, or with wrsamp of the Python package wfdb",
        )
    if not file.is_file():
        raise UnusableEcg(
            "unreadable", "its data file is missing", file=path, remedy=f"put {first.file} beside the header"
        )
    data = read_bytes(file, DATA_LIMIT)[first.offset :]
    held = stored(first.format, len(data))
    if samples is None:
        samples = held // len(channels)
        rest = len(data) - BYTES.get(first.format, 0) * samples * len(channels)
        if samples == 0 or (first.format in BYTES and rest):
            raise UnusableEcg("unreadable", "the data file does not hold whole samples of all signals", file=file)
    count = samples * len(channels)
    if held < count:
        raise UnusableEcg("unreadable", f"holds {held // len(channels)} of the header's {samples} samples", file=file)
    if count > VALUES_LIMIT:
        raise UnusableEcg("unsupported", f"has more than {VALUES_LIMIT} values", file=file, remedy="cut the recording")
    frames = unpack(first.format, data, count).reshape(samples, len(channels))
    if first.format == 8:  # first differences
        frames = frames.cumsum(axis=0, dtype=np.int32) + np.array([channel.initial for channel in channels], np.int32)
    return np.ascontiguousarray(frames.T)


def _millivolts(digital: Integers, header: Header) -> tuple[Signal, bool]:
    """The integers as float32 mV, each rounded once; and whether samples are missing, which are zero then."""
    gains = np.array([channel.gain for channel in header.channels])[:, None]
    baselines = np.array([channel.baseline for channel in header.channels])[:, None]
    marks = np.array([MISSING[channel.format] for channel in header.channels], digital.dtype)[:, None]
    # 16-bit values less a baseline stay below 2^24, and the quotient of two float32 is rounded as that of doubles.
    exact = digital.itemsize == 2 and bool((gains == gains.astype(np.float32)).all())
    kind = np.float32 if exact else np.float64
    signal: NDArray[np.float32 | np.float64] = digital.astype(kind)
    if baselines.any():
        np.subtract(signal, baselines.astype(kind), out=signal)
    np.divide(signal, gains.astype(kind), out=signal)
    missing = digital == marks if digital.min() <= marks.max() else np.zeros(1, bool)
    if missing.any():
        signal[missing] = 0.0
    return signal.astype(np.float32, copy=False), bool(missing.any())


def _verify(digital: Integers, header: Header, path: Path) -> Flag:
    """Compare each signal's 16-bit sum with the header's; say if there was none to compare."""
    checksums = [channel.checksum for channel in header.channels]
    if header.samples is None or not any(checksums):
        return Flag.NO_CHECKSUM
    # Sums of 16 bits that overflow as the format's do: the low halves of wider integers have the same.
    low = digital.view(np.uint16) if digital.itemsize == 2 else digital.astype(np.uint16)
    sums = low.sum(axis=1, dtype=np.uint16).tolist()
    wrong = [i for i, said in enumerate(checksums) if said is not None and sums[i] != said % (1 << 16)]
    if wrong:
        raise UnusableEcg("bad-checksum", f"the checksum of signal {wrong[0] + 1} does not match", file=path)
    return Flag.NO_CHECKSUM if None in checksums else Flag(0)


def lacks_header(path: Path) -> bool:
    """Whether a file is a ``.mat`` of the Challenges, and its header, without which it says nothing, is not there."""
    with path.open("rb") as file:
        return _MATRIX.match(file.read(24)) is not None and not path.with_suffix(".hea").exists()


WFDB = Reader("wfdb", looks_like_header, read_wfdb, data_files)
