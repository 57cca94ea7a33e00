"""Fixtures of the tests of formats whose ECG is one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from precordial.ecg import Ecg
from precordial.errors import UnusableEcg
from precordial.formats import read_ecg


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Ecg]:
    def read_it(data: bytes) -> Ecg:
        (tmp_path / "ecg.xml").write_bytes(data)
        return read_ecg(tmp_path / "ecg.xml")

    return read_it


@pytest.fixture
def reason(read: Callable[[bytes], Ecg]) -> Callable[[bytes], str]:
    def reason_of(data: bytes) -> str:
        with pytest.raises(UnusableEcg) as caught:
            read(data)
        return caught.value.reason

    return reason_of
