import struct
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ecg_samples.dicom import code, make_dicom, make_group, write_dicom
from precordial.ecg import TWELVE, Ecg, Flag
from precordial.errors import UnusableEcg
from precordial.formats import read_ecg

NOISE = np.random.default_rng(0).integers(-900, 900, (12, 500)).astype("<i2")
Change = Callable[[Dataset], None]


def read(path: Path, *groups: Dataset, **options: Any) -> Ecg:
    return read_ecg(write_dicom(path / "a.dcm", make_dicom(groups or [make_group(NOISE)], **options)))


def rejected(path: Path, *groups: Dataset, **options: Any) -> UnusableEcg:
    with pytest.raises(UnusableEcg) as caught:
        read(path, *groups, **options)
    return caught.value


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("explicit", [False, True])
def test_all_that_is_read(explicit: bool, undefined: bool, tmp_path: Path) -> None:
    ecg = read(tmp_path, explicit=explicit, undefined=undefined)
    assert np.array_equal(ecg.signal, (NOISE * 0.0025).astype(np.float32))
    assert (ecg.rate, ecg.leads, ecg.uv_per_unit, ecg.flags) == (500, TWELVE, 2.5, 0)
    assert (ecg.patient_id, ecg.recorded_at) == ("TEST0001", datetime(2021, 5, 10, 13, 5, 16))
    assert (ecg.age, ecg.sex, ecg.device, ecg.site) == (60, "female", "ELI280", "Sjællands Hospital")
    assert "NAME" not in repr(ecg)


@pytest.mark.parametrize(
    ("kind", "interpretation"),
    [("<i1", "SB"), ("<u1", "UB"), ("<i2", "SS"), ("<u2", "US"), ("<i4", "SL"), ("<u4", "UL")],
)
def test_sample_interpretations(kind: str, interpretation: str, tmp_path: Path) -> None:
    limits = np.iinfo(kind)
    digital = np.array([[limits.min, -1 if limits.min else 1, limits.max]], kind)
    group = make_group(digital, leads=["II"], interpretation=interpretation)  # three bytes: 8 bits are padded
    ecg = read(tmp_path, group)
    assert np.array_equal(ecg.signal, (digital * 0.0025).astype(np.float32))
    # An archive stores 16 bits: it is told the gain only where the integers fit.
    assert ecg.uv_per_unit == (2.5 if limits.min >= -(2**15) and limits.max < 2**15 else None)


@pytest.mark.parametrize(
    ("options", "millivolts", "uv_per_unit"),
    [
        ({"microvolts": 4.88}, 0.00488, 4.88),
        ({"microvolts": 4.88, "correction": None, "baseline": None}, 0.00488, 4.88),
        ({"microvolts": 4.88, "correction": 1.25}, 0.0061, 6.1),
        ({"microvolts": 0.005, "unit": "mV"}, 0.005, 5.0),
        ({"microvolts": 0.000005, "unit": "V"}, 0.005, 5.0),
        ({"microvolts": 500, "unit": "nV"}, 0.0005, 0.5),
    ],
)
def test_units(options: dict[str, Any], millivolts: float, uv_per_unit: float, tmp_path: Path) -> None:
    ecg = read(tmp_path, make_group(NOISE, **options))
    assert ecg.signal == pytest.approx(NOISE * millivolts, rel=1e-6)
    assert ecg.uv_per_unit == pytest.approx(uv_per_unit)


@pytest.mark.parametrize(("baseline", "kept"), [(-2500, True), (3.7, False)])
def test_a_baseline_is_added_in_units_of_the_sensitivity(baseline: float, kept: bool, tmp_path: Path) -> None:
    ecg = read(tmp_path, make_group(NOISE, baseline=baseline))
    assert np.array_equal(ecg.signal, (NOISE * 0.0025 + baseline / 1000).astype(np.float32))
    assert (ecg.uv_per_unit is not None) is kept  # only then the samples are whole units


def test_gains_that_differ(tmp_path: Path) -> None:
    group = make_group(NOISE)
    group.ChannelDefinitionSequence[3].ChannelSensitivity = "5"
    ecg = read(tmp_path, group)
    assert np.array_equal(ecg.signal[3], (NOISE[3] * 0.005).astype(np.float32))
    assert np.array_equal(ecg.signal[4], (NOISE[4] * 0.0025).astype(np.float32))
    assert ecg.uv_per_unit is None


@pytest.mark.parametrize(
    ("scheme", "value", "meaning", "lead"),
    [
        ("SCPECG", "5.6.3-9-1", "Lead I (Einthoven)", "I"),
        ("SCPECG", "5.6.3-9-64", "", "aVF"),
        ("MDC", "2:3", "Lead V1", "V1"),
        ("MDC", "2:62", "aVR, augmented voltage, right", "aVR"),
        ("MDC", "2:65", "aVR", "MDC 2:65"),  # minus aVR
        ("MDC", "2:9", "Lead V7", "Lead V7"),
        ("MDC", "2:33", "Derived Lead V1", "Derived Lead V1"),
        ("99VENDOR", "12", "LEAD AVL", "aVL"),
        ("99VENDOR", "12", "V6", "V6"),
        ("99VENDOR", "12", "Lead III", "III"),
        ("99VENDOR", "2:3", "pressure", "pressure"),
    ],
)
def test_lead_names(scheme: str, value: str, meaning: str, lead: str, tmp_path: Path) -> None:
    group = make_group(NOISE[:1], leads=["I"], lead_code=lambda _: code(value, scheme, meaning))
    assert read(tmp_path, group).leads == (lead,)


def test_the_original_rhythm_is_taken(tmp_path: Path) -> None:
    """Ten seconds before two and a half, all leads before one, and never a derived group."""
    many = np.ones((12, 5000), "<i2")
    derived = make_group(7 * many, originality="DERIVED")
    short = make_group(2 * many[:, :1250])
    strip = make_group(3 * np.ones((1, 30000), "<i2"), leads=["II"])
    ecg = read(tmp_path, derived, short, strip, make_group(many))
    assert ecg.signal.shape == (12, 5000)
    assert (ecg.signal == np.float32(0.0025)).all()
    assert read(tmp_path, derived, short, make_group(many[:1], leads=["II"])).signal.shape == (1, 5000)
    assert rejected(tmp_path, derived).reason == "no-rhythm"


def test_padding_is_missing(tmp_path: Path) -> None:
    group = make_group(NOISE)
    group.add_new("WaveformPaddingValue", "OW", struct.pack("<h", NOISE[2, 5]))
    ecg = read(tmp_path, group)
    assert ecg.flags == Flag.MISSING_SAMPLES
    assert not ecg.signal[NOISE[2, 5] == NOISE].any()
    assert np.array_equal(ecg.signal[0, :5], (NOISE[0, :5] * 0.0025).astype(np.float32))


def test_padding_by_zero_marks_nothing(tmp_path: Path) -> None:
    digital: NDArray[Any] = NOISE * (NOISE > 0)
    group = make_group(digital, baseline=2.5)
    group.add_new("WaveformPaddingValue", "OW", bytes(2))
    ecg = read(tmp_path, group)
    assert ecg.flags == 0
    assert ecg.signal.min() == np.float32(0.0025)


@pytest.mark.parametrize(
    ("elements", "age"),
    [
        ({"PatientAge": "042Y"}, 42),
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "010D"}, 10 / 365.25),
        ({"PatientAge": "004W"}, 28 / 365.25),
        ({"PatientAge": None}, 60),
        ({"PatientAge": ""}, 60),
        ({"PatientAge": None, "PatientBirthDate": "19610511"}, 59.997),
        ({"PatientAge": None, "PatientBirthDate": None}, None),
        ({"PatientAge": None, "PatientBirthDate": "20210511"}, None),  # after the recording
        ({"PatientAge": "999Y"}, None),
    ],
)
def test_age(elements: dict[str, str | None], age: float | None, tmp_path: Path) -> None:
    assert read(tmp_path, **elements).age == (age if age is None else pytest.approx(age, abs=0.002))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20210510130516.25", datetime(2021, 5, 10, 13, 5, 16, 250_000)),
        ("20210510130516.250000+0200", datetime(2021, 5, 10, 13, 5, 16, 250_000)),  # the local time
        ("202105101305", datetime(2021, 5, 10, 13, 5)),
        ("20210510", None),
        ("2021", None),
        ("20211310130516", None),
        ("", None),
        (None, None),
    ],
)
def test_time(text: str | None, moment: datetime | None, tmp_path: Path) -> None:
    assert read(tmp_path, AcquisitionDateTime=text).recorded_at == moment


@pytest.mark.parametrize("patient_id", ["", None, "  "])
def test_a_patient_id_may_be_missing(patient_id: str | None, tmp_path: Path) -> None:
    assert read(tmp_path, PatientID=patient_id).patient_id is None


@pytest.mark.parametrize("sex", ["O", "", None])
def test_what_may_be_missing(sex: str | None, tmp_path: Path) -> None:
    ecg = read(tmp_path, PatientSex=sex, InstitutionName=None, ManufacturerModelName="")
    assert (ecg.sex, ecg.site, ecg.device) == (None, None, None)


@pytest.mark.parametrize(
    ("sop_class", "read_it"),
    [
        ("1.2.840.10008.5.1.4.1.1.9.1.2", True),  # general ECG
        ("1.2.840.10008.5.1.4.1.1.9.1.4", True),  # general 32-bit ECG
        ("1.2.840.10008.5.1.4.1.1.9.1.3", False),  # ambulatory ECG
        ("1.2.840.10008.5.1.4.1.1.2", False),  # a CT image
    ],
)
def test_object_classes(sop_class: str, read_it: bool, tmp_path: Path) -> None:
    if read_it:
        assert read(tmp_path, sop_class=sop_class).leads == TWELVE
    else:
        assert rejected(tmp_path, sop_class=sop_class).reason == "unsupported"


def change_first_channel(name: str, value: object) -> Change:
    return lambda group: setattr(group.ChannelDefinitionSequence[0], name, value)


def of_group(name: str, value: object) -> Change:
    return lambda group: setattr(group, name, value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_first_channel("ChannelTimeSkew", "0.002"), "unsupported"),
        (change_first_channel("ChannelSampleSkew", "1"), "unsupported"),
        (change_first_channel("ChannelSensitivityUnitsSequence", code("mm[Hg]", "UCUM", "mmHg")), "unsupported"),
        (change_first_channel("ChannelSensitivityUnitsSequence", []), "unsupported"),
        (change_first_channel("ChannelSensitivity", None), "unreadable"),
        (change_first_channel("ChannelSensitivity", "0"), "unreadable"),
        (change_first_channel("ChannelSensitivity", "-2.5"), "unreadable"),
        (change_first_channel("ChannelBaseline", "1e300"), "unreadable"),
        (change_first_channel("ChannelSourceSequence", code("2:2", "MDC", "Lead II")), "unreadable"),  # II twice
        (of_group("WaveformSampleInterpretation", "MB"), "unsupported"),
        (of_group("WaveformBitsAllocated", 64), "unsupported"),
        (of_group("SamplingFrequency", "0"), "unreadable"),
        (of_group("SamplingFrequency", None), "unreadable"),
        (of_group("NumberOfWaveformSamples", 499), "unreadable"),
        (of_group("NumberOfWaveformSamples", 501), "unreadable"),
        (of_group("NumberOfWaveformSamples", 0), "unreadable"),
        (of_group("NumberOfWaveformChannels", 11), "unreadable"),
        (lambda group: group.ChannelDefinitionSequence.pop(), "unreadable"),
        (of_group("ChannelDefinitionSequence", []), "no-rhythm"),
        (of_group("WaveformData", b""), "no-rhythm"),
    ],
)
def test_damaged_and_unsupported_groups(change: Change, reason: str, tmp_path: Path) -> None:
    group = make_group(NOISE)
    change(group)
    error = rejected(tmp_path, group)
    assert (error.reason, error.file) == (reason, tmp_path / "a.dcm")


def test_no_skew_may_be_said(tmp_path: Path) -> None:
    group = make_group(NOISE)
    change_first_channel("ChannelSampleSkew", "0")(group)
    change_first_channel("ChannelTimeSkew", "0.0")(group)
    assert read(tmp_path, group).leads == TWELVE


@pytest.mark.parametrize("syntax", [b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2", b"1.2.3"])
def test_other_transfer_syntaxes(syntax: bytes, tmp_path: Path) -> None:
    """Above all the deflated one, which could unpack to anything."""
    path = write_dicom(tmp_path / "a.dcm", make_dicom([make_group(NOISE)]))
    syntax += bytes(len(syntax) % 2)
    element = b"\x02\x00\x10\x00UI" + struct.pack("<H", len(syntax)) + syntax
    data = path.read_bytes()
    start = data.index(b"\x02\x00\x10\x00UI")
    path.write_bytes(data[:start] + element + data[start + 28 :])
    with pytest.raises(UnusableEcg, match=r"transfer syntax.*dcmconv") as caught:
        read_ecg(path)
    assert caught.value.reason == "unsupported"


def test_a_file_without_preamble_is_none(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", make_dicom([make_group(NOISE)]))
    path.write_bytes(path.read_bytes()[132:])
    with pytest.raises(UnusableEcg) as caught:
        read_ecg(path)
    assert caught.value.reason == "not-an-ecg"


EMPTY_ITEM = b"\xfe\xff\x00\xe0\0\0\0\0"
EMPTY_ELEMENT = b"\x10\x00\x10\x00LO\0\0"


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x00\x54\x00\x01SQ\0\0" + struct.pack("<L", 8_000_000) + EMPTY_ITEM * 1_000_000,
        b"\x00\x54\x00\x01SQ\0\0\xff\xff\xff\xff" + EMPTY_ITEM * 1_000_000,
        EMPTY_ELEMENT * 1_000_000,
        b"\x00\x54\x00\x01SQ\0\0" + struct.pack("<L", 8_000_008) + EMPTY_ITEM[:4] + struct.pack("<L", 8_000_000)
        + EMPTY_ELEMENT * 1_000_000,
        (b"\x00\x54\x00\x01SQ\0\0\xff\xff\xff\xff" + EMPTY_ITEM[:4] + b"\xff\xff\xff\xff") * 100_000,
    ],
    ids=["items", "items without length", "elements", "elements of an item", "nested"],
)  # fmt: skip
def test_bombs_of_very_many_elements(bomb: bytes, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", make_dicom([make_group(NOISE)]))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\x00\x54\x00\x01SQ")] + bomb)
    with pytest.raises(UnusableEcg) as caught:
        read_ecg(path)
    assert caught.value.reason == "unreadable"


def test_without_pydicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dicom(tmp_path / "a.dcm", make_dicom([make_group(NOISE)]))
    monkeypatch.setitem(sys.modules, "pydicom.filereader", None)
    with pytest.raises(UnusableEcg, match=r"pip install 'precordial\[dicom\]'") as caught:
        read_ecg(path)
    assert caught.value.reason == "unsupported"


def test_no_value_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ecg = read(tmp_path, PatientBirthDate="no date", PatientAge="n/a", PatientID="x" * 100)
    assert ecg.age is None
    assert not caplog.records
