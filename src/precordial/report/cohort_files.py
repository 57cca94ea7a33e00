"""The files of a cohort for a paper: its flow chart and Table I."""

from __future__ import annotations

from pathlib import Path

from precordial.cohort.flow import Flow
from precordial.errors import PrecordialError
from precordial.files import write_atomic
from precordial.report.flow_figure import flow_figure
from precordial.report.pictures import KINDS, write_figure
from precordial.report.style import drawing
from precordial.report.table import Table, write_report


def write_cohort_files(folder: str | Path, flow: Flow, table: Table) -> list[Path]:
    """Write ``flow.svg``, ``flow.png``, ``flow.txt`` and ``table-1`` in every format.

    Args:
        folder: made if it is not there.
        flow, table: see `precordial.report.withheld.flow_and_table`.

    Returns:
        The files, each whole or not at all.
    """
    pictures = [Path(folder) / "flow.svg", Path(folder) / "flow.png"]
    for path in pictures:
        write_flow(flow, path)
    return [*pictures, *write_report(folder, {"table-1": table}, flow=flow.text())]


def write_flow(flow: Flow, path: Path) -> None:
    """Write the flow chart whole or not at all, as the path's suffix says; equal charts give equal files.

    Raises:
        PrecordialError: another suffix than .svg, .png, .pdf and .txt.
    """
    if path.suffix == ".txt":
        write_atomic(path, flow.text() + "\n")
    elif path.suffix in KINDS:
        with drawing():
            write_figure(flow_figure(flow), path)
    else:
        raise PrecordialError(
            "a flow chart is not written in such a file", file=path, remedy="end its name with .svg, .png, .pdf or .txt"
        )
