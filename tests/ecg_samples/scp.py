"""SCP-ECG files: a writer of all that the reader knows, and a decoder that goes bit by bit."""

from __future__ import annotations

import binascii
import itertools
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_samples.sample import Decoded, Sample

# The standard's numbers of the twelve leads, in the order in which electrocardiographs write them.
CODES = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"}
CODES |= {3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6"}
HEADER = 16  # bytes of a section before its content
DEFAULT_TABLE = struct.pack("<H", 19999)

DEVICE = struct.pack("<HHHBB6sBBB", 0, 0, 0, 0, 255, b"MAC55\0", 20, 0xA0, 0).ljust(36, b"\0") + b"\0\0\0\0\0"
TAGS = {
    0: b"T\xe9st\0",
    2: b"TEST0001\0",
    4: struct.pack("<HB", 71, 1),
    5: struct.pack("<HBB", 1930, 5, 7),
    8: b"\2",
    14: DEVICE,
    16: b"General Hospital\0",
    25: struct.pack("<HBB", 2021, 5, 10),
    26: bytes([13, 5, 16]),
}


def make_scp(
    digital: NDArray[np.int64],
    *,
    codes: Sequence[int] = tuple(CODES),
    nanovolts: int = 2500,
    interval: int = 2000,
    differences: int = 2,
    tables: bytes | None = DEFAULT_TABLE,
    encode: Callable[[list[int]], bytes] | None = None,
    first: int = 1,
    flags: int = 0x64,
    bimodal: int = 0,
    tags: Mapping[int, bytes] = TAGS,
    others: Mapping[int, bytes | None] | None = None,
) -> bytes:
    """A file of `digital`, (leads, samples), as bytes.

    `tables` is the content of Section 2, of which there is none for None; `encode` makes a lead's values to bytes, by
    default as the tables say; `others` adds, replaces or leaves out whole sections.
    """
    leads = [(first, first + digital.shape[1] - 1, code) for code in codes[: len(digital)]]
    sections: dict[int, bytes | None] = {
        1: b"".join(struct.pack("<BH", tag, len(text)) + text for tag, text in tags.items()) + b"\xff\0\0",
        2: tables,
        3: struct.pack("<BB", len(leads), flags) + b"".join(struct.pack("<IIB", *lead) for lead in leads),
        6: lead_data(digital, nanovolts, interval, differences, tables, encode, bimodal),
    }
    return assemble({number: data for number, data in {**sections, **(others or {})}.items() if data is not None})


def lead_data(
    digital: NDArray[np.int64],
    nanovolts: int,
    interval: int,
    differences: int,
    tables: bytes | None,
    encode: Callable[[list[int]], bytes] | None = None,
    bimodal: int = 0,
) -> bytes:
    """The content of Section 5 or 6."""
    encode = encode or (plain if tables is None else huffman)
    stored = [encode(differ(trace.tolist(), differences)) for trace in digital]
    sizes = [len(data) for data in stored]
    return struct.pack(f"<HHBB{len(sizes)}H", nanovolts, interval, differences, bimodal, *sizes) + b"".join(stored)


def differ(values: list[int], order: int) -> list[int]:
    """First or second differences in 16 bits; before them stand the first one or two values as they are."""
    rest = {
        0: values,
        1: [b - a for a, b in itertools.pairwise(values)],
        2: [c - 2 * b + a for a, b, c in zip(values, values[1:], values[2:], strict=False)],
    }[order]
    return [(value + 0x8000) % 0x10000 - 0x8000 for value in values[:order] + rest]


def plain(values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


def huffman(values: list[int]) -> bytes:
    """The standard's default table: how each value is written there, as text of zeros and ones."""

    def bits(value: int) -> str:
        if value == 0:
            return "0"
        if abs(value) <= 8:
            return "1" * abs(value) + ("00" if value > 0 else "01")
        if -128 <= value < 128:
            return "1111111110" + f"{value & 0xFF:08b}"
        return "1111111111" + f"{value & 0xFFFF:016b}"

    return to_bytes("".join(map(bits, values)))


def to_bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def assemble(sections: Mapping[int, bytes]) -> bytes:
    """A whole file of these contents: headers, pointers to all twelve sections, lengths and checksums."""

    def section(number: int, content: bytes) -> bytes:
        content += bytes(len(content) % 2)
        reserved = b"SCPECG" if number == 0 else bytes(6)
        rest = struct.pack("<HIBB6s", number, HEADER + len(content), 20, 20, reserved) + content
        return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest

    at = 7 + HEADER + 120
    whole = {number: section(number, content) for number, content in sorted(sections.items())}
    pointers = struct.pack("<HII", 0, HEADER + 120, 7)
    for number in range(1, 12):
        size = len(whole.get(number, b""))
        pointers += struct.pack("<HII", number, size, at if size else 0)
        at += size
    body = section(0, pointers) + b"".join(data for number, data in whole.items() if number < 12)
    rest = struct.pack("<I", 6 + len(body)) + body
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


def contents(data: bytes) -> dict[int, tuple[int, int]]:
    """Where the content of each section begins and ends."""
    found = {}
    for at in range(22, 142, 10):
        number, size, begin = struct.unpack_from("<HII", data, at)
        if size:
            found[number] = (begin - 1 + HEADER, begin - 1 + size)
    return found


def mend(path: Path) -> None:
    """Write all checksums anew, and the length of the file; the damage between them stays."""
    data = bytearray(path.read_bytes())
    if len(data) < 142:
        return
    struct.pack_into("<I", data, 2, len(data))
    for start, stop in contents(data).values():
        if HEADER <= start <= stop <= len(data):
            checksum = binascii.crc_hqx(data[start - HEADER + 2 : stop], 0xFFFF)
            struct.pack_into("<H", data, start - HEADER, checksum)
    struct.pack_into("<H", data, 0, binascii.crc_hqx(data[2:], 0xFFFF))
    path.write_bytes(data)


def decode_scp(path: Path) -> Decoded:
    """Files without reference beats, stored plainly or by the default table."""
    data = path.read_bytes()
    part = {number: data[start:stop] for number, (start, stop) in contents(data).items()}
    leads = [struct.unpack_from("<IIB", part[3], 2 + 9 * i) for i in range(part[3][0])]
    nanovolts, interval, differences = struct.unpack_from("<HHB", part[6])
    at, traces = 6 + 2 * len(leads), []
    for i, (first, last, _) in enumerate(leads):
        (size,) = struct.unpack_from("<H", part[6], 6 + 2 * i)
        values = read_bits(part[6][at : at + size]) if 2 in part else read_plain(part[6][at : at + size])
        at += size
        trace: list[int] = []
        for n, value in enumerate(values[: last - first + 1]):
            if n < differences or not differences:
                trace.append(value)
            else:
                trace.append(value + (trace[-1] if differences == 1 else 2 * trace[-1] - trace[-2]))
        traces.append([value * nanovolts / 1e6 for value in trace])
    return 1e6 / interval, [CODES[code] for _, _, code in leads], traces


def read_plain(data: bytes) -> list[int]:
    return [value for (value,) in struct.iter_unpack("<h", data)]


def read_bits(data: bytes) -> list[int]:
    bits = "".join(f"{byte:08b}" for byte in data)
    values, at = [], 0
    while at < len(bits):
        ones = 0
        while bits[at : at + 1] == "1":
            ones, at = ones + 1, at + 1
            if ones == 9:  # the tenth bit tells between 8 and 16 more
                more = 16 if bits[at : at + 1] == "1" else 8
                value = int(bits[at + 1 : at + 1 + more] or "0", 2)
                values.append(value - (1 << more) if value >> (more - 1) else value)
                at += 1 + more
                break
        if ones < 9:
            if ones == 0:
                values.append(0)
                at += 1
            else:  # a zero ends the ones, and the sign follows
                values.append(-ones if bits[at + 1 : at + 2] == "1" else ones)
                at += 2
    return values


def walk(leads: int, samples: int, seed: int = 0) -> NDArray[np.int64]:
    """Leads as smooth as an ECG, with some jumps of a few thousand units."""
    draw = np.random.default_rng(seed)
    steps = draw.integers(-12, 13, (leads, samples)) + (draw.random((leads, samples)) < 0.01) * 400
    return np.clip((steps - steps.mean(axis=1, keepdims=True)).cumsum(axis=1), -9000, 9000).astype(np.int64)


def write(folder: Path) -> Path:
    path = folder / "ecg.scp"
    path.write_bytes(make_scp(walk(12, 5000)))
    return path


def waveform(path: Path) -> tuple[Path, int, int]:
    data = path.read_bytes()
    start, stop = contents(data)[6]
    return path, start + 6 + 2 * 12, stop


SAMPLE = Sample(write, decode_scp, ("formats/scp/*.scp",), waveform, mend=mend)
