import math
from pathlib import Path

import numpy as np
import pytest

from precordial.errors import PrecordialError
from precordial.evaluation import Predictions

COLUMNS = ("run", "ecg_id", "patient_id", "split", "target", "truth", "score")


def small() -> Predictions:
    return Predictions(
        "r1",
        ["e1", "e2", "e3"],
        [7, 7, 8],
        ["validation", "validation", "random_test"],
        "age",
        [60, math.nan, 1 / 3],
        np.array([0.1, 2, 3], np.float32),
    )


def same(a: Predictions, b: Predictions) -> bool:
    return all(np.array_equal(getattr(a, c), getattr(b, c), equal_nan=c in ("truth", "score")) for c in COLUMNS)


def test_one_text_stands_for_all_rows_and_ids_become_text() -> None:
    table = small()
    assert len(table) == 3
    assert table.run.tolist() == ["r1"] * 3
    assert table.patient_id.tolist() == ["7", "7", "8"]
    assert (table.truth.dtype, table.score.dtype) == (np.float64, np.float64)


def test_save_and_load_give_every_digit_back(tmp_path: Path) -> None:
    table = small()
    table.save(tmp_path / "new" / "predictions.csv")
    assert same(Predictions.load(tmp_path / "new" / "predictions.csv"), table)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["predictions.csv"]  # nothing half-made beside it
    lines = (tmp_path / "new" / "predictions.csv").read_text().splitlines()
    assert lines[0] == "run,ecg_id,patient_id,split,target,truth,score"
    assert lines[2] == "r1,e2,7,validation,age,,2.0"


def test_an_empty_table_survives(tmp_path: Path) -> None:
    none = small().select(target="sex")
    none.save(tmp_path / "none.csv")
    assert len(Predictions.load(tmp_path / "none.csv")) == 0


def test_select_and_concatenate() -> None:
    table = small()
    parts = [table.select(split="random_test"), table.select(split="validation", target="age", run="r1")]
    assert [len(part) for part in parts] == [1, 2]
    assert same(Predictions.concatenate(parts), table.rows(np.array([2, 0, 1])))
    assert len(table.select(run="r2")) == 0


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="column truth"):
        Predictions("r", ["a", "b"], ["p", "q"], "train", "sex", [1.0], [0.5, 0.5])
    with pytest.raises(ValueError, match="column patient_id"):
        Predictions("r", ["a", "b"], "p", "train", "sex", [1.0, 0.0], [0.5, 0.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1, column 'run': this column is missing; needed: run, ecg_id"),
        ("run,ecg_id,patient_id,split,target,truth\n", "row 1, column 'score': this column is missing"),
        ("run,ecg_id,patient_id,split,target,truth,score\nr,e,p,s,t,1\n", "row 2: 6 cells where the header has 7"),
        ("run,ecg_id,patient_id,split,target,truth,score\nr,e,p,s,t,1,2\nr,f,p,s,t,yes,2\n", "row 3, column 'truth': "),
    ],
)
def test_a_broken_file_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(text)
    with pytest.raises(PrecordialError) as caught:
        Predictions.load(path)
    assert str(caught.value).startswith(f"{path}")
    assert message in str(caught.value)
    assert "yes" not in str(caught.value)  # cell contents are not quoted
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(PrecordialError, match="cannot be read"):
        Predictions.load(tmp_path / "nowhere.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PrecordialError, match="UTF-8"):
        Predictions.load(tmp_path / "binary.csv")


def test_a_file_from_elsewhere_may_have_other_columns_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("score,truth,target,split,patient_id,ecg_id,run,site\n0.5,1,x,test,p,e,r,A\n", encoding="utf-8-sig")
    table = Predictions.load(path)
    assert (table.ecg_id[0], table.score[0]) == ("e", 0.5)
