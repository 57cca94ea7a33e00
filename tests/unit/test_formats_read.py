from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from precordial.errors import PrecordialError, UnusableEcg
from precordial.formats import READERS, Reader, find_reader, read_ecg
from precordial.formats.reader import read_bytes


@pytest.fixture
def header(tmp_path: Path, wfdb_record: Callable[..., Path]) -> Path:
    digital = np.arange(24, dtype=np.int16).reshape(2, 12)
    return wfdb_record(tmp_path, digital, name="00001_lr")


@pytest.mark.parametrize("name", ["00001_lr.hea", "00001_lr.dat", "00001_lr"])
def test_a_wfdb_record_by_any_of_its_names(name: str, header: Path) -> None:
    assert read_ecg(header.with_name(name)).signal.shape == (2, 12)
    assert read_ecg(str(header.with_name(name))).leads == ("I", "II")


def test_a_data_file_is_read_only_through_a_header_that_names_it(header: Path) -> None:
    stranger = header.with_name("other.dat")
    stranger.write_bytes(header.with_suffix(".dat").read_bytes())
    header.with_name("other.hea").write_text(header.read_text())  # a header that names 00001_lr.dat
    with pytest.raises(UnusableEcg) as caught:
        read_ecg(stranger)
    assert caught.value.reason == "not-an-ecg"


def test_readers_are_found_by_content(header: Path) -> None:
    renamed = header.rename(header.with_name("something.xml"))
    assert find_reader(renamed) is READERS["wfdb"]
    assert all(isinstance(reader, Reader) and reader.name == name for name, reader in READERS.items())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 5000,
        b"# only a comment\n",
        b"ecg_id,patient_id\n1,2\n",
        b"name 12 500\nnothing that is a signal\n",
        b"some words 12\nof text 16\n",
        b"<html><body>RestingECG</body></html>",
        b"<RestingECGs/>",
        b"<?xml version='1.0'?><AnnotatedECG/>",
    ],
)
def test_other_files_are_no_ecg(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.hea"
    path.write_bytes(content)
    assert find_reader(path) is None
    with pytest.raises(UnusableEcg, match="formats read: muse, wfdb") as caught:
        read_ecg(path)
    assert caught.value.reason == "not-an-ecg"
    assert caught.value.file == path


@pytest.mark.parametrize(
    ("name", "problem"),
    [("", "a folder"), ("absent.xml", "there is no such file"), ("x" * 300, "could not open")],
)
def test_what_is_no_file(name: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(PrecordialError, match=problem) as caught:
        read_ecg(tmp_path / name)
    assert not isinstance(caught.value, UnusableEcg)
    assert caught.value.file == tmp_path / name


def test_a_file_above_the_limit_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * (1 << 20))
    assert len(read_bytes(path, 1 << 20)) == 1 << 20
    path.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(UnusableEcg, match="larger than 1 MB") as caught:
        read_bytes(path, 1 << 20)
    assert caught.value.reason == "unsupported"
    with pytest.raises(UnusableEcg) as caught:
        read_bytes(tmp_path / "absent", 1)
    assert caught.value.reason == "unreadable"
