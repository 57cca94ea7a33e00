"""Register extracts as tables with our column names, dates and ids; every error names file, row and column.

Settings and accounts are light; what reads is loaded when it is first used, since it takes Polars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from precordial.registers.account import Account, TableAccount
from precordial.registers.settings import (
    Adjudicated,
    Deaths,
    Diagnoses,
    Ecgs,
    IdKey,
    Join,
    Kind,
    Patients,
    Procedures,
    TableSettings,
    Visits,
)

_HOME = {
    "read_adjudicated": "read",
    "read_deaths": "read",
    "read_diagnoses": "read",
    "read_ecgs": "read",
    "read_id_key": "id_key",
    "read_patients": "read",
    "read_procedures": "read",
    "read_table": "tables",
    "read_visits": "read",
    "translate_ids": "id_key",
}
__all__ = [
    "Account",
    "Adjudicated",
    "Deaths",
    "Diagnoses",
    "Ecgs",
    "IdKey",
    "Join",
    "Kind",
    "Patients",
    "Procedures",
    "TableAccount",
    "TableSettings",
    "Visits",
    "read_adjudicated",
    "read_deaths",
    "read_diagnoses",
    "read_ecgs",
    "read_id_key",
    "read_patients",
    "read_procedures",
    "read_table",
    "read_visits",
    "translate_ids",
]

if TYPE_CHECKING:
    from precordial.registers.id_key import read_id_key, translate_ids
    from precordial.registers.read import (
        read_adjudicated,
        read_deaths,
        read_diagnoses,
        read_ecgs,
        read_patients,
        read_procedures,
        read_visits,
    )
    from precordial.registers.tables import read_table


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'precordial.registers' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"precordial.registers.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
