import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from ecg_samples.code_15 import make_exams, write_code15
from precordial.ecg import TWELVE, Ecg, Flag
from precordial.errors import UnusableEcg
from precordial.formats import READERS, read_ecg
from precordial.formats import code15 as module
from precordial.formats.reader import Several

EXAMS = make_exams(5, samples=2800)


@pytest.fixture
def several() -> Several:
    found = READERS["code-15"].several
    assert found is not None
    return found


def refusal(path: Path, several: Several) -> UnusableEcg:
    with pytest.raises(UnusableEcg) as caught:
        several.count(path)
    assert caught.value.file == path
    return caught.value


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"chunks": (2, 4096, 12)},
        {"chunks": True, "compression": "gzip"},
        {"chunks": (2, 1024, 4), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"dtype": ">f4"},
        {"dtype": "f8"},
    ],
    ids=str,
)
def test_exams_of_seven_seconds(storage: dict[str, object], tmp_path: Path, several: Several) -> None:
    path = write_code15(tmp_path / "exams_part3.hdf5", EXAMS, **storage)
    assert several.count(path) == 5  # and not the row of zeros at the end
    exams = dict(several.read(path, 0, 5))
    assert list(exams) == ["101", "102", "103", "104", "105"]
    for exam, expected in zip(exams.values(), EXAMS, strict=True):
        assert isinstance(exam, Ecg)
        assert np.array_equal(exam.signal, expected[648 : 648 + 2800].T)
        assert exam.signal.flags.c_contiguous
        assert (exam.rate, exam.seconds, exam.leads, exam.source) == (400, 7, TWELVE, "code-15")
        assert (exam.flags, exam.patient_id, exam.recorded_at, exam.age, exam.sex) == (0, None, None, None, None)


def test_any_part_of_a_file(tmp_path: Path, several: Several, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    path = write_code15(tmp_path / "a.hdf5", EXAMS)
    for first, stop in [(0, 5), (1, 4), (3, 4), (4, 9), (2, 2), (7, 9)]:
        found = list(several.read(path, first, stop))
        assert [name for name, _ in found] == [str(101 + i) for i in range(first, min(stop, 5))]
        for (_, exam), expected in zip(found, EXAMS[first:stop], strict=True):
            assert isinstance(exam, Ecg)
            assert np.array_equal(exam.signal, expected[648:3448].T)


def test_only_whole_rows_of_zeros_at_the_ends_are_padding(tmp_path: Path) -> None:
    exam = make_exams(1, samples=4000)
    exam[0, 48, 1:] = 0  # one lead is not zero: this is the first sample
    exam[0, 1000:1010] = 0
    ecg = read_ecg(write_code15(tmp_path / "a.hdf5", exam))
    assert np.array_equal(ecg.signal, exam[0, 48:4048].T)


def test_a_file_of_one_exam_and_of_more(tmp_path: Path) -> None:
    assert read_ecg(write_code15(tmp_path / "one.hdf5", EXAMS[:1])).seconds == 7
    with pytest.raises(UnusableEcg, match=r"holds 5 ECGs; give one as FILE#NAME") as caught:
        read_ecg(write_code15(tmp_path / "five.hdf5", EXAMS))
    assert caught.value.reason == "unsupported"


def test_an_exam_that_cannot_be_used_costs_only_itself(tmp_path: Path, several: Several) -> None:
    exams = EXAMS.copy()
    exams[0] = 0
    exams[1, 2000, 3] = np.nan
    exams[2, 2000, 3] = np.inf
    exams[3, 2000, 3] = 1e30
    zero, gap, infinite, huge, good = (exam for _, exam in several.read(write_code15(tmp_path / "a", exams), 0, 5))
    assert isinstance(zero, UnusableEcg)
    assert zero.reason == "no-rhythm"
    assert isinstance(gap, Ecg)
    assert gap.flags == Flag.MISSING_SAMPLES
    assert gap.signal[3, 2000 - 648] == 0
    assert np.array_equal(np.delete(gap.signal, 1352, 1), np.delete(EXAMS[1, 648:3448].T, 1352, 1))
    assert isinstance(infinite, UnusableEcg)
    assert isinstance(huge, UnusableEcg)
    assert infinite.reason == huge.reason == "unreadable"
    assert isinstance(good, Ecg)


def test_a_damaged_chunk_costs_only_its_exams(tmp_path: Path, several: Several) -> None:
    path = write_code15(tmp_path / "a.hdf5", EXAMS, chunks=(1, 4096, 12), fletcher32=True)
    with h5py.File(path) as file:
        start = file["tracings"].id.get_chunk_info_by_coord((2, 0, 0)).byte_offset
    data = bytearray(path.read_bytes())
    data[start + 100_000] ^= 1
    path.write_bytes(bytes(data))
    found = dict(several.read(path, 0, 5))
    assert [name for name, exam in found.items() if isinstance(exam, UnusableEcg)] == ["103"]
    assert found["103"].reason == "unreadable"  # type: ignore[union-attr]


def test_a_chunk_that_unpacks_to_more_is_not_unpacked(tmp_path: Path, several: Several) -> None:
    """HDF5 itself unpacks a deflated chunk to its end, whatever its size should be."""
    path = write_code15(tmp_path / "a.hdf5", EXAMS, chunks=(1, 4096, 12), compression="gzip")
    with h5py.File(path, "r+") as file:
        file["tracings"].id.write_direct_chunk((1, 0, 0), zlib.compress(bytes(1 << 20)))
    found = dict(several.read(path, 0, 5))
    assert [name for name, exam in found.items() if isinstance(exam, UnusableEcg)] == ["102"]


def test_a_chunk_that_was_never_written(tmp_path: Path, several: Several) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["exam_id"] = [7, 8]
        tracings = file.create_dataset("tracings", (2, 4096, 12), "f4", compression="gzip", chunks=(1, 4096, 12))
        tracings[1] = EXAMS[0]
    (_, absent), (_, there) = several.read(path, 0, 2)
    assert isinstance(absent, UnusableEcg)
    assert absent.reason == "no-rhythm"
    assert isinstance(there, Ecg)


IDS, ZEROS = np.arange(1, 4), np.zeros((3, 4096, 12), "f4")


@pytest.mark.parametrize(
    ("datasets", "reason", "problem"),
    [
        ({}, "unsupported", "no dataset exam_id"),
        ({"tracings": ZEROS}, "unsupported", "no dataset exam_id"),
        ({"exam_id": IDS}, "unsupported", "no dataset tracings"),
        ({"exam_id": IDS, "tracings": ZEROS[:2]}, "unsupported", "of another shape"),
        ({"exam_id": IDS, "tracings": ZEROS.swapaxes(1, 2)}, "unsupported", "of another shape"),
        ({"exam_id": IDS, "tracings": ZEROS[:, :, :8]}, "unsupported", "of another shape"),
        ({"exam_id": IDS[:, None], "tracings": ZEROS}, "unsupported", "of another shape"),
        ({"exam_id": IDS[0], "tracings": ZEROS}, "unsupported", "of another shape"),
        ({"exam_id": IDS.astype(float), "tracings": ZEROS}, "unsupported", "of another type"),
        ({"exam_id": IDS.astype("S9"), "tracings": ZEROS}, "unsupported", "of another type"),
        ({"exam_id": IDS, "tracings": ZEROS.astype("i2")}, "unsupported", "of another type"),
        ({"exam_id": IDS * 0, "tracings": ZEROS}, "unreadable", "an exam's id twice"),
        ({"exam_id": IDS[:0], "tracings": ZEROS[:0]}, "unreadable", "no exams"),
        ({"exam_id": IDS[:1] * 0, "tracings": ZEROS[:1]}, "unreadable", "no exams"),
    ],
)
def test_other_layouts(
    datasets: dict[str, np.ndarray], reason: str, problem: str, tmp_path: Path, several: Several
) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name] = data
    error = refusal(path, several)
    assert error.reason == reason
    assert problem in error.problem
    if reason == "unsupported":
        assert error.remedy is not None
        assert "exam_id (n,) and tracings (n, 4096, 12)" in error.remedy


@pytest.mark.parametrize("kind", ["external link", "soft link", "external data", "virtual", "group"])
def test_nothing_outside_the_file_is_read(kind: str, tmp_path: Path, several: Several) -> None:
    other = write_code15(tmp_path / "other.hdf5", EXAMS[:1])
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["exam_id"] = [1, 0]
        if kind == "external link":
            file["tracings"] = h5py.ExternalLink(other.name, "tracings")
        elif kind == "soft link":
            file["x"] = ZEROS[:2]
            file["tracings"] = h5py.SoftLink("/x")
        elif kind == "external data":
            file.create_dataset("tracings", (2, 4096, 12), "f4", external=[(str(other), 0, h5py.h5f.UNLIMITED)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((2, 4096, 12), "f4")
            layout[:] = h5py.VirtualSource(other, "tracings", (2, 4096, 12))
            file.create_virtual_dataset("tracings", layout)
        else:
            file.create_group("tracings")
    assert refusal(path, several).problem == "no dataset tracings"


@pytest.mark.parametrize(
    "storage",
    [
        {"shape": (10**12, 4096, 12), "chunks": (1, 4096, 12)},
        {"shape": (10**6, 4096, 12), "chunks": (1000, 4096, 12)},
        {"shape": (10**6, 4096, 12), "chunks": (1, 1, 1)},
        {"shape": (10**6, 4096, 12), "chunks": (1, 4096, 12), "compression": "lzf"},
        {"shape": (10**6, 4096, 12), "chunks": (1, 4096, 12), "compression": 32015, "allow_unknown_filter": True},
    ],
    ids=["very many exams", "large chunks", "small chunks", "lzf", "another filter"],
)
def test_sizes_are_checked_before_anything_is_read(
    storage: dict[str, object], tmp_path: Path, several: Several
) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("tracings", dtype="f4", **storage)
        file.create_dataset("exam_id", file["tracings"].shape[:1], "i8", chunks=(1000,))
    assert refusal(path, several).reason in {"unsupported", "unreadable"}


def test_a_truncated_file(tmp_path: Path, several: Several) -> None:
    path = write_code15(tmp_path / "a.hdf5", EXAMS)
    path.write_bytes(path.read_bytes()[:-50_000])
    assert refusal(path, several).reason == "unreadable"


def test_without_h5py(tmp_path: Path, several: Several, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_code15(tmp_path / "a.hdf5", EXAMS[:1])
    monkeypatch.setitem(sys.modules, "h5py", None)
    error = refusal(path, several)
    assert (error.reason, error.remedy) == ("unsupported", "pip install 'precordial[hdf5]'")
