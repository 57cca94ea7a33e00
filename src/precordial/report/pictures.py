"""The figures of a report: placed in the page, and written as files."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from precordial.files import write_atomic
from precordial.report.page import figure as figure_in_page
from precordial.report.style import as_svg

DPI = 300
# Without the dates that matplotlib would write: equal figures give equal files.
KINDS: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".png": {}, ".pdf": {"CreationDate": None}}


@dataclass
class Pictures:
    """The figures of one page, by their names; drawn and written inside `precordial.report.style.drawing`."""

    drawn: dict[str, Figure] = field(default_factory=dict)

    def place(self, name: str, figure: Figure, alt: str, caption: str) -> str:
        """The figure as HTML.

        Args:
            name: unique in the page; of its files, too.
            figure: what is drawn.
            alt: what it shows, for those who cannot see it.
            caption: plain text.
        """
        assert name not in self.drawn
        self.drawn[name] = figure
        svg = as_svg(figure, name, alt)
        figure.set_layout_engine("none")  # it is laid out; to do so again for each file takes as long as to draw
        return figure_in_page(svg, caption)

    def write(self, folder: Path) -> list[Path]:
        """Write each figure as SVG, PNG and PDF; the paths, in order."""
        paths = []
        for name, figure in self.drawn.items():
            for suffix in KINDS:
                paths.append(folder / f"{name}{suffix}")
                write_figure(figure, paths[-1])
        return paths


def write_figure(figure: Figure, path: Path, dpi: int = DPI) -> None:
    """Write a figure whole or not at all, as the path's suffix says: one of `KINDS`.

    Letters of an SVG file are shapes, of a PDF file those of a font in it: both look the same everywhere.
    """
    out = io.BytesIO()
    figure.savefig(out, format=path.suffix[1:], dpi=dpi, metadata=KINDS[path.suffix])
    write_atomic(path, out.getvalue())
