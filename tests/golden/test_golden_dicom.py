"""The DICOM reader against pydicom's decoder and `ecgdatakit`; make_dicom.py beside this file made the numbers."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from precordial.formats import read_ecg

GOLDEN = json.loads(Path(__file__).with_name("dicom.json").read_text())


@pytest.mark.parametrize("name", GOLDEN["files"])
def test_real_files_equal_pydicom(name: str, shared_data: Path) -> None:
    golden = GOLDEN["files"][name]
    ecg = read_ecg(shared_data / name)
    assert ecg.rate == golden["rate"]
    assert list(ecg.leads) == golden["leads"]
    assert [ecg.uv_per_unit] == golden["uv_per_unit"]
    first = np.array(golden["microvolts_of_the_first"])
    assert np.array_equal(ecg.signal[:, :5], (first / 1000).astype(np.float32))
    assert ecg.uv_per_unit is not None
    units = np.round(ecg.signal * (1000 / ecg.uv_per_unit)).astype("<i2")
    assert units.shape[1] == golden["samples"]
    assert units.sum(axis=1, dtype=int).tolist() == golden["sum"]
    assert units.min(axis=1).tolist() == golden["min"]
    assert units.max(axis=1).tolist() == golden["max"]
    assert hashlib.sha256(units.tobytes()).hexdigest() == golden["sha256"]
    assert ecg.flags == 0
    assert ecg.sex == {"F": "female", "M": "male"}[golden["sex"]]
    assert ecg.recorded_at is not None
    assert ecg.recorded_at.strftime("%Y%m%d%H%M%S") == golden["recorded_at"]
    assert ecg.device == golden["device"]
