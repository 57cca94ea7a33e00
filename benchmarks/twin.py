"""How fast is the synthetic hospital? Signals alone, and files, beside copying the same bytes in the same run.

    python benchmarks/twin.py [ECGS [PATIENTS]]

Signals are made in this process at 500 Hz, 10 s, eight leads, and compared with `numpy.copy` of what was made. The
hospital is written as GE MUSE XML into a temporary folder, with the default number of processes, and compared with
reading its files and writing them again.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from precordial.twin import make_hospital, synthetic_ecgs

Made = TypeVar("Made")


def main(ecgs: int = 1000, patients: int = 200) -> None:
    """Time both and print rates and ratios."""
    rng = np.random.default_rng(0)
    ages, sexes = rng.uniform(18, 95, ecgs), rng.integers(0, 2, ecgs)
    seconds, signals = best(lambda: synthetic_ecgs(ages, sexes, seed=1))
    busy, _ = best(lambda: synthetic_ecgs(ages, sexes, seed=1), clock=time.process_time)
    plain, _ = best(lambda: np.copy(signals))
    print(f"signals alone   {ecgs / seconds:6.0f} ECG/s, {ecgs / busy:.0f} in a second of processor time")
    print(f"numpy.copy      {ecgs / plain:6.0f} ECG/s; making takes {seconds / plain:.0f} times as long")

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        hospital = make_hospital(patients, 1, Path(folder) / "hospital")
        seconds = time.perf_counter() - start
        files = sorted(hospital.ecg.rglob("*.xml"))
        target = Path(folder) / "copy"
        target.mkdir()
        plain, _ = best(lambda: [(target / file.name).write_bytes(file.read_bytes()) for file in files])
        size = sum(file.stat().st_size for file in files) / 1e6
        print(f"MUSE hospital   {len(files) / seconds:6.0f} files/s ({len(files)} files, {size:.0f} MB)")
        print(f"copying them    {len(files) / plain:6.0f} files/s; making takes {seconds / plain:.0f} times as long")


def best(
    call: Callable[[], Made], times: int = 4, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, Made]:
    """The shortest of some calls in seconds, and what it returned."""
    took = []
    for _ in range(times):
        start = clock()
        result = call()
        took.append(clock() - start)
    return min(took), result


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
