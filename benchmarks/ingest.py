"""How fast is ingest? Against a process that only parses and checks MUSE files, and against the wfdb package.

    python benchmarks/ingest.py [--patients 4000] [--workers 2] [--wfdb-python PYTHON]

A synthetic hospital is written twice, as GE MUSE XML and as WFDB, and read into archives beside it; its files are in
the system's cache. The plain MUSE reader parses a file with lxml, decodes its leads and compares their checksums,
nothing more, in one process. The wfdb package need not be installed here: another Python that has it can be given.
Rates and processor times are the best of three; ratios are of one run.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lxml import etree

from precordial.archive import Archive, ingest
from precordial.twin import make_hospital

WFDB = """
import sys, time, wfdb
names = [line.strip()[:-4] for line in sys.stdin]
wfdb.rdrecord(names[0])
start, busy = time.perf_counter(), time.process_time()
for name in names:
    try:
        wfdb.rdrecord(name).p_signal
    except Exception:  # the hospital has some damaged files
        pass
took, busy = time.perf_counter() - start, time.process_time() - busy
print(len(names) / took, busy / len(names) * 1e6)
"""


def main() -> None:
    """Make the hospitals, time both ways of reading, and print rates and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--wfdb-python", default=sys.executable)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for form in ("muse", "wfdb"):
            compare(Path(folder), form, options.patients, options.workers, options.wfdb_python)


def compare(folder: Path, form: Literal["muse", "wfdb"], patients: int, workers: int, wfdb_python: str) -> None:
    """Make a hospital, read its files by both ways, and print rates and ratios."""
    hospital = make_hospital(patients, 1, folder / form, format=form)
    files = sorted(hospital.ecg.rglob("*.xml" if form == "muse" else "*.hea"))
    size = sum(len(file.read_bytes()) for file in hospital.ecg.rglob("*.*"))  # and now they are in the cache
    if form == "muse":
        plain, name = best(lambda: parse(files)), "lxml alone, one process"
    else:
        plain, name = wfdb_package(wfdb_python, files[:300]), "wfdb package, one process"
    targets = (folder / f"{form}-{k}" for k in range(3))
    ours = best(lambda: read(hospital.ecg, next(targets), workers))
    again = best(lambda: read(hospital.ecg, folder / f"{form}-0", workers))
    print(f"{form}: {len(files):,} files, {size / 1e6:,.0f} MB")
    print(f"  {name:26} {plain}")
    print(f"  {f'ingest, {workers} processes':26} {ours}: {ours.rate / plain.rate:.2f} times")
    print(f"  again, nothing to do       {again}")
    # What two cores of a quiet machine would do: less depends on who else is at work.
    print(f"  by processor time          {workers * plain.busy / ours.busy:.2f} times")


@dataclass(frozen=True)
class Speed:
    """Files a second, and the processor time of one in µs."""

    rate: float
    busy: float

    def __str__(self) -> str:
        return f"{self.rate:8,.0f} files/s, {self.busy:6,.0f} µs of processor time each"


def read(source: Path, archive: Path, workers: int) -> int:
    """Ingest, and say how many files there were."""
    done = ingest(source, archive, workers=workers)
    assert done.total == len(Archive(archive))
    return done.added + done.skipped + sum(done.rejected.values())


def parse(files: list[Path]) -> int:
    """Parse MUSE files and compare the checksums of their leads."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    wrong = 0
    for file in files:
        try:
            root = etree.fromstring(file.read_bytes(), parser)
            for lead in root.iter("LeadData"):
                data = base64.b64decode(lead.findtext("WaveFormData") or "")
                wrong += zlib.crc32(data) != int(lead.findtext("LeadDataCRC32") or 0)
        except (etree.XMLSyntaxError, ValueError):  # the hospital has some damaged files
            wrong += 1
    assert wrong < len(files) / 20
    return len(files)


def wfdb_package(python: str, files: list[Path]) -> Speed:
    """The wfdb package, in another process."""
    names = "\n".join(map(str, files))
    done = subprocess.run([python, "-c", WFDB], input=names, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{python} has no wfdb package: pip install wfdb there, or give another by --wfdb-python")
    rate, busy = map(float, done.stdout.split())
    return Speed(rate, busy)


def best(call: Callable[[], int], times: int = 3) -> Speed:
    """The best of some calls, which say how many files there were; its processes are counted too."""
    speeds = []
    for _ in range(times):
        start, before = time.perf_counter(), sum(os.times()[:4])
        count = call()
        took, busy = time.perf_counter() - start, sum(os.times()[:4]) - before
        speeds.append(Speed(count / took, busy / count * 1e6))
    return Speed(max(speed.rate for speed in speeds), min(speed.busy for speed in speeds))


if __name__ == "__main__":
    main()
