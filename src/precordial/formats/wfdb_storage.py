"""How WFDB data files store integers: all formats of signal(5) of the WFDB Applications Guide but those of FLAC."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.signedinteger[Any]]

# Bytes of a value, where that is a whole number.
BYTES = {8: 1, 16: 2, 24: 3, 32: 4, 61: 2, 80: 1, 160: 2}
WIDE = (8, 24, 32)  # formats whose values may need more than 16 bits, and come as 32

# The value that stands for a missing sample: the lowest. Format 8 has none, and does not reach what stands here.
MISSING = {8: -(1 << 31), 24: -(1 << 23), 32: -(1 << 31), 80: -(1 << 7), 212: -(1 << 11)}
MISSING |= {16: -(1 << 15), 61: -(1 << 15), 160: -(1 << 15), 310: -(1 << 9), 311: -(1 << 9)}


def stored(storage: int, size: int) -> int:
    """How many values `size` bytes hold; of packed ones also those that a last, incomplete pack holds."""
    if storage in BYTES:
        return size // BYTES[storage]
    if storage == 212:
        return size * 2 // 3
    # Three values in four bytes. Two bytes hold one of them, and of format 311 three bytes hold two.
    return size // 4 * 3 + (0, 0, 1, 1 if storage == 310 else 2)[size % 4]


def unpack(storage: int, data: bytes, count: int) -> Integers:
    """The first `count` values in the order of the file; of format 8 they are differences.

    Args:
        storage: a format of `MISSING`.
        data: bytes that hold at least `count` values (`stored`).
        count: values to unpack.

    >>> unpack(24, bytes([1, 0, 0, 255, 255, 255]), 2), unpack(80, bytes([0, 255]), 2)
    (array([ 1, -1], dtype=int32), array([-128,  127], dtype=int16))
    """
    if storage == 212:
        return _unpack_212(data, count)
    if storage in (310, 311):
        return _unpack_thirds(storage, data, count)
    if storage == 24:
        triples = np.frombuffer(data, np.uint8, 3 * count).reshape(-1, 3)
        words = np.zeros((count, 4), np.uint8)
        words[:, 1:] = triples  # in the upper part of 32 bits, from where the sign comes down with the shift
        return words.view("<i4").ravel() >> 8
    if storage == 80:
        return np.frombuffer(data, np.uint8, count).astype(np.int16) - np.int16(128)
    if storage == 160:  # without its highest bit's sign: the values less 2^15
        return (np.frombuffer(data, "<u2", count) ^ np.uint16(0x8000)).view(np.int16)
    if storage == 61:
        return np.frombuffer(data, ">i2", count).astype(np.int16)
    return np.frombuffer(data, {8: "i1", 16: "<i2", 32: "<i4"}[storage], count)


def _unpack_212(data: bytes, count: int) -> NDArray[np.int16]:
    """Pairs of 12-bit two's complement numbers in three bytes.

    The middle byte holds the high four bits of the first number in its low half, and of the second in its high half.

    >>> _unpack_212(bytes([0x01, 0xF0, 0xFF, 0x00, 0x08]), 3)
    array([    1,    -1, -2048], dtype=int16)
    """
    used = (3 * count + 1) // 2
    triples = np.zeros((count + 1) // 2 * 3, np.int16)
    triples[:used] = np.frombuffer(data, np.uint8, used)
    low, middle, high = triples.reshape(-1, 3).T
    pairs = np.stack([low | (middle & 0x0F) << 8, high | (middle & 0xF0) << 4], axis=1)
    signed: NDArray[np.int16] = (pairs ^ 0x800) - 0x800
    return signed.ravel()[:count]


def _unpack_thirds(storage: int, data: bytes, count: int) -> NDArray[np.int16]:
    """Threes of 10-bit two's complement numbers in four bytes.

    In format 311 they stand one after the other from the lowest bit on. In format 310 the first two stand in bits 1 to
    10 of a 16-bit word each, and above them the low and the high five bits of the third.

    >>> _unpack_thirds(311, bytes([0x01, 0xFC, 0x0F, 0x20]), 3), _unpack_thirds(310, bytes([2, 0, 0xFE, 0x87]), 3)
    (array([   1,   -1, -512], dtype=int16), array([   1,   -1, -512], dtype=int16))
    """
    fours = (count + 2) // 3
    words = np.frombuffer(data[: 4 * fours].ljust(4 * fours, b"\0"), "<u4")
    if storage == 311:
        thirds = [words, words >> 10, words >> 20]
    else:
        thirds = [words >> 1, words >> 17, (words >> 11 & 0x1F) | (words >> 27) << 5]
    tens = (np.stack(thirds, axis=1) & 0x3FF).astype(np.int16)
    signed: NDArray[np.int16] = (tens ^ 0x200) - 0x200
    return signed.ravel()[:count]
