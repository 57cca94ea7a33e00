"""The WFDB reader against PhysioNet's `wfdb` package; make_wfdb.py beside this file made the numbers."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from precordial.ecg import Ecg, Flag, canonical_lead
from precordial.formats import read_ecg

GOLDEN = json.loads(Path(__file__).with_name("wfdb.json").read_text())


def check(ecg: Ecg, golden: dict[str, Any]) -> None:
    assert ecg.rate == golden["rate"]
    assert ecg.leads == tuple(canonical_lead(lead) for lead in golden["leads"])
    assert ecg.uv_per_unit == 1000 / golden["gains"][0]
    assert set(golden["gains"]) == {golden["gains"][0]}
    assert set(golden["units"]) == {"mv"}
    first = np.array(golden["first_microvolts"])
    assert np.array_equal(ecg.signal[:, :5], (first / 1000).astype(np.float32))


@pytest.mark.parametrize("name", GOLDEN["records"])
def test_real_records_equal_wfdb(name: str, shared_data: Path) -> None:
    golden = GOLDEN["records"][name]
    ecg = read_ecg(shared_data / name)
    check(ecg, golden)
    assert ecg.uv_per_unit is not None
    units = np.round(ecg.signal * (1000 / ecg.uv_per_unit)).astype("<i2")  # all baselines here are zero
    assert units.sum(axis=1, dtype=int).tolist() == golden["sum"]
    assert units.min(axis=1).tolist() == golden["min"]
    assert units.max(axis=1).tolist() == golden["max"]
    assert hashlib.sha256(units.tobytes()).hexdigest() == golden["sha256"]


@pytest.mark.parametrize("golden", GOLDEN["packed"], ids=lambda golden: str(golden["header"].split()[0]))
def test_format_212_written_by_wfdb(golden: dict[str, Any], tmp_path: Path) -> None:
    name = golden["header"].split()[0]
    (tmp_path / f"{name}.hea").write_text(golden["header"])
    (tmp_path / f"{name}.dat").write_bytes(base64.b64decode(golden["data"]))
    ecg = read_ecg(tmp_path / name)
    check(ecg, golden)
    baselines = 1024 - 1024 * np.arange(len(golden["leads"]))
    expected = (np.array(golden["digital"]) - baselines[:, None]) / 200
    assert np.array_equal(ecg.signal, expected.astype(np.float32))


MISSING = {8: None, 24: -(2**23), 32: -(2**31), 80: -128, 212: -2048, 310: -512, 311: -512}


@pytest.mark.parametrize("golden", GOLDEN["bytes"], ids=lambda golden: f"format {golden['format']}")
def test_random_bytes_in_every_format(golden: dict[str, Any], tmp_path: Path) -> None:
    """Also that the samples' sums match the checksums, which are of what `wfdb` read; and that the lowest value of a
    format stands for a missing sample, which of 300 random ones happens to those of few bits only."""
    name = f"bytes_{golden['format']}"
    (tmp_path / f"{name}.hea").write_text(golden["header"])
    (tmp_path / f"{name}.dat").write_bytes(base64.b64decode(golden["data"]))
    ecg = read_ecg(tmp_path / name)
    digital = np.array(golden["digital"])
    expected = (digital - [[0], [-7], [-14]]) / [[100], [200], [300]]
    missing = digital == MISSING.get(golden["format"], -(2**15))
    assert np.array_equal(ecg.signal, np.where(missing, 0, expected).astype(np.float32))
    assert ecg.flags == (Flag.MISSING_SAMPLES if missing.any() else Flag(0))
    assert (ecg.rate, ecg.leads) == (500, ("V1", "V2", "V3"))
