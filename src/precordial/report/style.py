"""How figures look, and how they become text: inline SVG that is the same for equal inputs."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from precordial.evaluation import Row
from precordial.report.tables import MODELS, PRETRAINING

# Okabe and Ito's colours, told apart by all kinds of colour vision; the markers say the same once more.
LOOKS = {
    "none": ("#0072B2", "s"),
    "age": ("#009E73", "^"),
    "sex": ("#CC79A7", "v"),
    "age-sex": ("#D55E00", "o"),
    "baseline": ("#777777", "D"),
}
OTHER = ("#000000", "X")
# Colour, marker and hatching of the models, where models are compared.
MODEL_LOOKS = {
    "cnn-20k": ("#E69F00", "s", ""),
    "rn-900k": ("#0072B2", "o", "////"),
    "rn-7m": ("#009E73", "^", "...."),
    "rn-33m": ("#CC79A7", "D", "xxxx"),
}
OTHER_MODEL = ("#555555", "X", "----")
BASELINE = "Age and sex alone"
GREY = "#bbbbbb"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "path",  # the same on every machine, whatever fonts it has
    "svg.hashsalt": "precordial",
    "pdf.fonttype": 42,  # whole letters, which can be searched and edited
}


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's defaults with `STYLE`, whatever the user's own settings; figures are drawn inside."""
    with mpl.rc_context():
        mpl.rcParams.update(mpl.rcParamsDefault)
        mpl.rcParams.update(STYLE)
        yield


def series_of(row: Row) -> str:
    """Which series a row belongs to: its pre-training, or "baseline"."""
    return "baseline" if row.kind == "baseline" else row.pretraining


def name_of(row: Row) -> str:
    """A series in words, such as "RN-900k, pre-trained on age & sex"."""
    if row.kind == "baseline":
        return BASELINE
    model, pretraining = MODELS.get(row.model, row.model), PRETRAINING.get(row.pretraining, row.pretraining).lower()
    return f"{model}, {pretraining if row.pretraining == 'none' else f'pre-trained on {pretraining}'}"


def as_svg(figure: Figure, name: str, alt: str) -> str:
    """A figure as an ``<svg>`` element to stand in a page among others.

    Args:
        figure: drawn inside `drawing`.
        name: unique in the page; it is put before every id, so that figures do not use one another's parts.
        alt: what the figure shows, for those who cannot see it.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None
    body = text[text.index(">") + 1 :]
    body = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)  # matplotlib's comments hold the words of each text
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", body)
    body = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', body).replace("url(#", f"url(#{name}-")
    body = re.sub(r'\bd="[^"]*"', lambda path: _rounded(path[0]), body)
    return f'<svg viewBox="{box[1]}" role="img" aria-label="{escape(alt)}">{body.rstrip()}'


def _rounded(path: str) -> str:
    """A path with two decimals: a hundredth of a point is below what anything shows."""
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", path)
