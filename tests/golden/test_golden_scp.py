"""The SCP-ECG reader against the package `ecgdatakit`; make_scp.py beside this file made the numbers."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from precordial.formats import read_ecg

GOLDEN = json.loads(Path(__file__).with_name("scp.json").read_text())["files"]


@pytest.mark.parametrize("name", GOLDEN)
def test_real_files_equal_ecgdatakit(name: str, shared_data: Path) -> None:
    golden = GOLDEN[name]
    ecg = read_ecg(shared_data / name)
    assert (ecg.rate, list(ecg.leads), [ecg.uv_per_unit]) == (golden["rate"], golden["leads"], golden["microvolts"])
    assert ecg.signal.shape[1] == golden["samples"]
    units = np.round(ecg.signal.astype(float) * 1000 / golden["microvolts"][0]).astype("<i2")
    assert units[:, :5].tolist() == golden["first"]
    assert units.sum(axis=1, dtype=int).tolist() == golden["sum"]
    assert units.min(axis=1).tolist() == golden["min"]
    assert units.max(axis=1).tolist() == golden["max"]
    assert hashlib.sha256(units.tobytes()).hexdigest() == golden["sha256"]
    assert ecg.sex == {"M": "male", "F": "female"}[golden["sex"]]
    assert ecg.age is not None
    assert int(ecg.age) == golden["full_years"]
    assert ecg.recorded_at is not None
    assert ecg.recorded_at.isoformat() == golden["recorded_at"]
    assert ecg.device == golden["device"]
