"""Recordings for the trees: beats in noise, each of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_samples.wfdb import make_wfdb_record


def beats(seed: int, *, rate: int = 500, samples: int = 5000) -> NDArray[np.int16]:
    """(12, samples) of beats in noise, in µV; no two seeds give the same."""
    draw = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    trace = sum(900 * np.exp(-(((time - beat) / 0.02) ** 2)) for beat in np.arange(draw.uniform(0, 0.8), 11, 0.8))
    gains = draw.uniform(0.4, 1.2, (12, 1))
    return (gains * trace + 40 * draw.standard_normal((12, samples))).astype(np.int16)


def write_record(header: Path, seed: int, *, ending: str, storage: str = "16", comments: tuple[str, ...] = ()) -> None:
    """A WFDB record of 10 s at 500 Hz whose data file has another ending."""
    header.parent.mkdir(parents=True, exist_ok=True)
    made = make_wfdb_record(header.parent, beats(seed), name=header.stem, storage=storage, comments=comments)
    if ending != "dat":
        made.with_suffix(".dat").rename(made.with_suffix(f".{ending}"))
        made.write_text(made.read_text().replace(".dat ", f".{ending} "))
