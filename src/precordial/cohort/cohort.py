"""The cohort: one row per example, in NumPy arrays, saved as a folder of CSV and JSON.

Nothing here needs Polars: a training machine loads the cohort that another machine built.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from precordial import __version__
from precordial.cohort.columns import read_columns
from precordial.cohort.flow import Flow
from precordial.cohort.folds import in_fold
from precordial.cohort.splits import fraction_size, runs
from precordial.errors import RegisterError
from precordial.files import replacing, write_atomic
from precordial.registers.table_settings import INPUT

if TYPE_CHECKING:
    import polars as pl

FORMAT = 2
TABLE, MANIFEST, FLOW, ACCOUNT = "cohort.csv", "manifest.json", "flow.json", "account.json"
COLUMNS: dict[str, str] = {
    "ecg_id": "text",
    "patient_id": "text",
    "visit_id": "text",
    "recorded_at": "time",
    "arrival": "time",
    "prediction_time": "time",
    "role": "text",
    "split": "text",
    "fold": "int",
    "order": "int",
    "age": "float",
    "sex": "float",
    "site": "text",
    "device": "text",
    "age_source": "text",
    "sex_source": "text",
}
# Of each outcome two columns follow, "label:NAME" and "event:NAME"; then of each input "input:NAME".
LABEL, EVENT = "label:", "event:"
_FILL: dict[str, Any] = {
    "text": "",
    "time": np.datetime64("NaT", "s"),
    "int": -1,
    "float": np.nan,
}
_CHUNK = 100_000  # rows written at a time, so that their text never stands in memory all at once
_REBUILD = "build it: precordial cohort build STUDY.toml"
_CHANGED = "the table is not the one that was saved (changed by hand, or half written)"
T = TypeVar("T")


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
        split: "train" or "validation"; for target also "random_test", "temporal_test", and "fold" where the test set
            goes round: `in_fold` says which split each of these rows has then.
        order: rank of the patient, from 0, in one fixed shuffle within its role and split.
        age: years at the ECG, NaN if unknown.
        sex: 1 = female, 0 = male, NaN if unknown.
        labels: outcome → (n,) 0 or 1, NaN where unknown and for source. The first outcome is the main one.
        age_source, sex_source: where they come from; "" if unknown.
        recorded_at: datetime64[s] of the ECG, NaT if unknown.
        arrival: datetime64[s] of the visit; NaT for source and for labelled ECGs.
        fold: number of the fold in which the row is tested, from 0; -1 for all others.
        site, device: of the visit or ECG; "" if unknown.
        events: outcome → (n,) datetime64[s], the day of the first event that made the label 1; NaT elsewhere.
        inputs: name → (n,) numbers that models may read beside the ECG, NaN where unknown.
        flow: the flow chart, of the whole cohort also in a selection.
        account: what was read from each table, and what was dropped; see `precordial.registers.Account`.
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
    labels: Mapping[str, NDArray[np.float64]]
    age_source: NDArray[np.str_]
    sex_source: NDArray[np.str_]
    # None stands for a column of nothing but what is unknown.
    recorded_at: NDArray[np.datetime64] = None  # type: ignore[assignment]
    arrival: NDArray[np.datetime64] = None  # type: ignore[assignment]
    fold: NDArray[np.int64] = None  # type: ignore[assignment]
    site: NDArray[np.str_] = None  # type: ignore[assignment]
    device: NDArray[np.str_] = None  # type: ignore[assignment]
    events: Mapping[str, NDArray[np.datetime64]] = field(default_factory=dict)
    inputs: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    flow: Flow = field(default=Flow(), repr=False)
    account: Mapping[str, Any] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, kind in COLUMNS.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(len(self.ecg_id), _FILL[kind]))
        if not self.labels:
            raise ValueError("a cohort has at least one outcome")
        nothing = np.full(len(self.ecg_id), _FILL["time"])
        object.__setattr__(self, "events", {name: self.events.get(name, nothing) for name in self.labels})
        lengths = {len(values) for _, _, values in self._columns()}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths {sorted(lengths)}")

    def _columns(self) -> Iterator[tuple[str, str, NDArray[Any]]]:
        """Name, kind and values of each column of the table, in order."""
        for name, kind in COLUMNS.items():
            yield name, kind, getattr(self, name)
        for name in self.labels:
            yield LABEL + name, "float", self.labels[name]
            yield EVENT + name, "time", self.events[name]
        for name, values in self.inputs.items():
            yield INPUT + name, "float", values

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Names of the outcomes, the main one first."""
        return tuple(self.labels)

    @property
    def label(self) -> NDArray[np.float64]:
        """(n,) the main outcome."""
        return self.labels[self.outcomes[0]]

    def __len__(self) -> int:
        return len(self.ecg_id)

    @cached_property
    def digest(self) -> str:
        """32 hex characters that stand for the contents of all rows."""
        hasher = blake2b(digest_size=16)
        for name, kind, values in self._columns():
            hasher.update(f"{name}\0{len(values)}\0".encode())
            hasher.update(_bytes(values, kind))
        return hasher.hexdigest()

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

    def in_fold(self, fold: int) -> Cohort:
        """The cohort as it is in one fold, from 0: its rows are tested; see `precordial.cohort.folds`.

        Raises:
            SettingsError: the cohort has no such fold.
        """
        return in_fold(self, fold)

    def _rows(self, mask: NDArray[np.bool_]) -> Cohort:
        columns = {name: getattr(self, name)[mask] for name in COLUMNS}
        labels = {name: values[mask] for name, values in self.labels.items()}
        events = {name: values[mask] for name, values in self.events.items()}
        inputs = {name: values[mask] for name, values in self.inputs.items()}
        return replace(self, **columns, labels=labels, events=events, inputs=inputs)

    def save(self, folder: str | Path, *, archive: Mapping[str, Any] | None = None) -> None:
        """Write cohort.csv, flow.json, account.json and manifest.json.

        Each file appears whole or not at all, and the manifest last: a folder that a crash left half written
        does not load.

        Args:
            folder: made if missing; a cohort in it is replaced.
            archive: identity of the archive the cohort was built from, for the manifest.
        """
        import polars as pl  # where a cohort is built, it is there; a training machine only loads

        folder = Path(folder)
        manifest = {
            "format": FORMAT,
            "version": __version__,
            "digest": self.digest,
            "rows": len(self),
            "outcomes": list(self.outcomes),
            "inputs": list(self.inputs),
            "seed": self.settings.get("seed"),
            "settings": dict(self.settings),
            "archive": dict(archive or {}),
        }
        table = pl.DataFrame(
            [
                _texts(name, values)
                if kind == "text"
                # Polars does not know whole seconds.
                else pl.Series(name, values.astype("datetime64[ms]") if kind == "time" else values, nan_to_null=True)
                for name, kind, values in self._columns()
            ]
        )
        (folder / MANIFEST).unlink(missing_ok=True)
        # Written by Python and not by Polars: then a full disk is an OSError like any other.
        with replacing(folder / TABLE) as temporary, temporary.open("wb") as file:
            for number, part in enumerate(table.iter_slices(_CHUNK) if len(table) else [table]):
                text = part.write_csv(include_header=number == 0, datetime_format="%Y-%m-%dT%H:%M:%S")
                file.write(text.encode())
        write_atomic(folder / FLOW, json.dumps(self.flow.as_json(), indent=1, ensure_ascii=False).encode())
        write_atomic(folder / ACCOUNT, json.dumps(dict(self.account), indent=1, ensure_ascii=False).encode())
        write_atomic(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())

    @classmethod
    def load(cls, folder: str | Path) -> Cohort:
        """Read what `save` wrote.

        Raises:
            RegisterError: a file is missing, damaged, or was changed since.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        kinds = dict(COLUMNS)
        for name in manifest["outcomes"]:
            kinds |= {LABEL + name: "float", EVENT + name: "time"}
        names = manifest.get("inputs", [])
        kinds |= {INPUT + name: "float" for name in names}
        columns: dict[str, Any] = _opened(folder / TABLE, lambda path: read_columns(path, kinds), _CHANGED)
        flow = _opened(folder / FLOW, lambda path: Flow.from_json(json.loads(path.read_bytes())), "it cannot be read")
        account = _opened(folder / ACCOUNT, lambda path: dict(json.loads(path.read_bytes())), "it cannot be read")
        labels = {name: columns.pop(LABEL + name) for name in manifest["outcomes"]}
        events = {name: columns.pop(EVENT + name) for name in manifest["outcomes"]}
        inputs = {name: columns.pop(INPUT + name) for name in names}
        cohort = cls(
            **columns,
            labels=labels,
            events=events,
            inputs=inputs,
            flow=flow,
            account=account,
            settings=manifest["settings"],
        )
        if cohort.digest != manifest["digest"]:
            raise RegisterError(_CHANGED, file=folder / TABLE, remedy=_REBUILD)
        return cohort


def _opened(path: Path, read: Callable[[Path], T], problem: str) -> T:
    """What is in a file of a cohort, or an error that names it."""
    try:
        return read(path)
    except FileNotFoundError:
        raise RegisterError("there is no such file", file=path, remedy=_REBUILD) from None
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise RegisterError(problem, file=path, remedy=_REBUILD) from error


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
        keep &= in_fraction(training, cohort.order, fraction)
    return cohort._rows(keep)


def in_fraction(
    training: NDArray[np.bool_], order: NDArray[np.int64], fraction: str | float | Fraction
) -> NDArray[np.bool_]:
    """Whether each row stays: all that are not training, and of these the first patients in the order."""
    patients = int(order[training].max(initial=-1)) + 1
    return ~training | (order < fraction_size(fraction, patients))


def _bytes(values: NDArray[Any], kind: str) -> bytes:
    """What stands for a column in the digest: the same for equal contents, whatever the width of the array's text."""
    if kind == "text":
        return _joined(values)
    if kind == "time":
        return values.astype("datetime64[s]").astype("<i8").tobytes()
    if kind == "int":
        return values.astype("<i8").tobytes()
    return np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes()


def _joined(texts: NDArray[np.str_]) -> bytes:
    """The texts in UTF-8 with a NUL between any two."""
    width = texts.dtype.itemsize // 4
    if len(texts) and width:
        points = np.ascontiguousarray(texts).view(np.uint32).reshape(-1, width)
        cells = np.zeros((len(texts), width + 1), np.uint8)
        cells[:, :width] = points
        kept = cells != 0
        # With ASCII alone, and no NUL inside of a text, bytes are characters, and a NUL is where a text has ended.
        if points.max() < 128 and not (kept[:, 1:width] > kept[:, : width - 1]).any():
            kept[:, width] = True
            return bytes(cells[kept][:-1])
    return "\0".join(texts.tolist()).encode()


def _texts(name: str, values: NDArray[np.str_]) -> pl.Series:
    """A column of text for Polars; empty cells are null, and written as nothing.

    Polars takes a text from NumPy one by one: of a run of equal ones, it is given the first.
    """
    import polars as pl

    first, length = runs(values)
    texts = pl.Series(name, [text or None for text in values[first].tolist()], pl.String)
    return texts.gather(np.repeat(np.arange(len(first)), length))
