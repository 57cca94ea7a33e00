"""Fixtures that many tests share: where the real recordings lie, and small ECG files made on the spot."""

from __future__ import annotations

# One thread for each worker of the suite: two workers with two threads each hinder one another on two cores.
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell gives a job in the background Ctrl-C to ignore, which its processes inherit; the tests must hear it.
import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecg_samples.muse import make_muse_xml
from ecg_samples.wfdb import make_wfdb_record
from precordial.archive import Archive
from precordial.archive.layout import Manifest
from precordial.archive.taken import take
from precordial.archive.writer import ArchiveWriter
from precordial.cohort import Cohort
from precordial.ecg import EIGHT, Ecg

collect_ignore_glob = ["golden/make_*.py"]  # programs that make golden values; they need what made them


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings, or a skip."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real recordings (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def muse_xml() -> Callable[..., bytes]:
    """A maker of GE MUSE XML files; every field can be changed, and None leaves it out."""
    return make_muse_xml


@pytest.fixture(scope="session")
def wfdb_record() -> Callable[..., Path]:
    """A maker of WFDB records in format 16 or 212."""
    return make_wfdb_record


@pytest.fixture
def small_cohort(tmp_path: Path) -> Callable[..., tuple[Cohort, Archive]]:
    """A maker of a small archive (100 Hz) and its cohort, with effects of known size."""

    def make(**options: float) -> tuple[Cohort, Archive]:
        return make_small_cohort(tmp_path / "archive", **options)  # type: ignore[arg-type]

    return make


def make_small_cohort(
    folder: Path, *, target: int = 120, source: int = 0, effect: float = 1.0, seed: int = 0
) -> tuple[Cohort, Archive]:
    """Beats at random moments in noise; the T wave is taller with the label and lower with age.

    Every third target ECG has the label. Of the target 70 % is for training and 10 % in each other split; of the
    source 80 % and 20 %.

    Args:
        folder: of the archive.
        target, source: ECGs, each of its own patient.
        effect: of the label on the T wave in mV.
        seed: of everything.
    """
    draw = np.random.default_rng(seed)
    n = target + source
    age, sex = draw.uniform(20, 90, n), draw.integers(0, 2, n).astype(float)
    label = np.where(np.arange(n) < target, np.arange(n) % 3 == 0, np.nan).astype(float)
    height = 0.5 + effect * np.nan_to_num(label) + (55 - age) / 100
    time = np.arange(1000) / 100
    with ArchiveWriter(folder, Manifest(rate=100, samples=1000)) as writer:
        for k in range(n):
            signal = 0.1 * draw.standard_normal((8, 1000))
            for beat in np.arange(draw.uniform(0, 0.8), 10, 0.8):
                signal += np.exp(-(((time - beat) / 0.02) ** 2)) * (1.5 if sex[k] else 1.0)
                signal += height[k] * np.exp(-(((time - beat - 0.25) / 0.06) ** 2))
            ecg = Ecg(signal.astype(np.float32), rate=100, leads=EIGHT, patient_id=f"p{k}", source="test")
            writer.add(k, [take(ecg, ecg_id=k, source=f"{k}")])
    part = np.where(np.arange(n) < target, np.arange(n) % 10, 10 + np.arange(n) % 5)
    names = {7: "validation", 8: "random_test", 9: "temporal_test", 10: "validation"}
    split = np.array([names.get(int(p), "train") for p in part])
    role = np.where(np.arange(n) < target, "target", "source")
    order = np.zeros(n, np.int64)
    for key in {(r, s) for r, s in zip(role.tolist(), split.tolist(), strict=True)}:
        rows = (role == key[0]) & (split == key[1])
        order[rows] = np.arange(rows.sum())
    nobody = np.full(n, "test")
    cohort = Cohort(
        ecg_id=np.array([f"{k:016x}" for k in range(n)]),
        patient_id=np.array([f"p{k}" for k in range(n)]),
        visit_id=np.array([str(k) for k in range(n)]),
        prediction_time=np.full(n, np.datetime64("2017-01-01T00:00:00")),
        role=role,
        split=split,
        order=order,
        age=age,
        sex=sex,
        labels={"label": label},
        age_source=nobody,
        sex_source=nobody,
    )
    return cohort, Archive(folder)
