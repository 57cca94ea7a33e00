"""The documentation keeps up with the code: tables, commands, names, links."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from precordial import __all__ as public_names
from precordial.cli import app
from precordial.ecg import Flag

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables", DOCS / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_code(tables: ModuleType) -> None:
    used = set()
    for page in PAGES:
        text = read(page)
        used |= set(re.findall(r"<!-- table: (\S+) -->", text))
        assert tables.with_tables(text) == text, f"{page.name} is behind the code: python docs/make_tables.py"
    assert used == set(tables.TABLES)


def test_the_sizes_of_the_models_are_those_of_the_models(tables: ModuleType) -> None:
    assert tables.MODEL_SIZES.read_text(encoding="utf-8") == tables.model_sizes(), "python docs/make_tables.py"


def all_commands() -> dict[str, Any]:
    """Every command by the words after ``precordial``."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        found |= {f"{name} {word}": other for word, other in inner.items()} or {name: command}
    return found


def test_every_command_and_option_is_described() -> None:
    text = read(DOCS / "reference" / "commands.md")
    commands = all_commands()
    assert len(commands) >= 12
    for name, command in commands.items():
        _, heading, section = text.partition(f"\n## precordial {name}\n")
        assert heading, f"{name} has no section"
        section = section.partition("\n## ")[0]
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--"):
                    assert option in section, f"{name} {option}"


def test_the_commands_and_options_that_pages_show_exist() -> None:
    commands, shown = all_commands(), set()
    for page in PAGES:
        text = read(page)
        blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)).replace("\n   ", " ")
        lines = re.findall(r"^precordial (.+)$", blocks, re.MULTILINE)
        lines += re.findall(r"`precordial ([^`]+)`", _FENCED.sub("", text))
        for line in lines:
            words = re.split(r"[\s\[\]]+", line)
            name = next((name for name in (" ".join(words[:2]), words[0]) if name in commands), "")
            known = {option for parameter in commands[name].params for option in parameter.opts} if name else set()
            used = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert used <= known | {"--help"} if name else words == ["--version"], f"{page.name}: precordial {line}"
            shown.add(name)
    assert shown == {*commands, ""}


def test_the_studies_that_pages_name_exist() -> None:
    for file in [*PAGES, REPOSITORY / "Makefile"]:
        for study in re.findall(r"studies/[\w-]+\.toml", read(file)):
            assert (REPOSITORY / study).exists(), f"{file.name}: {study}"


def test_every_flag_is_described() -> None:
    text = read(DOCS / "reference" / "formats.md")
    for flag in Flag:
        assert f"| `{flag.name}` | {flag.value} |" in text


def test_every_public_name_is_in_the_api() -> None:
    text = read(DOCS / "reference" / "api.md")
    for name in set(public_names) - {"__version__"}:
        assert f"`pc.{name}`" in text


def test_the_make_targets_that_pages_name_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", read(REPOSITORY / "Makefile"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)make ([\w-]+)", read(page), re.MULTILINE))
        assert named <= targets, page.name
    assert {"demo", "test"} <= set(re.findall(r"`make ([\w-]+)`", read(REPOSITORY / "README.md")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", read(page))):
        if "://" in link:
            continue
        file, _, heading = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), link
        if heading and target.suffix == ".md" and not heading.startswith("precordial."):
            assert heading in slugs(read(target)), link


def slugs(text: str) -> set[str]:
    """Anchors of the headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
