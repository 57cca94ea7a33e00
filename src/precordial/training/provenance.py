"""Where a trained model comes from: code, settings, data, machine, time and energy, in `provenance.json`.

No user, host or folder is named. Times of the day are not kept, either.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from precordial import __version__
from precordial.files import write_atomic
from precordial.training.distributed import processes
from precordial.training.energy import EnergyMeter
from precordial.training.run import TrainingRun
from precordial.training.steps import Step

PROVENANCE = "provenance.json"
LIBRARIES = ("torch", "numpy", "scipy", "pydantic", "safetensors")


class Provenance:
    """The record of a training: one session for each process that has worked on it.

    Args:
        folder: of the run; sessions that are in it already stay.
        run: what is trained.
        archive: digest of the archive.
        cohort: digest of the cohort.
        place: device of the training.
    """

    def __init__(self, folder: Path, run: TrainingRun, *, archive: str, cohort: str, place: torch.device) -> None:
        self._path = folder / PROVENANCE
        self._about = {
            "run": run.id,
            "settings": run.model_dump(mode="json"),
            "data": {"archive": archive, "cohort": cohort},
        }
        self._earlier = _sessions(self._path)
        self._session = {"code": code_version(), "libraries": library_versions(), "machine": machine(place)}
        self._started, self._cpu = time.monotonic(), time.process_time()
        self._meter = EnergyMeter(_uuid(place))
        self._first: int | None = None

    def watching(self, progress: Callable[[Step], None] | None) -> Callable[[Step], None]:
        """`progress`, with a look at the counters of energy, which go round, at each step."""

        def watch(step: Step) -> None:
            self._meter.tick()
            if progress:
                progress(step)

        return watch

    def save(self, epoch: int) -> None:
        """Write what is known after an epoch, counted from 1."""
        self._first = self._first or epoch
        session = self._session | {
            "epochs": [self._first, epoch],
            "wall_seconds": round(time.monotonic() - self._started, 2),
            "processor_seconds": round(time.process_time() - self._cpu, 2),
        }
        if joules := self._meter.joules():
            session["energy_joules"] = joules
        text = json.dumps(self._about | {"sessions": [*self._earlier, session]}, indent=1)
        write_atomic(self._path, text + "\n")


def code_version() -> dict[str, Any]:
    """Version of the package; from a checkout also its commit, and whether files were changed since."""
    source = Path(__file__).parents[1]
    found: dict[str, Any] = {"precordial": __version__}
    top = _git(source, "rev-parse", "--show-toplevel")
    # A package that is installed somewhere inside another project's checkout is not of its commit.
    if top is not None and Path(top) / "src" / "precordial" == source.resolve():
        found["commit"] = _git(source, "rev-parse", "HEAD")
        found["changed"] = bool(_git(source, "status", "--porcelain", "--", str(source)))
    return found


def library_versions() -> dict[str, str]:
    """Python and what computes."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine(place: torch.device) -> dict[str, Any]:
    """Processor, cores (of the machine, and those that torch uses), memory, and the GPU if one works."""
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "processes": processes(),
        "device": place.type,
    }
    if place.type == "cuda":
        properties = torch.cuda.get_device_properties(place)
        found["gpu"] = {"name": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1)}
        found["cuda"] = torch.version.cuda
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _uuid(place: torch.device) -> str | None:
    return str(torch.cuda.get_device_properties(place).uuid) if place.type == "cuda" else None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _sessions(path: Path) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(path.read_bytes())["sessions"]
    except (OSError, ValueError, KeyError):
        return []
    return found
