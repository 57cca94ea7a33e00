"""Energy that a training takes, read from the counters of the hardware where it has them; never estimated otherwise."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
EVERY_SECONDS = 30.0
MOST_WATTS = 2000.0  # of one package; a counter that could have gone round more than once is not believed

Reader = Callable[[], float]


class EnergyMeter:
    """Joules since it was made, by "processor" (RAPL: all packages, whoever uses them) and "gpu" (NVML: this GPU).

    What has no counter, or one that may not be read (Linux leaves RAPL to root), is not there.

    Args:
        gpu: UUID of the GPU that works, as CUDA names it without "GPU-"; None: none does.
        powercap: folder of the kernel's counters.
    """

    def __init__(self, gpu: str | None = None, powercap: Path = POWERCAP) -> None:
        # Per counter: whose it is, how to read it in J, and where it begins anew (0: never).
        self._counters: list[tuple[str, Reader, float]] = [("processor", *one) for one in _packages(powercap)]
        if gpu is not None and (reader := _nvml(gpu)) is not None:
            self._counters.append(("gpu", reader, 0.0))
        self._last: list[float | None] = [_read(reader) for _, reader, _ in self._counters]
        self._sums = [0.0] * len(self._counters)
        self._at = time.monotonic()

    def tick(self) -> None:
        """Read the counters if it is time; call it often, for they go round."""
        if time.monotonic() - self._at > EVERY_SECONDS:
            self._update()

    def joules(self) -> dict[str, float]:
        """So far, by what took it."""
        self._update()
        found: dict[str, float] = {}
        for (name, _, _), total in zip(self._counters, self._sums, strict=True):
            found[name] = found.get(name, 0.0) + total
        lost = {name for (name, _, _), last in zip(self._counters, self._last, strict=True) if last is None}
        return {name: round(total, 1) for name, total in found.items() if name not in lost}

    def _update(self) -> None:
        now = time.monotonic()
        for k, (_, reader, turn) in enumerate(self._counters):
            before, after = self._last[k], _read(reader)
            if before is None or after is None or (turn and (now - self._at) * MOST_WATTS > turn):
                self._last[k] = None  # lost, and so is its sum
                continue
            self._sums[k] += after - before + (turn if after < before else 0.0)
            self._last[k] = after
        self._at = now


def _read(reader: Reader) -> float | None:
    try:
        return reader()
    except (OSError, ValueError):
        return None


def _microjoules(counter: Path) -> float:
    return float(counter.read_text()) / 1e6


def _packages(powercap: Path) -> list[tuple[Reader, float]]:
    """The counter of each processor package that may be read, and where it goes round, in J."""
    found: list[tuple[Reader, float]] = []
    for folder in sorted(powercap.glob("intel-rapl:[0-9]*")):
        counter = folder / "energy_uj"
        try:
            if (folder / "name").read_text().startswith("package-"):  # not its parts, which have names of their own
                turn = float((folder / "max_energy_range_uj").read_text()) / 1e6
                counter.read_text()
                found.append((partial(_microjoules, counter), turn))
        except (OSError, ValueError):
            continue
    return found


def _nvml(uuid: str) -> Reader | None:
    """The counter of an NVIDIA GPU, by the driver's own library."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        handle, value = ctypes.c_void_p(), ctypes.c_ulonglong()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode(), ctypes.byref(handle)):
            return None
        if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value)):
            return None
    except (OSError, AttributeError):
        return None

    def read() -> float:
        if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value)):
            raise OSError("NVML")
        return value.value / 1000  # mJ

    return read
