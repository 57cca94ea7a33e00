"""Claims: one owner at a time, dead ones followed by one only, on this machine and as if on others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from precordial import claims as module
from precordial.claims import ClaimLostError, Claims, Owner

HOLDER = """
import sys, time
from pathlib import Path
from precordial.claims import Claims
with Claims("holder").take(Path(sys.argv[1]), mark=sys.argv[2]):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def held_elsewhere(folder: Path, mark: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process holds the claim."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), mark], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def from_afar(folder: Path, **changes: object) -> Path:
    """The claim of a process on another machine."""
    owner = Owner("worker 1", "node7", "another machine", 4711, "1", "0" * 16)
    path = folder / "claim-3.json"
    path.write_text(json.dumps(asdict(replace(owner, **changes))))  # type: ignore[arg-type]
    return path


def test_one_at_a_time(tmp_path: Path) -> None:
    one, other = Claims("one"), Claims("other")
    claim = one.take(tmp_path / "run")
    assert claim is not None
    with claim:
        assert other.take(tmp_path / "run") is None
        assert one.take(tmp_path / "run") is None, "nor twice by the same"
        owner = other.owner(tmp_path / "run")
        assert owner is not None
        assert owner.text().startswith("one on ")
        claim.check()
    assert other.owner(tmp_path / "run") is None
    assert "one" not in (tmp_path / "run" / "claim-1.json").read_text(), "nobody is named afterwards"
    second = other.take(tmp_path / "run")
    assert second is not None
    assert second.deaths == 0
    with second:
        second.clear()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_dead_process_is_followed_at_once_and_its_deaths_counted(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path, "step 1") as process:
        assert Claims("me").take(tmp_path, mark="step 1") is None
        process.send_signal(signal.SIGSTOP)
        assert Claims("me", lease=0.0).take(tmp_path) is None, "who stands still here lives"
    for deaths, mark in ((1, "step 1"), (2, "step 1")):
        with held_elsewhere(tmp_path, mark):
            assert json.loads((max(tmp_path.iterdir())).read_text())["deaths"] == deaths
    got_on = Claims("me").take(tmp_path, mark="step 2")
    assert got_on is not None
    assert got_on.deaths == 1, "the last owner has died, but the work went on"


def test_a_process_number_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    here = Claims("me").take(tmp_path)
    assert here is not None
    path = tmp_path / "claim-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"born": "1"}))
    assert Claims("me").take(tmp_path) is not None


def test_an_owner_elsewhere_is_dead_when_nothing_is_heard_of_it_for_the_lease(tmp_path: Path) -> None:
    path = from_afar(tmp_path)
    os.utime(path, (0, 0))  # clocks of other machines mean nothing
    me = Claims("me", lease=0.2)
    assert me.take(tmp_path) is None
    for _ in range(3):
        time.sleep(0.1)
        os.utime(path)
        assert me.take(tmp_path) is None, "it beats"
    assert me.silent(tmp_path) < 60
    time.sleep(0.25)
    taken = me.take(tmp_path)
    assert taken is not None
    assert taken.deaths == 1
    assert [path.name for path in tmp_path.iterdir()] == ["claim-4.json"]


def test_a_claim_that_is_just_being_written_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "claim-1.json").touch()
    me = Claims("me", lease=0.1)
    assert me.take(tmp_path) is None
    time.sleep(0.15)
    assert me.take(tmp_path) is not None


def test_who_decides_by_an_old_look_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_afar(tmp_path, free=True)
    looks = iter([(0, None)])
    real = module._highest

    def old(folder: Path, name: str) -> tuple[int, Owner | None]:
        return next(looks, None) or real(folder, name)

    monkeypatch.setattr(module, "_highest", old)
    assert Claims("late").take(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["claim-3.json"]


def test_who_stood_still_learns_that_another_has_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Claims("slow", lease=0.4).take(tmp_path)
    assert claim is not None
    from_afar(tmp_path)
    with claim:
        time.sleep(0.5)
        with pytest.raises(ClaimLostError, match="another process has taken this work over"):
            claim.check()
    assert (tmp_path / "claim-3.json").exists()
    assert not json.loads((tmp_path / "claim-3.json").read_text())["free"], "it is not this one's to give back"


def test_of_many_that_see_a_dead_owner_one_takes_over(tmp_path: Path) -> None:
    """Threads stand for machines: each with a look of its own."""
    for turn in range(20):
        folder = tmp_path / str(turn)
        folder.mkdir()
        from_afar(folder, free=turn % 2 == 0)
        sight = [Claims(f"machine {k}", lease=0.0) for k in range(8)]
        for one in sight:
            one.owner(folder)  # a first look, from which the lease counts
        time.sleep(0.001)
        with ThreadPoolExecutor(8) as pool:
            taken = [claim for claim in pool.map(lambda one, at=folder: one.take(at), sight) if claim is not None]
        # A lease of nothing lets a living one be followed at once on another machine; here all are of this one.
        assert len(taken) == 1


def test_a_held_folder_is_waited_for(tmp_path: Path) -> None:
    said: list[str] = []
    claim = Claims("first").take(tmp_path, ".work")
    assert claim is not None

    def second() -> None:
        with Claims("second").hold(tmp_path, ".work", lambda: said.append("waiting")):
            said.append("held")

    with ThreadPoolExecutor(1) as pool:
        with claim:
            waits = pool.submit(second)
            time.sleep(0.3)
            assert said == ["waiting"]
        waits.result(timeout=30)
    assert said == ["waiting", "held"]
