"""The rows of a register extract, batch by batch, with our columns, checked and counted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from precordial.errors import RegisterError
from precordial.registers.account import Account, TableAccount
from precordial.registers.csv_files import Spelling
from precordial.registers.joins import LookUp, add_columns
from precordial.registers.sources import open_source
from precordial.registers.table_settings import Kind, TableSettings, natural_key
from precordial.registers.values import Writing, convert, plain_text, remedy

BLANK = "blank row"
CODE = "code "  # before the place of a code column
Select = Callable[[pl.DataFrame], pl.DataFrame]


def type_of(kind: Kind) -> pl.DataType:
    """The type of a column of values."""
    types: dict[str, pl.DataType] = {"text": pl.String(), "date": pl.Datetime("us")}
    return types.get(kind, pl.Float64())


@dataclass(frozen=True)
class Plan:
    """What is to be read of a table.

    Attributes:
        settings: of the table.
        name: of the table in the account.
        key: of the table in the study file, for messages.
        columns: our name → the file's column.
        kinds: our name → what the cells are; a column of `columns` that is not here is text.
        codes: columns of codes or patterns of such, the main one first; they come as `code 1`, `code 2`, …
        main: the column of the main code, if it is not the first of `codes`.
        words: of sex.
        columns_key: of the map of the columns.
    """

    settings: TableSettings
    name: str
    key: str
    columns: Mapping[str, str]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    main: str | None = None
    words: Mapping[str, float] = field(default_factory=dict)
    columns_key: str = ""

    def writing(self, ours: str) -> Writing:
        """How the cells of one of our columns are written."""
        return Writing(self.settings.pattern_of(ours), self.settings.decimal, self.words)

    def key_of(self, ours: str) -> str:
        """The key of one of our columns in the study file; a join's key column is called KEY:COLUMN."""
        key, colon, _ = ours.partition(":")
        return f"{self.key}.{key}" if colon else f"{self.columns_key}.{ours}"

    def kind(self, ours: str) -> Kind:
        """What the cells of one of our columns are."""
        return self.kinds.get(ours, "text")


def read_batches(
    plan: Plan, account: Account, look_ups: list[LookUp] | None = None, select: Select | None = None
) -> Iterator[pl.DataFrame]:
    """Read a table.

    Args:
        look_ups: tables that give further columns.
        select: from rows whose cells were counted and checked, but are text still, to those that are wanted.

    Yields:
        `row`, `part` (index of the file) where there are several files, our columns in the types of their kinds, and
        the columns of codes, as text.

    Raises:
        RegisterError: the file cannot be read, a column is missing or stands twice, or a cell is not what its kind
            says; where the account collects problems, it has them in place of that.
    """
    account.tables.pop(plan.name, None)  # of an earlier reading
    log, paths = account.table(plan.name), plan.settings.paths()
    log.files = [path.name for path in paths]
    people = _Different()
    for part, path in enumerate(paths):
        bad: dict[tuple[str, str], tuple[int, int]] = {}
        try:
            for frame in _rows(plan, path, account, log):
                for look in look_ups or []:
                    frame = add_columns(frame, look, log)
                _count(frame, plan, log, people)
                if len(paths) > 1:
                    frame = frame.with_columns(pl.lit(part, pl.Int64).alias("part"))
                frame = _valued(frame, plan, log, bad, select)
                yield _complete(frame, plan)
        except RegisterError as error:
            account.problem(error)
        _tell(plan, path, bad, account, log)
    if "patient_id" in plan.columns:
        log.patients = people.count()


def _rows(plan: Plan, path: Path, account: Account, log: TableAccount) -> Iterator[pl.DataFrame]:
    """The rows of one file that are not blank: `row`, and our columns as they stand in the file."""
    own = plan.settings
    spelling = Spelling(own.separator, own.encoding, plan.key, own.catalog)
    source = open_source(path, spelling, account.problem, tuple(plan.columns.values()))
    columns = _mapped(plan, path, source.names, account)
    if not columns:
        return
    wanted = list(dict.fromkeys(columns.values()))
    labelled = {theirs for ours, theirs in columns.items() if plan.kind(ours) in ("text", "sex")}
    # A missing column is a problem that was told; where reading goes on, it is empty.
    absent = [pl.lit(None, pl.String).alias(ours) for ours in plan.columns if ours not in columns]
    row = 2
    for raw in source.batches(wanted, labelled):
        cells = [_cells(raw[theirs], plan.kind(ours), plan).alias(ours) for ours, theirs in columns.items()]
        frame = pl.DataFrame([pl.int_range(row, row + raw.height, dtype=pl.Int64, eager=True).alias("row"), *cells])
        row += raw.height
        log.rows += raw.height
        if all(column.has_nulls() for column in cells):
            full = frame.filter(~pl.all_horizontal(pl.col(list(columns)).is_null()))
            log.drop(BLANK, frame.height - full.height)
            frame = full
        yield frame.with_columns(absent)


def _cells(cells: pl.Series, kind: Kind, plan: Plan) -> pl.Series:
    """Text; or a type of the file's own, where that is of the kind."""
    is_date = cells.dtype == pl.Date or isinstance(cells.dtype, pl.Datetime)
    if (kind == "date" and is_date) or (kind in ("number", "age") and cells.dtype.is_numeric()):
        return cells.fill_nan(None) if cells.dtype.is_float() else cells
    if cells.dtype != pl.String:
        cells = cells.to_frame().select(plain_text(cells.dtype, cells.name)).to_series()
    if plan.settings.missing:
        cells = cells.set(cells.is_in(plan.settings.missing).fill_null(False), None)
    return cells


def _count(frame: pl.DataFrame, plan: Plan, log: TableAccount, people: _Different) -> None:
    for name in frame.columns:
        if name in plan.kinds:
            log.empty[name] = log.empty.get(name, 0) + frame[name].null_count()
    if "patient_id" in frame.columns:
        people.add(frame["patient_id"])


def _valued(
    frame: pl.DataFrame,
    plan: Plan,
    log: TableAccount,
    bad: dict[tuple[str, str], tuple[int, int]],
    select: Select | None,
) -> pl.DataFrame:
    """The rows with values in place of text; what is no value is empty, and stands in `bad`."""
    valued = [name for name, kind in plan.kinds.items() if kind != "text" and name in frame.columns]
    converted = {}
    for name in valued:
        # Where few rows are wanted, the different cells of the others are enough to check and count them.
        cells = frame[name]
        pool = _different(cells) if select else cells
        values, problems = convert(pool, plan.kind(name), plan.writing(name))
        for problem, mask in problems.items():
            hits = mask if pool is cells else cells.is_in(pool.filter(mask).implode())
            first, count = bad.get((name, problem), (int(frame["row"][int(hits.arg_true()[0])]), 0))
            bad[name, problem] = first, count + int(hits.sum())
        if plan.kind(name) == "date":
            _extend(log, name, values)
        converted[name] = values
    if select is None:
        return frame.with_columns(**converted)
    frame = select(frame)
    return frame.with_columns(convert(frame[name], plan.kind(name), plan.writing(name))[0] for name in valued)


def _different(cells: pl.Series) -> pl.Series:
    """The different cells, where they are few."""
    start = cells.head(100_000)
    return cells.unique() if 2 * start.n_unique() < len(start) else cells


def _extend(log: TableAccount, name: str, values: pl.Series) -> None:
    first, last = values.min(), values.max()
    if first is not None:
        days = [str(first)[:10], str(last)[:10], *log.dates.get(name, ())]
        log.dates[name] = min(days), max(days)


def _complete(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """With the columns that the file does not have, empty, in our order."""
    absent = [name for name in plan.kinds if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None, type_of(plan.kind(name))).alias(name) for name in absent)
    first = [name for name in ("row", "part") if name in frame.columns]
    names = [*plan.kinds, *(name for name in plan.columns if name not in plan.kinds)]
    return frame.select(*first, *names, *(name for name in frame.columns if name not in {*first, *names}))


def _tell(
    plan: Plan, path: Path, bad: dict[tuple[str, str], tuple[int, int]], account: Account, log: TableAccount
) -> None:
    for (name, problem), (row, count) in bad.items():
        column = plan.columns.get(name, name)
        if plan.settings.bad_cells == "drop":
            log.note(f"cells of '{column}' taken for empty: {problem}", count)
            continue
        account.problem(
            RegisterError(
                problem + (f" ({count - 1} more like it)" if count > 1 else ""),
                file=path,
                row=row,
                column=column,
                remedy=remedy(problem, plan.writing(name), plan.key),
            )
        )


def _mapped(plan: Plan, path: Path, names: list[str], account: Account) -> dict[str, str]:
    """Our columns and those of the file that they are, the columns of codes by their place."""
    wanted = {ours: (theirs, plan.key_of(ours)) for ours, theirs in plan.columns.items()}
    codes: list[str] = []
    for code in (*((plan.main,) if plan.main else ()), *plan.codes):
        found = [code]
        if "*" in code:
            pattern = re.compile(".*".join(map(re.escape, code.split("*"))))
            found = sorted((name for name in names if pattern.fullmatch(name)), key=natural_key)
        if not found:
            account.problem(
                RegisterError(
                    "no column fits this pattern",
                    file=path,
                    column=code,
                    key=f"{plan.columns_key}.code",
                    remedy=f"the file has: {_shown(names)}; set this key to the right one",
                )
            )
        codes += [name for name in found if name not in codes]
    wanted |= {f"{CODE}{place}": (name, f"{plan.columns_key}.code") for place, name in enumerate(codes, start=1)}
    for ours, (theirs, key) in list(wanted.items()):
        if names.count(theirs) != 1:
            account.problem(_no_column(path, theirs, key, names))
            del wanted[ours]
    return {ours: theirs for ours, (theirs, _) in wanted.items()}


def _no_column(path: Path, theirs: str, key: str, names: list[str]) -> RegisterError:
    if theirs in names:
        problem, help_ = "two columns have this name", "rename one of them"
    else:
        near = difflib.get_close_matches(theirs, _speaking(names), n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        problem = "there is no such column"
        help_ = f"{hint}the file has: {_shown(names)}; set this key to the right one"
    return RegisterError(problem, file=path, column=theirs, key=key, remedy=help_)


def _speaking(names: list[str]) -> list[str]:
    # A file without a header would show a patient's data here: names that look like data stay out.
    return [name for name in names if re.search(r"[^\W\d]", name) and not re.search(r"\d{4}", name)]


def _shown(names: list[str]) -> str:
    return ", ".join(_speaking(names)[:40]) or "none that could be a name"


class _Different:
    """Counts different texts that come in batches.

    By their hashes of 64 bits, which take a third of the time and less memory: that two of ten million texts have the
    same is as likely as 3 in a million.
    """

    def __init__(self) -> None:
        self._parts: list[pl.Series] = []
        self._compact = 0

    def add(self, cells: pl.Series) -> None:
        self._parts.append(cells.drop_nulls().hash().unique())
        if sum(map(len, self._parts)) > 2 * self._compact + 1_000_000:
            self._parts = [pl.concat(self._parts).unique()]
            self._compact = len(self._parts[0])

    def count(self) -> int:
        return pl.concat(self._parts).n_unique() if self._parts else 0
