"""What the end-to-end tests share: the command line as a user calls it, and what lies on the disk afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import CommandLine

Called = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def precordial() -> Callable[..., Called]:
    """Run ``precordial WORDS…`` in a process of its own, to its end."""

    def call(*words: str | Path, cwd: Path | None = None) -> Called:
        command = [sys.executable, "-m", "precordial", *map(str, words)]
        return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", timeout=1500, check=False)

    return call


@pytest.fixture(scope="session")
def files_below() -> Callable[[Path], dict[str, tuple[int, int]]]:
    """Every file below a folder, with its size and modification time in ns."""

    def look(folder: Path) -> dict[str, tuple[int, int]]:
        return {
            path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return look


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line in this process."""
    return CommandLine(monkeypatch, capsys)
