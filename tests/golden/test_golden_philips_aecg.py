"""The Philips and aECG readers against `ecgdatakit`; make_philips_aecg.py beside this file made the numbers."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from precordial.formats import read_ecg

GOLDEN = json.loads(Path(__file__).with_name("philips_aecg.json").read_text())


def rounded_down(units: dict[str, NDArray[np.int32]]) -> dict[str, NDArray[np.int32]]:
    """Halves of units as ecgdatakit has them; the reader rounds them towards zero (see `philips_xli`)."""
    halves = {"aVR": -(units["I"] + units["II"]), "aVL": units["I"] - units["III"], "aVF": units["II"] + units["III"]}
    lower = {"aVR": halves["aVR"] > 0, "aVL": halves["aVL"] < 0, "aVF": halves["aVF"] < 0}
    towards = {"aVR": 1, "aVL": -1, "aVF": -1}
    return units | {lead: units[lead] + towards[lead] * (lower[lead] & (halves[lead] % 2 == 1)) for lead in halves}


@pytest.mark.parametrize("name", GOLDEN["files"])
def test_real_files_equal_ecgdatakit(name: str, shared_data: Path) -> None:
    golden = GOLDEN["files"][name]
    ecg = read_ecg(shared_data / "formats" / name)
    assert (ecg.rate, [ecg.uv_per_unit]) == (golden["rate"], golden["microvolts"])
    assert ecg.leads == tuple(golden["first"])
    assert ecg.signal.shape[1] == golden["samples"]
    assert ecg.uv_per_unit is not None
    numbers = np.round(ecg.signal * (1000 / ecg.uv_per_unit)).astype("<i4")
    units = dict(zip(ecg.leads, numbers, strict=True))
    if name.startswith("philips"):
        assert units["aVF"].tolist() != rounded_down(units)["aVF"].tolist()
        units = rounded_down(units)
    assert {lead: trace[:3].tolist() for lead, trace in units.items()} == golden["first"]
    digests = {lead: hashlib.sha256(trace.astype("<i4").tobytes()).hexdigest() for lead, trace in units.items()}
    assert digests == golden["sha256"]


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
