import math
from pathlib import Path

import pytest

from precordial.errors import PrecordialError
from precordial.evaluation import Estimate, Result, read_results, result_rows, write_results

RESULTS = [
    Result("random_test", "ami", "auc", Estimate(0.8 + 1 / 3000, 0.7, 0.9, 0.95, 100, 6, 90)),
    Result("validation", "age", "mae", Estimate(7.25, math.nan, math.nan, 0.9, 3, None, None)),
]


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = result_rows(
        RESULTS,
        run="r1",
        kind="finetune",
        model="rn-900k",
        pretraining="age-sex",
        source_fraction=1.0,
        target_fraction=0.1,
        seed=3,
    )
    rows += result_rows(RESULTS[:1], run="b", kind="baseline")
    write_results(tmp_path / "results.csv", rows)
    read = read_results(tmp_path / "results.csv")
    assert read[0] == rows[0]
    assert read[2] == rows[2]
    assert read[0].estimate == RESULTS[0].estimate
    assert (read[1].events, read[1].patients, read[2].source_fraction) == (None, None, None)
    assert math.isnan(read[1].low)
    header, first, second, _ = (tmp_path / "results.csv").read_text().splitlines()
    assert header == (
        "run,kind,model,pretraining,source_fraction,target_fraction,seed,split,target,metric,"
        "value,low,high,level,n,events,patients,p,p_adjusted"
    )
    assert (
        first == "r1,finetune,rn-900k,age-sex,1.0,0.1,3,random_test,ami,auc,0.8003333333333333,0.7,0.9,0.95,100,6,90,,"
    )
    assert second.endswith(",mae,7.25,,,0.9,3,,,,")


@pytest.mark.parametrize(("column", "cell"), [("n", "2.5"), ("seed", ""), ("n", "inf"), ("value", "high")])
def test_a_cell_that_is_no_number_is_named(tmp_path: Path, column: str, cell: str) -> None:
    path = tmp_path / "results.csv"
    write_results(path, result_rows(RESULTS[:1], run="r1", kind="scratch"))
    header, line = (text.split(",") for text in path.read_text().splitlines())
    line[header.index(column)] = cell
    path.write_text(",".join(header) + "\n" + ",".join(line) + "\n")
    with pytest.raises(PrecordialError, match=rf"row 2, column '{column}': is not a (whole )?number"):
        read_results(path)


def test_p_values_are_kept_and_older_tables_without_them_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    result = Result("random_test", "ami", "auc_difference", Estimate(0.1, 0.0, 0.2, 0.95, 100, 6, 90), 1.25e-9)
    (row,) = result_rows([result], run="r1", kind="difference")
    assert (row.p, row.p_adjusted) == (1.25e-9, None)
    write_results(path, [row])
    assert read_results(path) == [row]
    older = [",".join(line.split(",")[:-2]) for line in path.read_text().splitlines()]
    path.write_text("\n".join(older) + "\n")
    (read,) = read_results(path)
    assert (read.p, read.estimate) == (None, row.estimate)
