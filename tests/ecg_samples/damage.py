"""Sample files damaged in every way that a reader must survive, read by a process whose time and memory are watched.

    python -m ecg_samples.damage muse 200 FOLDER

damages the sample of one format 200 times, each time anew from the whole file, and ends with an error at the first
damage that does not end in a clear rejection or in a well-formed ECG, within 2 s of CPU time and 500 MB. The damage
of each number is always the same, so that a failure can be repeated.
"""

from __future__ import annotations

import random
import re
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ecg_samples import SAMPLES
from precordial.ecg import normalise
from precordial.errors import UnusableEcg
from precordial.formats import READERS, find_reader, read_ecg

SECONDS = 2.0
MEGABYTES = 500
MENDED_BELOW = 4 << 20  # bytes of a file whose checksums are made to fit its damage

Damage = Callable[[bytes, random.Random, BinaryIO], object]

ODD = (b"", b"0", b"-1", b"1e400", b"nan", b"9" * 5000, b"999999999", b"../x", b"\xff\xb5", b"\0", b"x" * 300)
NUMBERS = (b"\0", b"\xff", b"\0\0", b"\xff\xff", b"\xff\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f")
NUMBERS += (b"\0\0\0\x80", b"\x01\0\0\0\0\0\0\0", b"\xff" * 8, b"\0\x10\0\0")  # small ends first, and last


def cut(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    out.write(data[: draw.randrange(len(data))])


def flip(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    wrong = bytearray(data)
    reach = draw.choice((len(data), min(len(data), 1000)))
    for _ in range(draw.choice((1, 3, 30))):
        wrong[draw.randrange(reach)] ^= 1 << draw.randrange(8)
    out.write(wrong)


def line(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """A line left out or doubled."""
    lines = data.split(b"\n")
    i = draw.randrange(min(len(lines), 40))
    lines[i : i + 1] = [] if draw.random() < 0.5 else [lines[i], lines[i]]
    out.write(b"\n".join(lines))


def run(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """Some bytes in a row left out or doubled."""
    start = draw.randrange(min(len(data), draw.choice((200, 2000, len(data)))))
    stop = start + draw.choice((1, 2, 4, 10, 1000))
    out.write(data[:start] + (b"" if draw.random() < 0.5 else data[start:stop] * 2) + data[stop:])


def field(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """A word or number replaced, near the file's begin or anywhere."""
    start = draw.choice((0, draw.randrange(len(data))))
    fields = list(re.finditer(rb"[\w.+/-]+", data[start : start + 4000]))
    if fields:
        begin, end = draw.choice(fields).span()
        data = data[: start + begin] + draw.choice(ODD) + data[start + end :]
    out.write(data)


def length(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """A number of one to eight bytes overwritten by zero, by one of the largest, or by a negative one."""
    at = draw.randrange(min(len(data), draw.choice((100, 600, 4000, len(data)))))
    number = draw.choice(NUMBERS)
    out.write(data[:at] + number + data[at + len(number) :])


def blow_up(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """Very many zeros at the end, or very many characters somewhere."""
    size = draw.choice((10, 30, 120, 700)) << 20
    if draw.random() < 0.5:
        out.write(data)
        out.truncate(len(data) + size)
    else:
        insert(data, draw.randrange(len(data)), b"7" * 1024, min(size, 120 << 20), out)


def insert(data: bytes, at: int, block: bytes, size: int, out: BinaryIO) -> None:
    """Some `size` bytes of repeated `block`, in pieces: this process's own memory is what is watched."""
    out.write(data[:at])
    piece = block * (1 + (1 << 20) // len(block))
    for _ in range(0, size, len(piece)):
        out.write(piece)
    out.write(data[at:])


def element(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """An XML element left out, with all that it holds."""
    tag = draw.choice(list(re.finditer(rb"<([\w:]+)[^<>]*>", data[: draw.choice((4000, len(data)))])))
    end = data.find(b"</" + tag[1] + b">", tag.start())
    stop = end + len(tag[1]) + 3 if end >= 0 else tag.end()
    out.write(data[: tag.start()] + data[stop:])


def attribute(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """An XML attribute left out or replaced."""
    found = draw.choice(list(re.finditer(rb"\s[\w:]+=\"([^\"<]*)\"", data)))
    if draw.random() < 0.5:
        out.write(data[: found.start()] + data[found.end() :])
    else:
        out.write(data[: found.start(1)] + draw.choice(ODD) + data[found.end(1) :])


def after_a_tag(data: bytes, draw: random.Random) -> int:
    """Where the content of some XML element begins."""
    return draw.choice(list(re.finditer(rb"<[\w:]+[^<>/]*>", data))).end()


def entities(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """Entities that expand to very much, or that reach for a file, in one of two encodings."""
    at = after_a_tag(data, draw)
    body = re.sub(rb"^\s*<\?xml[^>]*>|<!DOCTYPE[^>]*>", b"", data[:at]) + b"&bomb;" + data[at:]
    laughs = b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10))
    bombs = (
        b'<!ENTITY a0 "ha">' + laughs + b'<!ENTITY bomb "&a9;">',
        b'<!ENTITY a "%s"><!ENTITY bomb "%s">' % (b"x" * 50_000, b"&a;" * 5000),
        b'<!ENTITY bomb SYSTEM "file:///etc/hostname">',
        b'<!ENTITY % p SYSTEM "file:///etc/hostname"> %p; <!ENTITY bomb "&bomb;">',
    )
    text = b"<!DOCTYPE bomb [" + draw.choice(bombs) + b"]>" + body
    out.write(text if draw.random() < 0.5 else text.decode("latin-1").encode("utf-16"))


def large_node(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """The text of one element, or an attribute of the root, with up to 100 MB."""
    size = draw.choice((9, 30, 100, 100)) << 20
    if draw.random() < 0.7:
        insert(data, after_a_tag(data, draw), b"QUJD" * 19 + b"\n", size, out)
    else:
        root = re.search(rb"<\w[\w:]*", data)
        insert(data[: root.end()] + b' odd=""' + data[root.end() :], root.end() + 6, b"x" * 1024, size, out)


def nested(data: bytes, draw: random.Random, out: BinaryIO) -> None:
    """Very many elements, one in another or one beside another."""
    at, count = after_a_tag(data, draw), draw.choice((300, 100_000, 1_000_000))
    many = b"<a>" * count + b"</a>" * count if draw.random() < 0.5 else b"<a/>" * 7 * count
    out.write(data[:at] + many + data[at:])


def damages(data: bytes) -> tuple[Damage, ...]:
    """What can be done to a file; the first ten are what the default suite does to it."""
    if data[:300].lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<"):
        return (cut, flip, element, entities, large_node, field, nested, attribute, line, element, field)
    if b"\0" in data:
        return (cut, length, flip, blow_up, length, run, length, field, length, flip)
    return (cut, field, line, blow_up, flip, field, line, run, field, field)


def check(path: Path) -> None:
    """Reading ends in a clear rejection or in a well-formed ECG; `companions` never raises.

    Raises:
        AssertionError: the ECG or the rejection is not as it must be; or anything that the reader let slip.
    """
    for reader in READERS.values():
        reader.companions(path)
    try:
        ecg = read_ecg(path)
        assert ecg.signal.dtype == np.float32
        assert np.isfinite(ecg.signal).all()
        assert ecg.signal.shape == (len(ecg.leads), ecg.signal.shape[1])
        assert ecg.signal.size
        assert 1 <= ecg.rate <= 100_000
        assert ecg.age is None or 0 <= ecg.age <= 125
        normalise(ecg)
    except UnusableEcg as error:
        check_rejection(error)
    try:
        several = getattr(find_reader(path), "several", None)
        if several is not None:
            results = list(several.read(path, 0, min(several.count(path), 5)))
            assert len({name for name, _ in results}) == len(results)
    except UnusableEcg as error:
        check_rejection(error)


def check_rejection(error: UnusableEcg) -> None:
    assert "\n" not in str(error), "its message has several lines"
    assert len(str(error)) < 1000, "its message is endless"


def timed_check(path: Path) -> float:
    """CPU seconds that `check` takes; without the one in which `normalise` imports its resampler, once a process."""
    before = "scipy.signal" in sys.modules
    start = time.process_time()
    check(path)
    if ("scipy.signal" in sys.modules) != before:
        return timed_check(path)
    return time.process_time() - start


def damage_and_read(name: str, count: int, folder: Path) -> None:
    sample = SAMPLES[name]
    path = sample.write(folder)
    whole = {file: file.read_bytes() for file in (path, *READERS[name].companions(path))}
    files = list(whole)
    check(path)  # what is imported or made once is no part of any file's time or memory
    warnings.simplefilter("error")
    at_rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB
    for i in range(count):
        draw = random.Random(f"{name} {i}")
        file = draw.choices(files, [3, *[1] * (len(files) - 1)])[0]
        kinds = damages(whole[file])
        kind = kinds[i % len(kinds)]
        what = f"{name}, damage {i} ({kind.__name__} in {file.name})"
        with file.open("wb") as out:
            kind(whole[file], draw, out)
        if sample.mend is not None and draw.random() < 0.7 and file.stat().st_size < MENDED_BELOW:
            sample.mend(path)
        try:
            seconds = timed_check(path)
        except Exception:
            sys.exit(f"{what}:\n{traceback.format_exc()}")
        megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_rest) / 1024
        if seconds > SECONDS or megabytes > MEGABYTES:
            sys.exit(f"{what} took {seconds:.1f} s of CPU time and {megabytes:.0f} MB")
        file.write_bytes(whole[file])


if __name__ == "__main__":
    damage_and_read(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
