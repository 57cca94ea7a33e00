"""How an ECG's integers lie in a shard: as they are, or compressed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precordial.archive.layout import CodecName

Bytes = bytes | memoryview


@dataclass(frozen=True)
class Codec:
    """One way of storing.

    Attributes:
        encode: integers (leads, samples) int16 into bytes.
        decode: bytes into the bytes of the integers, written into an array that has just their number. Raises
            ValueError for bytes that are damaged; some damage gives other integers, which the ECG's digest then shows.
    """

    encode: Callable[[NDArray[np.int16]], Bytes]
    decode: Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]


def _encode_raw(units: NDArray[np.int16]) -> Bytes:
    return np.ascontiguousarray(units, "<i2").reshape(-1).view(np.uint8).data


def _decode_raw(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    out[:] = data


@cache
def _pco() -> tuple[Any, Any]:
    """Pcodec, and its settings: differences of second order, whose entropy is the least of the simple ones for ECGs.

    Level 8 is where the size no longer falls; see docs/performance.md for what was tried.
    """
    from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

    delta = DeltaSpec.try_consecutive(2)
    return standalone, ChunkConfig(compression_level=8, delta_spec=delta, mode_spec=ModeSpec.classic())


def _encode_pco(units: NDArray[np.int16]) -> Bytes:
    standalone, config = _pco()
    data: bytes = standalone.simple_compress(np.ascontiguousarray(units).reshape(-1), config)
    return data


def _decode_pco(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    standalone, _ = _pco()
    try:
        progress = standalone.simple_decompress_into(data.tobytes(), out.view(np.int16))
    except Exception as error:  # pcodec raises RuntimeError, and panics of Rust arrive as others
        raise ValueError("the compressed bytes are damaged") from error
    if 2 * progress.n_processed != out.size:
        raise ValueError("the compressed bytes hold too few samples")


CODECS: dict[CodecName, Codec] = {"raw": Codec(_encode_raw, _decode_raw), "pco": Codec(_encode_pco, _decode_pco)}
