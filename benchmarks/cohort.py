"""How long does a cohort of the paper's size take, and how much memory? Against the same cohort by pandas.

    pip install pandas
    python benchmarks/cohort.py [--scale 1] [--repeats 3] [--folder DIR] [--no-pandas]

Registers of the paper's size and shape (`precordial.twin.shaped`: 2 million visits, 5 million diagnoses, 0.9 million
ECGs, without waveforms), times the scale, are made once in the folder. From these CSV files, which lie in the system's
cache, to a saved cohort: by precordial, as `precordial cohort build` does it before it draws the flow chart and prints
Table I, with the proof that nothing leaks and leakage.json; and by `cohort_pandas.py`, which proves nothing. Each is a
process of its own, and they take turns. What they made must be the same: counts of each step, and of each row ECG,
patient, visit, role, times, age, sex, label and event. Of the splits only the temporal test is compared, since the
others are drawn. The bare reading of the same files by Polars, all cells as text, shows how near the limit is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
MAKE = """
import sys
from precordial.twin.shaped import make_paper_registers

make_paper_registers(sys.argv[1], 0, float(sys.argv[2]))
"""
BUILD = """
import sys
from precordial.study import checked_cohort, ecg_source, load_study
from precordial.watcher import Watcher
study, watcher = load_study(sys.argv[1]), Watcher()
checked_cohort(study, ecg_source(study, watcher), watcher)
"""
READ = """
import sys, polars
for name in sys.argv[2:]:
    polars.read_csv(f"{sys.argv[1]}/{name}.csv", infer_schema=False)
"""
FILES = ("ecgs", "visits", "diagnoses", "patients")


@dataclass(frozen=True)
class Run:
    """Seconds, processor seconds and peak memory in GB of one process."""

    wall: float
    busy: float
    peak: float


def main() -> None:
    """Make the registers, take turns, compare, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", default="1")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="of the registers; they are made if they are not there")
    parser.add_argument("--no-pandas", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "registers"
        if not (folder / "study.toml").exists():
            run([sys.executable, "-c", MAKE, str(folder), options.scale])
        registers, by_pandas = folder / "registers", folder / "pandas"
        size = sum((registers / f"{name}.csv").stat().st_size for name in FILES) / 1e6  # and now they are in the cache
        ways = {
            "read": [sys.executable, "-c", READ, str(registers), *FILES],
            "precordial": [sys.executable, "-c", BUILD, str(folder / "study.toml")],
            "pandas": [sys.executable, str(HERE / "cohort_pandas.py"), str(registers), str(by_pandas)],
        }
        if options.no_pandas:
            del ways["pandas"]
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for _ in range(options.repeats):
            for name, command in ways.items():
                if name == "precordial":  # what is there would not be built again
                    shutil.rmtree(folder / "study", ignore_errors=True)
                runs[name].append(run(command))
        print(f"scale {options.scale}, {size:,.0f} MB of CSV, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for name, took in runs.items():
            walls = [one.wall for one in took]
            print(
                f"  {name:10} least {min(walls):6.1f} s, median {median(walls):6.1f} s,"
                f" processor {min(one.busy for one in took):6.1f} s, peak {max(one.peak for one in took):5.2f} GB"
            )
        if not options.no_pandas:
            for what, of in (("least", min), ("median", median)):
                ratio = of(one.wall for one in runs["pandas"]) / of(one.wall for one in runs["precordial"])
                print(f"  pandas takes {ratio:.1f} times as long ({what})")
            print(compare(folder / "study" / "cohort", by_pandas))


def run(command: list[str]) -> Run:
    """Run a process to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"it failed: {' '.join(command)}")
    return Run(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6)


def compare(ours: Path, theirs: Path) -> str:
    """Say that two cohorts have the same counts and rows, or stop."""
    import polars as pl

    assert json.loads((ours / "leakage.json").read_text())["verdict"] == "clean"
    flow = {f"{step['branch']}/{step['key']}": step for step in json.loads((ours / "flow.json").read_text())}
    counts = json.loads((theirs / "counts.json").read_text())
    for step, (patients, rows) in counts.items():
        found = flow[step]["patients"], flow[step]["visits"] or flow[step]["ecgs"]
        assert found == (patients, rows), (step, found, (patients, rows))
    tables = []
    for folder in (ours, theirs):
        rows = pl.read_csv(folder / "cohort.csv", infer_schema=False).rename(
            {"label:AMI": "label", "event:AMI": "event"}, strict=False
        )
        newest = pl.when(pl.col("split") == "temporal_test").then("split")
        numbers = pl.col("age", "sex", "label").cast(pl.Float64).round(9)  # Polars divides in a way of its own
        day = pl.col("event").str.slice(0, 10)
        tables.append(
            rows.with_columns(newest, numbers, day).sort("ecg_id", "role").drop("fold", "order", strict=False)
        )
    first, second = tables
    assert len(first) == len(second), (len(first), len(second))
    for name in second.columns:
        unknown = "" if first[name].dtype == pl.String else float("nan")
        differ = first[name].fill_null(unknown) != second[name].fill_null(unknown)
        assert not differ.any(), f"{name}: {differ.sum()} rows differ"
    return f"  same: {len(counts)} counts, and {len(first):,} rows in {', '.join(second.columns)}"


if __name__ == "__main__":
    main()
