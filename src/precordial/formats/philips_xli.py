"""XLI, the compression of Philips electrocardiographs.

Philips has not published it; this follows what C. Watford found out (sierra-ecg-tools, wiki page
"XliCompressionScheme") and what the real files show:

- One chunk a channel: its length (32 bits), a number that is always 1, and the first second difference (16 bits),
  little-endian; then LZW in codes of ten bits, most significant bit first. There is one dictionary a chunk, which
  is never cleared; code 1023 ends the chunk. Files hold 16 channels where twelve were recorded: four are empty.
- The bytes are 16-bit numbers, all high bytes before all low ones. The first two are samples; each further one
  is 64 more than the second difference, with its sign changed, that leads to the sample *after* it.
- Leads III, aVR, aVL and aVF are stored as the difference from what follows from leads I and II. Halves are
  rounded towards zero. Other programs round them down; but then the differences in the noiseless one of the real
  files would put these leads up to 1.5 units off their sums, while so none is more than half a unit off.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import TWELVE

HEADER = struct.Struct("<IHh")
END = 1023  # the code after the last; also how many entries the dictionary has when it is full
BYTES = [bytes([value]) for value in range(256)]


def decode_xli(data: bytes, leads: tuple[str, ...], samples: int) -> NDArray[np.int64]:
    """Decompress a waveform.

    Args:
        data: the chunks.
        leads: names of the first channels; channels beyond are not decoded.
        samples: how many each must have.

    Returns:
        (leads, samples) units.

    Raises:
        ValueError: the data are damaged, or the leads cannot be told apart from their differences.
    """
    chunks = _chunks(data)
    if len(chunks) < len(leads):
        raise ValueError("fewer channels than leads")
    units = np.empty((len(leads), samples), np.int64)
    for row, (first, body) in zip(units, chunks, strict=False):
        raw = np.frombuffer(_decompress(body, 2 * samples), np.uint8)
        words = (raw[:samples].astype(np.uint16) << 8) | raw[samples:]
        row[:] = _samples(words.view(np.int16), first)
    _restore_limb_leads(units, leads)
    return units


def _chunks(data: bytes) -> list[tuple[int, bytes]]:
    """The first second difference and the codes of each channel."""
    chunks, at = [], 0
    while at < len(data):
        if at + HEADER.size > len(data):
            raise ValueError("a channel's header is cut")
        length, _, first = HEADER.unpack_from(data, at)
        at += HEADER.size + length
        if at > len(data):
            raise ValueError("a channel is cut")
        chunks.append((first, data[at - length : at]))
    return chunks


def _codes(body: bytes) -> NDArray[np.uint16]:
    """The codes of ten bits before the end code."""
    five = np.frombuffer(body + bytes(-len(body) % 5), np.uint8).reshape(-1, 5).astype(np.uint16)
    pairs = (five[:, :-1] << 8) | five[:, 1:]  # the code i begins at bit 2 i of byte i
    codes = ((pairs >> np.array([6, 4, 2, 0], np.uint16)) & END).astype(np.uint16).ravel()
    ends = np.flatnonzero(codes == END)
    if not len(ends):
        raise ValueError("a channel has no end")
    return codes[: ends[0]]


def _decompress(body: bytes, length: int) -> bytes:
    """The bytes of one channel, of which there must be `length`; more are never made."""
    codes = _codes(body)
    # An entry is made with each code but the first, until there are 1023; the codes after that are a mere look-up.
    growing, rest = codes[: END - len(BYTES) + 1].tolist(), codes[END - len(BYTES) + 1 :]
    if not growing or growing[0] >= len(BYTES):
        raise ValueError("a channel begins with no byte")
    entries = BYTES.copy()
    before = entries[growing[0]]
    found = [before]
    for size, code in enumerate(growing[1:], len(BYTES)):
        if code < size:
            entry = entries[code]
        elif code == size:  # the entry that is being made
            entry = before + before[:1]
        else:
            raise ValueError("a code that is not yet in the dictionary")
        found.append(entry)
        entries.append(before + entry[:1])
        before = entry
    sizes = np.array(list(map(len, entries)))
    if sum(map(len, found)) + int(sizes[rest].sum()) != length:
        raise ValueError("a channel does not have the samples announced")
    return b"".join(found) + b"".join([entries[code] for code in rest.tolist()])


def _samples(words: NDArray[np.int16], first: int) -> NDArray[np.int64]:
    """Samples from two samples and second differences: two running sums."""
    units = words.astype(np.int64)
    units[3:] = 64 - units[2:-1]
    units[2:3] = -first
    units[1:2] -= units[:1]
    units[1:] = np.cumsum(units[1:])
    return np.cumsum(units)


def _restore_limb_leads(units: NDArray[np.int64], leads: tuple[str, ...]) -> None:
    """Replace the differences of III, aVR, aVL and aVF by these leads."""
    row = {lead: units[i] for i, lead in enumerate(leads)}
    if not row.keys() & set(TWELVE[2:6]):
        return
    if not row.keys() >= set(TWELVE[:6]):
        raise ValueError("limb leads are stored as differences from leads that are missing")
    row["III"][:] = row["II"] - row["I"] - row["III"]
    row["aVR"][:] = -_half(row["I"] + row["II"]) - row["aVR"]
    row["aVL"][:] = _half(row["I"] - row["III"]) - row["aVL"]
    row["aVF"][:] = _half(row["II"] + row["III"]) - row["aVF"]


def _half(units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Half, rounded towards zero."""
    return (units + (units < 0)) >> 1
