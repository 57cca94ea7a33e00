import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg_samples.matrix import LEADS, SIDECAR
from precordial.ecg import TWELVE, Ecg, Flag
from precordial.errors import UnusableEcg
from precordial.formats import READERS, find_reader, read_ecg
from precordial.formats import matrix_files as module
from precordial.formats.reader import Several

NOISE = np.random.default_rng(0).integers(-900, 900, (8, 500)).astype("<i2")
SAID: dict[str, Any] = {"rate": 500, "units": "uV", "leads": LEADS}
MATRIX = READERS["matrix"]
assert isinstance(MATRIX.several, Several)
SEVERAL = MATRIX.several


def npy(folder: Path, array: Any, sidecar: str | None = SIDECAR) -> Path:
    path = folder / "ecg.npy"
    np.save(path, array)
    if sidecar is not None:
        path.with_suffix(".toml").write_text(sidecar)
    return path


def npz(folder: Path, array: Any = NOISE, **said: Any) -> Path:
    path = folder / "ecg.npz"
    np.savez_compressed(path, signal=array, **said)
    return path


def csv(folder: Path, text: str, sidecar: str | None = "rate = 500\nunits = 'mV'") -> Path:
    path = folder / "ecg.csv"
    path.write_text(text, newline="")
    if sidecar is not None:
        path.with_suffix(".toml").write_text(sidecar)
    return path


def table(leads: list[str], values: Any, delimiter: str = ",", newline: str = "\n") -> str:
    rows = [leads, *(map(str, row) for row in np.asarray(values).T.tolist())]
    return newline.join(map(delimiter.join, rows)) + newline


def refusal(path: Path) -> UnusableEcg:
    with pytest.raises(UnusableEcg) as caught:
        read_ecg(path)
    return caught.value


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["<i2", ">i2", "i4", "i8", "u2", "f2", "f4", "f8"])
@pytest.mark.parametrize("write", [npy, lambda folder, array: npz(folder, array, **SAID)], ids=["npy", "npz"])
def test_numpy_matrices(
    write: Callable[[Path, Any], Path], kind: str, turned: bool, order: Any, tmp_path: Path
) -> None:
    values = NOISE.astype(kind)
    ecg = read_ecg(write(tmp_path, np.array(values.T if turned else values, order=order)))
    assert np.array_equal(ecg.signal, (values.astype(np.float64) / 1000).astype(np.float32))
    assert ecg.signal.dtype == np.float32
    assert ecg.signal.flags.c_contiguous
    assert (ecg.rate, ecg.leads, ecg.flags, ecg.source) == (500, tuple(LEADS), 0, "matrix")
    # Numbers of 16 bits are whole units that an archive can keep; these are (as unsigned ones they are too large).
    assert ecg.uv_per_unit == (1.0 if kind in {"<i2", ">i2", "i4", "i8"} else None)


@pytest.mark.parametrize(
    ("scale", "millivolts"),
    [
        ("units = 'uV'", 0.001),
        ("units = 'µV'", 0.001),
        ("units = 'mV'", 1),
        ("units = 'V'", 1000),
        ("uv_per_unit = 4.88", 0.00488),
        ("uv_per_unit = 5", 0.005),
    ],
)
def test_units(scale: str, millivolts: float, tmp_path: Path) -> None:
    path = npy(tmp_path, NOISE, SIDECAR.replace('units = "uV"', scale))
    assert read_ecg(path).signal == pytest.approx(NOISE * float(millivolts), rel=1e-6)


ALL = """
patient_id = "A1"
recorded_at = 2021-05-10T13:05:16.25
age = 60
sex = "F"
device = "MAC 5500"
site = "Emergency ward"
"""


def check_all(ecg: Ecg) -> None:
    assert (ecg.patient_id, ecg.recorded_at) == ("A1", datetime(2021, 5, 10, 13, 5, 16, 250_000))
    assert (ecg.age, ecg.sex, ecg.device, ecg.site) == (60, "female", "MAC 5500", "Emergency ward")


def test_all_that_a_sidecar_says(tmp_path: Path) -> None:
    check_all(read_ecg(npy(tmp_path, NOISE, SIDECAR + ALL)))


@pytest.mark.parametrize(
    "moment", [np.datetime64("2021-05-10T13:05:16.25"), "2021-05-10T13:05:16.250", "2021-05-10 13:05:16.250+02:00"]
)
def test_all_that_an_npz_says(moment: Any, tmp_path: Path) -> None:
    said = {"patient_id": b"A1", "recorded_at": moment, "age": [60.0], "sex": "female", "other": np.zeros((3, 3))}
    check_all(read_ecg(npz(tmp_path, **SAID, **said, device="MAC 5500", site="Emergency ward")))


@pytest.mark.parametrize(
    ("line", "patient_id"), [("patient_id = 12", "12"), ("patient_id = ' '", None), ("age = 300", None), ("", None)]
)
def test_what_may_be_missing(line: str, patient_id: str | None, tmp_path: Path) -> None:
    ecg = read_ecg(npy(tmp_path, NOISE, SIDECAR + line))
    assert (ecg.patient_id, ecg.recorded_at, ecg.age, ecg.sex) == (patient_id, None, None, None)


def test_the_folder_s_sidecar(tmp_path: Path) -> None:
    """It is for all files without one of their own, and belongs to none of them."""
    path = npy(tmp_path, NOISE, None)
    (tmp_path / "matrix.toml").write_text(SIDECAR)
    assert read_ecg(path).uv_per_unit == 1
    assert MATRIX.companions(path) == ()
    own = npy(tmp_path, NOISE, SIDECAR.replace("500", "250"))
    assert read_ecg(own).rate == 250
    assert MATRIX.companions(own) == (tmp_path / "ecg.toml",)
    assert find_reader(tmp_path / "ecg.toml") is None


def test_what_the_file_says_comes_first(tmp_path: Path) -> None:
    path = npz(tmp_path, rate=250, uv_per_unit=4.88)
    path.with_suffix(".toml").write_text(SIDECAR + "age = 50")
    ecg = read_ecg(path)
    assert (ecg.rate, ecg.uv_per_unit, ecg.age, ecg.leads) == (250, 4.88, 50, tuple(LEADS))


@pytest.mark.parametrize(
    ("sidecar", "missing"),
    [
        (None, "rate and units and leads"),
        ("", "rate and units and leads"),
        ("rate = 500\nunits = 'uV'", "leads"),
        ("rate = 500\nleads = ['I']", "units"),
        ("uv_per_unit = 5\nleads = ['I']", "rate"),
    ],
)
def test_what_must_be_said(sidecar: str | None, missing: str, tmp_path: Path) -> None:
    error = refusal(npy(tmp_path, NOISE, sidecar))
    assert error.reason == "unsupported"
    assert error.problem.startswith(f"{missing} of the matrix")
    assert error.remedy is not None
    assert "ecg.toml or matrix.toml" in error.remedy


@pytest.mark.parametrize(
    ("sidecar", "reason", "message"),
    [
        (SIDECAR.replace("units", "unit"), "unsupported", "no key unit; use units"),
        (SIDECAR + "zzz = 1", "unsupported", "no key zzz; keys: rate, units"),
        (SIDECAR + "uv_per_unit = 5", "unsupported", "both said"),
        (SIDECAR + "rate = ", "unreadable", "the TOML is damaged"),
        (SIDECAR + "age = " + "9" * 5000, "unreadable", "the TOML is damaged"),
        (SIDECAR + "age = " + "[" * 10_000, "unreadable", "the TOML is damaged"),
        (SIDECAR.replace("500", "0"), "unreadable", "sampling rate"),
        (SIDECAR.replace("500", "nan"), "unreadable", "its rate"),
        (SIDECAR.replace("500", "true"), "unreadable", "its rate"),
        (SIDECAR.replace("500", '"500"'), "unreadable", "its rate"),
        (SIDECAR.replace("uV", "mmHg"), "unreadable", "its units"),
        (SIDECAR.replace('"uV"', "1"), "unreadable", "its units"),
        (SIDECAR.replace('units = "uV"', "uv_per_unit = -5"), "unreadable", "its uv_per_unit"),
        (SIDECAR.replace('["I", ', '[1, "II", '), "unreadable", "its leads"),
        (SIDECAR.replace('["I", ', '["II", '), "unreadable", "lead II stands twice"),
        ("rate = 500\nunits = 'uV'\nleads = 'I'", "unreadable", "its leads"),
        ("rate = 500\nunits = 'uV'\nleads = []", "unreadable", "its leads"),
        (SIDECAR + "recorded_at = 2021-05-10", "unreadable", "its recorded_at"),
        (SIDECAR + "recorded_at = '2021-05-10'", "unreadable", "its recorded_at"),
        (SIDECAR + "recorded_at = '2021-05-32T10:00'", "unreadable", "its recorded_at"),
        (SIDECAR + "age = 'old'", "unreadable", "its age"),
        (SIDECAR + "sex = true", "unreadable", "its sex"),
    ],
)
def test_what_cannot_be_understood(sidecar: str, reason: str, message: str, tmp_path: Path) -> None:
    error = refusal(npy(tmp_path, NOISE, sidecar))
    assert error.reason == reason
    assert message in str(error)


@pytest.mark.parametrize("said", [{"age": np.array(["x", "y"])}, {"sex": 1j}, {"age": np.array([{}], object)}])
def test_arrays_that_say_nothing(said: dict[str, Any], tmp_path: Path) -> None:
    assert refusal(npz(tmp_path, **SAID, **said)).reason == "unreadable"


@pytest.mark.parametrize("shape", [(8, 8), (7, 500), (500, 9)])
def test_the_side_of_the_leads_is_never_guessed(shape: tuple[int, int], tmp_path: Path) -> None:
    error = refusal(npy(tmp_path, np.zeros(shape, "i2")))
    assert error.reason == "unsupported"
    assert f"{shape[0]} × {shape[1]} for 8 leads" in error.problem


@pytest.mark.parametrize("write", [npy, lambda folder, array: npz(folder, array, **SAID)], ids=["npy", "npz"])
@pytest.mark.parametrize("turned", [False, True])
def test_several_ecgs(turned: bool, write: Callable[[Path, Any], Path], tmp_path: Path) -> None:
    stack = np.stack([NOISE, 2 * NOISE, 3 * NOISE])
    path = write(tmp_path, stack.swapaxes(1, 2) if turned else stack)
    assert SEVERAL.count(path) == 3
    for first, stop in [(0, 3), (1, 2), (2, 9), (3, 4)]:
        found = list(SEVERAL.read(path, first, stop))
        assert [name for name, _ in found] == [str(i) for i in range(first, min(stop, 3))]
        for name, ecg in found:
            assert isinstance(ecg, Ecg)
            assert np.array_equal(ecg.signal, (NOISE * (int(name) + 1) / 1000).astype(np.float32))
    assert "holds 3 ECGs; give one as FILE#NAME" in str(refusal(path))


def test_a_file_of_one_ecg_is_read_either_way(tmp_path: Path) -> None:
    for array in (NOISE, NOISE[None]):
        path = npy(tmp_path, array)
        assert SEVERAL.count(path) == 1
        ((name, ecg),) = SEVERAL.read(path, 0, 5)
        assert isinstance(ecg, Ecg)
        assert name == "0"
        assert np.array_equal(ecg.signal, read_ecg(path).signal)


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    stack = np.stack([NOISE / 1000] * 4)
    stack[1, 2, 3], stack[2, 2, 3], stack[3, 2, 3] = np.nan, -np.inf, 1e300
    path = npy(tmp_path, stack, SIDECAR.replace("uV", "mV"))
    whole, gap, infinite, huge = (ecg for _, ecg in SEVERAL.read(path, 0, 4))
    assert isinstance(whole, Ecg)
    assert isinstance(gap, Ecg)
    assert (whole.flags, gap.flags) == (0, Flag.MISSING_SAMPLES)
    different = np.zeros((8, 500), bool)
    different[2, 3] = True
    assert gap.signal[2, 3] == 0
    assert np.array_equal(gap.signal[~different], whole.signal[~different])
    assert isinstance(infinite, UnusableEcg)
    assert isinstance(huge, UnusableEcg)
    assert infinite.reason == huge.reason == "unreadable"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["", "\ufeff", "# exported by a program\n\n"])
def test_csv(delimiter: str, newline: str, before: str, tmp_path: Path) -> None:
    values = NOISE / 1000
    ecg = read_ecg(csv(tmp_path, before + table(LEADS, values, delimiter, newline)))
    assert np.array_equal(ecg.signal, values.astype(np.float32))
    assert (ecg.rate, ecg.leads, ecg.flags, ecg.uv_per_unit) == (500, tuple(LEADS), 0, None)


@pytest.mark.parametrize("name", ["time", "T", "sample", "", '"time"'])
def test_a_column_of_times_is_left_out(name: str, tmp_path: Path) -> None:
    times = [f"00:00:{i / 50:06.3f}" for i in range(500)]
    rows = [f"{moment},{','.join(map(str, row))}" for moment, row in zip(times, NOISE.T.tolist(), strict=True)]
    quoted = ",".join([name, *(f'"{lead}"' for lead in LEADS)])
    ecg = read_ecg(csv(tmp_path, "\n".join([quoted, *rows]) + "\n"))
    assert np.array_equal(ecg.signal, NOISE.astype(np.float32))


def test_decimal_commas(tmp_path: Path) -> None:
    ecg = read_ecg(csv(tmp_path, table(LEADS, NOISE / 1000, ";").replace(".", ",")))
    assert np.array_equal(ecg.signal, (NOISE / 1000).astype(np.float32))


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_empty_cells_are_missing_samples(delimiter: str, tmp_path: Path) -> None:
    lines = table(LEADS, NOISE[:, :4], delimiter).splitlines()
    cells = [line.split(delimiter) for line in lines]
    cells[1][0] = cells[2][7] = cells[4][2] = ""
    cells[3] = [""] * 8
    cells[4][3] = "NaN"
    text = "\n".join(map(delimiter.join, cells)) + "\n"
    ecg = read_ecg(csv(tmp_path, text))
    expected = NOISE[:, :4].astype(np.float32)
    expected[0, 0] = expected[7, 1] = expected[2, 3] = expected[3, 3] = 0
    expected[:, 2] = 0
    assert np.array_equal(ecg.signal, expected)
    assert ecg.flags == Flag.MISSING_SAMPLES


def test_twelve_leads_in_any_order_and_case(tmp_path: Path) -> None:
    leads = [lead.upper() for lead in reversed(TWELVE)]
    ecg = read_ecg(csv(tmp_path, table(leads, np.arange(24).reshape(12, 2))))
    assert ecg.leads == tuple(reversed(TWELVE))
    assert ecg.signal[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    "header",
    [
        "ecg_id,patient_id,age,sex",
        "patient_id,I,II,V1,V2,V3,V4,V5,V6",
        "I,II,III,aVR,aVL,aVF",
        "I,V1,V2,V3,V4,V5,V6",  # seven leads
        "I,II,V1,V2,V3,V4,V5",
        "I,II,V1,V2,V3,V4,V5,V6,label",
        "time,sample,I,II,V1,V2,V3,V4,V5,V6",
        "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8",
        "I;II;V1;V2;V3,V4;V5;V6",
    ],
)
def test_other_tables_are_no_ecg(header: str, tmp_path: Path) -> None:
    path = csv(tmp_path, header + "\n" + ",".join("1" * (header.count(",") + 1)) + "\n")
    assert find_reader(path) is None
    path.write_text("I,II,V1,V2,V3,V4,V5,V6")  # a row that does not end
    assert find_reader(path) is None


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "no rows"),
        ("1,2,3,4,5,6,7\n", "without 8 columns"),
        ("1,2,3,4,5,6,7,8\n1,2,3,4,5,6,7,8,9\n", "without 8 columns"),
        ("1,2,3,4,5,6,7,8\n1,2,3,4,5,6,7,8", "does not end"),
        ("1,2,3,4,5,6,7,eight\n", "is damaged"),
        ("1,2,3,4,5,6,7,inf\n", "infinite"),
    ],
)
def test_damaged_csv(body: str, problem: str, tmp_path: Path) -> None:
    error = refusal(csv(tmp_path, ",".join(LEADS) + "\n" + body))
    assert error.reason == "unreadable"
    assert problem in error.problem


def header(**change: Any) -> bytes:
    """The header of an .npy of (8, 500) int16, changed."""
    file = io.BytesIO()
    said = {"descr": "<i2", "fortran_order": False, "shape": (8, 500)}
    np.lib.format.write_array_header_1_0(file, said | change)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (header() + bytes(8000), None),
        (header() + bytes(7999), "unreadable"),
        (header() + bytes(8001), "unreadable"),
        (header(shape=(8, 1 << 60)), "unreadable"),
        (header(shape=(0, 500)), "unreadable"),
        (header(shape=(-8, -500)) + bytes(8000), "unreadable"),
        (header(shape=(4000,)) + bytes(8000), "unsupported"),
        (header(shape=(2, 2, 2, 500)) + bytes(8000), "unsupported"),
        (header(descr="|O") + bytes(32000), "unsupported"),
        (header(descr="<c8") + bytes(32000), "unsupported"),
        (header(descr="<U1") + bytes(16000), "unsupported"),
        (header(descr="<f16") + bytes(64000), "unsupported"),
        (header(descr=[("a", "<i2")]) + bytes(8000), "unsupported"),
        (header()[:40], "unreadable"),
        (header().replace(b"shape", b"shake") + bytes(8000), "unreadable"),
        (header().replace(b"500", b"'x'") + bytes(8000), "unreadable"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "unreadable"),
    ],
)
def test_headers_are_checked_against_what_is_there(data: bytes, reason: str | None, tmp_path: Path) -> None:
    path = npy(tmp_path, NOISE)
    path.write_bytes(data)
    if reason is None:
        assert not read_ecg(path).signal.any()
    else:
        assert refusal(path).reason == reason
    archive = tmp_path / "ecg.npz"  # and the same inside a zip
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("signal.npy", data)
    if reason is None:
        assert not read_ecg(archive).signal.any()
    else:
        assert refusal(archive).reason == reason


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "touched",)

    array = np.array([[Touch()] * 8] * 9, object)
    for path in (npy(tmp_path, array), npz(tmp_path, array, **SAID), npz(tmp_path, age=array, **SAID)):
        assert refusal(path).reason in {"unsupported", "unreadable"}
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("name", ["VALUES_LIMIT", "PACKED_LIMIT", "TEXT_LIMIT", "CELLS_LIMIT"])
def test_sizes_are_limited(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = name in {"TEXT_LIMIT", "CELLS_LIMIT"}
    path = csv(tmp_path, table(LEADS, NOISE)) if texts else npz(tmp_path, **SAID)
    assert read_ecg(path).signal.shape == (8, 500)
    monkeypatch.setattr(module, name, 3999)
    assert refusal(path).reason == "unsupported"


def change_zip(path: Path, change: Callable[[bytearray], object]) -> Path:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(bytes(data))
    return path


def test_damaged_zips(tmp_path: Path) -> None:
    def flip(data: bytearray) -> None:
        data[data.index(b"signal.npy") + 200] ^= 1  # caught by the zip's own checksum, or in unpacking

    assert refusal(change_zip(npz(tmp_path, **SAID), flip)).reason == "unreadable"
    assert (
        refusal(change_zip(npz(tmp_path, **SAID), lambda data: data.__delitem__(slice(-30, None)))).reason
        == "unreadable"
    )
    np.savez(tmp_path / "ecg.npz", other=NOISE, **SAID)
    assert "no array named signal" in refusal(tmp_path / "ecg.npz").problem


def test_zips_as_numpy_does_not_write_them(tmp_path: Path) -> None:
    path = tmp_path / "ecg.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as members:
        members.writestr("signal.npy", header() + bytes(8000))
    assert refusal(path).reason == "unreadable"
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("signal.npy", header() + bytes(8000))
        for i in range(2000):
            members.writestr(f"{i}.npy", b"")
    assert refusal(path).reason == "unreadable"
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("document.xml", b"")
        members.writestr("signal.npy", header() + bytes(8000))
    assert find_reader(path) is None


def test_an_npy_is_read_from_the_disk_as_needed(tmp_path: Path) -> None:
    assert isinstance(module.look_into(npy(tmp_path, NOISE[None])).load(), np.memmap)


def test_a_name_too_long_for_a_sidecar(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    with path.open("wb") as file:
        np.savez(file, signal=NOISE, **SAID)
    assert MATRIX.companions(path) == ()
    assert read_ecg(path).signal.shape == (8, 500)


def test_date_and_time_of_toml(tmp_path: Path) -> None:
    path = npy(tmp_path, NOISE, SIDECAR + "recorded_at = 2021-05-10T23:30:00-05:00")
    assert read_ecg(path).recorded_at == datetime(2021, 5, 10, 23, 30)
    assert read_ecg(path).recorded_at.date() == date(2021, 5, 10)  # type: ignore[union-attr]
