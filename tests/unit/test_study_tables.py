"""The two tables of a study: what is written is read, to the last bit, and parts of it lazily."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from precordial.errors import PrecordialError
from precordial.evaluation import Predictions, Row, read_results
from precordial.evaluation.predictions import COLUMNS
from precordial.study.tables import (
    read_predictions,
    read_results_table,
    scan_predictions,
    write_predictions_table,
    write_results_table,
)

ROWS = [
    Row("b", "scratch", "cnn", "none", None, 0.1, 0, "random_test", "AMI", "auc", 0.1 + 0.2, 1 / 3, 0.8, 0.95, 9, 4, 8),
    Row("a", "pretrain", "rn", "age", 0.02, None, 3, "validation", "age", "mae", 6.6, np.nan, 7.0, 0.95, 9, None, None),
]  # fmt: skip


def same(a: Predictions, b: Predictions) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name in ("truth", "score")) for name in COLUMNS
    )


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Predictions]:
    """Two runs with awkward ids, unknown truths and numbers of many digits, in a study's folder."""
    draw, made = np.random.default_rng(0), {}
    for name, n in (("zz", 40), ("aa", 70)):
        truth = np.where(draw.random(n) < 0.1, np.nan, draw.random(n) < 0.5)
        patients = [["0012", 'a "b", c', "", "1e5"][k % 4] for k in range(n)]
        split = np.where(np.arange(n) % 3 == 0, "validation", "random_test")
        target = np.where(np.arange(n) % 2 == 0, "AMI", "PE")
        made[name] = Predictions(name, [f"{k:016x}" for k in range(n)], patients, split, target, truth, draw.random(n))
        made[name].save(tmp_path / "runs" / name / "predictions.csv")
    write_predictions_table(tmp_path, {name: tmp_path / "runs" / name / "predictions.csv" for name in made})
    return made


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    write_results_table(tmp_path, ROWS)
    assert list(map(str, read_results_table(tmp_path))) == list(map(str, ROWS))
    assert list(map(str, read_results(tmp_path / "results.csv"))) == list(map(str, ROWS))
    table = pl.read_parquet(tmp_path / "results.parquet")
    assert table.columns == list(vars(ROWS[0]))
    assert table["source_fraction"].to_list() == [None, 0.02]
    write_results_table(tmp_path, [])
    assert read_results_table(tmp_path) == []


def test_predictions_come_back_run_by_run_in_their_order(tmp_path: Path, tables: dict[str, Predictions]) -> None:
    assert same(read_predictions(tmp_path), Predictions.concatenate(list(tables.values())))
    for name, table in tables.items():
        assert same(read_predictions(tmp_path, run=name), table)
    some = read_predictions(tmp_path, run=["aa", "zz"], split="validation", target=("PE",))
    wanted = [table.select(split="validation", target="PE") for table in tables.values()]
    assert same(some, Predictions.concatenate(wanted))
    assert len(read_predictions(tmp_path, run="nobody")) == 0
    assert scan_predictions(tmp_path).collect_schema().names() == list(COLUMNS)


def test_equal_runs_give_equal_bytes(tmp_path: Path, tables: dict[str, Predictions]) -> None:
    first = (tmp_path / "predictions.parquet").read_bytes()
    write_predictions_table(tmp_path, {name: tmp_path / "runs" / name / "predictions.csv" for name in tables})
    assert (tmp_path / "predictions.parquet").read_bytes() == first


def test_what_is_missing_or_damaged_is_said_in_one_line(tmp_path: Path, tables: dict[str, Predictions]) -> None:
    for read in (read_predictions, read_results_table, scan_predictions):
        with pytest.raises(PrecordialError, match="the study has no results yet") as error:
            read(tmp_path / "nowhere")
        assert "\n" not in str(error.value)
    path = tmp_path / "predictions.parquet"
    before = path.read_bytes()
    path.write_bytes(before[:-40])
    with pytest.raises(PrecordialError, match=r"predictions\.parquet: this file is damaged; make it again"):
        read_predictions(tmp_path)
    (tmp_path / "results.parquet").write_bytes(b"PAR1")
    with pytest.raises(PrecordialError, match=r"results\.parquet: this file is damaged"):
        read_results_table(tmp_path)
    path.write_bytes(before)
    place = tmp_path / "runs" / "zz" / "predictions.csv"
    place.write_text(place.read_text() + "zz,x,p,validation,AMI,1.0,much\n")
    with pytest.raises(PrecordialError, match=r"runs/zz/predictions.csv, row 42, column 'score'"):
        write_predictions_table(tmp_path, {"zz": place})
    place.unlink()
    with pytest.raises(PrecordialError, match=r"runs/zz/predictions.csv"):
        write_predictions_table(tmp_path, {"zz": place})
    assert path.read_bytes() == before, "the table of before stays"
    assert not list(tmp_path.glob(".*.part"))
