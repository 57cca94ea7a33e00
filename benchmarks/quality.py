"""How often do recordings get each quality flag, are interchanged electrodes found, and how long does it take?

    python benchmarks/quality.py [--rate 500] [FOLDER ...]

For each folder of ECG files, and for a small synthetic hospital made on the spot: the share with each flag, percentiles
of hum and wander, the share flagged as reversed after electrodes are interchanged on paper, and µs per ECG, best of
three, beside the time to copy the same samples.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from precordial.ecg import EIGHT, Ecg, Flag, Signal, normalise
from precordial.errors import UnusableEcg
from precordial.formats import read_ecg
from precordial.quality import assess
from precordial.twin import make_hospital

LIMB = {  # what I and II become, as multiples of the true (I, II)
    "RA/LA": ((-1, 0), (-1, 1)),
    "RA/LL": ((1, -1), (0, -1)),
    "LA/LL": ((0, 1), (1, 0)),
    "RA to LA to LL": ((-1, 1), (-1, 0)),
    "RA to LL to LA": ((0, -1), (1, -1)),
    "RA/RL": ((1, -1), (0, 0)),  # the right leg is taken to have the left leg's potential
    "LA/RL": ((0, 1), (0, 1)),
}
CHEST = {
    "V1/V2": (1, 0, 2, 3, 4, 5),
    "V2/V3": (0, 2, 1, 3, 4, 5),
    "V3/V4": (0, 1, 3, 2, 4, 5),
    "V4/V5": (0, 1, 2, 4, 3, 5),
    "V5/V6": (0, 1, 2, 3, 5, 4),
    "V1/V3": (2, 1, 0, 3, 4, 5),
    "V4/V6": (0, 1, 2, 5, 4, 3),
    "V1-V3/V4-V6": (3, 4, 5, 0, 1, 2),
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--rate", type=int, default=500)
    given = parser.parse_args()
    for folder in given.folders:
        report(str(folder), list(recordings(folder, given.rate)))
    with tempfile.TemporaryDirectory() as scratch:
        hospital = make_hospital(300, 1, Path(scratch, "hospital"), format="wfdb", workers=1)
        report("synthetic hospital of 300 patients, seed 1", list(recordings(hospital.ecg, given.rate)))


def recordings(folder: Path, rate: int) -> Iterator[tuple[Ecg, Ecg]]:
    """Each usable ECG of a folder, normalised and as recorded."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".dat", ".mat", ".orig"):  # these belong to headers
            continue
        try:
            ecg = read_ecg(path)
            yield normalise(ecg, rate=rate, samples=10 * rate), ecg
        except UnusableEcg:
            continue


def report(name: str, ecgs: list[tuple[Ecg, Ecg]]) -> None:
    """Print what is found in these."""
    found = [assess(normal.signal, normal.rate, ecg) for normal, ecg in ecgs]
    print(f"\n{name}: {len(found)} ECGs")
    for flag in Flag:
        if flag >= Flag.FLAT_PART:
            count = sum(flag in quality.flags for quality in found)
            print(f"  {str(flag.name).lower():12} {count:5} {count / len(found):7.1%}")
    for what in ("mains_uv", "wander_uv"):
        values = np.array([getattr(quality, what) for quality in found])
        if np.isfinite(values).all():
            print(f"  {what:12} median, 95th, 99th percentile:", *np.percentile(values, [50, 95, 99]).round(1))
    print("  found after an interchange:", ", ".join(f"{what} {share(plant, ecgs):.1%}" for what, plant in planted()))
    took = min(timed(ecgs, lambda normal, ecg: assess(normal.signal, normal.rate, ecg)) for _ in range(3))
    copy = min(timed(ecgs, lambda normal, ecg: normal.signal.copy()) for _ in range(3))
    print(f"  {took * 1e6:.0f} µs an ECG, {took / copy:.1f} times copying its samples")


def planted() -> Iterator[tuple[str, Callable[[Signal], Signal]]]:
    """Each interchange, as a function of (8, samples) mV."""
    for name, factors in LIMB.items():
        whole = np.eye(8, dtype=np.float32)
        whole[6:, 6:] = factors
        yield name, lambda signal, whole=whole: whole @ signal  # type: ignore[misc]
    for name, order in CHEST.items():
        yield name, lambda signal, rows=(*order, 6, 7): signal[list(rows)]  # type: ignore[misc]


def share(plant: Callable[[Signal], Signal], ecgs: list[tuple[Ecg, Ecg]]) -> float:
    """Part of the ECGs that is flagged as reversed."""
    signals = [(plant(normal.signal), normal.rate) for normal, _ in ecgs]
    return float(np.mean([Flag.REVERSAL in assess(s, rate, Ecg(s, rate, EIGHT)).flags for s, rate in signals]))


def timed(ecgs: list[tuple[Ecg, Ecg]], call: Callable[[Ecg, Ecg], object]) -> float:
    """Seconds an ECG."""
    start = time.perf_counter()
    for normal, ecg in ecgs:
        call(normal, ecg)
    return (time.perf_counter() - start) / len(ecgs)


if __name__ == "__main__":
    main()
