"""How fast and how small is the archive? Against memory, against HDF5, by size; and an index of ten million rows.

    python benchmarks/archive.py [--ecgs 50000] [--rows 10000000] [--ptbxl ../shared/data/ptbxl/records500]

ECGs are synthetic (eight leads, 500 Hz, 10 s; some thousands of distinct ones, each stored many times with a sample
changed). Batches of 256 random ECGs are read, every sample compared with its digest, from `raw` and from `pco`,
beside copying the same bytes within memory and reading them from an HDF5 file in the layout of the authors' code,
(n, 5000, 8) float32 in chunks of (1, 5000, 8) with fletcher32. All was read once before. The ways take turns within
one run, batch by batch, and the median of the batches counts.

The index of ten million rows is a real one: its rows, texts and commits are written as the archive writes them, and
opened by `Archive`; only the signals behind them are missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from precordial.archive import Archive, convert, ingest
from precordial.archive.layout import COMMIT, LOGGED, RECORD, ROW, Manifest, pack_text, record_crc
from precordial.archive.taken import take
from precordial.archive.writer import ArchiveWriter
from precordial.ecg import EIGHT, Ecg
from precordial.twin import synthetic_ecgs

BATCH = 256
UV = 4.88


def main() -> None:
    """Make the archives, read them, and print rates and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ecgs", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--ptbxl", type=Path, default=Path(__file__).parents[2] / "shared/data/ptbxl/records500")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        memory = signals(options.ecgs)
        write(folder / "raw", memory)
        start = time.perf_counter()
        convert(folder / "raw", folder / "pco", codec="pco")
        took = time.perf_counter() - start
        print(f"convert to pco: {options.ecgs / took:,.0f} ECG/s")
        hdf5(folder / "authors.h5", memory)
        read(folder, memory, options.batches)
        if options.ptbxl.is_dir():
            ingest(options.ptbxl, folder / "ptbxl")
            convert(folder / "ptbxl", folder / "ptbxl-pco", codec="pco")
            sizes = [size(folder / one / "signals") for one in ("ptbxl", "ptbxl-pco")]
            ecgs = len(Archive(folder / "ptbxl"))
            print(f"PTB-XL, {ecgs} recordings of 500 Hz: pco takes {sizes[1] / sizes[0]:.1%} of raw")
        index(folder / "index", options.rows)


def signals(ecgs: int) -> NDArray[np.int16]:
    """(n, 8, 5000) int16, all different."""
    distinct = min(2000, ecgs)
    rng = np.random.default_rng(0)
    made = synthetic_ecgs(rng.uniform(18, 95, distinct), rng.integers(0, 2, distinct), seed=1)
    units = np.rint(np.asarray(made) * (1000 / UV)).astype(np.int16)
    out = np.empty((ecgs, *units.shape[1:]), np.int16)
    for k in range(ecgs):
        out[k] = units[k % distinct]
        out[k, k // distinct % 8, 0] += k // distinct
    return out


def write(path: Path, units: NDArray[np.int16]) -> None:
    """Write an archive, and print what each ECG cost as it grew."""
    steps = sorted({n for n in (1000, 2000, 5000, 10_000, 20_000, 50_000, len(units)) if n <= len(units)})
    start, busy, done, before = time.perf_counter(), time.process_time(), 0, memory_mb("RssAnon")
    with ArchiveWriter(path, Manifest()) as writer:
        for k, one in enumerate(units):
            ecg = Ecg(one * np.float32(UV / 1000), 500, EIGHT, patient_id=f"{k // 4}", uv_per_unit=UV, source="muse")
            writer.add(k, [take(ecg, ecg_id=k * 0x9E3779B97F4A7C15 % (1 << 64), source=f"{k // 1000:04}/{k}.xml")])
            if k + 1 in steps:
                writer.commit()
                took, used = (
                    (now - then) / (k + 1 - done) * 1e6
                    for now, then in ((time.perf_counter(), start), (time.process_time(), busy))
                )
                held, same = memory_mb("RssAnon") - before, plain_write(path.with_name("plain"), units[:1024])
                print(
                    f"writing ECG {done + 1:,} to {k + 1:,}: {used:.0f} µs of processor time each, {took:.0f} with the "
                    f"disk, on which the same bytes alone take {same:.0f} now; {held:.0f} MB more memory held"
                )
                start, busy, done = time.perf_counter(), time.process_time(), k + 1


def plain_write(path: Path, units: NDArray[np.int16]) -> float:
    """µs an ECG of writing their bytes to a file, durably every 512, and nothing else."""
    start = time.perf_counter()
    with path.open("wb") as file:
        for k in range(0, len(units), COMMIT):
            file.write(units[k : k + COMMIT].data)
            file.flush()
            os.fsync(file.fileno())
    took = time.perf_counter() - start
    path.unlink()
    return took / len(units) * 1e6


def memory_mb(what: str) -> float:
    """Memory of this process, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def hdf5(path: Path, units: NDArray[np.int16]) -> None:
    """The same ECGs as the authors' code lays them out."""
    with h5py.File(path, "w") as file:
        shape = (1, units.shape[2], units.shape[1])
        data = file.create_dataset("x", (len(units), *shape[1:]), "f4", chunks=shape, fletcher32=True)
        for k in range(0, len(units), 500):
            data[k : k + 500] = units[k : k + 500].swapaxes(1, 2) * np.float32(UV / 1000)


def read(folder: Path, memory: NDArray[np.int16], batches: int) -> None:
    """Read random batches by each way in turn, and print rates and ratios."""
    raw, pco = Archive(folder / "raw"), Archive(folder / "pco")
    rng = np.random.default_rng(1)
    with h5py.File(folder / "authors.h5") as file:
        data = file["x"]
        ways: dict[str, Callable[[NDArray[np.int64]], object]] = {
            "copy in memory": lambda rows: memory[rows],
            "raw": raw.units,
            "pco": pco.units,
            "HDF5": lambda rows: [data[row] for row in rows],
        }
        for rows in np.array_split(np.arange(len(memory)), len(memory) // BATCH):  # into the cache, and mapped
            raw.units(rows)
            for row in rows:
                data[row]
            if rows[0] % (20 * BATCH) < BATCH:
                pco.units(rows)
        took: dict[str, list[float]] = {name: [] for name in ways}
        for k in range(batches):
            rows = rng.integers(0, len(memory), BATCH)
            for name, way in ways.items():
                if k % 10 and name in ("HDF5", "pco"):  # slow, and steady
                    continue
                start = time.perf_counter()
                way(rows)
                took[name].append(time.perf_counter() - start)
    rates = {name: BATCH / float(np.median(times)) for name, times in took.items()}
    for name, rate in rates.items():
        part, times = rate / rates["copy in memory"], rate / rates["HDF5"]
        print(f"batches of {BATCH}: {name:15} {rate:8,.0f} ECG/s: {part:.2f} of memory, {times:.1f} times HDF5")


def index(path: Path, rows: int) -> None:
    """Write the index of an archive of so many ECGs, and open it in a process of its own."""
    write_index(path, rows)
    done = subprocess.run([sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=True)
    held = {name: size(path / file) / 1e6 for name, file in LOGGED.items()}
    print(
        f"index of {rows:,} rows: {held['rows']:,.0f} MB, texts {held['text']:,.0f} MB, files {held['files']:,.0f} MB"
    )
    print(done.stdout, end="")


OPEN = """
import re, sys, time
import numpy as np
from precordial.archive import Archive

def told(what, start):
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
    print(f"  {what}: {time.perf_counter() - start:.2f} s; peak memory of the process {peak:,.0f} MB")

start = time.perf_counter()
archive = Archive(sys.argv[1])
told("opened, with every row compared with its digest", start)
some = archive.ids[np.random.default_rng(0).integers(0, len(archive), 256)].tolist()
start = time.perf_counter()
archive.rows(some)
told("first look-up of 256 ids", start)
start = time.perf_counter()
archive.rows(some)
told("a further one", start)
start = time.perf_counter()
assert archive.table().height == len(archive)
told("as a table", start)
"""


def write_index(path: Path, rows: int) -> None:
    """An archive without its signals; ids, times and texts as a hospital's would be."""
    (path / "signals").mkdir(parents=True)
    (path / "archive.json").write_text(Manifest().text())
    rng = np.random.default_rng(0)
    ends = dict.fromkeys(LOGGED, 0)
    files = {name: (path / file).open("wb") for name, file in LOGGED.items()}
    records = []
    for first in range(0, rows, COMMIT):
        n = min(COMMIT, rows - first)
        texts = [
            pack_text(
                {
                    "patient_id": f"{(first + k) // 4:012}",
                    "source": f"{first:08}/{first + k}.xml",
                    "device": "MAC55",
                    "site": "Emergency",
                    "format": "muse",
                }
            )
            for k in range(n)
        ]
        lengths = np.array([len(text) for text in texts])
        block = np.zeros(n, ROW)
        block["ecg_id"] = rng.integers(0, 1 << 63, n, np.uint64)
        block["waveform"] = rng.integers(0, 1 << 63, n, np.uint64)
        block["recorded_at"] = np.datetime64("2010-01-01T00:00:00", "s") + rng.integers(0, 10**8, n)
        block["text_length"] = lengths
        block["text_at"] = ends["text"] + np.cumsum(lengths) - lengths
        parts = {"text": b"".join(texts), "rows": block.tobytes(), "rejects": b"", "files": rng.bytes(8 * n)}
        record = np.zeros((), RECORD)
        for name, data in parts.items():
            files[name].write(data)
            ends[name] += len(data)
            record[f"{name}_end"], record[f"{name}_digest"] = ends[name], xxh3_64_intdigest(data)
        record["crc"] = record_crc(record.tobytes())
        records.append(record.tobytes())
    for file in files.values():
        file.close()
    (path / "commits.bin").write_bytes(b"".join(records))


def size(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    return sum(one.stat().st_size for one in path.iterdir()) if path.is_dir() else path.stat().st_size


if __name__ == "__main__":
    main()
