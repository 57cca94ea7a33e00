"""Progress on a terminal and in a log."""

from __future__ import annotations

import io
import re
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from precordial.progress import ConsoleWatcher
from precordial.training import Stage, Step, TrainingRun
from precordial.watcher import Watcher

RUN = TrainingRun(model="rn-900k", role="source", task="age", stages=(Stage(epochs=4, peak=1e-3),))
BRACKETS = "archive: /data/[2024]/[bold]"


@pytest.fixture(autouse=True)
def _an_able_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # not "dumb", whatever runs the tests


def steps(first: int, last: int) -> list[Step]:
    """Steps of four epochs of 25, counted from 1."""
    metrics = {"train_loss": 3.0, "validation_loss": 1.25, "validation_age_mae": 9.5}
    return [Step(1 + (k - 1) // 25, 4, 1 + (k - 1) % 25, 25, metrics if k > 25 else {}) for k in range(first, last + 1)]


def everything(watcher: Watcher) -> None:
    """All that a study tells."""
    watcher.note(BRACKETS)
    for done in (0, 16, 40):
        watcher.files(done, 40)
    watcher.run_begins(1, 3, RUN)
    for step in steps(1, 100):
        watcher.step(step)
    watcher.run_ends(RUN)
    watcher.note("results: bootstrap intervals")


def test_the_silent_one_keeps_silent(capsys: pytest.CaptureFixture[str]) -> None:
    everything(Watcher())
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_whole_lines_and_no_bars() -> None:
    out = io.StringIO()
    with ConsoleWatcher(Console(file=out, force_terminal=False, width=60)) as watcher:
        everything(watcher)
        watcher.ecgs(3, 7)
    assert out.getvalue().splitlines() == [
        BRACKETS,  # longer than the line, with what looks like markup
        "training 1 of 3: rn-900k, pre-training on age, source fraction 1, seed 0",
        "results: bootstrap intervals",
    ]


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("precordial.progress.time", SimpleNamespace(monotonic=lambda: now[0]))
    out = io.StringIO()
    watcher = ConsoleWatcher(Console(file=out, force_terminal=False, width=200))
    for step in steps(1, 100):
        now[0] += 7.0
        watcher.step(step)
    lines = out.getvalue().splitlines()
    assert len(lines) == 100 * 7 // 35  # the first step beyond 30 s
    assert lines[0] == "  epoch 1/4  : 5 of 100 steps"
    assert lines[-1] == "  epoch 4/4  loss 1.250  age_mae 9.500: 100 of 100 steps"


def a_terminal() -> tuple[io.StringIO, Console]:
    out = io.StringIO()
    return out, Console(file=out, force_terminal=True, width=160, legacy_windows=False)


def test_a_terminal_gets_bars() -> None:
    out, console = a_terminal()
    with ConsoleWatcher(console) as watcher:
        everything(watcher)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert BRACKETS in shown
    assert re.search(r"reading files .* 40/40", shown)
    assert re.search(r"epoch 4/4  loss 1\.250  age_mae 9\.500 .* 100/100", shown)
    assert shown.rstrip().endswith("results: bootstrap intervals")
    assert "\x1b[?25h" in out.getvalue().rpartition("\x1b[?25l")[2]  # the cursor is there again


def test_what_is_written_is_not_said_to_be_read() -> None:
    out, console = a_terminal()
    with ConsoleWatcher(console) as watcher:
        watcher.written(20, 40)
        watcher.written(40, 40)
    assert re.search(r"writing ECGs .* 40/40", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()))
    assert "reading" not in out.getvalue()


def test_the_bar_goes_away_when_something_breaks() -> None:
    out, console = a_terminal()

    def work() -> None:
        with ConsoleWatcher(console) as watcher:
            watcher.files(3, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert "\x1b[?25h" in out.getvalue().rpartition("\x1b[?25l")[2]


def test_a_resumed_training_does_not_boast_of_what_was_done_before() -> None:
    """50 of 100 steps were done by an earlier call; now they come at 100 a second at most."""
    out, console = a_terminal()
    with ConsoleWatcher(console) as watcher:
        watcher.run_begins(1, 1, RUN)
        for step in steps(51, 70):
            time.sleep(0.01)
            watcher.step(step)
    speeds = [float(speed.replace(",", "")) for speed in re.findall(r"([\d,.]+) steps/s", out.getvalue())]
    assert speeds
    assert max(speeds) < 105  # the first step is counted, and the clock starts with it


def test_a_training_that_follows_starts_at_nought() -> None:
    out, console = a_terminal()
    with ConsoleWatcher(console) as watcher:
        for number in (1, 2):
            watcher.run_begins(number, 2, RUN)
            for step in steps(1, 100):
                watcher.step(step)
            watcher.run_ends(RUN)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    second = shown.partition("training 2 of 2")[2]
    assert next(re.finditer(r"(\d+)/100 ", second))[1] in ("0", "1")
