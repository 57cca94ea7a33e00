"""Build a cohort. Polars is loaded when a cohort is built, not when this module is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from precordial.cohort.cohort import Cohort
from precordial.cohort.settings import LabelsSettings, RegistersSettings
from precordial.registers.account import Account

if TYPE_CHECKING:
    import polars as pl


def build_cohort(
    settings: RegistersSettings | LabelsSettings,
    ecgs: pl.DataFrame,
    *,
    table: pl.DataFrame | None = None,
    rejects: Mapping[str, int] | None = None,
    account: Account | None = None,
) -> Cohort:
    """Build the cohort of a study from an archive's ECGs and the registers or labels named in the settings.

    The result depends on the contents of the tables and on the seed, not on the order of any rows.

    Args:
        settings: with their files resolved.
        ecgs: the usable ECGs of the archive: ecg_id, patient_id, recorded_at, age (years) and sex (1 = female)
            of the header, source (path relative to the ingested folder); site and device where they are known.
        table: label table of a public set, as from `precordial.datasets.load_dataset`.
        rejects: reason → number of unusable ECGs, for the flow chart.
        account: is told what was read from each table; a new one if none is given. It goes with the cohort.

    Raises:
        RegisterError: a table cannot be understood, or nothing is left.
        SettingsError: a public set has no such label.
    """
    import polars as pl

    from precordial.cohort.assemble import assemble
    from precordial.cohort.counting import FlowChart
    from precordial.cohort.from_labels import from_labels
    from precordial.cohort.from_registers import from_registers

    account = account if account is not None else Account()
    chart = FlowChart()
    chart.archive(ecgs, dict(sorted((rejects or {}).items())))
    ecgs = ecgs.with_columns(
        pl.col("recorded_at").cast(pl.Datetime("us")).dt.truncate("1s"),
        pl.col("age").cast(pl.Float64),
        pl.col("sex").cast(pl.Float64),
        *(pl.lit(None, pl.String).alias(name) for name in ("site", "device") if name not in ecgs.columns),
    )
    if isinstance(settings, RegistersSettings):
        target, source = from_registers(settings, ecgs, chart, account)
    else:
        target, source = from_labels(settings, ecgs, table, chart, account)
    return assemble(settings, target, source, chart, account)
