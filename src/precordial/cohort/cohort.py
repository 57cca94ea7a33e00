"""The cohort: one row per example, in NumPy arrays, saved as a folder of CSV and JSON.

Nothing here needs Polars: a training machine loads the cohort that another machine built.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precordial import __version__
from precordial.cohort.flow import Flow
from precordial.cohort.splits import fraction_size
from precordial.errors import RegisterError
from precordial.files import write_atomic

FORMAT = 1
TABLE, MANIFEST, FLOW = "cohort.csv", "manifest.json", "flow.json"
COLUMNS: dict[str, str] = {
    "ecg_id": "text",
    "patient_id": "text",
    "visit_id": "text",
    "prediction_time": "time",
    "role": "text",
    "split": "text",
    "order": "int",
    "age": "float",
    "sex": "float",
    "label": "float",
    "age_source": "text",
    "sex_source": "text",
}
_REBUILD = "build it: precordial cohort build STUDY.toml"


@dataclass(frozen=True, eq=False)
class Cohort:
    """One row per example; all columns have the same length.

    Attributes:
        ecg_id: of the archive.
        patient_id: as in the registers.
        visit_id: of a target row; "" for source.
        prediction_time: datetime64[s]; nothing recorded later may be used. The end of the index window for a
            visit; the time of the recording for source and for labelled ECGs.
        role: "source" or "target".
        split: "train" or "validation"; for target also "random_test" and "temporal_test".
        order: rank of the patient, from 0, in one fixed shuffle within its role and split.
        age: years at the ECG, NaN if unknown.
        sex: 1 = female, 0 = male, NaN if unknown.
        label: the outcome, 0 or 1; NaN for source.
        age_source, sex_source: where they come from; "" if unknown.
        flow: the flow chart, of the whole cohort also in a selection.
        settings: what it was built with, as plain values.
    """

    ecg_id: NDArray[np.str_]
    patient_id: NDArray[np.str_]
    visit_id: NDArray[np.str_]
    prediction_time: NDArray[np.datetime64]
    role: NDArray[np.str_]
    split: NDArray[np.str_]
    order: NDArray[np.int64]
    age: NDArray[np.float64]
    sex: NDArray[np.float64]
    label: NDArray[np.float64]
    age_source: NDArray[np.str_]
    sex_source: NDArray[np.str_]
    flow: Flow = field(default=Flow(), repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in COLUMNS}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.ecg_id)

    @cached_property
    def digest(self) -> str:
        """32 hex characters that stand for the contents of all rows."""
        return _digest(self._csv().encode())

    def select(
        self,
        *,
        role: str | None = None,
        split: str | None = None,
        fraction: str | float | Fraction = 1,
    ) -> Cohort:
        """The rows of a role and split, with a fraction of the training patients (see `keep_fraction`)."""
        kept = self if fraction == 1 else keep_fraction(self, fraction)
        mask = np.ones(len(kept), bool)
        if role is not None:
            mask &= kept.role == role
        if split is not None:
            mask &= kept.split == split
        return kept._rows(mask)

    def _rows(self, mask: NDArray[np.bool_]) -> Cohort:
        return replace(self, **{name: getattr(self, name)[mask] for name in COLUMNS})

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(*(_cells(getattr(self, name), kind) for name, kind in COLUMNS.items()), strict=True))
        return text.getvalue()

    def save(self, folder: str | Path, *, archive: Mapping[str, Any] | None = None) -> None:
        """Write cohort.csv, flow.json and manifest.json.

        Each file appears whole or not at all, and the manifest last: a folder that a crash left half written
        does not load.

        Args:
            folder: made if missing; a cohort in it is replaced.
            archive: identity of the archive the cohort was built from, for the manifest.
        """
        folder = Path(folder)
        table = self._csv().encode()
        manifest = {
            "format": FORMAT,
            "version": __version__,
            "digest": _digest(table),
            "rows": len(self),
            "seed": self.settings.get("seed"),
            "settings": dict(self.settings),
            "archive": dict(archive or {}),
        }
        write_atomic(folder / TABLE, table)
        write_atomic(folder / FLOW, json.dumps(self.flow.as_json(), indent=1, ensure_ascii=False).encode())
        write_atomic(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())

    @classmethod
    def load(cls, folder: str | Path) -> Cohort:
        """Read what `save` wrote.

        Raises:
            RegisterError: a file is missing, damaged, or was changed since.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        try:
            data = (folder / TABLE).read_bytes()
            flow = Flow.from_json(json.loads((folder / FLOW).read_bytes()))
        except FileNotFoundError as error:
            raise RegisterError("there is no such file", file=error.filename, remedy=_REBUILD) from None
        except (OSError, ValueError, TypeError) as error:
            raise RegisterError("the flow chart cannot be read", file=folder / FLOW, remedy=_REBUILD) from error
        if _digest(data) != manifest["digest"]:
            raise RegisterError(
                "the table is not the one that was saved (changed by hand, or half written)",
                file=folder / TABLE,
                remedy=_REBUILD,
            )
        header, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
        if header != list(COLUMNS):
            raise RegisterError("the columns are not a cohort's", file=folder / TABLE, remedy=_REBUILD)
        cells = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
        columns = {name: _column(text, kind) for (name, kind), text in zip(COLUMNS.items(), cells, strict=True)}
        cohort = cls(**columns, flow=flow, settings=manifest["settings"])
        cohort.__dict__["digest"] = manifest["digest"]  # known already: spares writing it out again
        return cohort


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a saved cohort.

    Raises:
        RegisterError: there is none, or another version of the program wrote it.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        found = manifest["format"]
    except FileNotFoundError:
        raise RegisterError("there is no cohort here", file=path, remedy=_REBUILD) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RegisterError("the manifest cannot be read", file=path, remedy=_REBUILD) from error
    if found != FORMAT:
        raise RegisterError(f"this is cohort format {found}, not {FORMAT}", file=path, remedy=_REBUILD)
    return dict(manifest)


def keep_fraction(cohort: Cohort, fraction: str | float | Fraction, *, role: str | None = None) -> Cohort:
    """Keep int(fraction · n) of the n training patients of a role (None: of each role), and all other rows.

    The patients are the first in the fixed order, so each smaller cohort is inside the larger one; validation
    and test sets never change.

    Raises:
        SettingsError: the fraction is not above 0 and at most 1.
    """
    keep = np.ones(len(cohort), bool)
    for name in ("source", "target") if role is None else (role,):
        training = (cohort.role == name) & (cohort.split == "train")
        patients = int(cohort.order[training].max(initial=-1)) + 1
        keep &= ~training | (cohort.order < fraction_size(fraction, patients))
    return cohort._rows(keep)


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def _cells(values: NDArray[Any], kind: str) -> list[Any]:
    if kind == "float":
        return ["" if value != value else repr(value) for value in values.tolist()]
    if kind == "time":
        return list(np.datetime_as_string(values.astype("datetime64[s]")))
    return list(values.tolist())


def _column(cells: tuple[str, ...], kind: str) -> NDArray[Any]:
    if kind == "float":
        return np.array([float(cell) if cell else np.nan for cell in cells], np.float64)
    if kind == "time":
        return np.array(cells, "datetime64[s]")
    return np.array(cells, np.int64 if kind == "int" else np.str_)
