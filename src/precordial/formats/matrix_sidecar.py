"""What is said beside a matrix: the TOML file, and its keys."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from precordial.ecg import Sex
from precordial.errors import UnusableEcg
from precordial.formats.checks import held_in
from precordial.formats.reader import checked_leads, checked_rate, parse_sex, plausible_age, read_bytes

SIDECAR_LIMIT = 1 << 16  # bytes
FOLDER_SIDECAR = "matrix.toml"

NEEDED = ("rate", "units", "leads")
KEYS = ("rate", "units", "uv_per_unit", "leads", "patient_id", "recorded_at", "age", "sex", "device", "site")
SCALES = {"units", "uv_per_unit"}
_MICROVOLTS = {"uV": 1.0, "µV": 1.0, "μV": 1.0, "mV": 1e3, "V": 1e6}


@dataclass(frozen=True)
class Said:
    """Rate in Hz, µV per unit of the matrix, its leads, and what is known of the recording; see `Ecg`."""

    rate: float
    uv_per_unit: float
    leads: tuple[str, ...]
    patient_id: str | None
    recorded_at: datetime | None
    age: float | None
    sex: Sex | None
    device: str | None
    site: str | None


def sidecar_beside(path: Path) -> Path | None:
    """The sidecar of this file alone, if there is one."""
    try:
        beside = path.with_name(path.stem + ".toml")
        return beside if beside.is_file() else None
    except (OSError, ValueError):  # a name too long to have a sidecar
        return None


def read_sidecar(path: Path, own: Mapping[str, Any]) -> Said:
    """What is said about the matrix at `path`: by the file itself (`own`), or else by its sidecar.

    Raises:
        UnusableEcg: ``unsupported`` where rate, units or leads are missing or a key is unknown, ``unreadable`` where a
            value cannot be understood.
    """
    beside = sidecar_beside(path) or path.with_name(FOLDER_SIDECAR)
    table: dict[str, Any] = {}
    if beside.is_file():
        data = read_bytes(beside, SIDECAR_LIMIT)
        with held_in(beside, "the TOML"):
            table = tomllib.loads(data.decode())
        for key in table:
            if key not in KEYS:
                near = get_close_matches(key[:40], KEYS, 1)
                remedy = f"use {near[0]}" if near else f"keys: {', '.join(KEYS)}"
                raise UnusableEcg("unsupported", f"there is no key {key[:40]}", file=beside, remedy=remedy)
    if SCALES & own.keys():  # what the file says comes first, also under the other name
        table = {key: value for key, value in table.items() if key not in SCALES}
    said = {**table, **own}
    missing = [key for key in NEEDED if key not in said and not (key == "units" and "uv_per_unit" in said)]
    if missing:
        raise UnusableEcg(
            "unsupported",
            f"{' and '.join(missing)} of the matrix {'is' if len(missing) == 1 else 'are'} not given",
            file=path,
            remedy=f"say rate (Hz), units (uV, mV or V, or uv_per_unit) and leads in {path.stem}.toml or "
            f"{FOLDER_SIDECAR} beside it",
        )
    leads = said["leads"]
    if not isinstance(leads, list) or not leads or not all(isinstance(lead, str) for lead in leads):
        raise _odd("leads", path)
    return Said(
        rate=checked_rate(_number(said, "rate", path), path),
        uv_per_unit=_uv_per_unit(said, path),
        leads=checked_leads(leads, path),
        patient_id=_text(said, "patient_id", path),
        recorded_at=_moment(said.get("recorded_at"), path),
        age=plausible_age(_number(said, "age", path)) if "age" in said else None,
        sex=parse_sex(_text(said, "sex", path)),
        device=_text(said, "device", path),
        site=_text(said, "site", path),
    )


def _odd(key: str, path: Path) -> UnusableEcg:
    return UnusableEcg("unreadable", f"its {key}, as said beside it, cannot be understood", file=path)


def _number(said: Mapping[str, Any], key: str, path: Path) -> float:
    value = said[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e9:
        raise _odd(key, path)
    return float(value)


def _uv_per_unit(said: Mapping[str, Any], path: Path) -> float:
    if "uv_per_unit" in said:
        if "units" in said:
            raise UnusableEcg("unsupported", "units and uv_per_unit are both said", file=path, remedy="say one")
        scale = _number(said, "uv_per_unit", path)
    else:
        units = said["units"]
        scale = _MICROVOLTS.get(units, 0.0) if isinstance(units, str) else 0.0
    if not 1e-6 <= scale <= 1e6:
        raise _odd("uv_per_unit" if "uv_per_unit" in said else "units", path)
    return scale


def _text(said: Mapping[str, Any], key: str, path: Path) -> str | None:
    value = said.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise _odd(key, path)
    return None if value is None else str(value).encode(errors="replace").decode().strip() or None


def _moment(value: Any, path: Path) -> datetime | None:
    """A date with a time, as TOML has them or as text; an offset from UTC is left out, since local time is wanted."""
    if isinstance(value, str) and len(value) > 10:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _odd("recorded_at", path) from None
    if value is not None and not isinstance(value, datetime):
        raise _odd("recorded_at", path)
    return None if value is None else value.replace(tzinfo=None)
