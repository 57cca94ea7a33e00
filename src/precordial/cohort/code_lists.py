"""Lists of codes that come with precordial, each a versioned file with its source."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class CodeList:
    """One list: what is an outcome.

    Attributes:
        name, version: of the list; both stand in the cohort's settings as "name@version".
        title: what it is, in words.
        source: where the codes are from.
        codes, exclude: prefixes of diagnoses that are the outcome, and of those that are not though a code fits.
        procedures: prefixes of procedures.
    """

    name: str
    version: int
    title: str
    source: str
    codes: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Name and version, such as "ami-icd10@1"."""
        return f"{self.name}@{self.version}"


@cache
def code_lists() -> dict[str, CodeList]:
    """All lists by their names with version, such as "ami-icd10@1"."""
    found = {}
    folder = files(__package__).joinpath("lists")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".toml"):
            continue
        data = tomllib.loads(file.read_text(encoding="utf8"))
        values: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in data.items()}
        one = CodeList(**values)
        found[one.full_name] = one
    return found


def load_code_list(name: str) -> CodeList:
    """A list by its name, "ami-icd10" for its newest version or "ami-icd10@1" for one that will not change.

    Raises:
        ValueError: there is none.
    """
    lists = code_lists()
    if name in lists:
        return lists[name]
    versions = [one for one in lists.values() if one.name == name]
    if versions:
        return max(versions, key=lambda one: one.version)
    near = difflib.get_close_matches(name, [*lists, *(one.name for one in lists.values())], 1, 0.4)
    hint = f", did you mean {near[0]!r}" if near else ""
    raise ValueError(f"there is no code list {name!r}{hint}; there are {', '.join(lists)}")
