"""Codes of diagnoses and procedures in one spelling: "i21.4", "I214-" and " I21.4*" are "I214"."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

_NO_PART = r"[\s.,\-–_/*+†‡!#:;'()]"  # dots, blanks and the signs of dagger and asterisk codes
# ICD-10 and its national versions (C4A and I21.X too), ICD-9 (410, 410.71, V45, E880); procedures are any code.
DIAGNOSIS = r"^(?:[A-Z][0-9][0-9A-Z]{1,6}|[0-9]{3,5})$"
PROCEDURE = r"^[0-9A-Z]+$"


def clean(codes: pl.Expr) -> pl.Expr:
    """Codes in upper case, without dots, blanks, hyphens, dagger and asterisk; null where nothing is left.

    >>> pl.Series(["i21.4", "I21.4A", "I214-", " I21.4*", "-"]).to_frame("c").select(clean(pl.col("c")))["c"].to_list()
    ['I214', 'I214A', 'I214', 'I214', None]
    """
    plain = codes.str.to_uppercase().str.replace_all(_NO_PART, "")
    return pl.when(plain != "").then(plain)


def clean_words(words: Sequence[str]) -> list[str]:
    """The same of prefixes."""
    cleaned = pl.DataFrame({"word": list(words)}, schema={"word": pl.String}).select(clean(pl.col("word")))["word"]
    return [word for word in cleaned.to_list() if word is not None]
