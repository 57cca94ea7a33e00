"""The command line in this process, for starting one takes seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from precordial.cli import main


class CommandLine:
    """Runs ``precordial WORDS…``.

    Attributes:
        said: everything that was printed so far.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.said = ""

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        self._monkeypatch.setattr(sys, "argv", ["precordial", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        self.said += said.out + said.err
        code = ended.value.code
        assert isinstance(code, int)
        return code, said.out, said.err

    def done(self, *words: str | Path) -> str:
        """What it prints on stdout, without any trouble."""
        code, out, err = self.run(*words)
        assert code == 0, err
        return out

    def complaint(self, *words: str | Path) -> str:
        """What it complains about, in its one line."""
        code, out, err = self.run(*words)
        assert code == 2, err
        assert out == ""
        *notes, last = err.splitlines()
        # What was done before the fault may be noted: "archive: …", "cohort: building".
        assert all(note.startswith(("archive: ", "cohort: ")) for note in notes), err
        assert last.startswith("precordial: ")
        return last.removeprefix("precordial: ")
