"""Pseudonyms for an archive that leaves the hospital, by a key that stays.

What becomes of what an ECG file says, and why:

- **Patient id**: a keyed digest (BLAKE2b with a random 256-bit key), 16 hex digits. Blanks around an id, and runs of
  them in it, do not count, so that files and registers agree. Without the key nobody can try out ids, few as they are.
- **Date and time**: shifted by one to 52 whole weeks, to and fro, the same for all of a patient's records. Order,
  intervals, weekday and time of day stay; a study needs them, and who knows the second at which someone was recorded
  can still find it among the ECGs of that weekday. A recording without a patient id has a shift of its own. A date
  that would leave the calendar's years 1 to 9999 is none, and is left out.
- **Age**: whole years; above 89 it is 90, with `Flag.AGE_ABOVE_89`.
- **Source file**: a keyed digest, since names of files and folders often contain ids and dates.
- **Order of the files**: `shuffled`. In the order of their names, which is often that of their dates, the neighbours of
  an ECG would tell its date to within days, as their shifts even out. Files that are added later still come last.
- **Site**: a code such as ``site-1a2b3c4d``, since what stands there is free text.
- **Device**: kept if it is made of nothing but words of makers and models (`DEVICE_WORDS`), single letters and at most
  five digits, such as ``MAC55`` or ``Philips PageWriter TC70``: names given to a cart, serial numbers and dates are
  not. Anything else becomes a code such as ``device-1a2b3c4d``, by which ECGs can still be grouped.
- **Sex, signal, gain, rate, flags and the reader's name** stay. An ECG itself is like a handwriting: who has another
  ECG of a patient might find the patient's here. This is pseudonymised data, not anonymous data.
- Nothing else of a file is in an archive. Why a file was rejected is told in words of `REASONS` only: `rejected`.

The key file is made when it is first named, for its owner alone (mode 0600). A key file, or key table, that others can
read is refused, as is one inside the archive. Beside the key file grows the key table, ``KEYFILE.table.csv``, by which
the hospital finds its patients again; the archive itself has only the key's fingerprint.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import IO, NoReturn, Self

import numpy as np

from precordial.archive.key_file import fingerprint, open_key, table_of
from precordial.archive.known import Digests
from precordial.archive.taken import SourceFile
from precordial.ecg import Ecg, Flag
from precordial.errors import REASONS
from precordial.files import append_durably

WEEKS = 52  # the largest shift; a year keeps the season roughly, and no date far from the truth
OLDEST = 89  # the highest age that is told
COLUMNS = ("kind", "original", "pseudonym", "shift_days", "recorded_at")  # of the key table
_WORDS = """
    allyn at burdick cardiax cardio cardiofax cardiograph cardiosoft cardiovit cart co corp cp custo denshi ecg
    edan eli fukuda ge healthcare heartstart heartstartmrx hewlett hp inc instrument instruments kohden mac
    marquette medical megacart mindray mortara mrx muse nihon norav packard pagewriter philips schiller siemens
    spacelabs system systems tc vs vu vue welch
"""
DEVICE_WORDS = frozenset(_WORDS.split())  # of makers and models of electrocardiographs, in small letters


def is_device_model(device: str) -> bool:
    """Whether a device's name can only be that of a model.

    >>> [is_device_model(name) for name in ("MAC5K", "GE MAC VU360", "Anna's cart", "MAC55 SN 20417", "MAC 2017-03-31")]
    [True, True, False, False, False]
    """
    words = [word.lower() for word in re.findall(r"[A-Za-z]+", device)]
    known = [word in DEVICE_WORDS for word in words]
    return (
        re.fullmatch(r"[A-Za-z0-9 ._/-]{1,32}", device) is not None
        and any(known)
        and all(good or len(word) == 1 for good, word in zip(known, words, strict=True))
        and sum(letter.isdigit() for letter in device) <= 5
    )


def whole_age(age: float | None) -> tuple[float | None, Flag]:
    """Age in whole years, 90 for all above 89, and the flag that says so.

    >>> whole_age(61.9), whole_age(93.0)
    ((61.0, <Flag: 0>), (90.0, <Flag.AGE_ABOVE_89: 64>))
    """
    if age is None or not math.isfinite(age):
        return None, Flag(0)
    years = math.floor(age)
    return (float(OLDEST + 1), Flag.AGE_ABOVE_89) if years > OLDEST else (float(years), Flag(0))


def tidy(text: str) -> str:
    """An id without the blanks around it, and with single ones in it; what cannot be printed is spelled out."""
    text = " ".join(text.split())
    return text if text.isprintable() else text.encode("unicode_escape").decode()


class Pseudonyms:
    """One key, and its key table; made by `Pseudonyms.open`.

    It belongs to the one process that writes the archive, or lines of the key table would be lost. Processes that read
    may have `secret`, which gives digests and no pseudonyms.

    Attributes:
        keyfile: where the key is.
        table: where the key table is, or will be.
        fingerprint: 16 hex digits that tell keys apart and say nothing of the key.
        secret: 32 bytes that follow from the key; a key for digests of contents.
    """

    def __init__(self, key: bytes, keyfile: Path) -> None:
        self.keyfile, self.table = keyfile, table_of(keyfile)
        self._key, self.fingerprint = key, fingerprint(key)
        self.secret = blake2b(key=key, person=b"content", digest_size=32).digest()
        self._pending: dict[str, None] = {}  # lines for the key table, in their order, since the last save
        self._known, self._read_to = Digests(np.zeros(0, np.uint64)), 0  # lines of the key table, as far as it was read

    def __reduce__(self) -> NoReturn:
        raise TypeError("pseudonyms stay in the process that writes the archive; give others .secret")

    @classmethod
    def open(cls, keyfile: Path, *, archive: Path | None = None, create: bool = True) -> Self:
        """The pseudonyms of a key file.

        Args:
            keyfile: made, with a new key, if absent.
            archive: folder of the archive, which must not contain it.
            create: otherwise an absent key file is an error.

        Raises:
            PrecordialError: it lies inside the archive, is damaged, can be read by others, or is absent while its
                table is there.
        """
        return cls(open_key(keyfile, archive=archive, create=create), keyfile)

    def patient(self, patient_id: str) -> str:
        """Pseudonym of a patient: 16 hex digits."""
        return self._digest("patient", tidy(patient_id)).hex()

    def shift(self, patient_id: str) -> timedelta:
        """What is added to all dates of a patient: −52 to 52 whole weeks, never none."""
        return self._weeks("shift", tidy(patient_id))

    def shift_of_record(self, name: str) -> timedelta:
        """Likewise for a record without a patient id, by its own name; pieces of one recording stay together."""
        return self._weeks("record", tidy(re.sub(r"@\d+$", "", name)))

    def source(self, name: str) -> str:
        """Digest of a source file's name: 16 hex digits."""
        return self._digest("source", tidy(name)).hex()

    def other(self, text: str) -> str:
        """Digest of an id that is no patient's: 16 hex digits."""
        return self._digest("id", tidy(text)).hex()

    def code(self, kind: str, text: str) -> str:
        """What stands for other text, such as ``site-1a2b3c4d``: the kind, and 8 hex digits."""
        return f"{kind}-{self._digest(kind, tidy(text)).hex()[:8]}"

    def shuffled(self, files: Iterable[SourceFile]) -> list[SourceFile]:
        """The files in an order that tells nothing, and is the same each time."""
        return sorted(files, key=lambda file: self._digest("order", tidy(file.name)))

    def secret_digest(self, data: bytes) -> int:
        """Keyed 64-bit digest of some bytes, to be told by no one who has the bytes but not the key."""
        return int.from_bytes(blake2b(data, key=self.secret, digest_size=8).digest(), "big")

    def ecg(self, ecg: Ecg, source: str) -> Ecg:
        """An ECG with pseudonyms, as the module describes; the key table will have it with the next `save`.

        Args:
            ecg: as its file says; the signal stays as it is.
            source: the file's name, and the recording's where it has several.
        """
        patient_id = tidy(ecg.patient_id or "")
        pseudonym, shift = self.enlist(patient_id) if patient_id else (None, self.shift_of_record(source))
        self._note("file", source, self.source(source), shift, ecg.recorded_at)
        age, flag = whole_age(ecg.age)
        return replace(
            ecg,
            patient_id=pseudonym,
            recorded_at=_moved(ecg.recorded_at, shift),
            age=age,
            device=ecg.device if ecg.device and is_device_model(ecg.device) else self.coded("device", ecg.device),
            site=self.coded("site", ecg.site),
            flags=ecg.flags | flag,
        )

    def rejected(self, source: str, reason: str) -> tuple[str, str]:
        """What is kept of a file that is not taken: the digest of its name, and the reason in words of `REASONS`."""
        self._note("file", source, self.source(source))
        return self.source(source), REASONS[reason]

    def enlist(self, patient_id: str) -> tuple[str, timedelta]:
        """Pseudonym and shift of a patient, who will be in the key table with the next `save`."""
        pseudonym, shift = self.patient(patient_id), self.shift(patient_id)
        self._note("patient", patient_id, pseudonym, shift)
        return pseudonym, shift

    def enlist_other(self, text: str) -> str:
        """Digest of an id that is no patient's, such as a visit's; it will be in the key table with the next `save`."""
        self._note("id", text, self.other(text))
        return self.other(text)

    def coded(self, kind: str, text: str | None) -> str | None:
        """The code of a text, which will be in the key table with the next `save`; None for no text."""
        if not text:
            return None
        self._note(kind, text, self.code(kind, text))
        return self.code(kind, text)

    def save(self) -> None:
        """Append what is new to the key table; when this returns, a kill cannot lose it.

        Several processes may use one key: each waits for the others here, and sees what they wrote.
        """
        if not self._pending:
            return
        import fcntl

        os.close(os.open(self.table, os.O_CREAT | os.O_WRONLY, 0o600))
        with self.table.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._catch_up(file)
            lines = [line for line in self._pending if self._digest_of_line(line.encode()) not in self._known]
            if self._read_to == 0:
                lines.insert(0, _line(*COLUMNS))
            append_durably(self.table, "".join(lines).encode())
        self._pending.clear()

    def _catch_up(self, file: IO[bytes]) -> None:
        """Learn the lines written since we looked, and cut the torn one that a kill left."""
        file.seek(self._read_to)
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(self._read_to)
                os.fsync(file.fileno())
                break
            self._known.add(self._digest_of_line(line))
            self._read_to += len(line)

    def _note(
        self, kind: str, original: str, pseudonym: str, shift: timedelta | None = None, at: datetime | None = None
    ) -> None:
        days = "" if shift is None else str(shift.days)
        line = _line(kind, tidy(original), pseudonym, days, at.isoformat() if at else "")
        self._pending[line] = None

    def _digest(self, what: str, text: str) -> bytes:
        return blake2b(text.encode(), key=self._key, person=what.encode()[:16], digest_size=8).digest()

    def _digest_of_line(self, line: bytes) -> int:
        return int.from_bytes(blake2b(line, key=self._key, person=b"line", digest_size=8).digest(), "big")

    def _weeks(self, what: str, text: str) -> timedelta:
        number = int.from_bytes(self._digest(what, text), "big") % (2 * WEEKS)
        return timedelta(weeks=number - WEEKS if number < WEEKS else number - WEEKS + 1)


def _moved(moment: datetime | None, shift: timedelta) -> datetime | None:
    try:
        return None if moment is None else moment + shift
    except OverflowError:
        return None


def _line(*cells: str) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
