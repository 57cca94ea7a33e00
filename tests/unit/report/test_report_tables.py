"""The layout of every table, to the letter, on a study of two models."""

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from precordial.errors import PrecordialError
from precordial.evaluation import Estimate, Result, Row, result_rows
from precordial.models import MODELS
from precordial.report import (
    Table,
    results_tables,
    table_four,
    table_outcomes,
    table_sizes,
    table_three,
    table_two,
    write_report,
)
from precordial.report.paper import TABLE_FOUR, TABLE_THREE, TABLE_TWO
from precordial.report.tables import SEEDS

TESTS = ("random_test", "temporal_test", "combined_test")


def rows_of(kind: str, values: dict[str, tuple[float, float, float]], metric: str = "auc", **about: Any) -> list[Row]:
    target = {"mae": "age", "r2": "age", "accuracy": "sex"}.get(metric, about.pop("target", "AMI"))
    results = [Result(split, target, metric, Estimate(*numbers)) for split, numbers in values.items()]
    about = {"model": "cnn-20k", "run": "r"} | about
    return result_rows(results, kind=kind, **about)


def on_tests(value: float) -> dict[str, tuple[float, float, float]]:
    return {s: (value - i / 100, value - i / 100 - 0.02, value - i / 100 + 0.02) for i, s in enumerate(TESTS)}


def study() -> list[Row]:
    """Scratch and age pre-training for two models, a half-size scratch run, baselines and differences."""
    full: dict[str, Any] = {"target_fraction": 1.0}
    tuned = full | {"pretraining": "age", "source_fraction": 1.0}
    return [
        *rows_of("finetune", on_tests(0.857), model="rn-900k", **tuned),
        *rows_of("scratch", on_tests(0.785), **full),
        *rows_of("scratch", on_tests(0.7), target_fraction=0.5),
        *rows_of("finetune", on_tests(0.798), **tuned),
        *rows_of("finetune", on_tests(0.6), **(tuned | {"source_fraction": 0.02})),
        *rows_of("scratch", on_tests(0.799), model="rn-900k", **full),
        *rows_of("baseline", on_tests(0.72), model="", **full),
        *rows_of("baseline", on_tests(0.71), model="", target_fraction=0.5),
        *rows_of("difference", {"random_test": (0.013, -0.008, 0.034)}, "auc_difference", **tuned),
        *rows_of("difference", {"random_test": (0.058, 0.031, 0.085)}, "auc_difference", model="rn-900k", **tuned),
        *rows_of("pretrain", {"validation": (10.32, 10.1, 10.5)}, "mae", pretraining="age", source_fraction=1.0),
        *rows_of("pretrain", {"validation": (0.5, 0.48, 0.52)}, "r2", pretraining="age", source_fraction=1.0),
        *rows_of("pretrain", {"validation": (99.0, 98.0, 100.0)}, "mae", pretraining="age", source_fraction=0.02),
        *rows_of("pretrain", {"validation": (-0.05, -0.1, 0.0)}, "r2", pretraining="age-sex", source_fraction=1.0),
        *rows_of("pretrain", {"validation": (0.8, 0.79, 0.81)}, "accuracy", pretraining="age-sex", source_fraction=1.0),
    ]


def test_table_three() -> None:
    assert (
        table_three(study()).text()
        == """\
Table III. AUC for AMI by pre-training, 95 % interval

Model    Test set  No pre-training      Age
---------------------------------------------------------------
CNN-20k  Random    0.785 (0.765–0.805)  0.798 (0.778–0.818)
         Temporal  0.775 (0.755–0.795)  0.788 (0.768–0.808)
         Combined  0.765 (0.745–0.785)  0.778 (0.758–0.798)
RN-900k  Random    0.799 (0.779–0.819)  0.857 (0.837–0.877)
         Temporal  0.789 (0.769–0.809)  0.847 (0.827–0.867)
         Combined  0.779 (0.759–0.799)  0.837 (0.817–0.857)

Logistic regression on age and sex
         Random    0.720 (0.700–0.740)
         Temporal  0.710 (0.690–0.730)
         Combined  0.700 (0.680–0.720)

Paired difference to no pre-training
CNN-20k  Random                         0.013 (−0.008 to 0.034)
RN-900k  Random                         0.058 (0.031–0.085)
"""
    )


def test_table_three_of_an_unfinished_or_smaller_study() -> None:
    half = [replace(row, target="MI") for row in study() if row.target_fraction == 0.5]
    assert (
        table_three(half, "MI").text()
        == """\
Table III. AUC for MI by pre-training, 50 % of the target, 95 % interval

Model    Test set  No pre-training
--------------------------------------
CNN-20k  Random    0.700 (0.680–0.720)
         Temporal  0.690 (0.670–0.710)
         Combined  0.680 (0.660–0.700)

Logistic regression on age and sex
         Random    0.710 (0.690–0.730)
         Temporal  0.700 (0.680–0.720)
         Combined  0.690 (0.670–0.710)
"""
    )
    assert table_three([]).rows == ()


def test_several_seeds_stand_one_below_the_other() -> None:
    rows = []
    for seed in (2, 1):
        rows += rows_of("scratch", {"random_test": (0.7 + seed / 100, 0.6, 0.8)}, seed=seed, target_fraction=1.0)
    assert table_three(rows).rows == (
        ("CNN-20k (1)", "Random", "0.710 (0.600–0.800)"),
        ("CNN-20k (2)", "Random", "0.720 (0.600–0.800)"),
    )
    about: dict[str, Any] = {"seed": 1, "target_fraction": 1.0}
    nan = float("nan")
    rows += rows_of("seeds", {"random_test": (0.715, 0.65, 0.78)}, "auc_seed_mean", **about)
    rows += rows_of("seeds", {"random_test": (0.007, nan, nan)}, "auc_seed_sd", **about)
    assert table_three(rows, paper=True).rows[2:] == (
        (SEEDS["auc"], "", ""),
        ("CNN-20k", "Random", "0.715 (0.650–0.780), SD 0.007"),
        ("", "Paper", "0.785 (0.764–0.807)"),
    )


def test_two_results_for_one_cell_are_refused() -> None:
    with pytest.raises(PrecordialError, match="two results for auc of cnn-20k on random_test"):
        table_three([*study(), *rows_of("scratch", on_tests(0.7), target_fraction=1.0)])


def test_table_four() -> None:
    assert (
        table_four(study()).text()
        == """\
Table IV. Pre-training on the source's validation set, 95 % interval

Model    Label      MAE                  r²                        AUC  Accuracy
-------------------------------------------------------------------------------------------
CNN-20k  Age        10.32 (10.10–10.50)  0.500 (0.480–0.520)
         Age & Sex                       −0.050 (−0.100 to 0.000)       0.800 (0.790–0.810)
"""
    )


def test_sizes() -> None:
    table = table_sizes(study())
    assert table is not None
    assert table.title.startswith("AUC on the combined test set by share of the target's training patients")
    assert table.header == ("Model", "Target", "No pre-training", "Age")
    assert table.rows == (
        ("CNN-20k", "50 %", "0.680 (0.660–0.700)", ""),
        ("", "100 %", "0.765 (0.745–0.785)", "0.778 (0.758–0.798)"),
        ("RN-900k", "50 %", "", ""),
        ("", "100 %", "0.779 (0.759–0.799)", "0.837 (0.817–0.857)"),
    )
    assert table_sizes([row for row in study() if row.target_fraction == 1.0]) is None


def test_the_papers_numbers_stand_below_the_studys_own() -> None:
    tables = results_tables(study(), ["AMI"], paper=True)
    lines = tables["table-3"].rows
    at = lines.index(("CNN-20k", "Random", "0.785 (0.765–0.805)", "0.798 (0.778–0.818)"))
    assert lines[at + 1] == ("", "Paper", "0.785 (0.764–0.807)", "0.798 (0.777–0.820)")
    assert lines[at + 3] == ("", "Paper", "0.750 (0.724–0.775)", "0.778 (0.755–0.802)")
    assert lines[at + 4][1] == "Combined"
    assert lines[at + 5][0] == "RN-900k"  # the paper has no combined AUC
    assert len([line for line in lines if line[1] == "Paper"]) == 4
    assert [line[1:] for line in tables["table-4"].rows] == [
        ("Age", "10.32 (10.10–10.50)", "0.500 (0.480–0.520)", "", ""),
        ("Paper", "10.32", "0.50", "", ""),
        ("Age & Sex", "", "−0.050 (−0.100 to 0.000)", "", "0.800 (0.790–0.810)"),
        ("Paper", "15.81", "−0.05", "0.89", "0.80"),
    ]


def test_another_outcome_is_not_the_papers() -> None:
    rows = [*study(), *rows_of("scratch", on_tests(0.7), target="death", target_fraction=1.0)]
    tables = results_tables(rows, ["AMI", "death"], paper=True)
    assert "Paper" not in tables["table-3-death"].text()


def test_the_papers_tables_are_whole() -> None:
    """Every cell that RECIPE.md lists, and the intervals around their AUCs."""
    assert {model for model, _ in TABLE_THREE} == {model for model, _ in TABLE_FOUR} == set(TABLE_TWO) == set(MODELS)
    cells = [cell for line in TABLE_THREE.values() for cell in line]
    assert len(cells) == 32
    for cell in cells:
        value, low, high = map(float, re.findall(r"0\.\d{3}", cell))
        assert low < value < high
    heads = {place: [cell[2:5] for cell in line] for place, line in TABLE_THREE.items()}
    assert heads["rn-900k", "random_test"] == ["799", "857", "845", "858"]
    assert heads["rn-33m", "temporal_test"] == ["716", "778", "770", "792"]
    assert {name: size[1] for name, size in TABLE_TWO.items()} == {n: a.paper_parameters for n, a in MODELS.items()}


def test_table_two_is_as_in_the_paper() -> None:
    model: dict[str, str | int] = {
        "name": "rn-7m",
        "paper_name": "RN-7M",
        "input": "4096 at 400 Hz",
        "conv_layers": 9,
        "shortcut_convs": 4,
        "trainable": 6780833,
        "with_statistics": 6784561,
        "paper_parameters": 6784561,
        "source": "Ribeiro et al. 2020, doi:10.1038/s41467-020-15432-4",
    }
    assert table_two([model]).rows == (
        ("RN-7M", "4096 at 400 Hz", "9 + 4", "9", "6 780 833", "6 784 561", "6 784 561", "Ribeiro et al. 2020"),
    )


def test_no_table_is_wider_than_a_screen() -> None:
    """Four pre-trainings, and differences with both ends negative: the widest that can be."""
    rows = [
        row
        for pretraining in ("none", "age", "sex", "age-sex")
        for row in (
            *rows_of("finetune", on_tests(0.8), pretraining=pretraining, model="rn-900k"),
            *rows_of("difference", on_tests(-0.5), "auc_difference", pretraining=pretraining, model="rn-900k"),
        )
        if pretraining != "none" or row.kind != "difference"
    ]
    tables = results_tables([*rows, *study()[-5:]], ["AMI"])
    assert list(tables) == ["table-3", "table-4"]
    for name, table in tables.items():
        assert max(len(line) for line in table.text().splitlines()) <= 120, name


def test_each_of_several_outcomes_has_its_tables() -> None:
    rows = [*study(), *[replace(row, target="I21.0–I21.3", value=0.6) for row in study() if row.target == "AMI"]]
    tables = results_tables(rows, ["AMI", "I21.0–I21.3"])
    assert list(tables) == ["table-3", "sizes", "table-3-I21.0-I21.3", "sizes-I21.0-I21.3", "table-4"]
    alone = results_tables(study(), ["AMI"])
    assert tables["table-3"] == alone["table-3"]
    assert (
        alone["sizes"].title == "AUC on the combined test set by share of the target's training patients, 95 % interval"
    )
    assert tables["sizes-I21.0-I21.3"].title.startswith("AUC for I21.0–I21.3 on the combined test set")
    assert tables["table-3-I21.0-I21.3"].rows[0][2].startswith("0.600")


def test_many_outcomes_share_one_table() -> None:
    outcomes = [f"statement:{k}" for k in range(71)]
    rows = [
        *rows_of("scratch", on_tests(0.7), target="statement:0", target_fraction=1.0),
        *rows_of("scratch", on_tests(0.8), target="statement:1", target_fraction=1.0),
        *rows_of("scratch", on_tests(float("nan")), target="statement:2", target_fraction=1.0),
        *rows_of("baseline", on_tests(0.6), target="statement:0", model="", target_fraction=1.0),
    ]
    rows = [replace(row, events=int(row.target[-1]), n=100) for row in rows]
    tables = results_tables(rows, outcomes)
    assert list(tables) == ["outcomes"]
    table = tables["outcomes"]
    assert table == table_outcomes(rows, outcomes)
    bare = table_outcomes(rows, outcomes, counts=False)
    assert (bare.header, bare.rows[1]) == (("Outcome", "No pre-training"), ("statement:0", "0.680 (0.660–0.700)"))
    assert table.header == ("Outcome", "Events", "No pre-training")
    assert table.rows[:4] == (
        ("CNN-20k", "", ""),
        ("statement:0", "0", "0.680 (0.660–0.700)"),
        ("statement:1", "1", "0.780 (0.760–0.800)"),
        ("statement:2", "2", "–"),
    )
    assert table.rows[72] == ("Macro-average", "", "0.730")  # of the two that have an AUC
    assert table.rows[73][0] == "Logistic regression on age and sex"
    assert table.rows[-1] == ("Macro-average", "", "0.580")


@pytest.fixture
def awkward() -> Table:
    return Table(
        "Cost of 5 % & more_of $x^2$ {~#}",
        ("Outcome|a", "< 5", "162 903"),
        (("[*] <b>", "≥ 5", "0.5 (−0.1–0.9)"), ("Head_ing", "", ""), ("*back\\slash", "`r²`", "µV > 1\u00a0mm")),
    )


def test_markdown_is_escaped(awkward: Table) -> None:
    assert awkward.markdown().splitlines() == [
        r"Cost of 5 % & more\_of \$x^2\$ {\~\#}",
        "",
        r"| Outcome\|a | \< 5 | 162 903 |",
        "| --- | --- | --- |",
        r"| \[\*\] \<b\> | ≥ 5 | 0.5 (−0.1–0.9) |",
        r"| **Head\_ing** |  |  |",
        r"| \*back\\slash | \`r²\` | µV \> 1 mm |",
    ]


def test_latex_is_escaped(awkward: Table) -> None:
    lines = awkward.latex().splitlines()
    assert lines[2:] == [
        r"\caption{Cost of 5 \% \& more\_of \$x\textasciicircum{}2\$ \{\textasciitilde{}\#\}}",
        r"\begin{tabular}{lll}",
        r"\toprule",
        r"Outcome\textbar{}a & \textless{} 5 & 162\,903 \\",
        r"\midrule",
        r"{[}{*}] \textless{}b\textgreater{} & $\geq$ 5 & 0.5 ($-$0.1--0.9) \\",
        r"\addlinespace",
        r"\multicolumn{3}{l}{\textit{Head\_ing}} \\",
        r"{*}back\textbackslash{}slash & `r\textsuperscript{2}` & \textmu{}V \textgreater{} 1~mm \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_a_report_is_a_file_per_table_and_format(tmp_path: Path) -> None:
    table = Table("A title", ("Model", "AUC, and more"), (("CNN-20k", "0.7 (0.6–0.8)"),))
    paths = write_report(tmp_path / "report", {"table-9": table}, flow="50 518 visits\n")
    assert [path.name for path in paths] == ["flow.txt", *(f"table-9.{end}" for end in ("txt", "csv", "md", "tex"))]
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == sorted(path.name for path in paths)
    assert paths[0].read_text() == "50 518 visits\n"
    assert paths[1].read_text(encoding="utf-8") == table.text()
    with paths[2].open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["Model", "AUC, and more"], ["CNN-20k", "0.7 (0.6–0.8)"]]
    assert paths[3].read_text(encoding="utf-8") == table.markdown()
    assert paths[4].read_text(encoding="utf-8") == table.latex()
    assert len(write_report(tmp_path / "bare", {"table-9": table})) == 4
    with pytest.raises(PrecordialError, match=r"table\.docx: a table is not .*\.txt or \.csv or \.md or \.tex"):
        table.write(tmp_path / "table.docx")
