"""The files of a cohort: flow chart as text and as pictures, Table I, and the commands that write them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import CommandLine
from precordial.cohort.flow import Flow, FlowStep
from precordial.errors import PrecordialError
from precordial.report.cohort_files import write_cohort_files, write_flow
from precordial.report.withheld import flow_and_table
from small_cohort import small_cohort

FLOW = """\
ECG archive
  115 ECGs: ECG files
    − 9 ECGs: unusable
  106 ECGs of 102 patients: usable
        2 unusable: flat-lead
        7 unusable: unreadable

Target
  80 visits of 74 patients: visits in the register
    − 3 visits of 3 patients: incomplete (1 patient leaves, 2 stay with others)
  77 visits of 73 patients: complete
  77 visits of 73 patients: of age
    − 1 visit of 1 patient: without an ECG
  76 visits of 72 patients: with an index ECG
    • 40 visits of 39 patients: training
        3 with AMI
        7 with MACE
        2 MACE unknown
        1 without age
    • 12 visits of 11 patients: validation
        2 with AMI
        4 with MACE
"""
HIDDEN = """\
Target
  80 visits of ≥ 5 patients: visits in the register
    − < 5 visits of < 5 patients: incomplete
  ≥ 5 visits of ≥ 5 patients: complete
  ≥ 5 visits of ≥ 5 patients: of age
    − < 5 visits of < 5 patients: without an ECG
  76 visits of 72 patients: with an index ECG
    • 40 visits of 39 patients: training
        < 5 with the outcome
        < 5 without age
"""
STUDY = """\
name = "small"
out = "work"
[[grid]]
models = ["cnn-20k"]
"""


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def test_the_flow_chart_counts_every_outcome() -> None:
    flow = small_cohort(outcomes=("AMI", "MACE")).flow
    assert flow.text().startswith(FLOW)
    many = small_cohort(outcomes=[f"statement:{k}" for k in range(9)]).flow["target/train"]
    assert list(many.reasons) == ["with any of 9 outcomes", "without age"]


def test_the_flow_chart_has_a_part_for_each_fold() -> None:
    numbered = small_cohort((9, 8, 7), folds=("1", "2", "3")).flow
    assert [step.text for step in numbered.steps if step.part][:3] == ["fold 1", "fold 2", "fold 3"]
    assert (numbered["target/fold-2"].visits, numbered["target/fold-2"].patients) == (8, 7)
    named = small_cohort((9, 8), folds=("Lund", "Malmö")).flow
    assert [step.text for step in named.steps if step.part][:2] == ["site Lund", "site Malmö"]


def test_small_counts_are_left_out_of_the_flow_chart() -> None:
    flow, _ = flow_and_table(small_cohort(), 5)
    assert HIDDEN in flow.text()


def test_a_cohorts_files(tmp_path: Path) -> None:
    flow, table = flow_and_table(small_cohort())
    paths = write_cohort_files(tmp_path / "a", flow, table)
    names = ["flow.svg", "flow.png", "flow.txt", *(f"table-1.{end}" for end in ("txt", "csv", "md", "tex"))]
    assert [path.name for path in paths] == names
    assert (tmp_path / "a" / "flow.txt").read_text(encoding="utf-8") == flow.text() + "\n"
    again = write_cohort_files(tmp_path / "b", flow, table)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert max(path.stat().st_size for path in paths) < 1e6
    picture = pixels(tmp_path / "a" / "flow.png")
    assert 2000 < picture.shape[1] < 4000
    assert 0.005 < (picture < 128).mean() < 0.2  # ink
    svg = (tmp_path / "a" / "flow.svg").read_text()
    assert "<text" not in svg  # no font is needed
    assert len(re.findall(r"<path ", svg)) > 100
    assert not re.search(r"\d{4}-\d\d-\d\d", svg)


def test_a_flow_chart_with_fonts_in_it(tmp_path: Path) -> None:
    write_flow(small_cohort().flow, tmp_path / "flow.pdf")
    data = (tmp_path / "flow.pdf").read_bytes()
    assert b"/FontFile2" in data
    assert b"CreationDate" not in data
    with pytest.raises(PrecordialError, match=r"flow\.gif: a flow chart is not written in such a file"):
        write_flow(Flow(), tmp_path / "flow.gif")


def test_a_flow_chart_without_parts_or_with_many(tmp_path: Path) -> None:
    parts = [FlowStep("target", f"fold-{k}", f"fold {k}", visits=1, patients=1, part=True) for k in range(11)]
    for number, steps in enumerate(([], parts[:1], parts)):
        path = tmp_path / f"{number}.png"
        write_flow(Flow((FlowStep("target", "all", "all", visits=11, patients=11), *steps)), path)
    heights = [len(pixels(tmp_path / f"{number}.png")) for number in range(3)]
    assert 100 < heights[0] < heights[1] < heights[2]


def test_the_commands_print_and_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = CommandLine(monkeypatch, capsys)
    study, cohort = tmp_path / "study.toml", small_cohort()
    study.write_text(STUDY)
    cohort.save(tmp_path / "work" / "cohort")
    flow, table = flow_and_table(cohort)
    assert command.done("cohort", "flow", study) == flow.text() + "\n"
    assert command.done("cohort", "table", study) == table.text() + "\n"
    assert command.done("cohort", "flow", study, "--out", tmp_path / "f.svg") == ""
    assert (tmp_path / "f.svg").read_text().startswith("<?xml")
    assert command.done("cohort", "table", study, "--out", tmp_path / "t.tex", "--paper", "--smd") == ""
    assert r"Source train & Paper & " in (tmp_path / "t.tex").read_text()
    hidden = command.done("cohort", "flow", study, "--set", "privacy.smallest_cell=5")
    assert HIDDEN in hidden
    assert "< 5" in command.done("cohort", "table", study, "--set", "privacy.smallest_cell=5")
    code, _, said = command.run("cohort", "table", study, "--set", "privacy.smallest_cell=2")
    assert code == 2
    assert "key 'privacy.smallest_cell': must be 0, or at least 3" in said
    assert command.run("cohort", "table", study, "--out", tmp_path / "t.docx")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.svg", "study.toml", "t.tex", "work"]
