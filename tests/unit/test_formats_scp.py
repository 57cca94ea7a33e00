import binascii
import random
import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ecg_samples.scp import CODES, TAGS, assemble, contents, lead_data, make_scp, mend, to_bytes, walk
from precordial.ecg import Ecg, Flag
from precordial.errors import UnusableEcg
from precordial.formats.scp import SCP, looks_like_scp, read_scp
from precordial.formats.scp_coding import Code, Table, default_table

DIGITAL = walk(12, 500)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ecg.scp"


def read(path: Path, digital: NDArray[np.int64] = DIGITAL, **changes: Any) -> Ecg:
    path.write_bytes(make_scp(digital, **changes))
    return read_scp(path)


def rejection(path: Path, data: bytes) -> UnusableEcg:
    path.write_bytes(data)
    with pytest.raises(UnusableEcg) as caught:
        read_scp(path)
    assert caught.value.file == path
    return caught.value


def millivolts(digital: NDArray[np.int64], nanovolts: int = 2500) -> NDArray[np.float32]:
    return (digital * nanovolts / 1e6).astype(np.float32)


@pytest.mark.parametrize("tables", [None, struct.pack("<H", 19999), struct.pack("<H", 0)])
@pytest.mark.parametrize("differences", [0, 1, 2])
def test_codings(differences: int, tables: bytes | None, path: Path) -> None:
    plain = tables is None or tables == b"\0\0"
    encode = (lambda values: struct.pack(f"<{len(values)}h", *values)) if plain else None
    ecg = read(path, differences=differences, tables=tables, encode=encode)
    assert np.array_equal(ecg.signal, millivolts(DIGITAL))
    assert (ecg.leads, ecg.rate, ecg.uv_per_unit, ecg.flags) == (tuple(CODES.values()), 500, 2.5, Flag(0))


@pytest.mark.parametrize("differences", [0, 1, 2])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_few_samples_of_any_size(samples: int, differences: int, path: Path) -> None:
    """Differences of 16-bit numbers need 17 bits and more; in the file they are taken modulo 2^16."""
    digital = np.array([[-32768, 32767, -32768], [32767, -32768, 0], [0, 8, -8], [-129, 127, 128]])[:, :samples]
    assert np.array_equal(read(path, digital, differences=differences).signal, millivolts(digital))


def test_every_code_of_the_default_table(path: Path) -> None:
    values = np.array([[*range(-300, 300), -32768, 32767]])
    assert np.array_equal(read(path, values, differences=0).signal, millivolts(values))
    assert (default_table().length != 0).all()  # no bits are without a meaning


def table_section(*tables: list[tuple[str, int, int, int]]) -> bytes:
    """Section 2 of codes (prefix as it stands in the file, whole length, mode, value)."""
    section = struct.pack("<H", len(tables))
    for codes in tables:
        section += struct.pack("<H", len(codes))
        for prefix, length, mode, value in codes:
            section += struct.pack("<BBBhI", len(prefix), length, mode, value, int(prefix[::-1], 2))
    return section


def test_own_tables_and_the_way_between_them(path: Path) -> None:
    """The first table has 0 and 5, and a switch to the second; the second has -7, six bits, and the way back."""
    tables = table_section(
        [("0", 1, 1, 0), ("10", 2, 1, 5), ("11", 2, 0, 2)],
        [("0", 1, 1, -7), ("10", 8, 1, 0), ("11", 2, 0, 1)],
    )
    words = {0: "0", 5: "10", -7: "0", 13: "10001101", -30: "10100010"}
    bits = "".join([words[5], words[0], "11", words[-7], words[13], words[-30], "11", words[5], words[0]])
    digital = np.array([[5, 0, -7, 13, -30, 5, 0]] * 2)  # the second lead begins with the first table again
    ecg = read(path, digital, differences=0, tables=tables, encode=lambda _: to_bytes(bits))
    assert np.array_equal(ecg.signal, millivolts(digital))


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (table_section([("0", 1, 1, 0), ("01", 2, 1, 1), ("1", 17, 1, 0)]), "unreadable"),  # two begin alike
        (table_section([("0", 1, 1, 0), ("1", 1, 0, 2)]), "unreadable"),  # leads to no table
        (table_section([("11", 1, 1, 0)]), "unreadable"),  # shorter than its prefix
        (table_section([("1" * 20, 20, 1, 0)]), "unsupported"),
        (table_section([("1", 30, 1, 0)]), "unsupported"),
        (table_section([("1", 9, 1, 4)]), "unsupported"),
        (table_section([("1" * 16, 16, 1, 0)]), "unreadable"),  # no code for what the leads hold
        (table_section([("0", 1, 0, 1), ("1", 1, 0, 1)]), "unsupported"),  # nothing but ways from table to table
        (table_section(*[[("0", 1, 1, 0)]] * 9), "unsupported"),
        (struct.pack("<HH", 1, 60_000), "unreadable"),
        (b"", "unreadable"),
    ],
)
def test_tables_that_are_not_read(tables: bytes, reason: str, path: Path) -> None:
    assert rejection(path, make_scp(DIGITAL, tables=tables, encode=lambda _: bytes(3000))).reason == reason


def test_a_table_by_its_codes() -> None:
    table = Table([Code(1, 1, 0, 3), Code(2, 5, 0b11, 0)])
    assert table.value[0] == 3
    assert table.length[[0x0000, 0x7FFF, 0x8000, 0xBFFF, 0xC000, 0xFFFF]].tolist() == [1, 1, 0, 0, 5, 5]


def zones(beats: list[tuple[int, int, int, int]], milliseconds: int = 40, fiducial: int = 8) -> bytes:
    """Section 4: type, begin, fiducial point and end of each beat."""
    section = struct.pack("<HHH", milliseconds, fiducial, len(beats))
    return section + b"".join(struct.pack("<HIII", *beat) for beat in beats) + bytes(8 * len(beats))


@pytest.mark.parametrize(("rhythm_nv", "beat_nv"), [(2500, 2500), (2500, 5000), (5000, 2500), (3000, 2000)])
@pytest.mark.parametrize("first", [1, 101])
def test_reference_beats_are_added_again(first: int, rhythm_nv: int, beat_nv: int, path: Path) -> None:
    """A beat of 20 samples whose 8th lies on the fiducial points 50, 200 and 499 of a rhythm of 500."""
    draw = np.random.default_rng(first)
    residual, beat = draw.integers(-90, 90, (12, 500)), draw.integers(-900, 900, (12, 20))
    whole = residual * rhythm_nv
    whole[:, 42:62] += beat * beat_nv  # sample 43, counted from 1, is the beat's first
    whole[:, 194:203] += beat[:, 2:11] * beat_nv  # a part of the beat only
    whole[:, 491:500] += beat[:, :9] * beat_nv  # the recording ends within the beat
    beats = [(0, 43, 50, 62), (0, 195, 200, 203), (3, 300, 310, 330), (0, 492, 499, 511)]
    shifted = [(kind, *(first - 1 + at for at in places)) for kind, *places in beats]
    others = {4: zones(shifted), 5: lead_data(beat, beat_nv, 2000, 1, b"default")}
    ecg = read(path, residual, nanovolts=rhythm_nv, first=first, flags=0x65, others=others)
    assert np.array_equal(ecg.signal, (whole / 1e6).astype(np.float32))
    assert ecg.uv_per_unit == np.gcd(rhythm_nv, beat_nv) / 1000
    unused = read(path, residual, nanovolts=rhythm_nv, first=first, flags=0x64, others=others)
    assert np.array_equal(unused.signal, millivolts(residual, rhythm_nv))  # a beat that was not subtracted


@pytest.mark.parametrize(
    ("flags", "bimodal", "interval", "left_out", "reason"),
    [
        (0x65, 0, 2000, 4, "unreadable"),
        (0x65, 0, 2000, 5, "unreadable"),
        (0x65, 0, 500, None, "unsupported"),
        (0x64, 1, 500, None, "unsupported"),
        (0x64, 1, 2000, 5, "unsupported"),
    ],
)
def test_beats_that_cannot_be_added(
    flags: int, bimodal: int, interval: int, left_out: int | None, reason: str, path: Path
) -> None:
    others = {4: zones([(0, 43, 50, 62)]), 5: lead_data(DIGITAL[:, :20], 2500, interval, 0, b"default")}
    others |= {left_out: None} if left_out else {}
    error = rejection(path, make_scp(DIGITAL, flags=flags, bimodal=bimodal, others=others))
    assert error.reason == reason
    assert "bimodal" in str(error) if reason == "unsupported" else "reference beat" in str(error)


def test_a_mark_of_bimodal_compression_without_it(path: Path) -> None:
    others = {4: zones([(0, 43, 50, 62)]), 5: lead_data(DIGITAL[:, :20], 2500, 2000, 0, b"default")}
    assert np.array_equal(read(path, bimodal=1, others=others).signal, millivolts(DIGITAL))


def test_beats_over_one_another_do_not_take_for_ever(path: Path) -> None:
    others = {4: zones([(0, 1, 8, 20)] * 60), 5: lead_data(DIGITAL[:, :20], 2500, 2000, 0, b"default")}
    error = rejection(path, make_scp(DIGITAL, flags=0x65, others=others))
    assert (error.reason, "over one another" in str(error)) == ("unreadable", True)


def test_leads_rates_and_units(path: Path) -> None:
    eight = read(path, DIGITAL[:8], codes=(1, 2, 3, 4, 5, 6, 7, 8), interval=1000, nanovolts=4880)
    assert (eight.leads, eight.rate) == (("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"), 1000)
    assert (eight.uv_per_unit, eight.seconds) == (4.88, 0.5)
    assert read(path, DIGITAL[:3], codes=(64, 65, 131)).leads == ("aVF", "lead 65", "lead 131")
    assert rejection(path, make_scp(DIGITAL[:2], codes=(1, 1))).reason == "unreadable"
    for changes in ({"interval": 0}, {"interval": 5}, {"nanovolts": 0}):
        assert rejection(path, make_scp(DIGITAL, **changes)).reason == "unreadable"


def test_leads_of_different_times(path: Path) -> None:
    leads = b"".join(struct.pack("<IIB", 1 + 250 * (i // 6), 250 + 250 * (i // 6), i) for i in range(12))
    error = rejection(path, make_scp(DIGITAL[:, :250], others={3: b"\x0c\x30" + leads}))
    assert (error.reason, "at the same time" in str(error)) == ("unsupported", True)


@pytest.mark.parametrize(
    ("changes", "age"),
    [
        ({}, 71),
        ({4: struct.pack("<HB", 18, 2)}, 1.5),
        ({4: struct.pack("<HB", 26, 3)}, 26 * 7 / 365.25),
        ({4: struct.pack("<HB", 10, 4)}, 10 / 365.25),
        ({4: struct.pack("<HB", 36, 5)}, 1.5 / 365.25),
        ({4: struct.pack("<HB", 0, 0)}, 33_241 / 365.25),  # not said: from the date of birth
        ({4: b"\x47"}, 33_241 / 365.25),
        ({4: struct.pack("<HB", 71, 0), 5: struct.pack("<HBB", 0, 0, 0)}, None),
        ({4: b"", 25: struct.pack("<HBB", 2021, 13, 1)}, None),
        ({4: b"", 5: struct.pack("<HBB", 2030, 1, 1)}, None),
        ({4: struct.pack("<HB", 300, 1)}, None),
    ],
)
def test_age(changes: dict[int, bytes], age: float | None, path: Path) -> None:
    assert read(path, tags=TAGS | changes).age == pytest.approx(age)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, datetime(2021, 5, 10, 13, 5, 16)),
        ({25: struct.pack("<HBB", 2021, 2, 29)}, None),
        ({25: struct.pack("<HBB", 0, 0, 0)}, None),
        ({26: bytes([24, 0, 0])}, None),
        ({26: bytes([0, 60, 0])}, None),
        ({26: bytes([0, 0])}, None),
        ({25: b""}, None),
    ],
)
def test_time(changes: dict[int, bytes], expected: datetime | None, path: Path) -> None:
    assert read(path, tags=TAGS | changes).recorded_at == expected


def test_who_and_where(path: Path) -> None:
    ecg = read(path)
    assert (ecg.patient_id, ecg.sex, ecg.device, ecg.site) == ("TEST0001", "female", "MAC55", "General Hospital")
    for value, sex in ((b"\1", "male"), (b"\0", None), (b"\x09", None), (b"", None)):
        assert read(path, tags=TAGS | {8: value}).sex == sex
    assert read(path, tags=TAGS | {16: b"\0", 18: b"Cardiology\0"}).site == "Cardiology"
    nobody = read(path, tags={})
    assert (nobody.patient_id, nobody.sex, nobody.age, nobody.recorded_at) == (None, None, None, None)
    assert read(path, others={1: None}).patient_id is None


@pytest.mark.parametrize(
    ("language", "stored", "patient_id"),
    [
        (0, b" 0042 \0rest", "0042"),
        (0, b"\0", None),
        (0, "4\u00fc\0".encode("latin-1"), "4\u00fc"),
        (0x37, "4\u00fc\0".encode(), "4\u00fc"),
        (7, "A1\0\0".encode("utf-16-le"), "A1"),  # each letter has a zero behind it
    ],
)
def test_texts_in_their_languages(language: int, stored: bytes, patient_id: str | None, path: Path) -> None:
    device = TAGS[14][:16] + bytes([language]) + TAGS[14][17:]
    assert read(path, tags=TAGS | {2: stored, 14: device}).patient_id == patient_id


def test_names_and_birth_date_go_nowhere(path: Path) -> None:
    shown = repr(read(path, tags=TAGS | {0: b"Sommer\0", 1: b"Ada\0", 3: b"Nox\0"}))
    assert not any(secret in shown for secret in ("Sommer", "Ada", "Nox", "1930"))


@pytest.mark.parametrize("number", [0, 1, 2, 3, 6])
def test_each_section_has_its_checksum(number: int, path: Path) -> None:
    """The file's own checksum is made right again, so that the section's must find it."""
    data = bytearray(make_scp(DIGITAL))
    start, stop = contents(data)[number]
    data[stop - 1] ^= 1
    wrong = bytes(data[start - 16 : start - 14])
    path.write_bytes(data)
    mend(path)
    mended = bytearray(path.read_bytes())
    mended[start - 16 : start - 14] = wrong
    path.write_bytes(mended)
    mend_file_only(path)
    error = rejection(path, path.read_bytes())
    assert (error.reason, f"Section {number}" in str(error)) == ("bad-checksum", True)


def mend_file_only(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(struct.pack("<H", binascii.crc_hqx(data[2:], 0xFFFF)) + data[2:])


def test_the_file_has_its_checksum(path: Path) -> None:
    data = bytearray(make_scp(DIGITAL, others={8: b"report"}))
    data[contents(data)[8][0]] ^= 1  # in a section that is not read
    error = rejection(path, bytes(data))
    assert (error.reason, "of the file" in str(error)) == ("bad-checksum", True)


def test_what_is_missing_or_cut(path: Path) -> None:
    data = make_scp(DIGITAL)
    path.write_bytes(data + b"more")
    assert np.array_equal(read_scp(path).signal, millivolts(DIGITAL))
    for size in (0, 3, 6, 21, 100, len(data) - 1):
        assert rejection(path, data[:size]).reason == "unreadable"
    assert rejection(path, make_scp(DIGITAL, others={6: None})).reason == "no-rhythm"
    assert rejection(path, make_scp(DIGITAL, others={3: None})).reason == "unreadable"
    assert rejection(path, make_scp(DIGITAL, tables=None, encode=lambda _: bytes(999))).reason == "unreadable"
    assert rejection(path, make_scp(DIGITAL, encode=lambda _: bytes(62))).reason == "unreadable"  # 496 bits
    assert rejection(path, make_scp(DIGITAL[:, :9], others={3: b"\x0c\x64"})).reason == "unreadable"
    assert rejection(path, make_scp(DIGITAL, others={1: b"\2\xff\xff1"})).reason == "unreadable"
    pointer = struct.pack("<HII", 6, 100, 900_000)
    assert rejection(path, assemble({}) + pointer).reason == "no-rhythm"


def test_files_are_found_by_content() -> None:
    head = make_scp(DIGITAL)[:4096]
    assert SCP.matches(head)
    old = head[:16] + bytes(6) + head[22:]  # the first versions have no SCPECG
    assert looks_like_scp(old)
    assert not any(looks_like_scp(other) for other in (b"", bytes(4096), head[:20], b"\0" * 128 + b"DICM" + bytes(99)))


def test_damage_behind_right_checksums(path: Path) -> None:
    """Numbers of Sections 2 to 6 set to any value end in a rejection or in a well-formed ECG."""
    tables = table_section([("0", 1, 1, 0), ("10", 18, 1, 0), ("11", 2, 0, 2)], [("0", 1, 0, 1), ("1", 9, 1, 0)])
    beats = {4: zones([(0, 43, 50, 62), (1, 195, 200, 203)]), 5: lead_data(DIGITAL[:, :20], 2500, 2000, 2, b"default")}

    def encode(values: list[int]) -> bytes:
        return to_bytes("".join("0" if not value else f"10{value & 0xFFFF:016b}" for value in values))

    beats[5] = lead_data(DIGITAL[:, :20], 2500, 2000, 2, tables, encode)
    whole = make_scp(DIGITAL, tables=tables, encode=encode, flags=0x65, others=beats)
    path.write_bytes(whole)
    assert read_scp(path).signal.shape == (12, 500)
    draw = random.Random(1)
    read_well = 0
    for _ in range(150):
        data = bytearray(whole)
        start, stop = contents(whole)[draw.choice((2, 3, 4, 5, 6))]
        at = draw.randrange(start, min(stop, start + 120))
        number = draw.choice((b"\0", b"\1", b"\xff", b"\0\0", b"\xff\xff", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"))
        data[at : at + len(number)] = number
        path.write_bytes(data)
        mend(path)
        try:
            ecg = read_scp(path)
        except UnusableEcg as error:
            assert error.reason in {"unreadable", "unsupported"}  # noqa: PT017
        else:
            assert np.isfinite(ecg.signal).all()
            read_well += 1
    assert 0 < read_well < 150
