"""A table of ECGs in place of an archive: enough to build a cohort and to look at it, not to train on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from precordial.registers.account import Account
from precordial.registers.settings import Ecgs

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class EcgTable:
    """What a cohort asks an archive for, from a table.

    Attributes:
        columns: ecg_id, patient_id, recorded_at, age, sex, site, device, waveform; null where unknown.
    """

    columns: pl.DataFrame

    @classmethod
    def read(cls, settings: Ecgs, account: Account, *, female: tuple[str, ...], male: tuple[str, ...]) -> EcgTable:
        """Read the table; see `precordial.registers.read_ecgs`.

        Raises:
            RegisterError: it cannot be understood, or an ECG has no id, or the id of another.
        """
        from precordial.registers import read_ecgs

        return cls(read_ecgs(settings, account, female=female, male=male))

    def __len__(self) -> int:
        return len(self.columns)

    def table(self) -> pl.DataFrame:
        """As `precordial.Archive.table`, as far as a cohort needs it."""
        return self.columns

    def reject_counts(self) -> dict[str, int]:
        """What was rejected does not stand in a table."""
        return {}

    @property
    def ids(self) -> NDArray[np.str_]:
        """Id of each ECG."""
        return np.array(self.columns["ecg_id"].to_list(), np.str_)

    @property
    def recorded_at(self) -> NDArray[np.datetime64]:
        """Time of each, NaT where unknown."""
        return self.columns["recorded_at"].to_numpy().astype("datetime64[s]")

    @property
    def waveform(self) -> NDArray[np.uint64] | None:
        """Digest of each one's samples; None if the table does not have them all."""
        digests = self.columns["waveform"]
        return None if digests.null_count() else digests.to_numpy().astype(np.uint64)

    @cached_property
    def digest(self) -> str:
        """Digest of ids, patients and times, in whatever order they stand."""
        rows = self.columns.select("ecg_id", "patient_id", "recorded_at").sort("ecg_id")
        return blake2b(rows.write_csv().encode(), digest_size=8).hexdigest()
