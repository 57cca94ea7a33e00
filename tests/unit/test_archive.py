"""The archive: what goes in comes out, a kill costs nothing acknowledged, damage is found."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from precordial.archive import Archive, Verification, convert, ingest, verify
from precordial.archive.layout import COMMITS, LOGGED, RECORD, CodecName, Manifest
from precordial.archive.taken import Rejected, Taken, take, to_units
from precordial.archive.writer import ArchiveWriter
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


def taken(number: int, codec: CodecName = "raw") -> Taken:
    return take(an_ecg(number), ecg_id=number, source=f"file{number}", codec=codec)


def writer(path: Path, *, samples: int = 1000, **settings: str) -> ArchiveWriter:
    return ArchiveWriter(path, Manifest(rate=100, samples=samples, **settings))  # type: ignore[arg-type]


def fill(path: Path, numbers: range, **settings: str) -> None:
    with writer(path, **settings) as archive:
        for number in numbers:
            archive.add(number, [taken(number, archive.manifest.codec)])


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
    shutil.copytree(tmp_path / "ecg" / "00", tmp_path / "ecg" / "copy")
    more = ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1)
    assert (more.added, more.skipped, more.rejected, more.total) == (2, 0, {"duplicate": 5}, 5)
    assert ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1).skipped == 10


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
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


FILES = ("signals/00000.i16", *LOGGED.values(), COMMITS)  # in the order in which a commit writes them


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_torn_tail_of_any_length_costs_only_what_was_not_acknowledged(tmp_path: Path, data: st.DataObject) -> None:
    """A kill leaves any of the files longer than the others, or the last record half written."""
    place = tmp_path / "torn"
    shutil.rmtree(place, ignore_errors=True)
    fill(place, range(4))
    with writer(place) as archive:
        archive.add(99, [Rejected("x", "flat-lead", "lead I is flat")])
    whole = {name: (place / name).read_bytes() for name in FILES}
    with writer(place) as archive:
        archive.add(4, [taken(4)])
        archive.add(98, [Rejected("y", "flat-lead", "lead I is flat")])
    reached = data.draw(st.integers(0, len(FILES) - 1))
    zeros = data.draw(st.booleans())  # a system that had made the file longer, and not yet written to it
    for position, name in enumerate(FILES):
        full, start = (place / name).read_bytes(), len(whole[name])
        if position == reached:
            end = data.draw(st.integers(start, len(full) - 1))
            torn = full[:start] + bytes(len(full) - start) if zeros else full[:end]
            (place / name).write_bytes(torn)
        elif position > reached:
            (place / name).write_bytes(whole[name])
    assert len(Archive(place)) == 4
    assert verify(place).ok
    fill(place, range(4, 8))
    assert len(Archive(place)) == 8
    assert verify(place).ok
    assert verify(place).torn == 0
    np.testing.assert_array_equal(
        Archive(place).units(np.arange(8)), np.stack([to_units(an_ecg(k))[0] for k in range(8)])
    )
    assert Archive(place).reject_counts() == {"flat-lead": 1}


@pytest.mark.parametrize("behind", [b"\0" * RECORD.itemsize, b"\0" * 5, b"abc", b"\0" * (RECORD.itemsize + 5)])
def test_what_stands_behind_the_last_record_is_no_commit(tmp_path: Path, behind: bytes) -> None:
    fill(tmp_path / "a", range(3))
    with (tmp_path / "a" / COMMITS).open("ab") as file:
        file.write(behind)
    assert len(Archive(tmp_path / "a")) == 3
    assert verify(tmp_path / "a").torn == len(behind)


def read_all(path: Path, codec: str) -> None:
    archive = Archive(path)
    archive.units(np.arange(len(archive)))
    archive.table()
    archive.rejects()
    writer(path, codec=codec).__exit__(None, None, None)


@pytest.mark.parametrize("codec", ["raw", "pco"])
def test_a_flipped_bit_anywhere_is_found_by_verify_and_by_the_read_that_meets_it(
    tmp_path: Path, codec: CodecName
) -> None:
    place = tmp_path / "a"
    fill(place, range(3), codec=codec)
    with writer(place, codec=codec) as archive:
        archive.add(99, [Rejected("x", "flat-lead", "lead I is flat")])
    assert verify(place).ok
    files = [path for path in place.rglob("*") if path.is_file() and path.name != ".lock"]
    assert len(files) == 3 + len(LOGGED)  # manifest, commits, a shard
    random_ = random.Random(codec)
    for path in files:
        content = path.read_bytes()
        for _ in range(60):
            at, bit = random_.randrange(len(content)), 1 << random_.randrange(8)
            path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
            assert not verify(place).ok, (path.name, at, bit)
            with pytest.raises(ArchiveError, match=r"damage|format version"):
                read_all(place, codec)
        path.write_bytes(content)
    assert verify(place).ok


def test_a_damaged_text_is_met_by_the_ecg_that_has_it(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(2))
    fill(tmp_path / "a", range(2, 4))
    path = tmp_path / "a" / "text.bin"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    archive = Archive(tmp_path / "a")
    assert archive[f"{3:016x}"].patient_id == "p0"  # of another commit
    with pytest.raises(ArchiveError, match="the texts of ECG 0000000000000000 do not match"):
        archive[f"{0:016x}"]


@pytest.mark.parametrize("where", ["signals/00000.i16", "text.bin", "index.bin", "files.bin"])
def test_a_file_that_lost_its_end_is_damage_and_is_not_cut_further(tmp_path: Path, where: str) -> None:
    fill(tmp_path / "a", range(3))
    size = (tmp_path / "a" / "text.bin").stat().st_size
    (tmp_path / "a" / where).write_bytes(b"")
    with pytest.raises(ArchiveError, match=r"damaged here.*restore this file"):
        writer(tmp_path / "a")
    assert where == "text.bin" or (tmp_path / "a" / "text.bin").stat().st_size == size
    assert not verify(tmp_path / "a").ok


def test_reading_a_damaged_ecg_says_which(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(2))
    path = tmp_path / "a" / "signals" / "00000.i16"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="the samples of ECG 0000000000000000 do not match their digest"):
        Archive(tmp_path / "a")[f"{0:016x}"]
    assert verify(tmp_path / "a").damaged == (f"{0:016x}",)
    fill(tmp_path / "a", range(2, 4))  # the others are as good as before
    assert verify(tmp_path / "a").damaged == (f"{0:016x}",)


def test_two_writers_never_mix(tmp_path: Path) -> None:
    with (
        writer(tmp_path / "a"),
        pytest.raises(PrecordialError, match="another process is writing"),
    ):
        writer(tmp_path / "a")


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


def test_a_converted_archive_has_the_same_ecgs_rejects_and_files(tmp_path: Path) -> None:
    folder_of_records(tmp_path / "ecg", 40)
    (tmp_path / "ecg" / "notes.txt").write_text("nothing to see")
    ingest(tmp_path / "ecg", tmp_path / "raw", rate=100, workers=1)
    convert(tmp_path / "raw", tmp_path / "pco", codec="pco", workers=2)
    convert(tmp_path / "pco", tmp_path / "back", codec="raw", workers=1)
    raw, pco = Archive(tmp_path / "raw"), Archive(tmp_path / "pco")
    assert pco.digest == raw.digest
    assert raw.table().equals(pco.table())
    assert raw.rejects() == pco.rejects()
    np.testing.assert_array_equal(pco.units(np.arange(40)), raw.units(np.arange(40)))
    for name in ("text.bin", "index.bin", "rejects.jsonl", "signals/00000.i16"):
        assert (tmp_path / "back" / name).read_bytes() == (tmp_path / "raw" / name).read_bytes()
    assert ingest(tmp_path / "ecg", tmp_path / "pco", workers=1).skipped == 41
    assert verify(tmp_path / "pco").ok
    with pytest.raises(ArchiveError, match="there is something here already"):
        convert(tmp_path / "raw", tmp_path / "pco", codec="pco")
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_archive_is_not_converted(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(2))
    path = tmp_path / "a" / "signals" / "00000.i16"
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    with pytest.raises(ArchiveError, match="the samples of ECG"):
        convert(tmp_path / "a", tmp_path / "b", codec="pco")
    assert not (tmp_path / "b").exists()


def test_changed_files_are_seen_also_where_only_the_samples_changed(tmp_path: Path) -> None:
    folder_of_records(tmp_path / "ecg", 3)
    ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1)
    data = tmp_path / "ecg" / "00" / "rec0001.dat"
    data.write_bytes(data.read_bytes()[:-2] + b"\0\0")
    os.utime(data, ns=(1, data.stat().st_mtime_ns + 10**9))
    again = ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1)
    assert (again.skipped, again.rejected) == (2, {"bad-checksum": 1})


def test_every_ten_seconds_of_a_long_recording(tmp_path: Path) -> None:
    units = np.random.default_rng(0).integers(-500, 500, (8, 3500)).astype(np.int16)
    wfdb_record(tmp_path / "ecg" / "long", units)
    ingest(tmp_path / "ecg", tmp_path / "first", rate=100, workers=1)
    summary = ingest(tmp_path / "ecg", tmp_path / "every", rate=100, windows="every", workers=1)
    assert (summary.added, summary.rejected) == (3, {})
    every, first = Archive(tmp_path / "every"), Archive(tmp_path / "first")
    np.testing.assert_array_equal(every.units(np.arange(3)), units[:, :3000].reshape(8, 3, 1000).swapaxes(0, 1))
    assert every.table()["source"].to_list() == ["long.hea", "long.hea@10", "long.hea@20"]
    assert first.ids[0] == every.ids[0]
    assert [Flag.CROPPED in Flag(flags) for flags in every.index["flags"]] == [False] * 3
    assert Flag.CROPPED in Flag(int(first.index["flags"][0]))
    assert ingest(tmp_path / "ecg", tmp_path / "every").skipped == 1
    with pytest.raises(ArchiveError, match="holds every ten seconds of a recording, not the first ten seconds of each"):
        ingest(tmp_path / "ecg", tmp_path / "every", windows="first")
    ingest(tmp_path / "ecg", tmp_path / "authors", rate=100, windows="every", rules="authors-code", workers=1)
    np.testing.assert_array_equal(Archive(tmp_path / "authors").units(np.arange(3)), every.units(np.arange(3)))


def test_a_full_disk_stops_ingest_and_what_was_acknowledged_is_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system takes a part of what it is given, and then nothing."""
    fill(tmp_path / "a", range(3))
    left, whole_write = 20_000, os.write

    def write(descriptor: int, data: bytes) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = whole_write(descriptor, data[:left])
        left -= done
        return done

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space left"):
        fill(tmp_path / "a", range(3, 8))
    monkeypatch.undo()
    assert len(Archive(tmp_path / "a")) == 3
    assert verify(tmp_path / "a").ok
    fill(tmp_path / "a", range(3, 8))
    assert len(Archive(tmp_path / "a")) == 8
    assert verify(tmp_path / "a") == Verification(8, (), (), 0)


def matrices(path: Path, count: int, *, seconds: int = 10) -> np.ndarray:
    """A file of several ECGs; the second is flat."""
    units = np.random.default_rng(1).integers(-900, 900, (count, 8, seconds * 100)).astype(np.int16)
    units[1, 2] = 5
    np.savez(path, signal=units, rate=100, units="uV", leads=list(EIGHT))
    return units


@pytest.mark.parametrize("large", [1, 1 << 30])  # read in spans, or whole
def test_a_file_of_several_ecgs(large: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("precordial.archive.intake.LARGE", large)
    (tmp_path / "ecg").mkdir()
    units = matrices(tmp_path / "ecg" / "several.npz", 600)
    folder_of_records(tmp_path / "ecg" / "z", 2)
    steps: list[tuple[int, int]] = []
    first = ingest(tmp_path / "ecg", tmp_path / "a", rate=100, workers=1, progress=lambda *step: steps.append(step))
    assert (first.added, first.rejected) == (601, {"flat-lead": 1})
    assert steps[-1] == (3, 3)
    archive = Archive(tmp_path / "a")
    wanted = np.delete(units, 1, axis=0)
    np.testing.assert_array_equal(archive.units(np.arange(599)), wanted)
    assert archive.table()["source"].to_list()[:2] == ["several.npz#0", "several.npz#2"]
    assert archive.rejects()[0]["source"] == "several.npz#1"
    again = ingest(tmp_path / "ecg", tmp_path / "a", workers=1)
    assert (again.skipped, again.added, again.rejected) == (3, 0, {})


def test_an_interrupted_file_of_several_goes_on_after_its_last_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("precordial.archive.intake.LARGE", 1)
    (tmp_path / "ecg").mkdir()
    matrices(tmp_path / "ecg" / "several.npz", 700)
    ingest(tmp_path / "ecg", tmp_path / "whole", rate=100, workers=1)
    add, calls = ArchiveWriter.add, []

    def interrupted(writer: ArchiveWriter, *args: object, **also: object) -> object:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return add(writer, *args, **also)  # type: ignore[arg-type]

    monkeypatch.setattr(ArchiveWriter, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path / "ecg", tmp_path / "cut", rate=100, workers=1)
    monkeypatch.setattr(ArchiveWriter, "add", add)
    assert len(Archive(tmp_path / "cut")) == 255
    rest = ingest(tmp_path / "ecg", tmp_path / "cut", workers=1)
    assert (rest.added, rest.rejected) == (699 - 255, {})
    assert Archive(tmp_path / "cut").table().equals(Archive(tmp_path / "whole").table())
    assert ingest(tmp_path / "ecg", tmp_path / "cut", workers=1).skipped == 1


def test_a_source_without_files_is_said_before_anything_is_read(tmp_path: Path) -> None:
    folder_of_records(tmp_path / "ecg", 2)
    (tmp_path / "bare").mkdir()
    with pytest.raises(ArchiveError, match="the folder holds no files"):
        ingest([tmp_path / "ecg", tmp_path / "bare"], tmp_path / "a", rate=100)
    assert not (tmp_path / "a").exists()


def test_files_of_one_name_size_and_time_in_two_folders_are_two(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        units = np.random.default_rng(seed).integers(-500, 500, (8, 1000)).astype(np.int16)
        wfdb_record(tmp_path / name / "rec", units, gain=1000.0)
        header = tmp_path / name / "rec.hea"
        header.write_text(header.read_text().ljust(400, "\n"))
        for file in (header, header.with_suffix(".dat")):
            os.utime(file, ns=(10**18, 10**18))
    assert ingest(tmp_path / "a", tmp_path / "one", rate=100).added == 1
    assert ingest(tmp_path / "b", tmp_path / "one", rate=100).added == 1
    assert ingest([tmp_path / "a", tmp_path / "b"], tmp_path / "two", rate=100).added == 2
    (tmp_path / "a").rename(tmp_path / "moved")
    moved = ingest(tmp_path / "moved", tmp_path / "one", rate=100)
    assert (moved.added, moved.skipped, moved.rejected, moved.total) == (0, 0, {}, 2)
