import base64
import struct
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from ecg_samples.philips import (
    LEADS,
    compress,
    compress_channel,
    decode_channel,
    half,
    make_philips_xml,
    make_traces,
    waveform,
)
from precordial.ecg import TWELVE, Ecg
from precordial.errors import UnusableEcg
from precordial.formats import philips, read_ecg
from precordial.formats.philips_xli import decode_xli

REAL = ["129DYPRG.XML", "3191723_ZZDEMOPTONLY_1-04_orig.xml"]


@pytest.mark.parametrize("version", ["1.03", "1.04", "1.04.01"])
@pytest.mark.parametrize("compressed", [False, True])
def test_all_fields(version: str, compressed: bool, read: Callable[[bytes], Ecg]) -> None:
    traces = make_traces(samples=60)
    ecg = read(make_philips_xml(traces, version=version, compressed=compressed))
    assert ecg.leads == TWELVE
    expected = np.stack([traces[lead] for lead in TWELVE]) * (5 / 1000)
    assert np.array_equal(ecg.signal, expected.astype(np.float32))
    assert (ecg.rate, ecg.uv_per_unit, ecg.source, ecg.flags) == (500, 5, "philips", 0)
    assert (ecg.patient_id, ecg.recorded_at) == ("TEST0001", datetime(2021, 5, 10, 13, 5, 16))
    assert (ecg.age, ecg.sex, ecg.device, ecg.site) == (60, "female", "PageWriter TC", "Test Høspital")


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "UTF-16"])
def test_encodings(encoding: str, read: Callable[[bytes], Ecg]) -> None:
    assert read(make_philips_xml(samples=10, encoding=encoding)).site == "Test Høspital"


def test_utf_16_of_either_order(read: Callable[[bytes], Ecg]) -> None:
    text = make_philips_xml(samples=10).decode().replace('encoding="UTF-8"', 'encoding="UTF-16"')
    for order, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        assert read(mark + text.encode(order)).signal.shape == (12, 10)


@pytest.mark.parametrize(("rate", "samples"), [("250", 2500), ("1000", 10000), ("500.0", 5000)])
def test_rates(rate: str, samples: int, read: Callable[[bytes], Ecg]) -> None:
    traces = {"II": np.arange(samples, dtype=np.int16)}
    ecg = read(make_philips_xml(traces, rate=rate, compressed=False))
    assert (ecg.rate, ecg.seconds) == (float(rate), 10)


def test_offset_is_subtracted(read: Callable[[bytes], Ecg]) -> None:
    traces = {"I": np.array([100, 110], np.int16), "II": np.array([100, 90], np.int16)}
    ecg = read(make_philips_xml(traces, offset="100", resolution="2.5", compressed=False))
    assert ecg.signal.tolist() == np.array([[0, 0.025], [0, -0.025]], np.float32).tolist()


def test_attributes_before_the_acquisition(read: Callable[[bytes], Ecg]) -> None:
    """The waveform may have been changed since it was acquired; then its attributes are right."""
    data = make_philips_xml(samples=10, version="1.04")
    old = data.replace(b"<samplingrate>500<", b"<samplingrate>250<").replace(b"<resolution>5<", b"<resolution>1<")
    assert old != data
    ecg = read(old)
    assert (ecg.rate, ecg.uv_per_unit) == (500, 5)


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ("<years>60</years>", 60),
        ("<months>18</months>", 1.5),
        ("<weeks>26</weeks>", 26 * 7 / 365.25),
        ("<days>5</days>", 5 / 365.25),
        ("<hours>36</hours>", 1.5 / 365.25),
        ("<minutes>1440</minutes>", 1 / 365.25),
        ("<dateofbirth>1961-05-10</dateofbirth>", 21915 / 365.25),
        ("<dateofbirth>2030-01-01</dateofbirth>", None),
        ("<dateofbirth>05/10/1961</dateofbirth>", None),
        ("<years>---</years>", None),
        ("<years>200</years>", None),
        ("", None),  # not the default age
    ],
)
def test_age(age: str, years: float | None, read: Callable[[bytes], Ecg]) -> None:
    ecg = read(make_philips_xml(samples=10, age=age))
    assert ecg.age == (None if years is None else pytest.approx(years))


@pytest.mark.parametrize("time", ["", "25:00:00", "now", "1:2:3"])
def test_no_time(time: str, read: Callable[[bytes], Ecg]) -> None:
    ecg = read(make_philips_xml(samples=10, time=time, age="<dateofbirth>1961-05-10</dateofbirth>"))
    assert (ecg.recorded_at, ecg.age) == (None, None)


@pytest.mark.parametrize("time", ["13:05:16", "13:05:16.250", "13:05:16Z", "13:05:16+02:00"])
def test_time_is_local_and_in_seconds(time: str, read: Callable[[bytes], Ecg]) -> None:
    assert read(make_philips_xml(samples=10, time=time)).recorded_at == datetime(2021, 5, 10, 13, 5, 16)


@pytest.mark.parametrize("patient_id", [None, "", " ", "---"])
def test_missing_fields(patient_id: str | None, read: Callable[[bytes], Ecg]) -> None:
    ecg = read(make_philips_xml(samples=10, patient_id=patient_id, sex=None, machine=None))
    assert (ecg.patient_id, ecg.sex, ecg.device) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"version": "1.05"}, "unsupported"),
        ({"version": ""}, "unsupported"),
        ({"rate": "0", "duration": "20"}, "unreadable"),
        ({"rate": "NaN", "duration": "20"}, "unreadable"),
        ({"resolution": "0"}, "unreadable"),
        ({"resolution": "5000"}, "unreadable"),  # nV: no file is known that means them
        ({"resolution": "inf"}, "unreadable"),
        ({"offset": "0.5"}, "unreadable"),
        ({"offset": "1e300"}, "unreadable"),
        ({"duration": "0"}, "unreadable"),
        ({"duration": "-20"}, "unreadable"),
        ({"duration": "nan"}, "unreadable"),
        ({"duration": "1e12"}, "unreadable"),
        ({"duration": "18"}, "unreadable"),
        ({"duration": "22"}, "unreadable"),
        ({"duration": "22", "compressed": False}, "unreadable"),
        ({"duration": "10", "compressed": False}, "unreadable"),
        ({"channels": 12, "data": b""}, "unreadable"),
        ({"version": "1.03", "traces": {"I": np.zeros(10, np.int16)}}, "unreadable"),
        ({"traces": {"I": np.zeros(9, np.int16), "III": np.zeros(9, np.int16)}}, "unreadable"),
        ({"traces": {"I": np.zeros(9, np.int16), "i": np.zeros(9, np.int16)}, "compressed": False}, "unreadable"),
    ],
)
def test_unusable(changes: dict[str, object], expected: str, reason: Callable[[bytes], str]) -> None:
    assert reason(make_philips_xml(**{"samples": 10, **changes})) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b'compression="XLI"', b'compression="ZIP"', "unsupported"),
        (b'dataencoding="Base64" c', b'dataencoding="Plain" c', "unsupported"),
        (b'signed="True"', b'signed="False"', "unsupported"),
        (b'bitspersample="16"', b'bitspersample="12"', "unsupported"),
        (b'numberofleads="12"', b'numberofleads="8"', "unreadable"),
        (b'lowpass="150">', b'lowpass="150">*', "unreadable"),
        (b'lowpass="150">', 'lowpass="150">é'.encode(), "unreadable"),
        (b'lowpass="150">', b'lowpass="150"><a/>', "unreadable"),
        (b'compression="XLI"', b"", "unreadable"),
        (b"parsedwaveforms", b"unparsedwaveforms", "no-rhythm"),
        (b"</restingecgdata>", b"", "unreadable"),
        (b"<restingecgdata", b"<!DOCTYPE a [<!ENTITY a 'b'>]><restingecgdata", "unreadable"),
    ],
)
def test_damaged(old: bytes, new: bytes, expected: str, reason: Callable[[bytes], str]) -> None:
    data = make_philips_xml(samples=10)
    assert old in data
    assert reason(data.replace(old, new)) == expected


@pytest.mark.parametrize(("flag", "expected"), [("False", "unreadable"), ("True", "unsupported")])
def test_compression_without_a_method(flag: str, expected: str, reason: Callable[[bytes], str]) -> None:
    data = make_philips_xml(samples=10, version="1.03").replace(b'compressmethod="XLI"', b"")
    assert reason(data.replace(b'compressflag="True"', f'compressflag="{flag}"'.encode())) == expected


def test_size_limit(reason: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(philips, "SIZE_LIMIT", 4000)
    assert reason(make_philips_xml(samples=2000)) == "unsupported"


def test_errors_name_no_person(tmp_path: Path) -> None:
    path = tmp_path / "ecg.xml"
    path.write_bytes(make_philips_xml(samples=10, version="TEST"))
    with pytest.raises(UnusableEcg) as caught:
        read_ecg(path)
    assert str(caught.value) == (
        f"{path}: this version of Philips Sierra ECG XML is not read; versions read: 1.03, 1.04, 1.04.01"
    )


@pytest.mark.parametrize("samples", [3, 4, 5, 1000])
@pytest.mark.parametrize("kind", ["flat", "ramp", "noise", "full"])
def test_xli_of_any_trace(samples: int, kind: str) -> None:
    steps = np.arange(samples)
    noise = np.random.default_rng(samples).integers(-7000, 7000, samples)
    trace = {"flat": 0 * steps, "ramp": steps - 9, "noise": noise, "full": 32767 - 2 * steps}[kind]
    data = compress_channel(trace.tolist())
    assert decode_xli(data, ("V1",), samples).tolist() == [trace.tolist()]
    assert decode_channel(data, 0) == (trace.tolist(), len(data))


def chunk(*codes: int) -> bytes:
    bits = "".join(f"{code:010b}" for code in codes)
    body = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
    return struct.pack("<IHh", len(body), 1, 0) + body


END = 1023


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\0\0\0\x01\0\0",  # a cut header
        b"\xff\xff\xff\xff\x01\0\0\0" + bytes(20),  # longer than the data
        bytes(8),  # no codes at all
        chunk(END),
        chunk(0, 0, 0, 0),  # no end
        chunk(256, END),  # an entry that nothing has made
        chunk(0, 0, 0, 258, END),  # skips an entry
        chunk(0, 0, 0, END),  # one byte less
        chunk(0, 0, 0, 0, 0, END),  # one byte more
        chunk(0, 256, 257, *range(258, 1023), *[1022] * 9000, END),  # a bomb: 7 MB out of 12 kB
    ],
)
def test_damaged_xli(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(a|fewer) "):
        decode_xli(data, ("V1",), 2)


def test_limb_leads_need_one_another() -> None:
    traces = {lead: make_traces(samples=20)[lead] for lead in ("I", "II", "III")}
    with pytest.raises(ValueError, match="differences"):
        decode_xli(compress(traces), tuple(traces), 20)


@pytest.mark.parametrize("name", REAL)
def test_the_writer_writes_what_the_device_wrote(name: str, shared_data: Path, tmp_path: Path) -> None:
    """The samples' compression is faithful to the last byte, so that the other tests mean something."""
    path = shared_data / "formats" / "philips" / name
    ecg = read_ecg(path)
    traces = dict(zip(ecg.leads, np.round(ecg.signal * 200).astype(int), strict=True))
    text = path.read_bytes().decode("utf-16" if name.startswith("3") else "utf-8")
    copy = tmp_path / "copy.xml"
    copy.write_bytes(text.encode())
    _, start, stop = waveform(copy)
    written = compress(traces, channels=12)  # without the four empty channels
    assert base64.b64decode(text.encode()[start:stop])[: len(written)] == written


def test_real_files(shared_data: Path) -> None:
    folder = shared_data / "formats" / "philips"
    ecg = read_ecg(folder / REAL[0])
    assert (ecg.leads, ecg.rate, ecg.seconds, ecg.flags) == (TWELVE, 500, 11, 0)
    assert (ecg.recorded_at, ecg.age, ecg.sex) == (datetime(2011, 12, 1, 7, 27, 34), 50, "male")
    assert (ecg.device, ecg.site) == ("HeartstartMRx", "GE EMS")
    ecg = read_ecg(folder / REAL[1])
    assert (ecg.leads, ecg.rate, ecg.seconds) == (TWELVE, 500, 11)
    assert (ecg.recorded_at, ecg.sex) == (datetime(2010, 1, 19, 15, 19, 22), "male")
    assert ecg.age == pytest.approx(60, abs=0.06)  # born on 1 January 1950
    assert (ecg.signal[:, 5350:5450] == 1).all()  # the calibration pulse: 1 mV, so that the resolution is in µV
    with pytest.raises(UnusableEcg, match=r"versions read: 1.03, 1.04, 1.04.01") as caught:
        read_ecg(folder / "invalid-doc-version.xml")
    assert caught.value.reason == "unsupported"


def test_halves_are_rounded_towards_zero(shared_data: Path) -> None:
    """Only so are all limb leads of the noiseless file within half a unit of what follows from I and II."""
    ecg = read_ecg(shared_data / "formats" / "philips" / REAL[1])
    units = dict(zip(ecg.leads, np.round(ecg.signal[:, :5350] * 200), strict=True))
    i, ii, iii = units["I"], units["II"], units["III"]
    assert np.array_equal(iii, ii - i)
    for lead, exact in (("aVR", -(i + ii) / 2), ("aVL", (i - iii) / 2), ("aVF", (ii + iii) / 2)):
        assert np.abs(units[lead] - exact).max() == 0.5
    assert [half(number) for number in (-3, -2, -1, 0, 1, 3)] == [-1, -1, 0, 0, 0, 1]


def test_made_traces_are_off_their_sums() -> None:
    """The sample would not notice a reader that ignores the stored differences, were there none."""
    traces = {lead: trace.astype(int) for lead, trace in make_traces().items()}
    assert set(np.unique(traces["III"] - traces["II"] + traces["I"])) == {-1, 0, 1}
    assert tuple(traces) == LEADS
