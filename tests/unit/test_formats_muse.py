from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from precordial.ecg import TWELVE, Ecg, Flag
from precordial.errors import UnusableEcg
from precordial.formats import muse, read_ecg

Maker = Callable[..., bytes]


def test_all_fields(read: Callable[[bytes], Ecg], muse_xml: Maker) -> None:
    trace = np.arange(-50, 50, dtype=np.int16)
    ecg = read(muse_xml({"V1": trace, "AVR": -trace}, rate=25, exponent=1))
    assert ecg.leads == ("V1", "aVR")
    assert np.array_equal(ecg.signal, np.outer([1, -1], trace * 0.00488).astype(np.float32))
    assert (ecg.rate, ecg.uv_per_unit, ecg.source, ecg.flags) == (250, 4.88, "muse", 0)
    assert (ecg.patient_id, ecg.recorded_at) == ("TEST0001", datetime(2021, 5, 10, 13, 5, 16))
    assert (ecg.age, ecg.sex, ecg.device) == (60, "female", "MAC55")


@pytest.mark.parametrize("rate", [250, 500, 1000])
def test_rates(rate: int, read: Callable[[bytes], Ecg], muse_xml: Maker) -> None:
    ecg = read(muse_xml(rate=rate, samples=10 * rate))
    assert (ecg.rate, ecg.seconds) == (rate, 10)


def test_real_file(shared_data: Path) -> None:
    ecg = read_ecg(shared_data / "formats" / "muse" / "muse_ecg2.xml")
    assert ecg.leads == ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    assert (ecg.signal.shape, ecg.rate, ecg.flags) == ((8, 5000), 500, 0)
    assert (ecg.recorded_at, ecg.age, ecg.sex) == (datetime(2021, 5, 10, 13, 9, 5), 60, "male")
    assert ecg.device == "MAC55"


@pytest.mark.parametrize(
    ("age", "units", "years"),
    [
        ("60", "YEARS", 60),
        ("18", "MONTHS", 1.5),
        ("26", "WEEKS", 26 * 7 / 365.25),
        ("5", "DAYS", 5 / 365.25),
        ("36", "HOURS", 1.5 / 365.25),
        ("60", None, None),  # sixty of what?
        (None, "YEARS", None),
        ("unknown", "YEARS", None),
        ("-3", "YEARS", None),
        ("200", "YEARS", None),
    ],
)
def test_age(
    age: str | None, units: str | None, years: float | None, read: Callable[[bytes], Ecg], muse_xml: Maker
) -> None:
    ecg = read(muse_xml(age=age, age_units=units, samples=10))
    assert ecg.age == (None if years is None else pytest.approx(years))


def test_missing_demographics(read: Callable[[bytes], Ecg], muse_xml: Maker) -> None:
    ecg = read(muse_xml(age=None, age_units=None, gender=None, device=None, samples=10))
    assert (ecg.age, ecg.sex, ecg.device) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"patient_id": None}, "no-patient-id"),
        ({"patient_id": "  "}, "no-patient-id"),
        ({"date": None}, "no-time"),
        ({"time": None}, "no-time"),
        ({"date": "13-05-2021"}, "no-time"),  # months come first
        ({"date": "02-30-2021"}, "no-time"),
        ({"date": "2021-05-10"}, "no-time"),
        ({"time": "24:00:00"}, "no-time"),
        ({"waveforms": ("Median",)}, "no-rhythm"),
        ({"waveforms": ()}, "no-rhythm"),
        ({"leads": {}}, "no-rhythm"),
        ({"crc_error": 1}, "bad-checksum"),
        ({"rate": 0}, "unreadable"),
        ({"rate": "fast"}, "unreadable"),
        ({"exponent": 300}, "unreadable"),
        ({"microvolts": 0}, "unreadable"),
        ({"microvolts": ""}, "unreadable"),
        ({"leads": {"I": np.zeros(0, np.int16)}}, "unreadable"),
        ({"leads": {"I": np.zeros(9, np.int16), "II": np.zeros(8, np.int16)}}, "unreadable"),
        ({"leads": {"aVR": np.zeros(9, np.int16), "AVR": np.zeros(9, np.int16)}}, "unreadable"),
    ],
)
def test_unusable(changes: dict[str, object], expected: str, reason: Callable[[bytes], str], muse_xml: Maker) -> None:
    assert reason(muse_xml(**{"samples": 10, **changes})) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"MICROVOLTS", b"BITS", "unsupported"),
        (b"<LeadSampleSize>2", b"<LeadSampleSize>4", "unsupported"),
        (b"<LeadSampleCountTotal>10", b"<LeadSampleCountTotal>11", "unreadable"),
        (b"<LeadDataCRC32>", b"<LeadDataCRC32>x", "unreadable"),
        (b"<WaveFormData>\n", b"<WaveFormData>\n*", "unreadable"),
        (b"<WaveFormData>\n", "<WaveFormData>\né".encode("latin-1"), "unreadable"),
        (b"WaveFormData>", b"Nothing>", "unreadable"),
        (b"</PatientDemographics>", b"", "unreadable"),
        (b"</RestingECG>", b"</RestingECG><RestingECG/>", "unreadable"),
        (b"<RestingECG>", b"<Other><RestingECG>", "unreadable"),
    ],
)
def test_damaged(old: bytes, new: bytes, expected: str, reason: Callable[[bytes], str], muse_xml: Maker) -> None:
    data = muse_xml(samples=10)
    assert old in data
    assert reason(data.replace(old, new)) == expected


def test_another_root(reason: Callable[[bytes], str], muse_xml: Maker) -> None:
    data = muse_xml(samples=10, doctype="").replace(b"<RestingECG>", b"<Other><RestingECG>")
    assert reason(data.replace(b"</RestingECG>", b"</RestingECG></Other>")) == "unreadable"


def test_leads_of_different_times(reason: Callable[[bytes], str], muse_xml: Maker) -> None:
    data = muse_xml(samples=10, waveforms=("Rhythm",))
    late = data.replace(b"<LeadTimeOffset>0", b"<LeadTimeOffset>2500", 3)  # as in a page of four columns
    assert reason(late) == "unsupported"


def test_leads_of_different_gain(read: Callable[[bytes], Ecg], muse_xml: Maker) -> None:
    traces = {"I": np.array([1, 2], np.int16), "II": np.array([1, 2], np.int16)}
    data = muse_xml(traces, microvolts=5, waveforms=("Rhythm",))
    ecg = read(data.replace(b"UnitsPerBit>5", b"UnitsPerBit>10", 1))
    assert ecg.signal.tolist() == np.array([[0.01, 0.02], [0.005, 0.01]], np.float32).tolist()
    assert ecg.uv_per_unit is None
    ecg = read(data.replace(b"MICROVOLTS", b"MILLIVOLTS"))
    assert ecg.signal.tolist() == [[5, 10], [5, 10]]
    assert ecg.uv_per_unit == 5000


def test_twelve_stored_leads(read: Callable[[bytes], Ecg], muse_xml: Maker) -> None:
    traces = {name.upper(): np.full(10, i, np.int16) for i, name in enumerate(TWELVE)}
    assert read(muse_xml(traces)).leads == TWELVE


def test_no_checksum_is_flagged(read: Callable[[bytes], Ecg], muse_xml: Maker) -> None:
    assert read(muse_xml(samples=10, crc_error=None)).flags == Flag.NO_CHECKSUM


def test_median_faults_count_only_where_asked(tmp_path: Path, muse_xml: Maker) -> None:
    path = tmp_path / "ecg.xml"
    for changes, expected in (
        ({"median_crc_error": 1}, "bad-checksum"),
        ({"waveforms": ("Rhythm",)}, "unreadable"),
    ):
        path.write_bytes(muse_xml(samples=10, **changes))
        assert muse.read_muse(path).flags == Flag(0)
        with pytest.raises(UnusableEcg) as caught:
            muse.read_muse(path, check_median=True)
        assert caught.value.reason == expected
    path.write_bytes(muse_xml(samples=10))
    assert muse.read_muse(path, check_median=True).flags == Flag(0)


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-8"])
@pytest.mark.parametrize("doctype", ["", '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">', "<!DOCTYPE RestingECG>"])
def test_prologs(encoding: str, doctype: str, read: Callable[[bytes], Ecg], muse_xml: Maker) -> None:
    assert read(muse_xml(samples=10, encoding=encoding, doctype=doctype, device="MÅC")).device == "MÅC"


BOMB = "<!DOCTYPE RestingECG [<!ENTITY a0 'x'>" + "".join(f"<!ENTITY a{i + 1} '{f'&a{i};' * 20}'>" for i in range(20))


@pytest.mark.parametrize("doctype", [BOMB + "]>", "<!DOCTYPE RestingECG [<!ENTITY f SYSTEM 'secret'>]>"])
def test_declared_entities_are_refused(
    doctype: str, reason: Callable[[bytes], str], muse_xml: Maker, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("TEST0002")
    name = "a20" if "a20" in doctype else "f"
    assert reason(muse_xml(samples=10, doctype=doctype, patient_id=f"&{name};")) == "unreadable"


def test_what_a_doctype_points_to_is_not_loaded(
    reason: Callable[[bytes], str], muse_xml: Maker, tmp_path: Path
) -> None:
    (tmp_path / "restecg.dtd").write_text("<!ENTITY id 'TEST0002'>")
    assert reason(muse_xml(samples=10, patient_id="&id;")) == "no-patient-id"


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "UTF-16-BE"])
def test_declared_entities_are_refused_in_every_encoding(encoding: str, muse_xml: Maker, tmp_path: Path) -> None:
    doctype = "<!DOCTYPE RestingECG [<!ENTITY id 'TEST0002'>]>"
    path = tmp_path / "export.xml"
    path.write_bytes(muse_xml(samples=10, encoding=encoding, patient_id="&id;", doctype=doctype))
    with pytest.raises(UnusableEcg, match="declares entities"):
        muse.read_muse(path)


def test_size_limit(reason: Callable[[bytes], str], muse_xml: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muse, "SIZE_LIMIT", 4000)
    assert reason(muse_xml(samples=500)) == "unsupported"


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.999])
def test_truncated(kept: float, reason: Callable[[bytes], str], muse_xml: Maker) -> None:
    data = muse_xml()
    assert reason(data[: int(len(data) * kept)]) == "unreadable"


def test_errors_name_the_file_and_no_person(tmp_path: Path, muse_xml: Maker) -> None:
    path = tmp_path / "ecg.xml"
    path.write_bytes(muse_xml(crc_error=1))
    with pytest.raises(UnusableEcg) as caught:
        read_ecg(path)
    assert str(caught.value) == f"{path}: the checksum of lead I does not match"
    path.write_bytes(muse_xml().replace(b"</PatientID>", b"</PatientName>"))
    with pytest.raises(UnusableEcg, match="line") as caught:
        read_ecg(path)
    assert "TEST" not in str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize(
    ("change", "reason_then"),
    [
        ((b"<WaveFormData>", b"<!-- <WaveFormData>AAAA</WaveFormData> --><WaveFormData>"), None),
        ((b"<WaveFormData>", b"<WaveFormData >"), None),
        ((b"<WaveFormData>\n", b"<WaveFormData><![CDATA["), None),
        ((b"<WaveFormData>\n", b"<WaveFormData>&#13;&#10;"), None),
        ((b"</WaveFormData>", b"</WaveformData>"), "unreadable"),
        ((b"<WaveFormData>", b"<WaveFormData><b/>"), "unreadable"),
        ((b"ISO-8859-1", b"x-unheard-of"), "unreadable"),
    ],
)
def test_waveforms_that_are_no_plain_text_are_read_as_xml_says(
    change: tuple[bytes, bytes], reason_then: str | None, muse_xml: Maker, tmp_path: Path
) -> None:
    """The fast way takes the text between two tags as it is; here it must not, or must notice that it cannot."""
    whole, path = muse_xml(), tmp_path / "export.xml"
    path.write_bytes(whole)
    wanted = muse.read_muse(path).signal
    changed = whole.replace(*change)
    if b"CDATA" in change[1]:
        changed = changed.replace(b"     </WaveFormData>", b"]]></WaveFormData>")
    assert changed != whole
    path.write_bytes(changed)
    if reason_then:
        with pytest.raises(UnusableEcg) as caught:
            muse.read_muse(path)
        assert caught.value.reason == reason_then
    else:
        np.testing.assert_array_equal(muse.read_muse(path).signal, wanted)
