from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from ecg_samples.aecg import make_aecg_xml, make_series
from precordial.ecg import TWELVE, Ecg
from precordial.errors import UnusableEcg
from precordial.formats import aecg, read_ecg


def ramp(samples: int, *leads: str) -> dict[str, np.ndarray]:
    return {lead: np.arange(samples) + n for n, lead in enumerate(leads)}


def test_all_fields(read: Callable[[bytes], Ecg]) -> None:
    ecg = read(make_aecg_xml([make_series(ramp(100, "I", "aVR"))]))
    assert ecg.leads == ("I", "aVR")
    expected = np.array([np.arange(100), np.arange(1, 101)]) * 0.0025
    assert np.array_equal(ecg.signal, expected.astype(np.float32))
    assert (ecg.rate, ecg.uv_per_unit, ecg.source, ecg.flags) == (500, 2.5, "aecg", 0)
    assert (ecg.patient_id, ecg.recorded_at) == ("TEST0001", datetime(2021, 5, 10, 13, 5, 16))
    assert ecg.age == pytest.approx(60, abs=0.01)
    assert (ecg.sex, ecg.device, ecg.site) == ("female", "ELI250", "Test Høspital")


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "UTF-16"])
@pytest.mark.parametrize("prefix", ["", "hl7"])
def test_encodings_and_prefixes(encoding: str, prefix: str, read: Callable[[bytes], Ecg]) -> None:
    ecg = read(make_aecg_xml(samples=10, encoding=encoding, prefix=prefix))
    assert (ecg.site, ecg.signal.shape) == ("Test Høspital", (12, 10))


@pytest.mark.parametrize(
    ("increment", "rate"),
    [
        (("0.002", "s"), 500),
        (("4", "ms"), 250),
        (("1000", "us"), 1000),
        (("5e2", "µs"), 2000),
        (("0.00390625", "s"), 256),
    ],
)
def test_rates(increment: tuple[str, str], rate: float, read: Callable[[bytes], Ecg]) -> None:
    assert read(make_aecg_xml(samples=10, increment=increment)).rate == rate


@pytest.mark.parametrize(
    ("scale", "microvolts"),
    [(("2.5", "uV"), 2.5), (("2.5", "µV"), 2.5), (("0.005", "mV"), 5), (("2500", "nV"), 2.5), (("1e-6", "V"), 1)],
)
def test_units(scale: tuple[str, str], microvolts: float, read: Callable[[bytes], Ecg]) -> None:
    ecg = read(make_aecg_xml([make_series({"I": np.array([-400, 400])}, scale=scale)]))
    assert ecg.uv_per_unit == pytest.approx(microvolts, rel=1e-12)
    assert ecg.signal[0].tolist() == pytest.approx([-0.4 * microvolts, 0.4 * microvolts], rel=1e-6)


@pytest.mark.parametrize(("origin", "offset", "unit"), [(("1", "mV"), 1, 2.5), (("-2", "uV"), -0.002, None)])
def test_origin(origin: tuple[str, str], offset: float, unit: float | None, read: Callable[[bytes], Ecg]) -> None:
    """Where zero is no whole unit, the file's integers cannot be had again from mV."""
    ecg = read(make_aecg_xml([make_series(ramp(3, "I"), origin=origin)]))
    assert ecg.signal[0].tolist() == pytest.approx([offset, offset + 0.0025, offset + 0.005], rel=1e-6)
    assert ecg.uv_per_unit == unit


def test_leads_of_different_scale(read: Callable[[bytes], Ecg]) -> None:
    data = make_aecg_xml([make_series(ramp(3, "I", "II"))])
    ecg = read(data.replace(b'<scale value="2.5"', b'<scale value="5"', 1))
    assert ecg.signal.tolist() == np.array([[0, 0.005, 0.01], [0.0025, 0.005, 0.0075]], np.float32).tolist()
    assert ecg.uv_per_unit is None


def test_the_first_series_of_ten_seconds(read: Callable[[bytes], Ecg]) -> None:
    short = make_series(ramp(2500, "V1"), start="20210510120000")
    beat = make_series(ramp(6000, "V2"), code="REPRESENTATIVE_BEAT")
    long = make_series(ramp(5000, "V3"), start="20210510140000")
    longer = make_series(ramp(9000, "V4"))
    ecg = read(make_aecg_xml([beat, short, long, longer]))
    assert (ecg.leads, ecg.seconds, ecg.recorded_at) == (("V3",), 10, datetime(2021, 5, 10, 14))
    ecg = read(make_aecg_xml([beat, short, short.replace("LEAD_V1", "LEAD_V5")]))
    assert (ecg.leads, ecg.seconds, ecg.recorded_at) == (("V1",), 5, datetime(2021, 5, 10, 12))


@pytest.mark.parametrize(
    ("start", "center", "expected"),
    [
        ("20210510130516.123+0200", None, datetime(2021, 5, 10, 13, 5, 16)),
        ("202105101305", None, datetime(2021, 5, 10, 13, 5)),
        (None, "20210510130000", datetime(2021, 5, 10, 13)),
        ("20210510", "20210510130000", datetime(2021, 5, 10, 13)),
        ("20210230130516", "20210510130000", datetime(2021, 5, 10, 13)),
        ("20210510", None, None),
        ("2021-05-10T13:05", None, None),
        (None, None, None),
    ],
)
def test_time(start: str | None, center: str | None, expected: datetime | None, read: Callable[[bytes], Ecg]) -> None:
    assert read(make_aecg_xml(samples=10, start=start, center=center)).recorded_at == expected


@pytest.mark.parametrize(
    ("born", "reported", "years"),
    [
        ("19610510", None, 21915 / 365.25),
        ("196105101200", ("46", "a"), 21915 / 365.25),
        ("1961", ("46", "a"), 46),
        ("1961", None, None),
        ("19611310", None, None),
        ("20220510", None, None),
        (None, ("18", "mo"), 1.5),
        (None, ("46", "parsec"), None),
        (None, ("", "a"), None),
    ],
)
def test_age(
    born: str | None, reported: tuple[str, str] | None, years: float | None, read: Callable[[bytes], Ecg]
) -> None:
    ecg = read(make_aecg_xml(samples=10, born=born, reported_age=reported))
    assert ecg.age == (None if years is None else pytest.approx(years))


@pytest.mark.parametrize("subject", [None, "", " ", "---", "?"])
def test_missing_fields(subject: str | None, read: Callable[[bytes], Ecg]) -> None:
    ecg = read(make_aecg_xml(samples=10, subject=subject, gender="UN", device=None))
    assert (ecg.patient_id, ecg.sex, ecg.device) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"series": []}, "no-rhythm"),
        ({"code": "REPRESENTATIVE_BEAT"}, "no-rhythm"),
        ({"series": [make_series({})]}, "no-rhythm"),
        ({"series": [make_series({"I": np.arange(2)})] * 501}, "unsupported"),
        ({"scale": ("2.5", "pt")}, "unsupported"),
        ({"scale": ("2.5", "")}, "unsupported"),
        ({"scale": ("0", "uV")}, "unreadable"),
        ({"scale": ("-2.5", "uV")}, "unreadable"),
        ({"scale": ("inf", "uV")}, "unreadable"),
        ({"scale": ("", "uV")}, "unreadable"),
        ({"origin": ("0", "Hz")}, "unsupported"),
        ({"origin": ("nan", "uV")}, "unreadable"),
        ({"origin": ("1e300", "uV")}, "unreadable"),
        ({"increment": ("0.002", "min")}, "unreadable"),
        ({"increment": ("0", "s")}, "unreadable"),
        ({"increment": ("-0.002", "s")}, "unreadable"),
        ({"increment": ("nan", "s")}, "unreadable"),
        ({"increment": ("1e-300", "s")}, "unreadable"),
        ({"series": [make_series({"I": np.arange(9), "II": np.arange(8)})]}, "unreadable"),
        ({"series": [make_series({"aVR": np.arange(9), "AVR": np.arange(9)})]}, "unreadable"),
        ({"series": [make_series({"I": np.arange(0)})]}, "unreadable"),
        ({"series": [make_series({"I": np.array([0, 1 << 40])})]}, "unreadable"),
        ({"series": [make_series({"I": np.array([0, 10**30])})]}, "unreadable"),
        ({"series": [make_series({"I": np.array([0, -(10**30)])})]}, "unreadable"),
    ],
)
def test_unusable(changes: dict[str, object], expected: str, reason: Callable[[bytes], str]) -> None:
    assert reason(make_aecg_xml(**{"samples": 10, **changes})) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("digits", [b"1 2 x", b"1,2", b"1 nan", b"1.5 2", b"1 --2", b"1-2", b"1_0", b"0x1", b"1 <a/>2"])
def test_digits_that_are_no_whole_numbers(digits: bytes, reason: Callable[[bytes], str]) -> None:
    data = make_aecg_xml([make_series({"I": np.arange(2)})])
    assert b"<digits>\n0 1\n<" in data
    assert reason(data.replace(b"<digits>\n0 1\n<", b"<digits>" + digits + b"<")) == "unreadable"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"TIME_ABSOLUTE", b"SOMETHING", "unreadable"),
        (b"</AnnotatedECG>", b"", "unreadable"),
        (b"<AnnotatedECG", b"<!DOCTYPE a [<!ENTITY a 'b'>]><AnnotatedECG", "unreadable"),
        (b"<AnnotatedECG", b"<Other><AnnotatedECG", "unreadable"),
        (b"digits>", b"numbers>", "unreadable"),
    ],
)
def test_damaged(old: bytes, new: bytes, expected: str, reason: Callable[[bytes], str]) -> None:
    data = make_aecg_xml(samples=10)
    assert old in data
    assert reason(data.replace(old, new)) == expected


@pytest.mark.parametrize("namespace", [b"urn:hl7-org:v2", b""])
def test_another_namespace_is_another_format(namespace: bytes, reason: Callable[[bytes], str]) -> None:
    assert reason(make_aecg_xml(samples=10).replace(b"urn:hl7-org:v3", namespace)) == "not-an-ecg"


def test_entities_hidden_by_the_encoding(read: Callable[[bytes], Ecg]) -> None:
    """In UTF-16 the declaration is not seen; the parser still expands nothing that grows, and loads nothing."""
    layers = "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 20}'>" for n in range(8))
    text = make_aecg_xml(samples=10, encoding="UTF-16", subject="&a8;").decode("utf-16")
    bomb = text.replace("<AnnotatedECG", f"<!DOCTYPE a [<!ENTITY a0 'x'>{layers}]><AnnotatedECG")
    with pytest.raises(UnusableEcg) as caught:
        read(bomb.encode("utf-16"))
    assert caught.value.reason == "unreadable"


def test_size_limit(reason: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aecg, "SIZE_LIMIT", 4000)
    assert reason(make_aecg_xml(samples=500)) == "unsupported"


def test_real_files(shared_data: Path) -> None:
    folder = shared_data / "formats" / "aecg"
    for name, patient_id in (("example_aecg.xml", "SBJ-123"), ("subject1_0.xml", "subject1")):
        ecg = read_ecg(folder / name)
        assert (set(ecg.leads), ecg.rate, ecg.seconds, ecg.flags) == (set(TWELVE), 500, 10, 0)
        assert (ecg.patient_id, ecg.recorded_at) == (patient_id, datetime(2002, 11, 22, 9, 10))
        assert ecg.age == pytest.approx(49.54, abs=0.01)  # born on 8 May 1953; the reported age of 46 is wrong
        assert (ecg.sex, ecg.device, ecg.uv_per_unit) == ("male", "ELI250", 2.5)
        assert ecg.site == "River City ECG Collection Service"
    ecg = read_ecg(folder / "minimum_aecg.xml")
    assert (ecg.leads, ecg.signal.shape, ecg.age, ecg.sex) == (("II",), (1, 13), None, None)
    with pytest.raises(UnusableEcg) as caught:
        read_ecg(folder / "empty.xml")
    assert caught.value.reason == "no-rhythm"
