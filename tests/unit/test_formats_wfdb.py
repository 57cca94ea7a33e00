from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from precordial.ecg import Flag
from precordial.errors import UnusableEcg
from precordial.formats import READERS, read_ecg

Record = Callable[..., Path]
NOON = datetime(2020, 5, 25, 12, 0, 7)
DIGITAL = np.array([[100, -50, 7, 32767], [0, 1, -1, -32767]], np.int16)


def reason(path: Path) -> str:
    with pytest.raises(UnusableEcg) as caught:
        read_ecg(path)
    return caught.value.reason


def change(header: Path, old: str, new: str) -> Path:
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    return header


@pytest.mark.parametrize(
    ("line", "rate", "moment"),
    [
        ("record 2 100 4", 100, None),
        ("record 2 100 4 ", 100, None),
        ("record 2 360/360(0) 4", 360, None),
        ("record 2 3.6e2 4", 360, None),
        ("record 2", 250, None),  # the format's default rate
        ("record 2 257.5", 257.5, None),
        ("record 2 100 0", 100, None),
        ("record.mat 2 500 4 25-May-2020 12:00:07", 500, NOON),
        ("record 2 500 4 12:00:07 25/05/2020", 500, NOON),
        ("record 2 500 4 12:0:7 25/5/2020", 500, NOON),
        ("record 2 500 25-MAY-2020 12:00:07", 500, NOON),  # the number of samples is missing
        ("record 2 500 4 12:00:07.250 25/05/2020", 500, NOON.replace(microsecond=250_000)),
        ("record 2 500 4 12:00:07", 500, None),  # a time without a date
        ("record 2 500 4 25/05/2020", 500, None),
        ("record 2 500 4 12:00:07 05/25/2020", 500, None),  # days come first: this is no date
        ("record 2 500 4 25:00:07 25/05/2020", 500, None),
        ("record 2 500 4 12:00:07 25-Mai-2020", 500, None),
    ],
)
def test_record_lines(line: str, rate: float, moment: datetime | None, tmp_path: Path, wfdb_record: Record) -> None:
    ecg = read_ecg(wfdb_record(tmp_path, DIGITAL, record_line=line))
    assert (ecg.rate, ecg.recorded_at, ecg.patient_id) == (rate, moment, None)
    assert np.array_equal(ecg.signal, (DIGITAL / 1000).astype(np.float32))


@pytest.mark.parametrize("newline", ["\r\n", "\n\n", "\n# a comment between\n"])
def test_header_text(newline: str, tmp_path: Path, wfdb_record: Record) -> None:
    header = wfdb_record(tmp_path, DIGITAL, gain="1/µV")
    plain = header.read_text()
    for data in (plain.encode(), plain.encode("latin-1"), b"\xef\xbb\xbf" + plain.encode()):
        header.write_bytes(data.replace(b"\n", newline.encode()))
        assert read_ecg(header).leads == ("I", "II")
        assert read_ecg(header).uv_per_unit == 1.0


@pytest.mark.parametrize(
    ("gain", "units_per_mv", "baseline"),
    [
        ("1000.0(0)/mV", 1000, 0),
        ("1000/mv", 1000, 0),
        ("4880", 4880, 0),
        ("204.918(-12)", 204.918, -12),
        ("0.2/uV", 200, 0),
        ("0.2/µV", 200, 0),
        ("0.2/μV", 200, 0),
        ("2e5/V", 200, 0),
        ("0", 200, 0),  # uncalibrated: the format's default
        ("0(5)/mV", 200, 5),
        ("-1000/mV", -1000, 0),
    ],
)
def test_gains(gain: str, units_per_mv: float, baseline: int, tmp_path: Path, wfdb_record: Record) -> None:
    ecg = read_ecg(wfdb_record(tmp_path, DIGITAL, gain=gain))
    digital = DIGITAL.astype(int) - baseline
    np.testing.assert_array_max_ulp(ecg.signal, (digital / units_per_mv).astype(np.float32), maxulp=1)
    if units_per_mv < 0:
        assert ecg.uv_per_unit is None
    else:
        assert ecg.uv_per_unit == pytest.approx(1000 / units_per_mv, rel=1e-12)
        assert np.array_equal(np.round(ecg.signal.astype(float) * 1000 / ecg.uv_per_unit), digital)


def test_baseline_is_the_adc_zero_where_it_is_not_said(tmp_path: Path, wfdb_record: Record) -> None:
    header = change(wfdb_record(tmp_path, DIGITAL, gain="1000/mV"), " 1000/mV 16 0 ", " 1000/mV 16 1024 ")
    assert np.array_equal(read_ecg(header).signal, ((DIGITAL.astype(int) - 1024) / 1000).astype(np.float32))
    change(header, "1000/mV", "1000(24)/mV")
    assert np.array_equal(read_ecg(header).signal, ((DIGITAL.astype(int) - 24) / 1000).astype(np.float32))


def test_signal_lines_may_end_early(tmp_path: Path) -> None:
    (tmp_path / "a.hea").write_text("a 2 500 2\na.dat 16\na.dat 16 100\n")
    (tmp_path / "a.dat").write_bytes(np.array([200, 100, 400, 300], "<i2").tobytes())
    ecg = read_ecg(tmp_path / "a.hea")
    assert ecg.signal.tolist() == [[1, 2], [1, 3]]
    assert ecg.leads == ("signal 1", "signal 2")
    assert ecg.uv_per_unit is None  # two gains
    assert ecg.flags == Flag.NO_CHECKSUM


def test_several_data_files_in_any_order(tmp_path: Path) -> None:
    """Signals 1 and 4 share a file; signals 2 and 3 another one, of another format and offset."""
    packed = bytes([0x02, 0x00, 0x03, 0xFE, 0xFF, 0xFD])  # 2, 3, -2, -3
    (tmp_path / "b.dat").write_bytes(np.array([1, 4, -1, -4], "<i2").tobytes())
    (tmp_path / "a.dat").write_bytes(bytes(5) + packed)
    lines = ["x 4 500 2", "b.dat 16 1/mV 16 0 1 0 0 v6", "a.dat 212+5 1/mV 12 0 2 0 0 avr"]
    lines += ["a.dat 212+5 1/mV 12 0 2 0 0 I", "b.dat 16 1/mV 16 0 3 0 0 II"]
    header = tmp_path / "x.hea"
    header.write_text("\n".join(lines))
    ecg = read_ecg(header)
    assert ecg.leads == ("V6", "aVR", "I", "II")
    assert ecg.signal.tolist() == [[1, -1], [2, -2], [3, -3], [4, -4]]
    assert READERS["wfdb"].companions(header) == (tmp_path / "b.dat", tmp_path / "a.dat")
    header.write_text(header.read_text().replace("x 4 500 2", "x 4 500"))
    (tmp_path / "a.dat").write_bytes(bytes(5) + packed * 2)
    assert reason(header) == "unreadable"  # now the files differ in length


@pytest.mark.parametrize("storage", ["16+24", "16x1+24", "16:0+24", "16x1"])
def test_offset_and_one_sample_per_frame(storage: str, tmp_path: Path, wfdb_record: Record) -> None:
    header = wfdb_record(tmp_path, DIGITAL, storage=storage)
    assert np.array_equal(read_ecg(header).signal, (DIGITAL / 1000).astype(np.float32))


def test_a_matlab_file_of_the_challenges(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "A1.mat", {"val": DIGITAL}, format="4")
    (tmp_path / "A1.hea").write_text(
        "A1 2 500 4 12-May-2020 12:33:59\n"
        "A1.mat 16+24 1000/mV 16 0 100 32824 0 I\nA1.mat 16+24 1000/mV 16 0 0 -32767 0 II\n"
    )
    ecg = read_ecg(tmp_path / "A1.mat")
    assert np.array_equal(ecg.signal, (DIGITAL / 1000).astype(np.float32))
    assert ecg.flags == Flag(0)


@pytest.mark.parametrize("samples", [1, 4, 5, 1001])
@pytest.mark.parametrize("signals", [1, 2, 3])
def test_format_212(signals: int, samples: int, tmp_path: Path, wfdb_record: Record) -> None:
    digital = np.random.default_rng(samples).integers(-2047, 2048, (signals, samples)).astype(np.int16)
    digital[0, 0] = 2047
    ecg = read_ecg(wfdb_record(tmp_path, digital, storage="212", gain="200/mV"))
    assert np.array_equal(ecg.signal, (digital / 200).astype(np.float32))


def stored_record(folder: Path, storage: int, data: bytes, samples: int | str, lines: str) -> Path:
    """A record of one signal."""
    (folder / "a.dat").write_bytes(data)
    (folder / "a.hea").write_text(f"a 1 500 {samples}\na.dat {storage} {lines}\n")
    return folder / "a.hea"


@pytest.mark.parametrize(
    ("storage", "lowest", "highest"),
    [
        (16, b"\x00\x80", b"\xff\x7f"),
        (24, b"\x00\x00\x80", b"\xff\xff\x7f"),
        (32, b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f"),
        (61, b"\x80\x00", b"\x7f\xff"),
        (80, b"\x00", b"\xff"),
        (160, b"\x00\x00", b"\xff\xff"),
        (212, b"\x00\xf8\xff", b"\xff\x77\xff"),  # the second value is -1, then 2047
        (310, b"\x00\x04\xfe\x07", b"\xfe\x03\xfe\x07"),
        (311, b"\x00\x02\x00\x00", b"\xff\x01\x00\x00"),
    ],
)
def test_the_lowest_value_of_a_format_is_a_missing_sample(
    storage: int, lowest: bytes, highest: bytes, tmp_path: Path
) -> None:
    bits = {16: 16, 24: 24, 32: 32, 61: 16, 80: 8, 160: 16, 212: 12, 310: 10, 311: 10}[storage]
    ecg = read_ecg(stored_record(tmp_path, storage, highest, 1, "4(-3)/mV"))
    assert ecg.signal[0, 0] == np.float32((2 ** (bits - 1) - 1 + 3) / 4)
    assert not ecg.flags & Flag.MISSING_SAMPLES
    ecg = read_ecg(stored_record(tmp_path, storage, lowest, 1, "4(-3)/mV"))
    assert (ecg.signal[0, 0], ecg.flags) == (0, Flag.MISSING_SAMPLES | Flag.NO_CHECKSUM)


def test_32_bits_are_exact_until_they_are_millivolts(tmp_path: Path) -> None:
    """Values and a baseline near 2^31, which float32 could not tell apart, differ by single units."""
    values = np.array([2**31 - 1, 2**31 - 2, 2**31 - 3, -(2**31) + 1], "<i4")
    header = stored_record(tmp_path, 32, values.tobytes(), 4, f"10({2**31 - 4})/mV")
    assert read_ecg(header).signal.tolist() == [[pytest.approx(x) for x in (0.3, 0.2, 0.1, -429496728.3)]]
    assert reason(stored_record(tmp_path, 32, values.tobytes(), 4, f"10({2**31})/mV")) == "unreadable"
    assert reason(stored_record(tmp_path, 16, values.tobytes(), 4, f"10({2**23})/mV")) == "unreadable"


def test_format_8_begins_with_the_initial_value(tmp_path: Path) -> None:
    steps = np.array([0, 5, -128, 127], "i1").tobytes()
    assert read_ecg(stored_record(tmp_path, 8, steps, 4, "1/mV 8 0 -300 0 0 II")).signal.tolist() == [
        [-300, -295, -423, -296]
    ]
    assert read_ecg(stored_record(tmp_path, 8, steps, 4, "1(0)/mV 8 40")).signal[0, 0] == 40  # by default the zero
    assert read_ecg(stored_record(tmp_path, 8, steps, 4, "1/mV 8 0 -300 64222 0 II")).flags == Flag(0)
    assert reason(stored_record(tmp_path, 8, steps, 4, "1/mV 8 0 -300 64223 0 II")) == "bad-checksum"
    assert reason(stored_record(tmp_path, 8, steps, 4, "1/mV 8 0 9999999999 0 0 II")) == "unreadable"


@pytest.mark.parametrize(
    ("storage", "held"),
    [
        (8, [0, 1, 2, 3, 4, 5]),
        (16, [0, 0, 1, 1, 2, 2]),
        (24, [0, 0, 0, 1, 1, 1, 2]),
        (32, [0, 0, 0, 0, 1, 1]),
        (212, [0, 0, 1, 2, 2, 3, 4]),
        (310, [0, 0, 1, 1, 3, 3, 4, 4, 6]),
        (311, [0, 0, 1, 2, 3, 3, 4, 5, 6]),
    ],
)
def test_how_many_values_so_many_bytes_hold(storage: int, held: list[int], tmp_path: Path) -> None:
    """What the file does not hold is not made up, and the last values are read from an incomplete pack."""
    for size, count in enumerate(held):
        data = bytes([0x11] * size)
        assert reason(stored_record(tmp_path, storage, data, count + 1, "1/mV")) == "unreadable"
        if count:
            whole = read_ecg(stored_record(tmp_path, storage, data + bytes([0x11] * 9), count, "1/mV")).signal
            assert np.array_equal(read_ecg(stored_record(tmp_path, storage, data, count, "1/mV")).signal, whole)


def test_a_recording_of_hours_is_refused(tmp_path: Path) -> None:
    header = stored_record(tmp_path, 80, b"", 1 << 25, "1/mV")
    with (tmp_path / "a.dat").open("wb") as file:
        file.truncate(1 << 25)
    assert reason(header) == "unsupported"
    with (tmp_path / "a.dat").open("wb") as file:
        file.truncate(1 << 27)
    assert reason(header) == "unsupported"


@pytest.mark.parametrize(("storage", "missing"), [("16", -32768), ("212", -2048)])
def test_missing_samples(storage: str, missing: int, tmp_path: Path, wfdb_record: Record) -> None:
    digital = np.array([[10, missing, 30], [-10, 20, missing]], np.int16)
    ecg = read_ecg(wfdb_record(tmp_path, digital, storage=storage, gain="10(3)/mV"))
    assert ecg.signal.tolist() == pytest.approx(np.array([[0.7, 0, 2.7], [-1.3, 1.7, 0]]))
    assert ecg.flags == Flag.MISSING_SAMPLES


def test_checksums(tmp_path: Path, wfdb_record: Record) -> None:
    header = wfdb_record(tmp_path, DIGITAL)
    right = header.read_text()
    assert read_ecg(header).flags == Flag(0)
    change(header, " 32824 ", f" {32824 - 65536} ")  # signed or not, both are in use
    assert read_ecg(header).flags == Flag(0)
    change(header, str(32824 - 65536), "32825")
    assert reason(header) == "bad-checksum"
    change(header, " 2 500 4", " 2 500")  # without the number of samples it says nothing
    assert read_ecg(header).flags == Flag.NO_CHECKSUM
    header.write_text(right.replace(" 32824 ", " 0 ").replace(" 32769 ", " 0 "))  # placeholders
    assert read_ecg(header).flags == Flag.NO_CHECKSUM
    header.write_text(right.replace(" 32824 0 I\n", "\n"))
    assert read_ecg(header).flags == Flag.NO_CHECKSUM
    header.write_text(right.replace(" 32824 0 I\n", "\n").replace(" 32769 ", " 7 "))
    assert reason(header) == "bad-checksum"


def test_lengths(tmp_path: Path, wfdb_record: Record) -> None:
    header = wfdb_record(tmp_path, DIGITAL)
    data = header.with_suffix(".dat")
    whole = data.read_bytes()
    data.write_bytes(whole + b"more")  # as WFDB's own library, the header's count is what is read
    assert read_ecg(header).signal.shape == (2, 4)
    data.write_bytes(whole[:-1])
    assert reason(header) == "unreadable"
    change(header, " 2 500 4", " 2 500")
    assert reason(header) == "unreadable"  # no whole samples of both signals
    data.write_bytes(b"")
    assert reason(header) == "unreadable"
    data.unlink()
    assert reason(header) == "unreadable"
    assert READERS["wfdb"].companions(header) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("record 2 500", "record/3 2 500", "unsupported"),
        ("dat 16 ", "dat 16x4 ", "unsupported"),
        ("dat 16 ", "dat 16:2 ", "unsupported"),
        ("dat 16 ", "dat 508 ", "unsupported"),
        ("dat 16 ", "dat 524 ", "unsupported"),
        ("/mV", "/mmHg", "unsupported"),
        ("0 II", "0 I", "unreadable"),  # lead I twice
        ("record 2 500", "record 3 500", "unreadable"),
        ("record 2 500", "record 2 0", "unreadable"),
        ("record 2 500", "record 2 1e9", "unreadable"),
        ("1000.0(0)", "1e-9(0)", "unreadable"),
        ("1000.0(0)", "1000.0(9999999999)", "unreadable"),
        ("1000.0(0)", "gain", "unreadable"),
        (" 16 0 100 ", " 16 zero 100 ", "unreadable"),
        ("0 I\nrecord.dat 16 ", "0 I\nrecord.dat 212 ", "unreadable"),  # two formats in one file
    ],
)
def test_what_is_refused(old: str, new: str, expected: str, tmp_path: Path, wfdb_record: Record) -> None:
    assert reason(change(wfdb_record(tmp_path, DIGITAL), old, new)) == expected


def test_what_is_unsupported_says_what_to_do(tmp_path: Path, wfdb_record: Record) -> None:
    header = change(wfdb_record(tmp_path, DIGITAL), "dat 16 ", "dat 516 ")
    says = r"record\.hea: storage format 516, which is compressed by FLAC; rewrite the record in format 16 with WFDB's"
    with pytest.raises(UnusableEcg, match=says):
        read_ecg(header)


def test_a_header_cannot_reach_other_folders(tmp_path: Path, wfdb_record: Record) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    header = wfdb_record(inside, DIGITAL)
    outside = (inside / "record.dat").rename(tmp_path / "record.dat")
    text = header.read_text()
    for name in ("../record.dat", str(outside), "..\\record.dat", "..", "-", "~", "x" * 300):
        header.write_text(text.replace("record.dat", name))
        with pytest.raises(UnusableEcg, match="outside the header's folder") as caught:
            read_ecg(header)
        assert caught.value.reason == "unreadable"
        assert READERS["wfdb"].companions(header) == ()


@pytest.mark.parametrize(
    ("comments", "age", "sex", "flags"),
    [
        (["#Age: 82", "#Sex: Female"], 82, "female", 0),
        (["# age: 5", "# sex: M"], 5, "male", 0),
        (["#Age: 0", "#Sex: F", "#Dx: 426783006"], 0, "female", 0),
        (["#Age: 300", "#Sex: Male"], 90, "male", Flag.AGE_ABOVE_89),
        (["#Age: NaN", "#Sex: NaN"], None, None, 0),
        (["#Age: Unknown", "#Sex: Unknown"], None, None, 0),
        (["#Age: -1", "#Sex:"], None, None, 0),
        (["#Age: 299"], None, None, 0),
        ([], None, None, 0),
    ],
)
def test_age_and_sex(
    comments: list[str],
    age: float | None,
    sex: str | None,
    flags: int,
    tmp_path: Path,
    wfdb_record: Record,
) -> None:
    ecg = read_ecg(wfdb_record(tmp_path, DIGITAL, comments=comments))
    assert (ecg.age, ecg.sex, ecg.flags, ecg.source) == (age, sex, flags, "wfdb")


@pytest.mark.parametrize(
    ("comments", "patient_id"),
    [
        (["#Age: 82", "#Patient: T0000042"], "T0000042"),
        (["# patient id: 0042 "], "0042"),
        (["#PATIENT ID : A:1"], "A:1"),
        (["#Patient: 7", "#Patient ID: 8"], "8"),
        (["#Patient ID:", "#Patient: 7"], "7"),
        (["#Patient:"], None),
        (["#Patient name: Test", "#Inpatient: yes", "#patient 1", "#Dx: 426783006"], None),
        ([], None),
    ],
)
def test_patient_id(comments: list[str], patient_id: str | None, tmp_path: Path, wfdb_record: Record) -> None:
    assert read_ecg(wfdb_record(tmp_path, DIGITAL, comments=comments)).patient_id == patient_id


def test_a_mat_file_without_its_header(tmp_path: Path) -> None:
    matrix = tmp_path / "A0001.mat"
    matrix.write_bytes(b"\x1e\0\0\0\x02\0\0\0\x04\0\0\0\0\0\0\0\x04\0\0\0val\0" + bytes(16))
    with pytest.raises(UnusableEcg, match=r"A0001\.mat: its header A0001\.hea is missing; put the header") as caught:
        read_ecg(matrix)
    assert caught.value.reason == "unreadable"
    (tmp_path / "A0001.hea").write_text("a header that names another file")
    assert reason(matrix) == "not-an-ecg"
