"""Looking for identifying texts among the words of any bytes."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from datetime import date
from itertools import chain, repeat
from mmap import mmap

from precordial.archive.identifiers import Identifier
from precordial.archive.layout import TEXTS, Manifest
from precordial.archive.pseudonyms import DEVICE_WORDS
from precordial.errors import REASONS
from precordial.formats import READERS

LONGEST = 12  # words of an identifier that are compared
LONG = 8  # letters of a word that does not come about by chance in binary data

# The T between a date and a time parts words; bytes beyond ASCII are letters.
_WORD = re.compile(rb"\d+(?=[Tt]\d)|[0-9A-Za-z\x80-\xff]+")


def words(data: bytes | mmap) -> Iterator[tuple[int, str]]:
    """The words of some bytes, in small letters, each with its first byte.

    >>> list(words(b"1a2b 2017-03-31T14:05"))
    [(0, '1a2b'), (5, '2017'), (10, '03'), (13, '31'), (15, 't14'), (19, '05')]
    """
    for match in _WORD.finditer(data):
        word = match[0].decode("utf-8", "replace")
        yield match.start(), word.lower() if word.isascii() else unicodedata.normalize("NFKC", word).casefold()


def spellings(day: date) -> set[str]:
    """A date as programs and people write it; what stands between its numbers does not count."""
    y, m, d = day.year, day.month, day.day
    both = {(f"{m:02}", f"{d:02}"), (str(m), str(d))}
    text = {f"{y} {a} {b}" for a, b in both} | {f"{a} {b} {y}" for a, b in both} | {f"{b} {a} {y}" for a, b in both}
    text |= {f"{y}{m:02}{d:02}", f"{d:02}{m:02}{y}", f"{m:02}{d:02}{y}"}
    for name in (day.strftime("%b"), day.strftime("%B")):
        text |= {f"{b} {name} {y}" for b in (d, f"{d:02}")} | {f"{name} {b} {y}" for b in (d, f"{d:02}")}
    return text


def own_words() -> frozenset[str]:
    """Words that the program itself writes into an archive, and that stay in it: they tell nothing."""
    texts = [*REASONS, *REASONS.values(), *READERS, *TEXTS, *DEVICE_WORDS, json.dumps(Manifest.model_json_schema())]
    texts += [Manifest().text(), "precordial source reason problem site device"]
    return frozenset(word for text in texts for _, word in words(text.encode()))


class Sought:
    """Identifying texts that are looked for, each as its sequence of words, kept as a digest of 64 bits.

    A single word is not looked for if it is one of the program's own, a single letter or digit, or a number of fewer
    than five digits: these are everywhere.

    Attributes:
        left_out: how many texts are not looked for.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, set[int]] = {}
        self._firsts: set[int] = set()
        self._own = own_words()
        self._left_out: set[int] = set()
        self._longest = 1

    def __len__(self) -> int:
        return sum(len(texts) for texts in self._kinds.values())

    @property
    def left_out(self) -> int:
        return len(self._left_out)

    def add(self, identifier: Identifier) -> None:
        """Look for a text, and for what else it may be spelled as."""
        kind, text = identifier
        forms = spellings(date.fromisoformat(text)) if kind == "date" else {text}
        if not text.isascii():
            forms.add(json.dumps(text))
        for form in forms:
            parts = [word for _, word in words(form.encode(errors="backslashreplace"))]
            self._add(kind, parts[:LONGEST])
            if kind in ("id", "address") and len(parts) > 1 and len("".join(parts)) >= 6:
                self._add(kind, ["".join(parts)])

    def _add(self, kind: str, parts: list[str]) -> None:
        joined = " ".join(parts)
        if not parts:
            return
        if len(joined) < 2 or (len(joined) < 5 and joined.isdigit()) or self._own.issuperset(parts):
            self._left_out.add(hash(joined))
            return
        self._kinds.setdefault(kind, set()).add(hash(joined))
        self._firsts.add(hash(parts[0]))
        self._longest = max(self._longest, len(parts))

    def find(self, data: bytes | mmap, *, binary: bool = False) -> Iterator[tuple[int, str]]:
        """First byte and kind of each text that is found.

        Args:
            data: any bytes.
            binary: look for long words only, and not for sequences.
        """
        found = (word for word in words(data) if not binary or len(word[1]) >= LONG)
        window: deque[tuple[int, str]] = deque()
        ahead = 1 if binary else self._longest
        for word in chain(found, repeat((-1, ""), ahead)):
            window.append(word)
            if len(window) <= ahead:
                continue
            at, first = window.popleft()
            long_number = first.isdigit() and len(first) >= 12  # a date with its time
            if hash(first) in self._firsts or (long_number and hash(first[:8]) in self._firsts):
                following = [] if binary else [text for _, text in window if text][: ahead - 1]
                sequences = {hash(" ".join([first, *following[:n]])) for n in range(len(following) + 1)}
                if long_number:
                    sequences.add(hash(first[:8]))
                yield from ((at, kind) for kind, texts in self._kinds.items() if not texts.isdisjoint(sequences))
