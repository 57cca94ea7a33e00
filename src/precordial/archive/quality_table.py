"""How good an archive's ECGs are: counts of every flag by device, site and year, and of the rejects by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from precordial.ecg import Flag
from precordial.errors import REASONS, PrecordialError

if TYPE_CHECKING:
    import polars as pl

BY = ("device", "site", "year")
_LEVELS = {"median": 0.5, "p95": 0.95}


def quality_table(table: pl.DataFrame, by: Sequence[str] = BY, *, suppress_below: int = 0) -> pl.DataFrame:
    """Count the flags of an archive's ECGs.

    Args:
        table: as `Archive.table` gives it.
        by: its columns, or ``year`` (of the recording), that make the groups; none for a single row of all ECGs.
        suppress_below: counts from 1 to one less than this become null, and so do their shares; of a group with so
            few ECGs everything does.

    Returns:
        A row per group, sorted: `by`, ``ecgs``, for each flag its name in lower case (a count) and the name with
        ``_share``, and ``mains_median_uv``, ``mains_p95_uv``, ``wander_median_uv``, ``wander_p95_uv`` (null where no
        ECG of the group has the level).

    Raises:
        PrecordialError: `by` names no column.

    >>> import polars as pl
    >>> flags = [int(Flag.WANDER), int(Flag.WANDER | Flag.MAINS), 0]
    >>> levels = {"mains_uv": [3.0, 40, 5], "wander_uv": [400.0, 500, 90]}
    >>> ecgs = pl.DataFrame({"device": ["A", "A", "B"], "flags": flags, **levels})
    >>> quality_table(ecgs, by=["device"]).select("device", "ecgs", "mains", "wander", "wander_share").rows()
    [('A', 2, 1, 2, 1.0), ('B', 1, 0, 0, 0.0)]
    """
    import polars as pl

    unknown = [name for name in by if name != "year" and name not in table.columns]
    if unknown:
        raise PrecordialError(
            f"ECGs cannot be counted by '{unknown[0]}'", remedy=f"by any of {', '.join((*table.columns, 'year'))}"
        )
    if "year" in by:
        table = table.with_columns(year=pl.col("recorded_at").dt.year())
    counts = [((pl.col("flags") & flag.value) != 0).sum().cast(pl.Int64).alias(name) for name, flag in _flags().items()]
    levels = [
        pl.col(f"{what}_uv").fill_nan(None).quantile(share, "linear").alias(f"{what}_{name}_uv")
        for what in ("mains", "wander")
        for name, share in _LEVELS.items()
    ]
    wanted = [pl.len().cast(pl.Int64).alias("ecgs"), *counts, *levels]
    out = table.group_by(list(by)).agg(wanted) if by else table.select(wanted)
    few = _few("ecgs", suppress_below)
    shares = [(pl.col(name) / pl.col("ecgs")).alias(f"{name}_share") for name in _flags()]
    out = out.with_columns(shares)
    for name in _flags():
        hidden = few | _few(name, suppress_below)
        out = out.with_columns(pl.when(~hidden).then(pl.col(part)).alias(part) for part in (f"{name}_share", name))
    rest = [f"{what}_{name}_uv" for what in ("mains", "wander") for name in _LEVELS]
    out = out.with_columns(pl.when(~few).then(pl.col(name)).alias(name) for name in (*rest, "ecgs"))
    columns = [*by, "ecgs", *(part for name in _flags() for part in (name, f"{name}_share")), *rest]
    return out.select(columns).sort(list(by), nulls_last=True) if by else out.select(columns)


def reject_table(rejects: Iterable[Mapping[str, Any]], *, suppress_below: int = 0) -> pl.DataFrame:
    """Count what was not taken, by reason, the most frequent first.

    Args:
        rejects: as `Archive.rejects` gives them.
        suppress_below: counts from 1 to one less than this become null.

    Returns:
        ``reason``, ``rejects`` and ``meaning``, the reason in words.

    >>> reject_table([{"reason": "too-short"}, {"reason": "no-time"}, {"reason": "too-short"}]).rows()[0]
    ('too-short', 2, "the recording is shorter than the archive's length")
    """
    import polars as pl

    counts = sorted(Counter(str(row["reason"]) for row in rejects).items(), key=lambda item: (-item[1], item[0]))
    out = pl.DataFrame(
        [(reason, count, REASONS.get(reason, "")) for reason, count in counts],
        schema={"reason": pl.String, "rejects": pl.Int64, "meaning": pl.String},
        orient="row",
    )
    return out.with_columns(pl.when(~_few("rejects", suppress_below)).then(pl.col("rejects")).alias("rejects"))


def quality_text(quality: pl.DataFrame, rejects: pl.DataFrame, *, suppress_below: int = 0) -> str:
    """Both tables as text for a terminal.

    Args:
        quality: of `quality_table`. rejects: of `reject_table`.
        suppress_below: as they were made with; what they lack is shown as ``<5``.

    Flags that no group has are named below the table instead of having a column.
    """
    by = quality.columns[: quality.columns.index("ecgs")]
    hidden = f"<{suppress_below}"
    large = quality.drop_nulls("ecgs")
    shown = [name for name in _flags() if large[name].null_count() or large[name].sum()]
    levels = [name for name in quality.columns if name.endswith("_uv")]
    lines = [[*by, "ECGs", *shown, *(name.removesuffix("_uv").replace("_", " ") + ", µV" for name in levels)]]
    for row in quality.iter_rows(named=True):
        flags = [
            f"{row[name]} ({row[f'{name}_share']:.1%})" if row[name] else "0" if row[name] == 0 else hidden
            for name in shown
        ]
        if row["ecgs"] is None:
            flags = [""] * len(shown)
        sizes = ["" if row[name] is None else f"{row[name]:.0f}" for name in levels]
        keys = ["unknown" if row[name] is None else _printable(str(row[name])) for name in by]
        lines.append([*keys, hidden if row["ecgs"] is None else str(row["ecgs"]), *flags, *sizes])
    text = _in_columns(lines, left=len(by))
    absent = [name for name in _flags() if name not in shown]
    if absent:
        whose = "No ECG" if len(large) == len(quality) else f"In groups of {suppress_below} or more, no ECG"
        text += f"\n{whose} has: {', '.join(absent)}\n"
    if len(rejects):
        rows = [
            [reason, hidden if count is None else str(count), meaning] for reason, count, meaning in rejects.iter_rows()
        ]
        text += "\n" + _in_columns([["not taken", "", ""], *rows], left=1)
    return text


def _printable(text: str) -> str:
    """A device's or site's name may hold anything, also what moves a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _flags() -> dict[str, Flag]:
    return {str(flag.name).lower(): flag for flag in Flag}


def _few(column: str, suppress_below: int) -> pl.Expr:
    import polars as pl

    return (pl.col(column) > 0) & (pl.col(column) < suppress_below)


def _in_columns(lines: Sequence[Sequence[str]], *, left: int) -> str:
    """Columns in line, two spaces apart; the first `left` and words are aligned to the left, numbers to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = []
    for line in lines:
        cells = [
            cell.ljust(width) if i < left or (cell[:1].isalpha() and line is not lines[0]) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        out.append("  ".join(cells).rstrip())
    return "\n".join(out) + "\n"
