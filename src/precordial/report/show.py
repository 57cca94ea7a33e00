"""One ECG looked at: its header and flags in words, and the page that a cardiologist reads as PNG, SVG or PDF."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from precordial.archive import Archive
from precordial.ecg import FLAGS, Ecg, Flag, normalise
from precordial.errors import ArchiveError, PrecordialError, UnusableEcg
from precordial.files import replacing
from precordial.formats import find_reader, read_ecg
from precordial.quality import assess

# What a picture says about itself: nothing that differs from one day to the next.
SUFFIXES: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
DPI = 254  # ten pixels a millimetre: the lines of the paper fall on whole pixels
LEAST_DIGITS = 6  # of an ECG's id
LONGEST = 36  # letters of a header's text on the page


@dataclass(frozen=True, eq=False)
class Found:
    """An ECG and how it was found.

    Attributes:
        ecg: as the file or the archive has it, with the flags of `precordial.quality`.
        which: which ECG it is, in words that tell nothing about the patient; empty for a file of one ECG.
        names: the same in the file's own names, which may tell something; empty where there are none.
        unusable: why an archive would not take it; empty where it would.
    """

    ecg: Ecg
    which: str = ""
    names: str = ""
    unusable: str = ""


def show(target: str, out: str | Path | None = None, *, identify: bool = False, dpi: int = DPI) -> str:
    """Describe an ECG and, if `out` is given, draw it: 25 mm/s and 10 mm/mV on A4 landscape.

    Equal ECGs give equal bytes (with equal versions of matplotlib).

    Args:
        target: see `load`.
        out: the picture; its suffix says which: ``.png``, ``.svg`` or ``.pdf``. Another file there is replaced.
        identify: also say the patient's id and the file's own names of ECGs, in words and on the page.
        dpi: pixels per inch of a PNG, which the file tells programs that print it.

    Returns:
        What `describe` says, and which ECG it is.

    Raises:
        PrecordialError: another suffix, or what `load` raises.
    """
    if out is not None and Path(out).suffix.lower() not in SUFFIXES:
        raise PrecordialError("not a kind of picture that is made", file=out, remedy=f"end it in {', '.join(SUFFIXES)}")
    found = load(target)
    if out is not None:
        _draw(found, Path(out), identify, dpi)
    lines = [_line("ECG", found.which)] if found.which else []
    if identify and found.names:
        lines.append(_line("named", _plain(found.names)))
    lines.append(describe(found.ecg, identify=identify))
    if found.unusable:
        lines.append(_line("archive", f"would not take it: {found.unusable}"))
    return "\n".join(lines)


def load(target: str) -> Found:
    """Find one ECG.

    Args:
        target: ``FILE``, an ECG file of any format, or a WFDB record's name; of a file of several ECGs the first.
            ``FILE#NAME``, an ECG of a file of several. ``ARCHIVE:ID``, an ECG of an archive, by its id or the first six
            or more digits of it.

    Raises:
        PrecordialError: there is no such file, or no ECG of that name in it.
        ArchiveError: there is no such archive, no such ECG in it, or several whose ids begin so; or it is damaged.
        UnusableEcg: the file is no ECG, is damaged, or is a variant that is not read.
    """
    path = Path(target)
    if path.is_file():
        return _first(path)
    file, _, name = target.rpartition("#")
    if file and name and Path(file).is_file():
        return _named(Path(file), name)
    folder, _, ecg_id = target.rpartition(":")
    if folder and ecg_id and not path.with_name(f"{path.name}.hea").is_file():
        return _archived(Path(folder), ecg_id)
    if (path / "archive.json").is_file():
        raise PrecordialError("this is a whole archive", file=path, remedy=f"add the id of one ECG: {target}:ID")
    return _judged(read_ecg(path))


def _first(path: Path) -> Found:
    reader = find_reader(path)
    several = reader.several if reader else None
    count = several.count(path) if several else 1
    if several is None or count <= 1:
        return _judged(read_ecg(path))
    head = list(several.read(path, 0, min(count, 3)))
    names = ", ".join(name for name, _ in head) + (", …" if count > len(head) else "")
    return _judged(head[0][1], f"the first of {count} in its file", names)


def _named(path: Path, name: str) -> Found:
    reader = find_reader(path)
    if reader is None or reader.several is None:
        raise PrecordialError("this file holds one ECG, without a name", file=path, remedy="leave out # and the name")
    count, number = reader.several.count(path), reader.several.find(path, name)
    if number is None:
        raise PrecordialError(
            f"none of its {count} ECGs has that name", file=path, remedy="see the names of the first with --identify"
        )
    ((_, ecg),) = reader.several.read(path, number, number + 1)
    return _judged(ecg, f"one of {count} in its file", name)


def _judged(ecg: Ecg | UnusableEcg, which: str = "", names: str = "") -> Found:
    """A file's ECG with the flags that an archive would give it for its quality."""
    if isinstance(ecg, UnusableEcg):
        raise ecg
    try:
        normal = normalise(ecg)
    except UnusableEcg as error:
        return Found(ecg, which, names, f"{error.problem} ({error.reason})")
    quality = assess(normal.signal, normal.rate, ecg)
    return Found(replace(ecg, flags=ecg.flags | quality.flags), which, names)


def _archived(folder: Path, ecg_id: str) -> Found:
    archive = Archive(folder)
    if not re.fullmatch(rf"[0-9a-f]{{{LEAST_DIGITS},16}}", ecg_id, re.IGNORECASE):
        raise ArchiveError(
            "the id of an ECG has 16 digits from 0 to f", file=folder, remedy=f"give at least {LEAST_DIGITS} of them"
        )
    first, last = (int(ecg_id.lower().ljust(16, digit), 16) for digit in "0f")
    stored = archive.index["ecg_id"]
    ids = [f"{number:016x}" for number in stored[(stored >= first) & (stored <= last)].tolist()]
    if len(ids) != 1:
        what = f"the ids of {len(ids)} ECGs begin" if ids else "no ECG has an id that begins"
        remedy = "give more of its digits" if ids else "look it up in the cohort or the predictions of a study"
        raise ArchiveError(f"{what} with {ecg_id}", file=folder, remedy=remedy)
    return Found(archive[ids[0]], ids[0])


def describe(ecg: Ecg, *, identify: bool = False) -> str:
    """Header and flags in words, a line each; without `identify` nothing that names the patient.

    >>> import numpy as np
    >>> ecg = Ecg(np.zeros((2, 1000), np.float32), rate=100, leads=("I", "II"), patient_id="A7", age=61, source="muse")
    >>> print(describe(ecg))
    recorded   unknown
    patient    61 years, sex unknown
    device     unknown
    site       unknown
    format     muse
    signal     10.0 s at 100 Hz
    leads      2: I II
    unit       unknown
    flags      none
    """
    flags = [f"{_word(flag)}: {FLAGS[flag]}" for flag in FLAGS if flag in ecg.flags]
    lines = [
        *([_line("id", _plain(ecg.patient_id))] if identify else []),
        _line("recorded", _recorded(ecg)),
        _line("patient", _person(ecg)),
        _line("device", _plain(ecg.device)),
        _line("site", _plain(ecg.site)),
        _line("format", ecg.source),
        _line("signal", f"{ecg.seconds:.1f} s at {ecg.rate:g} Hz"),
        _line("leads", f"{len(ecg.leads)}: {_plain(' '.join(ecg.leads))}"),
        _line("unit", f"{ecg.uv_per_unit:.6g} µV" if ecg.uv_per_unit else ""),
        _line("flags", flags[0] if flags else "none"),
        *(_line("", flag) for flag in flags[1:]),
    ]
    return "\n".join(lines)


def _draw(found: Found, out: Path, identify: bool, dpi: int) -> None:
    import matplotlib as mpl

    from precordial.report.ecg_figure import ecg_page
    from precordial.report.style import drawing

    ecg, suffix = found.ecg, out.suffix.lower()
    facts = [
        f"{_recorded(ecg) or 'date and time unknown'}   {_person(ecg)}",
        "   ".join(
            [
                *(_short(text) for text in (ecg.device, ecg.site) if text),
                ecg.source,
                f"{ecg.rate:g} Hz",
                *([f"{ecg.uv_per_unit:.6g} µV per unit"] if ecg.uv_per_unit else []),
            ]
        ),
        "Flags: " + (", ".join(_word(flag) for flag in FLAGS if flag in ecg.flags) or "none"),
    ]
    right = [found.which, ""]
    if identify:
        right = [f"{found.which}   {_short(found.names)}".strip(), f"id {_short(ecg.patient_id) or 'unknown'}"]
    with drawing(), replacing(out) as temporary:
        mpl.rcParams["path.simplify"] = False  # every sample where it belongs, however closely one looks
        figure = ecg_page(ecg, facts, right)
        figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=SUFFIXES[suffix])


def _line(name: str, text: str) -> str:
    return f"{name:11}{text or 'unknown'}"


def _word(flag: Flag) -> str:
    return (flag.name or "").lower().replace("_", "-")


def _recorded(ecg: Ecg) -> str:
    return ecg.recorded_at.isoformat(" ", "seconds") if ecg.recorded_at else ""


def _person(ecg: Ecg) -> str:
    age = "age unknown" if ecg.age is None else f"{ecg.age:.3g} years"
    return f"{age}, {ecg.sex or 'sex unknown'}"


def _short(text: str | None) -> str:
    """A header's text for the page, where room is short."""
    text = _plain(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(text: str | None) -> str:
    """A header's text on one line, without what could steer a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text or "").split())
