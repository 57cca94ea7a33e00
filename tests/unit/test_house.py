"""The house: imports run one way, light parts stay light, and the public names are there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import precordial

SOURCE = Path(precordial.__file__).parent

# Each may import those before it, and itself. docs/architecture.md says why evaluation stands so low.
ORDER = [
    "errors",
    "files",
    "claims",
    "processes",
    "ecg",
    "quality",
    "watcher",
    "evaluation",
    "formats",
    "archive",
    "registers",
    "cohort",
    "datasets",
    "twin",
    "models",
    "training",
    "study",
    "report",
    "demo",
    "bedside",
    "progress",
    "cli",
    "__main__",
]


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_parts(tree: ast.AST) -> set[str]:
    """Parts of the package that a file imports; what it imports for type checking alone does not count."""
    found = set()
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if node.module != "precordial" else [f"precordial.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("precordial.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_one_way(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    assert part in ORDER, f"{part} is new: give it its place in the order"
    allowed = set(ORDER[: ORDER.index(part) + 1])
    assert imported_parts(ast.parse(path.read_text())) <= allowed


def test_the_import_test_sees_imports() -> None:
    tree = ast.parse("from precordial.cli import main\nimport precordial.study.plan\nfrom precordial import report")
    assert imported_parts(tree) == {"cli", "study", "report"}


@pytest.mark.parametrize(
    "part", ["", ".cohort", ".evaluation", ".report", ".archive", ".formats", ".registers", ".cli", ".study.cohorts"]
)
def test_light_parts_do_not_load_torch(part: str) -> None:
    code = f"import precordial{part}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("part", [".cohort", ".registers", ".training", ".evaluation"])
def test_training_machines_need_no_polars(part: str) -> None:
    """Loading a cohort and training on it must work where Polars is not installed."""
    code = f"import sys; sys.modules['polars'] = None; import precordial{part}"
    if part == ".cohort":
        code = "import sys; import precordial.cohort.cohort, precordial.cohort.guard; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there() -> None:
    for name in precordial.__all__:
        assert getattr(precordial, name) is not None
    assert set(precordial.__all__) - {"__version__"} == set(precordial._HOME)
    with pytest.raises(AttributeError):
        _ = precordial.nothing
