"""Whether the rows of a pseudonymised archive are what its key table says they should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from precordial.archive.archive import Archive
from precordial.archive.pseudonyms import COLUMNS, OLDEST, WEEKS, Pseudonyms, is_device_model
from precordial.errors import REASONS, PrecordialError

if TYPE_CHECKING:
    import polars as pl

DIGEST = r"^[0-9a-f]{16}$"
CODE = r"^{}-[0-9a-f]{{8}}$"


@dataclass(frozen=True)
class KeyTable:
    """The key table of a key.

    Attributes:
        lines: row (from 0), kind ("patient", "file", "site", "device" or "id"), original, pseudonym,
            shift_days and recorded_at, the date before it was shifted.
    """

    lines: pl.DataFrame

    def of(self, kind: str) -> pl.DataFrame:
        """The lines of one kind."""
        import polars as pl

        return self.lines.filter(pl.col("kind") == kind)

    def wrong(self, pseudonyms: Pseudonyms) -> Iterator[int]:
        """Rows of pseudonyms that the key does not give."""
        for row, kind, original, pseudonym, days, _ in self.lines.iter_rows():
            if kind == "patient":
                good = (pseudonym, days) == (pseudonyms.patient(original), pseudonyms.shift(original).days)
            elif kind == "file":
                good = pseudonym == pseudonyms.source(original)
            elif kind == "id":
                good = pseudonym == pseudonyms.other(original)
            else:
                good = pseudonym == pseudonyms.code(kind, original)
            if not good:
                yield row


def read_key_table(pseudonyms: Pseudonyms) -> KeyTable:
    """Read the key table of a key; a last line torn by a kill is none.

    Raises:
        PrecordialError: it is absent or damaged.
    """
    import polars as pl

    path = pseudonyms.table
    if not path.is_file():
        raise PrecordialError("the key table is not here", file=path, remedy="put it back beside the key file")
    data = path.read_bytes()
    try:
        raw = pl.read_csv(BytesIO(data[: data.rfind(b"\n") + 1]), infer_schema=False)
        lines = raw.select(
            pl.int_range(pl.len()).alias("row"),
            *(pl.col(name).fill_null("") for name in COLUMNS[:3]),
            pl.col("shift_days").cast(pl.Int64),
            pl.col("recorded_at").str.to_datetime(time_unit="us"),
        )
    except pl.exceptions.PolarsError:
        raise PrecordialError("the key table is damaged", file=path, remedy="restore it from a copy") from None
    return KeyTable(lines)


def check_rows(archive: Archive, table: KeyTable) -> Iterator[tuple[int, str]]:
    """Rows of the index that are not pseudonymised as they should be, each with a kind of `Finding`."""
    import polars as pl

    rows = archive.table().with_row_index("row")
    yield from _pseudonyms(rows, "patient_id", table.of("patient"), DIGEST)
    yield from _pseudonyms(rows, "source", table.of("file"), DIGEST)
    yield from _pseudonyms(rows, "site", table.of("site"), CODE.format("site"))
    models = [name for name in rows["device"].drop_nulls().unique().to_list() if is_device_model(name)]
    coded = rows.join(pl.DataFrame({"device": models}, schema={"device": pl.String}), on="device", how="anti")
    yield from _pseudonyms(coded, "device", table.of("device"), CODE.format("device"))
    old = (pl.col("age") > OLDEST + 1) | (pl.col("age") != pl.col("age").floor())
    yield from ((row, "age") for row in rows.filter(old)["row"].to_list())
    yield from ((row, "shift") for row in _badly_shifted(rows, table))


def check_rejects(archive: Archive, table: KeyTable) -> Iterator[tuple[int, str]]:
    """Lines of the rejects that tell more than a digest and a reason, each with a kind of `Finding`."""
    import polars as pl

    rejects = archive.rejects()
    sources = pl.DataFrame({"source": [row["source"] for row in rejects]}, schema={"source": pl.String})
    yield from _pseudonyms(sources.with_row_index("row"), "source", table.of("file"), DIGEST)
    for k, row in enumerate(rejects):
        if row["problem"] != REASONS.get(row["reason"]):
            yield k, "text"


def in_order_of_dates(archive: Archive, table: KeyTable) -> bool:
    """Whether the rows stand more in the order of their original dates than chance can have it.

    The measure is Spearman's correlation, whose standard deviation by chance is one over the root of the number of
    rows; six of these are taken for more than chance, and fewer than a hundred rows tell too little to be measured.
    """
    import polars as pl

    files = table.of("file").group_by("pseudonym").agg(pl.col("recorded_at").min().alias("original"))
    rows = archive.table().with_row_index("row").join(files, left_on="source", right_on="pseudonym", how="inner")
    rows = rows.drop_nulls("original")
    if rows.height < 100 or rows["original"].n_unique() == 1:
        return False
    correlation = rows.select(pl.corr(pl.col("row"), pl.col("original"), method="spearman")).item()
    return bool(abs(correlation) > 6 / rows.height**0.5)


def _pseudonyms(rows: pl.DataFrame, column: str, lines: pl.DataFrame, form: str) -> Iterator[tuple[int, str]]:
    """Cells that are no pseudonyms, and pseudonyms that are not in the key table."""
    import polars as pl

    given = rows.filter(pl.col(column).is_not_null())
    formed = pl.col(column).str.contains(form)
    yield from ((row, "form") for row in given.filter(~formed)["row"].to_list())
    strange = given.filter(formed).join(lines, left_on=column, right_on="pseudonym", how="anti")
    yield from ((row, "key") for row in strange["row"].to_list())


def _badly_shifted(rows: pl.DataFrame, table: KeyTable) -> list[int]:
    """Rows whose date is not the original moved by the patient's shift."""
    import polars as pl

    patients = table.of("patient").select("pseudonym", pl.col("shift_days").alias("patient_days"))
    files = table.of("file").select("pseudonym", "shift_days", pl.col("recorded_at").alias("original"))
    joined = rows.filter(pl.col("recorded_at").is_not_null())
    joined = joined.join(files, left_on="source", right_on="pseudonym", how="left")
    joined = joined.join(patients, left_on="patient_id", right_on="pseudonym", how="left")
    days = pl.col("shift_days")
    moved = pl.col("recorded_at") - pl.col("original").dt.truncate("1s")  # the index has whole seconds
    good = (
        (moved == pl.duration(days=days))
        & (days != 0)
        & (days % 7 == 0)
        & (days.abs() <= 7 * WEEKS)
        & (pl.col("patient_id").is_null() | (days == pl.col("patient_days")))
    )
    # A file that was read again after it had changed has several lines, of which one is this row's.
    found = joined.group_by("row").agg(good.fill_null(False).any().alias("good"))
    return sorted(found.filter(~pl.col("good"))["row"].to_list())
