"""Public ECG sets: label tables in the shape that `precordial.cohort` takes, presets for ingest, and downloads.

`precordial.datasets.download` fetches the sets; it is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from precordial.datasets.cinc import cinc_headers, cinc_table
from precordial.datasets.code15 import code15_table
from precordial.datasets.metadata import PRESETS, Preset, preset_metadata
from precordial.datasets.ptbxl import ptbxl_table
from precordial.datasets.set_tables import Metadata
from precordial.errors import SettingsError

if TYPE_CHECKING:
    import polars as pl

DATASETS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "ptb-xl": ptbxl_table,
    "code-15": code15_table,
    "cinc2021": cinc_table,
}

__all__ = [
    "DATASETS",
    "PRESETS",
    "Metadata",
    "Preset",
    "cinc_table",
    "code15_table",
    "dataset_files",
    "load_dataset",
    "preset_metadata",
    "ptbxl_table",
]


def load_dataset(name: str, folder: str | Path) -> pl.DataFrame:
    """The label table of a public set.

    Args:
        name: one of `DATASETS`.
        folder: where the set's own tables are.

    Returns:
        row (in the set's table; the header is row 1), file (and file_… for other files of the same recording),
        patient_id, recorded_at (null where the set has none), age (years), age_above_89, sex (1 = female), site,
        device, fold (text: the part of the set's official split), and a column of 0, 1 or null for each label;
        `precordial.cohort.labels.label_names` tells the labels from the rest.

    Raises:
        SettingsError: there is no such set.
        RegisterError: its tables are missing or cannot be understood.
    """
    if name not in DATASETS:
        raise SettingsError(
            f"there is no data set {name!r}", key="cohort.dataset", remedy=f"choose one of {', '.join(DATASETS)}"
        )
    return DATASETS[name](Path(folder))


def dataset_files(name: str, folder: Path) -> list[Path]:
    """The files from which `load_dataset` makes its table, so that a change of one of them is seen."""
    tables = sorted(folder.glob("*.csv"))
    return [*tables, *(folder / header for header in cinc_headers(folder))] if name == "cinc2021" else tables
