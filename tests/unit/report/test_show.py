"""`precordial show`: finding one ECG, saying what it is, and a page that is true to scale."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecg_samples import SAMPLES
from precordial.archive import Archive, ingest
from precordial.ecg import EIGHT, FLAGS, TWELVE, Ecg, Flag
from precordial.errors import ArchiveError, PrecordialError, UnusableEcg
from precordial.formats import READERS, Reader
from precordial.formats.reader import Several
from precordial.report.ecg_figure import A4, A4_SHEET, LEFT, WIDTH, ecg_page, with_derived
from precordial.report.show import describe, load, show
from precordial.report.style import drawing

MM = 25.4 / 72  # mm in a point, of which SVG and PDF speak here
MARGIN = ((A4[0] - WIDTH) / 2, (A4[1] - A4_SHEET.height) / 2)  # mm, on the left and below
Line = list[tuple[float, float]]


def step(rate: int = 500, seconds: float = 10.0, leads: tuple[str, ...] = TWELVE) -> Ecg:
    """0 mV for the first half second of every second, 1 mV for the second half."""
    time = np.arange(round(seconds * rate)) / rate
    return Ecg(np.tile((time % 1 >= 0.5).astype(np.float32), (len(leads), 1)), rate=rate, leads=leads)


@pytest.fixture
def write_wfdb(tmp_path: Path, wfdb_record: Callable[..., Path]) -> Callable[..., Path]:
    def write(ecg: Ecg) -> Path:
        return wfdb_record(tmp_path, np.round(ecg.signal * 1000).astype(np.int16), leads=ecg.leads, rate=ecg.rate)

    return write


def svg_lines(file: Path) -> list[Line]:
    """The black lines of an SVG, in mm from the lower left corner of the page."""
    text = file.read_text()
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt" viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert size is not None
    width, height, *box = (float(value) for value in size.groups())
    assert [width, height] == box  # a unit is a point
    assert (width * MM, height * MM) == pytest.approx(A4)
    lines = re.findall(r'<path d="([^"]*)"[^>]*style="fill: none; stroke: #000000', text)
    return [_points(line, r"[ML] (\S+) (\S+)", lambda x, y: (x * MM, (height - y) * MM)) for line in lines]


def pdf_lines(file: Path) -> list[Line]:
    """The lines of a PDF (and much that is none), in mm from the lower left corner of the page."""
    data = file.read_bytes()
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", data)
    assert box is not None
    assert tuple(float(value) * MM for value in box.groups()) == pytest.approx(A4)
    starts = [found.end() for found in re.finditer(rb"/FlateDecode[^>]*>>\s*stream\r?\n", data)]
    streams = [zlib.decompressobj().decompress(data[start:]) for start in starts]  # each ends where it says
    page = max(streams, key=len).decode("latin-1")  # the others are letters
    lines: list[Line] = [[]]
    for row in page.splitlines():
        words = row.split()
        if words[-1:] in (["m"], ["l"]):
            lines[-1].append((float(words[0]) * MM, float(words[1]) * MM))
        else:  # a line is stroked, or something else begins
            lines.append([])
    return lines


def _points(text: str, pattern: str, place: Callable[[float, float], tuple[float, float]]) -> Line:
    return [place(float(x), float(y)) for x, y in re.findall(pattern, text)]


@pytest.mark.parametrize(("suffix", "read"), [("svg", svg_lines), ("pdf", pdf_lines)])
@pytest.mark.parametrize("rate", [500, 100])
def test_a_millivolt_is_10_mm_and_a_second_25_mm(
    suffix: str, read: Callable[[Path], list[Line]], rate: int, write_wfdb: Callable[..., Path], tmp_path: Path
) -> None:
    show(str(write_wfdb(step(rate))), tmp_path / f"page.{suffix}")
    lines = read(tmp_path / f"page.{suffix}")
    traces = {len(line): np.array(line) for line in lines}
    rhythm, lead = traces[10 * rate], traces[round(2.5 * rate)]
    assert np.ptp(rhythm[:, 1]) == pytest.approx(10, abs=1e-4)
    assert np.ptp(lead[:, 1]) == pytest.approx(10, abs=1e-4)
    assert rhythm[rate, 0] - rhythm[0, 0] == pytest.approx(25, abs=1e-4)
    assert lead[-1, 0] - lead[0, 0] == pytest.approx(62.5 - 25 / rate, abs=1e-4)
    assert rhythm[0] == pytest.approx((MARGIN[0] + LEFT, MARGIN[1] + A4_SHEET.baselines[3]), abs=1e-4)
    pulses = [np.array(line) for line in lines if len(line) == 6]
    assert [np.ptp(pulse[:, 1]) for pulse in pulses] == pytest.approx([10] * 4, abs=1e-4)
    assert [pulse[3, 0] - pulse[1, 0] for pulse in pulses] == pytest.approx([5] * 4, abs=1e-4)  # 0.2 s


def test_the_paper_has_a_line_each_mm_and_a_heavy_one_each_5_mm(
    write_wfdb: Callable[..., Path], tmp_path: Path
) -> None:
    show(str(write_wfdb(step())), tmp_path / "page.svg")
    text = (tmp_path / "page.svg").read_text()
    for colour, spacing in (("#f8dcd6", 1), ("#eeb5aa", 5)):
        path = re.search(rf'<path d="([^"]*)"[^>]*style="fill: none; stroke: {colour}', text)
        assert path is not None
        ends = np.array(_points(path[1], r"[ML] (\S+) (\S+)", lambda x, y: (x * MM, y * MM))).reshape(-1, 2, 2)
        for axis, length in ((0, WIDTH), (1, A4_SHEET.height)):
            lines = ends[ends[:, 0, axis] == ends[:, 1, axis], 0, axis]
            assert np.abs(np.diff(np.sort(lines))) == pytest.approx(spacing, abs=1e-5)
            assert len(lines) == length // spacing + 1


@pytest.mark.parametrize(("dpi", "size"), [(254, (2970, 2100)), (100, (1169, 827))])
def test_a_png_says_its_scale(dpi: int, size: tuple[int, int], write_wfdb: Callable[..., Path], tmp_path: Path) -> None:
    show(str(write_wfdb(step())), tmp_path / "page.png", dpi=dpi)
    with Image.open(tmp_path / "page.png") as image:
        assert image.size == pytest.approx(size, abs=1)
        assert image.info["dpi"] == pytest.approx((dpi, dpi), abs=0.02)
        pixels = np.asarray(image.convert("RGB"), int)
    if dpi == 254:  # 10 pixels a mm
        row = pixels[round((MARGIN[1] + A4_SHEET.height - 25.5) * 10)]  # between two lines, where nothing is drawn
        heavy = np.flatnonzero(np.abs(row - (0xEE, 0xB5, 0xAA)).sum(axis=1) < 30)
        first = heavy[np.diff(heavy, prepend=-9) > 1]
        assert len(first) == WIDTH // 5 + 1
        assert set(np.diff(first[1:]).tolist()) == {50}  # of the line at the edge, half is off the paper


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PDF"])
def test_equal_ecgs_give_equal_bytes(suffix: str, muse_xml: Callable[..., bytes], tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_bytes(muse_xml())
    words = [show(str(file), tmp_path / name / f"page.{suffix}", dpi=50) for name in ("one", "two")]
    one, two = ((tmp_path / name / f"page.{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert words[0] == words[1] == show(str(file))
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix.lower()]
    assert one.startswith(start)
    assert [path.name for path in (tmp_path / "one").iterdir()] == [f"page.{suffix}"]


def test_other_suffixes_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for name in ("page.jpg", "page"):
        with pytest.raises(PrecordialError, match=r"end it in \.png, \.svg, \.pdf"):
            show(str(tmp_path / "absent"), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_patient_is_named_only_on_request(muse_xml: Callable[..., bytes], tmp_path: Path) -> None:
    file, page = tmp_path / "a.xml", tmp_path / "page.svg"
    file.write_bytes(muse_xml(patient_id="TEST0001"))
    words = show(str(file), page)
    for text in (words, page.read_text()):  # where letters are paths, the SVG says the words in comments
        assert "TEST0001" not in text
        assert "2021-05-10 13:05:16" in text
        assert "60 years, female" in text
    words = show(str(file), page, identify=True)
    assert "id         TEST0001" in words
    assert "id TEST0001" in page.read_text()
    assert "TÉST" not in words + page.read_text()  # the name is not even read


def test_a_description_says_all_there_is() -> None:
    assert set(FLAGS) == set(Flag)
    ecg = replace(
        step(250, leads=EIGHT),
        recorded_at=datetime(2020, 3, 4, 5, 6, 7),
        age=0.25,
        sex="female",
        device="MAC\x1b[31m 55",
        site="Ward\n7",
        uv_per_unit=4.88,
        patient_id="A7",
        flags=Flag.CROPPED | Flag.NO_CHECKSUM,
        source="muse",
    )
    assert describe(ecg, identify=True).splitlines() == [
        "id         A7",
        "recorded   2020-03-04 05:06:07",
        "patient    0.25 years, female",
        "device     MAC [31m 55",
        "site       Ward 7",
        "format     muse",
        "signal     10.0 s at 250 Hz",
        "leads      8: V1 V2 V3 V4 V5 V6 I II",
        "unit       4.88 µV",
        "flags      cropped: The recording is longer; its first seconds are kept.",
        "           no-checksum: The format has checksums, and this file has none.",
    ]
    every = describe(replace(ecg, flags=Flag(sum(Flag))))
    assert all(text in every for text in FLAGS.values())


def test_a_file_gets_the_flags_of_its_quality_and_of_what_an_archive_would_say(
    write_wfdb: Callable[..., Path],
) -> None:
    ecg = step()
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(5000) / 500)
    assert "mains: There is hum" not in show(str(write_wfdb(ecg)))
    words = show(str(write_wfdb(replace(ecg, signal=ecg.signal + hum))))
    assert "mains: There is hum of 50 or 60 Hz." in words
    assert "archive" not in words
    words = show(str(write_wfdb(step(seconds=4))))
    assert words.endswith("archive    would not take it: 4.00 s recorded where 10 s are needed (too-short)")


def test_an_archives_ecg_is_found_by_the_first_digits_of_its_id(muse_xml: Callable[..., bytes], tmp_path: Path) -> None:
    (tmp_path / "ecgs").mkdir()
    for seed in range(3):
        (tmp_path / "ecgs" / f"{seed}.xml").write_bytes(muse_xml(seed=seed))
    folder = tmp_path / "archive"
    ingest(tmp_path / "ecgs", folder, workers=1)
    ids = [str(ecg_id) for ecg_id in Archive(folder).ids]
    for ecg_id in ids:
        for given in (ecg_id, ecg_id[:6], ecg_id[:9].upper()):
            found = load(f"{folder}:{given}")
            assert found.which == ecg_id
            assert np.array_equal(found.ecg.signal, Archive(folder)[ecg_id].signal)
            assert found.ecg.leads == EIGHT
    words = show(f"{folder}:{ids[0][:6]}", tmp_path / "page.svg")
    assert words.startswith(f"ECG        {ids[0]}\nrecorded   2021-05-10 13:05:16\n")
    assert ids[0] in (tmp_path / "page.svg").read_text()
    none = next(f"{k:06x}" for k in range(4) if not any(ecg_id.startswith(f"{k:06x}") for ecg_id in ids))
    for given, problem in ((none, "no ECG has"), (ids[0][:5], "at least 6"), ("x" * 16, "from 0 to f")):
        with pytest.raises(ArchiveError, match=problem):
            load(f"{folder}:{given}")
    with pytest.raises(PrecordialError, match="a whole archive; add the id"):
        load(str(folder))


def test_an_ambiguous_id_is_refused(small_cohort: Callable[..., tuple[object, Archive]]) -> None:
    archive = small_cohort(target=17)[1]  # ids 0000000000000000 to …10
    with pytest.raises(ArchiveError, match="the ids of 17 ECGs begin with 000000; give more"):
        load(f"{archive.path}:000000")
    assert load(f"{archive.path}:000000000000001").which == f"{16:016x}"


@pytest.mark.parametrize("target", ["absent", "absent:0123456789", "absent#a", ".", "a:b#c"])
def test_what_is_not_there_is_said(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PrecordialError, match=r"there is no|a folder"):
        load(target)


def test_file_names_with_colons_and_hashes_are_file_names(
    wfdb_record: Callable[..., Path], muse_xml: Callable[..., bytes], tmp_path: Path
) -> None:
    (tmp_path / "a:000000").mkdir()
    header = wfdb_record(tmp_path / "a:000000", np.ones((2, 9), np.int16), leads=("I", "II"))
    assert load(str(header)).ecg.leads == ("I", "II")
    assert load(str(header.with_suffix(""))).ecg.leads == ("I", "II")  # the name of the record
    (tmp_path / "a#1.xml").write_bytes(muse_xml())
    assert load(str(tmp_path / "a#1.xml")).ecg.source == "muse"
    with pytest.raises(PrecordialError, match="holds one ECG"):
        load(f"{header}#1")


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of four ECGs, one of them damaged, and the reader of its format."""

    def read(path: Path, start: int, stop: int) -> Iterator[tuple[str, Ecg | UnusableEcg]]:
        ecgs = [replace(step(), age=float(k)) for k in range(4)]
        for k in range(start, stop):
            yield f"exam{k}", ecgs[k] if k != 2 else UnusableEcg("unreadable", "damaged", file=path)

    def find(path: Path, name: str) -> int | None:
        return int(name[4:]) if name in ("exam0", "exam1", "exam2", "exam3") else None

    reader = Reader(
        "quartet",
        lambda head: head.startswith(b"QUARTET"),
        lambda path: step(),
        several=Several(lambda _: 4, find, read),
    )
    monkeypatch.setitem(READERS, "quartet", reader)
    (tmp_path / "quartet").write_bytes(b"QUARTET")
    return tmp_path / "quartet"


def test_a_file_of_several_ecgs_shows_the_first_or_the_one_that_is_named(several: Path) -> None:
    first = load(str(several))
    assert (first.ecg.age, first.which, first.names) == (0, "the first of 4 in its file", "exam0, exam1, exam2, …")
    found = load(f"{several}#exam3")
    assert (found.ecg.age, found.which, found.names) == (3, "one of 4 in its file", "exam3")
    with pytest.raises(UnusableEcg, match="damaged"):
        load(f"{several}#exam2")
    with pytest.raises(PrecordialError, match="none of its 4 ECGs"):
        load(f"{several}#exam")
    assert "exam0" not in show(str(several))
    assert "named      exam0, exam1, exam2, …" in show(str(several), identify=True)


def page(ecg: Ecg) -> tuple[dict[str, list[np.ndarray]], set[str]]:
    """Traces in mm by the name that stands over them, and all words."""
    with drawing():
        axes = ecg_page(ecg, ["facts"]).axes[0]
    words = [text.get_text() for text in axes.texts]
    lines = [np.asarray(line.get_xydata()) for line in axes.lines if len(line.get_xydata()) not in (2, 6)]
    names = [word for word in words if word in (*TWELVE, *ecg.leads)]
    found: dict[str, list[np.ndarray]] = {}
    for name, line in zip(names, lines, strict=True):
        found.setdefault(name, []).append(line)
    return found, set(words)


def test_leads_that_the_file_lacks_are_derived_or_left_empty() -> None:
    traces, words = page(step(leads=EIGHT))
    assert set(traces) == set(TWELVE)
    assert "III, aVR, aVL, aVF: derived from the other limb leads." in words
    assert np.ptp(traces["aVR"][0][:, 1]) == pytest.approx(10)  # −(I + II) / 2
    assert np.ptp(traces["III"][0][:, 1]) == 0
    traces, words = page(step(leads=("V1", "II")))
    assert {name: len(lines) for name, lines in traces.items()} == {"V1": 1, "II": 2}
    assert {f"{name}  not recorded" for name in TWELVE if name not in traces} <= words
    traces, words = page(step(leads=("MLII", "V5", "X")))
    assert {name: len(lines) for name, lines in traces.items()} == {"V5": 1, "MLII": 1}
    assert "1 other lead not drawn." in words


def test_words_that_the_font_lacks_do_no_harm(tmp_path: Path) -> None:
    ecg = replace(step(leads=("心\x1b\n$x$" + 50 * "X",)), site="大学 $\\frac{1}{2}$ --><a>")
    with drawing():  # where a warning is an error
        figure = ecg_page(ecg, [str(ecg.site)])
        figure.savefig(tmp_path / "page.svg")
    words = [text.get_text() for text in figure.axes[0].texts]
    assert "???$x$" + 14 * "X" in words
    assert "?? $\\frac{1}{2}$ --><a>" in words
    assert "--><a>" not in (tmp_path / "page.svg").read_text()


def test_derived_leads_are_einthovens_and_goldbergers() -> None:
    one, two = np.random.default_rng(0).normal(size=(2, 50))
    every = {"I": one, "II": two, "III": two - one, "aVR": -(one + two) / 2}
    every |= {"aVL": one - two / 2, "aVF": two - one / 2}
    for known in (("I", "II"), ("III", "aVR"), ("aVL", "aVF", "II")):
        leads, derived = with_derived({name: every[name] for name in known})
        assert derived == [name for name in every if name not in known]
        assert all(leads[name] == pytest.approx(trace) for name, trace in every.items())


def test_long_recordings_show_their_first_ten_seconds_and_short_ones_what_there_is() -> None:
    ecg = step(seconds=38.4)
    traces, words = page(ecg)
    assert np.ptp(traces["II"][1][:, 0]) == pytest.approx(25 * (10 - 1 / 500))
    assert "The first 10 s of 38.4 s." in words
    traces, words = page(step(seconds=4))
    assert "4.0 s recorded; the columns overlap in time." in words
    assert [len(traces[name][0]) for name in ("I", "aVR", "V1", "V4", "II")] == [1250] * 5
    assert len(traces["II"][1]) == 2000
    assert traces["V4"][0][-1, 1] == A4_SHEET.baselines[0] + 10  # its end, at 1 mV
    assert traces["V4"][0][0, 1] == A4_SHEET.baselines[0] + 10  # and from 1.5 s on
    for samples in (0, 1, 7):
        short = replace(ecg, signal=ecg.signal[:, :samples])
        assert {len(line) for lines in page(short)[0].values() for line in lines} == {samples}


def test_an_offset_of_all_leads_is_taken_away_and_said() -> None:
    ecg = step(leads=("I", "II", "V1"))
    shift = np.array([[0.2], [0.3], [-4.0]], np.float32)
    ecg = replace(ecg, signal=(ecg.signal > 0.5) * np.float32(1) + shift)
    traces, words = page(ecg)
    assert any(word.endswith("   Baselines moved to their rows, by up to 3.5 mV.") for word in words)
    assert traces["V1"][0][:, 1].min() == pytest.approx(A4_SHEET.baselines[0] - 5, abs=1e-4)
    small = replace(ecg, signal=ecg.signal + np.float32([[0], [0], [4]]))
    assert not any("moved" in word for word in page(small)[1])


def test_no_amplitude_leaves_the_paper(tmp_path: Path) -> None:
    ecg = step()
    wild = replace(ecg, signal=(ecg.signal - 0.5) * np.float32(1e30))
    with drawing():
        figure = ecg_page(wild, ["facts"])
        figure.savefig(tmp_path / "page.png", dpi=101.6)  # 4 pixels a mm
        figure.savefig(tmp_path / "page.svg")
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L"), int)
    left, below = (int(4 * margin) - 1 for margin in MARGIN)
    assert pixels.min() == 0
    for edge in (pixels[:below], pixels[-below:], pixels[:, :left], pixels[:, -left:]):
        assert edge.min() == 255
    lines = svg_lines(tmp_path / "page.svg")
    assert np.abs(np.concatenate(lines)).max() < 2000  # mm: no number that a program could stumble over
    drawn = re.findall(r'<path d="[^"]*"([^>]*)style="fill: none; stroke: #000000', (tmp_path / "page.svg").read_text())
    assert len(drawn) == len(lines)
    assert all("clip-path" in attributes for attributes in drawn)


@pytest.mark.parametrize("name", READERS)
def test_real_files(name: str, shared_data: Path, tmp_path: Path) -> None:
    for pattern in SAMPLES[name].real:
        for file in sorted(shared_data.glob(pattern))[:2]:
            words = show(str(file), tmp_path / "page.svg")
            ecg = load(str(file)).ecg
            assert f"format     {name}\n" in words
            two = with_derived(dict(zip(ecg.leads, ecg.signal[:, : round(10 * ecg.rate)], strict=True)))[0]["II"]
            strip = max(svg_lines(tmp_path / "page.svg"), key=len)
            assert len(strip) == len(two)
            assert np.ptp(np.array(strip)[:, 1]) == pytest.approx(10 * np.ptp(two), abs=1e-3)
            assert np.ptp(np.array(strip)[:, 0]) == pytest.approx(25 * (len(two) - 1) / ecg.rate, abs=1e-3)
