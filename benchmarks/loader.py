"""How fast does the loader give batches, of whole ECGs and of crops? Against plain copying within memory.

    python benchmarks/loader.py [--ecgs 10000] [--batches 40] [--rounds 9] [--threads 1]

ECGs are noise: eight leads, 500 Hz, ten seconds, in an archive as `ingest` writes it, and the same integers in memory.
Batches of 256 random ECGs, or random crops of 2.5 s, come from the archive once everything has been compared with its
digests (and, in a line of its own, while that is done), or from resident signals. "int16" is what is read ahead;
"mV" is what a network is given: float32, scaled, prepared. Beside them the same integers are picked out of memory by
NumPy. The ways take turns within one run, pass by pass, and the median of the passes counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from precordial.archive import Archive
from precordial.archive.layout import Manifest
from precordial.archive.taken import take
from precordial.archive.writer import ArchiveWriter
from precordial.ecg import EIGHT, Ecg, InputSpec
from precordial.training import loader
from precordial.training.loader import Examples, batches, make_resident

BATCH, SAMPLES, CROP, UV = 256, 5000, 1250, 4.88
GOALS = {"whole": 30_000, "crops": 80_000}


def main() -> None:
    """Make the archive, read it, and print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ecgs", type=int, default=10_000)
    parser.add_argument("--batches", type=int, default=40, help="of a pass")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; the loader has one of its own")
    parser.add_argument("--folder", type=Path, help="for the archive; needs 80 kB an ECG")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        memory = write(Path(name) / "archive", options.ecgs)
        for _, way in first_time(Path(name) / "archive", memory, 2).items():
            way()  # into the system's cache
        told("while every ECG is compared with its digest", first_time(Path(name) / "archive", memory, 5), rounds=1)
        for kind in GOALS:
            told(kind, ways(Path(name) / "archive", memory, kind, options.batches), options.rounds)


def write(path: Path, ecgs: int) -> NDArray[np.int16]:
    """An archive of noises, all different; and its integers, (n, 8, 5000)."""
    noises = np.random.default_rng(0).standard_normal((64, 8, SAMPLES)).astype(np.float32)
    with ArchiveWriter(path, Manifest()) as writer:
        for k in range(ecgs):
            signal = np.roll(noises[k % 64], k // 64, axis=1)
            ecg = Ecg(signal, 500, EIGHT, patient_id=f"p{k}", uv_per_unit=UV, source="noise")
            writer.add(k, [take(ecg, ecg_id=k, source=f"{k}")])
    return Archive(path).units(np.arange(ecgs))


def ways(path: Path, memory: NDArray[np.int16], kind: str, count: int) -> dict[str, Callable[[], int]]:
    """Passes of so many batches, by each way; each gives how many ECGs or crops it had."""
    archive, n = Archive(path), len(memory)
    rng = np.random.default_rng(1)
    parts = [rng.integers(0, n, BATCH) for _ in range(count)]
    spec, cpu = InputSpec(), torch.device("cpu")
    examples = Examples(archive, np.arange(n), np.zeros((n, 1), np.float32))
    held = make_resident(examples, cpu, True)  # in memory
    archive.read_again(np.arange(n), np.empty((n, 8, 1), np.int16))  # all compared
    starts = [rng.integers(0, SAMPLES - CROP + 1, BATCH) for _ in parts] if kind == "crops" else None
    samples = CROP if starts else SAMPLES
    crop = CROP if starts else None
    out = np.empty((BATCH, 8, samples), np.int16)

    def copied() -> int:
        for number, part in enumerate(parts):
            firsts = starts[number].tolist() if starts else [0] * BATCH
            for to, row, first in zip(out, part.tolist(), firsts, strict=True):
                to[...] = memory[row, :, first : first + samples]
        return count * BATCH

    return {
        "copied within memory": copied,
        "loader, int16": lambda: total(one.units for one in loader._read_ahead(examples, parts, cpu, starts, samples)),
        "loader, mV": lambda: total(one.inputs for one in batches(examples, parts, spec, cpu, None, starts, crop)),
        "resident, mV": lambda: total(one.inputs for one in batches(held, parts, spec, cpu, None, starts, crop)),
    }


def first_time(path: Path, memory: NDArray[np.int16], share: int) -> dict[str, Callable[[], int]]:
    """A pass over a share of all ECGs, each for the first time since the archive was opened."""
    n = len(memory) // share
    parts = [part for part in np.split(np.random.default_rng(2).permutation(n), range(BATCH, n, BATCH)) if len(part)]
    cpu = torch.device("cpu")

    def opened(samples: int) -> int:
        archive = Archive(path)
        examples = Examples(archive, np.arange(len(memory)), np.zeros((len(memory), 1), np.float32))
        starts = None if samples == SAMPLES else [np.full(len(part), 77) for part in parts]
        return total(one.units for one in loader._read_ahead(examples, parts, cpu, starts, samples))

    return {
        "copied within memory": lambda: total(torch.from_numpy(memory[part]) for part in parts),
        "loader, int16, whole": lambda: opened(SAMPLES),
        "loader, int16, crops": lambda: opened(CROP),
    }


def total(given: Iterable[torch.Tensor]) -> int:
    """How many ECGs or crops came."""
    return sum(len(one) for one in given)


def told(kind: str, way_by_name: dict[str, Callable[[], int]], rounds: int) -> None:
    """Take turns, and print a line for each way."""
    rates: dict[str, list[float]] = {name: [] for name in way_by_name}
    for _ in range(rounds):
        for name, way in way_by_name.items():
            start = time.perf_counter()
            had = way()
            rates[name].append(had / (time.perf_counter() - start))
    medians = {name: float(np.median(some)) for name, some in rates.items()}
    goal = f" (goal: {GOALS[kind]:,}/s)" if kind in GOALS else ""
    print(f"{kind}{goal}")
    for name, rate in medians.items():
        part = rate / medians["copied within memory"]
        print(f"  {name:24} {rate:10,.0f}/s, {part:.2f} of copying; best {max(rates[name]):,.0f}/s", flush=True)


if __name__ == "__main__":
    main()
