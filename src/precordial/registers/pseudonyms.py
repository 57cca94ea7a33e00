"""A register extract with the pseudonyms of an archive, so that the two still join.

- **Patient ids** become the pseudonyms of the archive; other ids, such as those of visits, become digests of their own.
- **Dates** are shifted by the patient's own shift, in the format they are written in; the time of day stays.
- **Birth dates** are shifted likewise, and then only their year is kept: 1 July stands for every day of it, so that
  they stay dates, and ages are right to within half a year. Nobody is left older than 90: an earlier year of birth
  becomes the 90th before the year at which ages are counted. That is the year of the patient's last date in this table,
  or of `ages_at`; for the tables of one extract give the same `ages_at`, its last day, or a difference between two
  tables would tell the age that one hides.
- **Rows** are sorted by the pseudonyms, since those of a register in the order of its dates would tell the dates.
- **Other columns** stay as they are, unless they are dropped. One that looks as if it told who or when is refused:
  say what it is, drop it, or say that it is to be kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import polars as pl

from precordial.archive.pseudonyms import OLDEST, Pseudonyms, tidy
from precordial.errors import RegisterError
from precordial.files import replacing
from precordial.registers.account import Account
from precordial.registers.csv_files import Spelling, csv_batches, csv_header
from precordial.registers.values import dates_from_text, plain_text

YEARS = (1800, 2200)  # between which a date can be one of a patient's
_TELLING = re.compile(
    r"name|initial|birth|dob$|address|street|city|postal|zip|phone|email|mail|ssn|personal|personnummer|insurance|"
    r"comment|note|free.?text|contact|relative|mrn",
    re.IGNORECASE,
)
_A_DATE = r"(?:^|\D)(?:\d{4}-\d{2}-\d{2}|\d{1,2}[./-]\d{1,2}[./-]\d{4})(?:\D|$)"
_COMPACT = r"^(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"


def pseudonymise_table(
    path: str | Path,
    out: str | Path,
    *,
    pseudonyms: Pseudonyms,
    id_column: str,
    date_columns: Sequence[str] = (),
    birth_columns: Sequence[str] = (),
    code_columns: Sequence[str] = (),
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    ages_at: date | None = None,
    date_formats: Mapping[str, str] | None = None,
    separator: str = ",",
    encoding: str = "utf8",
) -> int:
    """Write a register extract anew, with pseudonyms; see the module for what becomes of it.

    Args:
        path: a CSV file, also compressed (.gz).
        out: where the new one goes, in UTF-8 and with the same separator.
        pseudonyms: of the archive; the patients are put into its key table.
        id_column: the patients' ids. A row without one has a shift of its own.
        date_columns: dates, or dates with times.
        birth_columns: birth dates.
        code_columns: other ids.
        drop: columns to be left out, such as names.
        keep: columns that look as if they told who or when, and do not.
        ages_at: the day at which ages are counted; needed for birth dates in a table without other dates.
        date_formats: strftime patterns by column, where dates are not written as ISO 8601 (2017-03-31 14:05).
        separator, encoding: of `path`.

    Returns:
        How many rows there are.

    Raises:
        RegisterError: the file cannot be read, a column is missing, named twice or should not stay, or a cell is no
            date.
    """
    path, out, formats = Path(path), Path(out), dict(date_formats or {})
    for there, what in ((path, "the old one"), (pseudonyms.keyfile, "the key"), (pseudonyms.table, "the key table")):
        if out.resolve() == there.resolve():
            raise RegisterError(f"the new table would take the place of {what}", file=out, remedy="name another file")
    named = [id_column, *date_columns, *birth_columns, *code_columns, *drop]
    table = _read(path, Spelling(separator, encoding), named)
    _check_names(path, table.columns, named, [*keep, *formats])
    table = table.drop(drop)
    table = table.with_columns(plain_text(pl.String(), name).alias(name) for name in named if name in table.columns)
    _check_others(path, table, id_column, [name for name in table.columns if name not in {*named, *keep}])
    people = _people(table[id_column], pseudonyms, path.name)
    days = people["days"]
    dates = {name: _parsed(path, table[name], formats.get(name)) for name in [*date_columns, *birth_columns]}
    births = {name: dates.pop(name) for name in birth_columns}
    last = _last_years(path, table[id_column], list(dates.values()), ages_at) if births else days
    table = table.with_columns(
        people["pseudonym"].alias(id_column),
        *(_shifted(table[name], parsed, days, formats.get(name)) for name, parsed in dates.items()),
        *(_year_only(parsed, days, last, formats.get(name)) for name, parsed in births.items()),
        *(_coded(table[name], pseudonyms) for name in code_columns),
    )
    table = table.sort(id_column, *(name for name in table.columns if name != id_column))
    pseudonyms.save()
    with replacing(out) as temporary:
        table.write_csv(temporary, separator=separator)
    return table.height


def _read(path: Path, spelling: Spelling, named: Sequence[str]) -> pl.DataFrame:
    """All columns as they are written."""
    if not path.is_file():
        raise RegisterError("there is no such file", file=path, remedy="check the path")
    header = csv_header(path, spelling, tuple(named))
    twice = next((name for name, count in Counter(header).items() if count > 1), None)
    if twice is not None:
        raise RegisterError("two columns have this name", file=path, column=twice, remedy="rename one of them")
    nothing = pl.DataFrame(schema={str(place): pl.String for place in range(len(header))})
    batches = (frame for frame, _ in csv_batches(path, spelling, header, Account().problem))
    return pl.concat([nothing, *batches]).rename({str(place): name for place, name in enumerate(header)})


def _check_names(path: Path, present: list[str], named: list[str], more: list[str]) -> None:
    for name in [*named, *more]:
        if name not in present:
            # The file's own columns are not listed: without a header, they would be a patient's data.
            raise RegisterError("there is no such column", file=path, column=name, remedy="check its spelling")
    twice = [name for name, count in Counter(named).items() if count > 1]
    if twice:
        raise RegisterError("the column is named twice", file=path, column=twice[0], remedy="say once what it is")


def _check_others(path: Path, table: pl.DataFrame, id_column: str, others: list[str]) -> None:
    """Refuse columns that nobody said anything of, and that look as if they told who or when."""
    patient = pl.col(id_column)
    for name in others:
        cells = pl.col(name)
        compact = cells.str.contains(_COMPACT)
        seen = table.select(
            (cells.str.contains(_A_DATE) | (compact & compact.all())).alias("dates"),
            ((patient.str.len_chars() >= 5) & cells.str.contains(patient, literal=True)).alias("patient ids"),
        )
        found = [(what, int(seen[what].fill_null(False).arg_true()[0])) for what in seen.columns if seen[what].any()]
        if found or _TELLING.search(name):
            what, row = found[0] if found else ("names or free text", None)
            raise RegisterError(
                f"the column seems to hold {what}",
                file=path,
                row=None if row is None else row + 2,
                column=name,
                remedy="say that it holds dates, birth dates or ids, drop it, or say that it is to be kept",
            )


def _people(ids: pl.Series, pseudonyms: Pseudonyms, file: str) -> pl.DataFrame:
    """`pseudonym` and `days` of each row."""
    known = ids.drop_nulls().unique().to_list()
    found = [(text, *pseudonyms.enlist(text)) for text in known if tidy(text)]
    columns = {
        "id": [text for text, _, _ in found],
        "pseudonym": [pseudonym for _, pseudonym, _ in found],
        "days": [shift.days for _, _, shift in found],
    }
    schema = {"id": pl.String, "pseudonym": pl.String, "days": pl.Int64}
    rows = pl.DataFrame({"id": ids}).join(pl.DataFrame(columns, schema), on="id", how="left", maintain_order="left")
    nobody = rows["days"].is_null().arg_true().to_list()
    own = [pseudonyms.shift_of_record(f"{file} {row}").days for row in nobody]
    return rows.with_columns(rows["days"].scatter(nobody, own)) if nobody else rows


def _parsed(path: Path, cells: pl.Series, pattern: str | None) -> pl.Series:
    """Dates as Datetime; null where there are none."""
    if pattern == "%Y":  # no date by itself
        parsed = dates_from_text(cells + "-07-01", "%Y-%m-%d")
    else:
        parsed = dates_from_text(cells, pattern)
    wrong = (cells.is_not_null() & ~parsed.dt.year().is_between(*YEARS).fill_null(False)).arg_true()
    if len(wrong):
        raise RegisterError(
            "this is not a date" + (f" ({len(wrong) - 1} more like it)" if len(wrong) > 1 else ""),
            file=path,
            row=int(wrong[0]) + 2,
            column=cells.name,
            remedy="write dates as 2017-03-31 or 2017-03-31 14:05:00, give their pattern, or leave the cell empty",
        )
    return parsed.alias(cells.name)


def _shifted(cells: pl.Series, parsed: pl.Series, days: pl.Series, pattern: str | None) -> pl.Series:
    """Dates moved by some days, written as they were."""
    table = pl.DataFrame({"cell": cells, "moved": parsed, "days": days})
    moved = pl.col("moved") + pl.duration(days=pl.col("days"))
    if pattern is None:  # what follows the day is kept to the letter
        text = moved.dt.strftime("%Y-%m-%d") + pl.col("cell").str.slice(10)
    else:
        text = moved.dt.strftime(pattern)
    return table.select(text.alias(cells.name)).to_series()


def _last_years(path: Path, ids: pl.Series, dates: list[pl.Series], ages_at: date | None) -> pl.Series:
    """The year at which the ages of each row's patient are counted, as Datetime: before it is shifted."""
    if ages_at is not None:
        return pl.Series("last", [ages_at]).cast(pl.Datetime("us")).new_from_index(0, len(ids))
    rows = pl.DataFrame({"id": ids}).with_columns(
        pl.max_horizontal(dates).alias("last") if dates else pl.lit(None).alias("last")
    )
    latest = rows["last"].max()
    if latest is None:
        raise RegisterError(
            "there are birth dates, and no other dates at which ages could be counted",
            file=path,
            remedy="say at which day, such as the last of the extract",
        )
    own = pl.when(pl.col("id").is_null()).then(pl.col("last")).otherwise(pl.col("last").max().over("id"))
    return rows.select(own.fill_null(latest).alias("last")).to_series()


def _year_only(births: pl.Series, days: pl.Series, last: pl.Series, pattern: str | None) -> pl.Series:
    """1 July of the year of birth, which is none that makes anybody older than 90."""
    table = pl.DataFrame({"birth": births, "days": days, "last": last})
    shift = pl.duration(days=pl.col("days"))
    born, oldest = (pl.col("birth") + shift).dt.year(), (pl.col("last") + shift).dt.year() - (OLDEST + 1)
    year = pl.when(born.is_not_null()).then(pl.max_horizontal(born, oldest))
    text = pl.datetime(year, 7, 1).dt.strftime(pattern or "%Y-%m-%d")
    return table.select(text.alias(births.name)).to_series()


def _coded(cells: pl.Series, pseudonyms: Pseudonyms) -> pl.Series:
    known = cells.drop_nulls().unique().to_list()
    columns = {"id": known, "code": [pseudonyms.enlist_other(text) for text in known]}
    codes = pl.DataFrame(columns, schema={"id": pl.String, "code": pl.String})
    return pl.DataFrame({"id": cells}).join(codes, on="id", how="left", maintain_order="left")["code"].alias(cells.name)
