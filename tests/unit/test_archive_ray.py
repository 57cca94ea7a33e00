"""Ingest on a Ray cluster of two workers: the same archive, also where a worker is killed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from precordial.archive import Archive, ingest, verify
from precordial.archive.reading import FileReading
from precordial.archive.taken import Rejected, SourceFile, Taken
from precordial.ecg import EIGHT

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [
    # Ray leaves sockets and files to the system.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def records(tmp_path: Path, wfdb_record: Callable[..., Path]) -> Path:
    """120 records, two of them equal, one with a flat lead, and a file that is no ECG."""
    draw = np.random.default_rng(0)
    signals = draw.integers(-500, 500, (120, len(EIGHT), 1000), np.int16)
    signals[70, 3] = 7
    signals[100] = signals[20]
    for k, units in enumerate(signals):
        folder = tmp_path / "ecg" / ("again" if k == 100 else "one")
        folder.mkdir(parents=True, exist_ok=True)
        wfdb_record(folder, units, name=f"r{20 if k == 100 else k:04d}", leads=EIGHT, rate=100)
    (tmp_path / "ecg" / "one" / "notes.txt").write_text("nothing to see")
    return tmp_path / "ecg"


def lines(path: Path) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in Archive(path).rejects())


@pytest.mark.usefixtures("cluster")
def test_shards_of_many_workers_become_one_archive(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("precordial.archive.cluster.PART", 25)
    here = ingest(records, tmp_path / "local", rate=100, workers=1)
    steps: list[tuple[int, int]] = []
    there = ingest(records, tmp_path / "ray", rate=100, engine="ray", progress=lambda *step: steps.append(step))
    assert (
        (there.added, there.rejected)
        == (here.added, here.rejected)
        == (118, {"duplicate": 1, "flat-lead": 1, "not-an-ecg": 1})
    )
    one, other = Archive(tmp_path / "local"), Archive(tmp_path / "ray")
    assert other.table().equals(one.table())
    np.testing.assert_array_equal(other.units(np.arange(118)), one.units(np.arange(118)))
    assert lines(tmp_path / "ray") == lines(tmp_path / "local")
    assert verify(tmp_path / "ray").ok
    assert steps[-1] == (121, 121)
    assert ingest(records, tmp_path / "ray", engine="ray").skipped == 121
    assert ingest(records, tmp_path / "ray", workers=1).skipped == 121
    assert not list(tmp_path.glob(".*"))


class OnceKilled(FileReading):
    """Kills its process at the first file of that name, as a machine that fails would."""

    def read(self, file: SourceFile) -> list[Taken | Rejected]:
        witness = file.path.with_name(".killed")
        if file.path.name == "r0042.hea" and not witness.exists():
            witness.touch()
            os._exit(1)
        return super().read(file)


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_dies_is_replaced(records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(records, tmp_path / "local", rate=100, workers=1)
    monkeypatch.setattr("precordial.archive.cluster.PART", 25)
    monkeypatch.setattr("precordial.archive.intake.FileReading", OnceKilled)
    ingest(records, tmp_path / "ray", rate=100, engine="ray")
    assert (records / "one" / ".killed").exists()
    assert Archive(tmp_path / "ray").table().equals(Archive(tmp_path / "local").table())
    assert lines(tmp_path / "ray") == lines(tmp_path / "local")
