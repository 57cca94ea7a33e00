"""The archive: what goes in comes out, a kill costs nothing acknowledged, damage is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from precordial.archive import Archive, ingest, verify
from precordial.archive.layout import ROW
from precordial.archive.writer import ArchiveWriter, Taken, to_units
from precordial.ecg import EIGHT, Ecg, Flag
from precordial.errors import ArchiveError, PrecordialError


def an_ecg(number: int, *, uv: float | None = 4.88, samples: int = 1000) -> Ecg:
    units = np.random.default_rng(number).integers(-2000, 2000, (8, samples))
    return Ecg(
        (units * (uv or 1.0) / 1000).astype(np.float32),
        rate=100,
        leads=EIGHT,
        patient_id=f"p{number % 3}",
        recorded_at=datetime(2017, 1, 1 + number % 28, 12, 0, number % 60),
        age=50.0 + number,
        sex="female" if number % 2 else None,
        uv_per_unit=uv,
        source="test",
    )


def take(number: int, **changes: float) -> Taken:
    ecg = an_ecg(number, **changes)  # type: ignore[arg-type]
    units, uv, flags = to_units(ecg)
    return Taken(f"{number:016x}", units, uv, flags, ecg, 100.0, (f"file{number}", 10, number))


def fill(path: Path, numbers: range) -> None:
    with ArchiveWriter(path, rate=100, samples=1000) as writer:
        for number in numbers:
            writer.add(take(number))


def wfdb_record(path: Path, units: np.ndarray, *, gain: float = 1000.0, rate: int = 100) -> None:
    """Write a record of the eight leads in format 16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".dat").write_bytes(np.ascontiguousarray(units.T, "<i2").tobytes())
    lines = [f"{path.stem} 8 {rate} {units.shape[1]}"]
    lines += [
        f"{path.stem}.dat 16 {gain}(0)/mV 16 0 {row[0]} 0 0 {lead}" for row, lead in zip(units, EIGHT, strict=True)
    ]
    text = "\n".join(lines) + "\n"
    # The header's checksum is that of the signal, as the format wants it.
    for row, lead in zip(units, EIGHT, strict=True):
        checksum = int(row.astype(np.int64).sum()) & 0xFFFF
        text = text.replace(f"16 0 {row[0]} 0 0 {lead}\n", f"16 0 {row[0]} {checksum} 0 {lead}\n")
    path.with_suffix(".hea").write_text(text)


def folder_of_records(folder: Path, count: int) -> list[np.ndarray]:
    signals = [np.random.default_rng(k).integers(-500, 500, (8, 1000)).astype(np.int16) for k in range(count)]
    for k, units in enumerate(signals):
        wfdb_record(folder / f"{k // 10:02d}" / f"rec{k:04d}", units)
    return signals


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(5))
    archive = Archive(tmp_path / "a")
    assert len(archive) == 5
    for number in range(5):
        wanted, got = an_ecg(number), archive[f"{number:016x}"]
        np.testing.assert_allclose(got.signal, wanted.signal, atol=1e-6)
        assert (got.patient_id, got.recorded_at, got.age, got.sex) == (
            wanted.patient_id,
            wanted.recorded_at,
            wanted.age,
            wanted.sex,
        )
        assert got.uv_per_unit == 4.88
    assert f"{3:016x}" in archive
    assert "nothing" not in archive


@settings(max_examples=20, deadline=None)
@given(uv=st.floats(0.1, 50), seed=st.integers(0, 2**32 - 1))
def test_a_files_own_integers_are_kept_for_any_gain(uv: float, seed: int) -> None:
    units = np.random.default_rng(seed).integers(-32768, 32768, (8, 50))
    ecg = Ecg((units * uv / 1000).astype(np.float32), rate=100, leads=EIGHT, uv_per_unit=uv)
    stored, scale, flags = to_units(ecg)
    assert scale == uv
    np.testing.assert_array_equal(stored, units)
    assert Flag.CLIPPED not in flags


def test_without_a_shared_gain_one_unit_is_one_microvolt() -> None:
    ecg = an_ecg(1, uv=None)
    units, scale, _ = to_units(ecg)
    assert scale == 1.0
    np.testing.assert_allclose(units / 1000, ecg.signal, atol=0.00051)


def test_leads_that_are_no_longer_integers_become_microvolts() -> None:
    ecg = Ecg(np.full((8, 10), 2.44e-3, np.float32), rate=100, leads=EIGHT, uv_per_unit=4.88)
    units, scale, _ = to_units(ecg)
    assert (scale, units[0, 0]) == (1.0, 2)


def test_values_beyond_16_bits_are_clipped_and_flagged() -> None:
    ecg = Ecg(np.full((8, 10), 40.0, np.float32), rate=100, leads=EIGHT)
    units, _, flags = to_units(ecg)
    assert units.max() == 32767
    assert Flag.CLIPPED in flags


def test_ingest_keeps_integers_sources_and_order(tmp_path: Path) -> None:
    signals = folder_of_records(tmp_path / "ecg", 12)
    summary = ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1)
    assert (summary.added, summary.skipped, summary.rejected) == (12, 0, {})
    archive = Archive(tmp_path / "a")
    np.testing.assert_array_equal(archive.units(np.arange(12)), np.stack(signals))
    assert archive.table()["source"].to_list()[11] == "01/rec0011.hea"
    assert set(archive.millivolts_per_unit(np.arange(12)).tolist()) == {np.float32(0.001)}


def test_a_second_ingest_opens_nothing_and_an_appended_one_adds_what_is_new(tmp_path: Path) -> None:
    folder_of_records(tmp_path / "ecg", 3)
    ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1)
    again = ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1)
    assert (again.added, again.skipped) == (0, 3)
    folder_of_records(tmp_path / "ecg", 5)  # writes the first three again, with another modification time
    more = ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1)
    assert (more.added, more.rejected, more.total) == (2, {"duplicate": 3}, 5)


def test_bad_files_become_rejects_with_their_reason(tmp_path: Path) -> None:
    folder_of_records(tmp_path / "ecg", 2)
    flat = np.random.default_rng(9).integers(-500, 500, (8, 1000)).astype(np.int16)
    flat[3] = 7
    wfdb_record(tmp_path / "ecg" / "flat", flat)
    wfdb_record(tmp_path / "ecg" / "short", flat[:, :500])
    wfdb_record(tmp_path / "ecg" / "cut", flat)
    cut = tmp_path / "ecg" / "cut.dat"
    cut.write_bytes(cut.read_bytes()[:-100])
    (tmp_path / "ecg" / "notes.txt").write_text("nothing to see")
    summary = ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1)
    assert summary.rejected == {"flat-lead": 1, "not-an-ecg": 1, "too-short": 1, "unreadable": 1}
    rejects = {row["source"]: row["reason"] for row in Archive(tmp_path / "a").rejects()}
    assert rejects["flat.hea"] == "flat-lead"
    assert rejects["cut.hea"] == "unreadable"
    assert len(Archive(tmp_path / "a")) == 2


def test_many_workers_give_the_same_archive_as_one(tmp_path: Path) -> None:
    folder_of_records(tmp_path / "ecg", 80)
    (tmp_path / "ecg" / "05" / "bad.txt").write_text("x")
    ingest(tmp_path / "ecg", tmp_path / "one", rate=100, workers=1)
    ingest(tmp_path / "ecg", tmp_path / "two", rate=100, workers=2)
    for name in ("index.bin", "text.bin", "rejects.jsonl", "signals/00000.i16"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_torn_tail_of_any_length_costs_only_what_was_not_acknowledged(tmp_path: Path, data: st.DataObject) -> None:
    """A kill leaves any of the files longer than the others, or the last index row half written."""
    place = tmp_path / "torn"
    shutil.rmtree(place, ignore_errors=True)
    fill(place, range(4))
    whole = {name: (place / name).read_bytes() for name in ("index.bin", "text.bin", "signals/00000.i16")}
    fill(place, range(4, 6))
    stages = ["signals/00000.i16", "text.bin", "index.bin"]  # in the order in which a commit writes them
    reached = data.draw(st.integers(0, 2))
    for position, name in enumerate(stages):
        full = (place / name).read_bytes()
        start = len(whole[name])
        if position == reached:
            (place / name).write_bytes(full[: data.draw(st.integers(start, len(full) - 1))])
        elif position > reached:
            (place / name).write_bytes(whole[name])
    before = Archive(place)
    assert len(before) in (4, 5)
    assert verify(before).ok
    kept = len(before)
    fill(place, range(kept, 8))
    assert len(Archive(place)) == 8
    assert verify(Archive(place)).ok
    np.testing.assert_array_equal(Archive(place).units(np.arange(8)), np.stack([take(k).units for k in range(8)]))


def test_a_half_written_index_row_is_not_a_row(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(3))
    with (tmp_path / "a" / "index.bin").open("ab") as file:
        file.write(b"\0" * (ROW.itemsize + 5))
    archive = Archive(tmp_path / "a")
    assert len(archive) == 3
    assert verify(archive).torn == 1


@pytest.mark.parametrize("where", ["signals/00000.i16", "index.bin", "text.bin"])
def test_a_flipped_bit_is_found(tmp_path: Path, where: str) -> None:
    fill(tmp_path / "a", range(6))
    path = tmp_path / "a" / where
    content = bytearray(path.read_bytes())
    # In the index: in the first row, so that it is no torn tail.
    content[len(content) // 2 if where != "index.bin" else 30] ^= 1
    path.write_bytes(content)
    found = verify(Archive(tmp_path / "a"))
    assert len(found.damaged) == 1
    fill(tmp_path / "a", range(6, 8))  # and going on cuts nothing
    assert len(Archive(tmp_path / "a")) == 8


@pytest.mark.parametrize("where", ["signals/00000.i16", "text.bin"])
def test_a_file_that_lost_its_end_is_damage_and_is_not_cut_further(tmp_path: Path, where: str) -> None:
    numbers = range(1100) if where == "text.bin" else range(3)
    with ArchiveWriter(tmp_path / "a", rate=100, samples=10) as writer:
        for number in numbers:
            writer.add(take(number, samples=10))
    size = (tmp_path / "a" / "index.bin").stat().st_size
    (tmp_path / "a" / where).write_bytes(b"")
    with pytest.raises(ArchiveError, match=r"damaged here.*restore this file"):
        ArchiveWriter(tmp_path / "a", rate=100, samples=10)
    assert (tmp_path / "a" / "index.bin").stat().st_size == size


def test_reading_a_damaged_ecg_says_so(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(2))
    path = tmp_path / "a" / "signals" / "00000.i16"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="damaged"):
        Archive(tmp_path / "a")[f"{0:016x}"]


def test_two_writers_never_mix(tmp_path: Path) -> None:
    with (
        ArchiveWriter(tmp_path / "a", rate=100, samples=1000),
        pytest.raises(PrecordialError, match="another process is writing"),
    ):
        ArchiveWriter(tmp_path / "a", rate=100, samples=1000)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: path.mkdir(), "the folder holds no files; give the folder with the ECG files"),
        (lambda path: None, "there is no such file or folder; check the path"),
    ],
)
def test_nothing_to_ingest_is_said_in_one_line(tmp_path: Path, prepare: object, message: str) -> None:
    prepare(tmp_path / "ecg")  # type: ignore[operator]
    with pytest.raises(ArchiveError) as error:
        ingest(tmp_path / "ecg", tmp_path / "a")
    assert str(error.value) == f"{tmp_path / 'ecg'}: {message}"


def test_an_archive_keeps_its_rate(tmp_path: Path) -> None:
    folder_of_records(tmp_path / "ecg", 1)
    ingest(tmp_path / "ecg", tmp_path / "a", rate=100)
    assert ingest(tmp_path / "ecg", tmp_path / "a").skipped == 1
    with pytest.raises(ArchiveError, match="an archive has 500 or 100 Hz, not 250"):
        ingest(tmp_path / "ecg", tmp_path / "b", rate=250)
    with pytest.raises(ArchiveError, match="the archive holds 1000 samples at 100 Hz, not 5000 at 500 Hz"):
        ingest(tmp_path / "ecg", tmp_path / "a", rate=500)


def test_no_archive_and_no_such_ecg(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="there is no archive here; make one with"):
        Archive(tmp_path)
    fill(tmp_path / "a", range(1))
    with pytest.raises(ArchiveError, match="1 of 1 ECGs are not in the archive"):
        Archive(tmp_path / "a")["x"]


def test_the_authors_rules_squeeze_and_look_at_the_median(tmp_path: Path, muse_xml: Callable[..., bytes]) -> None:
    folder = tmp_path / "ecg"
    folder.mkdir()
    (folder / "long.xml").write_bytes(muse_xml(samples=6000, seed=1))
    (folder / "short.xml").write_bytes(muse_xml(samples=4000, seed=2))
    (folder / "median.xml").write_bytes(muse_xml(seed=3, median_crc_error=1))
    paper = ingest(folder, tmp_path / "paper", workers=1)
    authors = ingest(folder, tmp_path / "authors", rules="authors-code", workers=1)
    assert (paper.added, paper.rejected) == (2, {"too-short": 1})
    assert (authors.added, authors.rejected) == (2, {"bad-checksum": 1})
    with pytest.raises(ArchiveError, match="by the rules 'authors-code', not 'paper'"):
        ingest(folder, tmp_path / "authors", rules="paper")
    assert ingest(folder, tmp_path / "authors").skipped == 3  # an archive keeps its rules
    flags = {row["source"]: Flag(row["flags"]) for row in Archive(tmp_path / "authors").table().to_dicts()}
    assert Flag.RESAMPLED in flags["long.xml"]
    assert Flag.CROPPED not in flags["long.xml"]
