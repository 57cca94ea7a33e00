"""What a study file says of any register table: its files, how its cells are written, and what it is joined to.

Loaded with every study, so without Polars.
"""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

INPUT = "input:"  # before the name of a column of numbers that models may read
Kind = Literal["text", "date", "number", "age", "sex", "outcome"]
KINDS: dict[str, Kind] = {
    "arrival": "date",
    "discharge": "date",
    "date": "date",
    "birth_date": "date",
    "left": "date",
    "recorded_at": "date",
    "valid_from": "date",
    "valid_to": "date",
    "age": "age",
    "sex": "sex",
    "label": "number",
}

# TOML gives lists and text; only here are they taken for tuples and paths.
Words = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
FilePath = Annotated[Path, Field(strict=False)]
FilePaths = FilePath | Annotated[tuple[FilePath, ...], Field(strict=False, min_length=1)]
CodeColumns = str | Words


class Strict(BaseModel):
    """Settings that take no unknown key and no other type, and do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _File(Strict):
    file: FilePaths
    separator: str = ","
    encoding: str = "utf8"
    missing: Annotated[tuple[str, ...], Field(strict=False)] = ()
    catalog: FilePath | None = None

    @property
    def where(self) -> str:
        """The file, or the first of several, as a message names it."""
        return str(self.file[0] if isinstance(self.file, tuple) else self.file)

    def paths(self) -> list[Path]:
        """The files, a pattern's in natural order; a pattern that nothing fits stays as it is."""
        return [one for path in _listed(self.file) for one in (_fitting(path) or [path])]

    def resolve(self, base: Path) -> Self:
        """A copy whose files are relative to `base`, the folder of the study file."""
        given = (self.file,) if isinstance(self.file, Path) else self.file
        files = tuple((base / path).resolve() for path in given)
        catalog = (base / self.catalog).resolve() if self.catalog else None
        return self.model_copy(update={"file": files[0] if isinstance(self.file, Path) else files, "catalog": catalog})


class Join(_File):
    """Columns that stand in another table of the same register.

    Attributes:
        file: of the other table, like a table's own.
        on: the columns, of one name in both tables, whose texts must be equal.
        columns: our names and the other table's.
        separator, encoding, missing, catalog: of the other table.
    """

    on: Words
    columns: Annotated[dict[str, str], Field(min_length=1)]


class TableSettings(_File):
    """A register extract: CSV (also with .gz), Parquet, SAS (.sas7bdat, .xpt) or Stata (.dta), by its suffix.

    Attributes:
        file: path, relative to the study file; or a list of paths, or a pattern with ``*``, for an extract that comes
            in pieces.
        separator: between the cells of a CSV file.
        encoding: of a CSV file, by its Python name; SAS and Stata files say theirs, where it is right.
        date_format: strftime pattern of dates that are text, for all columns or as a table from our column to its
            pattern; None: ISO 8601.
        decimal: the sign before the decimals of numbers that are text.
        missing: texts that mean an empty cell.
        catalog: of a SAS file, the ``.sas7bcat`` with the labels of its values; they are read in place of the values.
        bad_cells: what becomes of a date or number that is none: "error" ends the build, "drop" takes the cell for
            empty and counts it.
        joins: columns that stand in other tables.
    """

    date_format: str | dict[str, str] | None = None
    decimal: Literal[".", ","] = "."
    bad_cells: Literal["error", "drop"] = "error"
    joins: Annotated[tuple[Join, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _names_are_ours(self) -> Self:
        columns: Strict | None = getattr(self, "columns", None)
        if columns is None:
            return self
        ours = {field.alias or name: name for name, field in type(columns).model_fields.items()}
        joined = [name for join in self.joins for name in join.columns]
        for name in joined:
            if name not in ours or name in ("code", "main"):
                raise ValueError(f"a join gives '{name}', which is not a column that a join can give here")
            if joined.count(name) > 1 or ours[name] in columns.model_fields_set:
                raise ValueError(f"'{name}' is named twice, in columns or joins")
        dates = sorted(name for name in ours if KINDS.get(name) == "date")
        for name in self.date_format if isinstance(self.date_format, dict) else ():
            if name not in dates:
                raise ValueError(f"date_format names '{name}', and the dates here are {', '.join(dates) or 'none'}")
        return self

    def resolve(self, base: Path) -> Self:
        """A copy whose files, and those of its joins, are relative to `base`, the folder of the study file."""
        joins = tuple(join.resolve(base) for join in self.joins)
        return super().resolve(base).model_copy(update={"joins": joins})

    def all_paths(self) -> list[Path]:
        """The files of the table and of its joins, catalogs too."""
        catalogs = [one.catalog for one in (self, *self.joins) if one.catalog]
        return [*self.paths(), *(path for join in self.joins for path in join.paths()), *catalogs]

    def names(self) -> dict[str, Any]:
        """Our names and the file's, without those that joins give; None: the register has no such column.

        What a table names under `inputs` is "input:NAME", as in a cohort.
        """
        columns: Strict = self.columns  # type: ignore[attr-defined]
        joined = {name for join in self.joins for name in join.columns}
        names = {ours: theirs for ours, theirs in columns.model_dump(by_alias=True).items() if ours not in joined}
        return names | {INPUT + name: name for name in names.pop("inputs", ())}

    def pattern_of(self, column: str) -> str | None:
        """The pattern of the dates of one of our columns; None: ISO 8601."""
        return self.date_format.get(column) if isinstance(self.date_format, dict) else self.date_format


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Sorts DIA2 before DIA10."""
    parts = re.split(r"([0-9]+)", text)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


def _listed(files: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    return files if isinstance(files, tuple) else (files,)


def _fitting(path: Path) -> list[Path]:
    """The files that a pattern means; only ``*`` is special."""
    if "*" not in str(path):
        return []
    pattern = glob.escape(str(path)).replace("[*]", "*")
    found = glob.glob(pattern)  # noqa: PTH207 (the folders of a whole path may have stars too)
    return [Path(name) for name in sorted(found, key=natural_key)]
