"""One file into what the archive stores of it. Runs in worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import blake2b

from xxhash import xxh3_64

from precordial.archive.layout import Manifest
from precordial.archive.taken import Rejected, SourceFile, Taken, take
from precordial.ecg import SECONDS, Ecg, Flag, normalise
from precordial.errors import PrecordialError, UnusableEcg
from precordial.formats import Reader, find_reader, read_ecg
from precordial.formats.reader import each_file_once, read_bytes
from precordial.quality import assess

CONTENT_LIMIT = 1 << 30  # bytes; no recording's file is larger
SPAN = 256  # ECGs of a file that holds several, which are read at a time and finished together


@dataclass(frozen=True)
class FileReading:
    """How files are read into an archive.

    Attributes:
        manifest: of the archive.
        secret: key of the digests, so that who has a file cannot find it in a pseudonymised archive; empty: none.
    """

    manifest: Manifest
    secret: bytes = b""

    def key(self, file: SourceFile) -> int:
        """Digest by which a file is known again."""
        return self._digest(file.identity)

    def spans(self, file: SourceFile) -> list[SourceFile]:
        """The file itself, or the spans of ECGs that it is read in."""
        try:
            reader = find_reader(file.path)
            count = reader.several.count(file.path) if reader and reader.several else 1
        except (PrecordialError, OSError):
            count = 1  # reading it will say what is wrong
        if count <= 1:
            return [file]
        return [replace(file, span=(start, min(start + SPAN, count))) for start in range(0, count, SPAN)]

    def read(self, file: SourceFile) -> list[Taken | Rejected]:
        """All that comes of a file; any fault becomes a reject."""
        try:
            with each_file_once():
                return [result for one in self._ecgs(file) for result in self._store(*one)]
        except UnusableEcg as error:
            return [Rejected(file.name, error.reason, error.problem)]
        except PrecordialError as error:
            return [Rejected(file.name, "unreadable", error.problem)]
        except OSError as error:
            return [Rejected(file.name, "unreadable", f"the system could not read it ({error.strerror})")]
        except Exception as error:
            # A fault of the reader. Among 840 000 files one must not stop the run; its name is in the rejects.
            return [Rejected(file.name, "unreadable", f"the reader failed on it ({type(error).__name__})")]

    def _ecgs(self, file: SourceFile) -> Iterator[tuple[str, int, Ecg | UnusableEcg]]:
        """Source name, id and ECG of each recording in a file."""
        reader = find_reader(file.path)
        several = reader.several if reader else None
        span = file.span or (0, several.count(file.path) if several else 1)
        if file.span is None and span[1] <= 1:
            yield file.name, self._content(file, reader), self._whole(file, reader)
            return
        if several is None:
            raise UnusableEcg("unreadable", "the file changed while it was read")
        for name, one in several.read(file.path, *span):
            digest = 0 if isinstance(one, UnusableEcg) else self._digest(name.encode(), one.signal.tobytes())
            yield f"{file.name}#{name}", digest, one

    def _whole(self, file: SourceFile, reader: Reader | None) -> Ecg:
        """The one ECG of a file."""
        if reader is None:
            return read_ecg(file.path)  # says what it is not
        strictly = reader.read_strictly if self.manifest.rules == "authors-code" else None
        return (strictly or reader.read)(file.path)

    def _content(self, file: SourceFile, reader: Reader | None) -> int:
        """Id of an ECG: digest of the bytes of its files (a WFDB record has two)."""
        files = (file.path, *(reader.companions(file.path) if reader else ()))
        return self._digest(*(read_bytes(path, CONTENT_LIMIT) for path in files))

    def _store(self, source: str, ecg_id: int, ecg: Ecg | UnusableEcg) -> Iterator[Taken | Rejected]:
        """One recording's first seconds, or all of its seconds in pieces."""
        if isinstance(ecg, UnusableEcg):
            yield Rejected(source, ecg.reason, ecg.problem)
            return
        manifest = self.manifest
        length = round(SECONDS * ecg.rate)
        pieces = max(ecg.signal.shape[1] // length, 1) if manifest.windows == "every" else 1
        squeeze = manifest.rules == "authors-code"
        for piece in range(pieces):
            name, number, part = source, ecg_id, ecg
            if piece:
                name = f"{source}@{piece * SECONDS}"
                number = self._digest(ecg_id.to_bytes(8, "little"), piece.to_bytes(4, "little"))
                part = _later(ecg, piece * SECONDS)
            if squeeze and pieces > 1:  # ten seconds need no squeezing
                part = replace(part, signal=part.signal[:, :length])
            try:
                whole = normalise(part, rate=manifest.rate, samples=manifest.samples, squeeze=squeeze)
            except UnusableEcg as error:
                yield Rejected(name, error.reason, error.problem)
                continue
            if manifest.windows == "every":  # nothing of the recording is lost but an end that is too short
                whole = replace(whole, flags=whole.flags & ~Flag.CROPPED)
            quality = assess(whole.signal, whole.rate, part)
            yield take(
                whole,
                flags=quality.flags,
                ecg_id=number,
                source=name,
                file_rate=ecg.rate,
                codec=manifest.codec,
                mains_uv=quality.mains_uv,
                wander_uv=quality.wander_uv,
            )

    def _digest(self, *parts: bytes) -> int:
        if not self.secret:
            fast = xxh3_64()
            for part in parts:
                fast.update(part)
            return fast.intdigest()
        hasher = blake2b(digest_size=8, key=self.secret)
        for part in parts:
            hasher.update(part)
        return int.from_bytes(hasher.digest(), "big")


def _later(ecg: Ecg, seconds: int) -> Ecg:
    """A recording without its first seconds."""
    moment = ecg.recorded_at and ecg.recorded_at + timedelta(seconds=seconds)
    return replace(ecg, signal=ecg.signal[:, round(seconds * ecg.rate) :], recorded_at=moment)
