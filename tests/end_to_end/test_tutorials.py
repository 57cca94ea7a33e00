"""The documentation's own commands, run as they are written, page by page, in an empty folder.

Above a fenced block of a page may stand a comment that a reader of the page does not see:

- ``<!-- test -->``: run the block. ``precordial`` commands run in this process (so that torch is loaded once), other
  commands in a shell; the Python blocks of a page are one program.
- ``<!-- test: NAME -->``: write the block to the file NAME.
- ``<!-- output -->``: what the block that ran before must have printed; ``...`` stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from precordial import cli
from precordial.study import load_study, make_plan
from public_sets import challenge, code_15, mimic

REPOSITORY = Path(__file__).parents[2]
PAGES = (
    "docs/quickstart.md",
    *(
        f"docs/tutorials/{page}.md"
        for page in ("own-hospital", "ptb-xl", "public-sets", "python", "pseudonyms", "several-machines")
    ),
)
_BLOCK = re.compile(r"<!-- (test|output)(?:: (\S+))? -->\n```(\w+)\n(.*?)```\n", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A marked block: what to do with it, the file it is written to, its language and text."""

    mark: str
    file: str | None
    language: str
    text: str


def marked_blocks(page: str) -> Iterator[Block]:
    for match in _BLOCK.finditer((REPOSITORY / page).read_text(encoding="utf-8")):
        yield Block(match[1], match[2], match[3], match[4])


def run_commands(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the lines of a shell block; the first that fails, fails the test."""
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["precordial"]:
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as end:
                cli.main()
            assert end.value.code == 0, f"{line}: exit code {end.value.code}"
        elif words:
            print(subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True).stdout, end="")


def run_page(page: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the marked blocks of a page in the present folder; how many outputs were compared."""
    names: dict[str, Any] = {"__name__": "tutorial"}
    printed, compared = "", 0
    for block in marked_blocks(page):
        if block.file is not None:
            Path(block.file).write_text(block.text, encoding="utf-8")
        elif block.mark == "output":
            compared += 1
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert doctest.OutputChecker().check_output(block.text, printed, flags), (
                f"{page} says\n{block.text}\nand this was printed\n{printed}"
            )
        else:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                if block.language == "python":
                    exec(compile(block.text, page, "exec"), names)
                else:
                    run_commands(block.text, monkeypatch)
            printed = out.getvalue()
    return compared


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page).stem)
def test_the_page_runs_as_it_is_written(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "public-sets" in page:  # in a checkout; the sets are made in the layouts of the real ones
        pytest.importorskip("h5py")
        shutil.copytree(REPOSITORY / "studies", "studies")
        code_15.write_exams(Path("code-15"), 200)
        challenge.write_challenge(Path("cinc2021"), 6)
        mimic.write_mimic(Path("mimic"), 6)
    if "ptb-xl" in page or "public-sets" in page:
        data = REPOSITORY.parent / "shared" / "data" / "ptbxl"
        if not data.is_dir():
            pytest.skip("PTB-XL (../shared/data/ptbxl) is not here")
        Path("ptb-xl").symlink_to(data)
    assert run_page(page, monkeypatch) > 0


def test_the_readme_s_study_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page("README.md", monkeypatch)  # writes the file
    plan = make_plan(load_study("study.toml"))
    assert [plan.count("pretrain"), plan.count("scratch"), plan.count("finetune")] == [3, 1, 3]


def test_a_page_that_is_wrong_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def run(page: str) -> int:
        Path("page.md").write_text(page)
        return run_page(str(tmp_path / "page.md"), monkeypatch)

    said = "<!-- test -->\n```python\nprint('a', 1)\n```\n<!-- output -->\n```text\na ...\n```\n"
    assert run(said) == 1
    with pytest.raises(AssertionError, match="b 1"):
        run(said.replace("'a'", "'b'"))
    with pytest.raises(AssertionError, match="exit code 2"):
        run("<!-- test -->\n```sh\nprecordial archive info nowhere\n```\n")
    with pytest.raises(subprocess.CalledProcessError):
        run("<!-- test -->\n```sh\nls nowhere\n```\n")
