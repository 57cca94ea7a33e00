"""Claims: which process works on something in a folder that several processes, on several machines, share.

A claim is a file, ``claim-N.json``, that says who holds it; the highest number counts. It is made with the system's
exclusive creation, which works on every shared file system, where locks of files (flock) often hold on one machine
only. Its owner touches it every `BEAT` seconds. A claim of a process of this machine is dead when the process is; one
of another machine when nobody has touched it for `LEASE` seconds, by the clock of the one who looks on. Who takes over
from a dead owner makes the next number, which only one can. Numbers are not used again while there is work to claim, so
that who decides by an old look at the folder fails.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from precordial.errors import PrecordialError
from precordial.files import write_atomic

BEAT, LEASE = 15.0, 120.0  # seconds
POLL = (0.1, 5.0)  # seconds between looks at what others hold: at first, and at most


class ClaimLostError(PrecordialError):
    """Another process has taken over, since nothing was heard of this one."""


@dataclass(frozen=True)
class Owner:
    """Who holds a claim.

    Attributes:
        who: in words, such as ``worker 2``.
        host: name of the machine; claims are deleted when the work is done.
        machine: its boot and the space of its process numbers: where equal, a process can be looked up by its number.
        pid, born: the process, and when it began, since numbers of processes are used again.
        token: of this claim.
        deaths: owners that have died one after the other without getting on.
        mark: how far the work was when it was claimed.
        free: given back.
    """

    who: str
    host: str
    machine: str
    pid: int
    born: str
    token: str
    deaths: int = 0
    mark: str = ""
    free: bool = False

    def text(self) -> str:
        """For people."""
        return f"{self.who} on {self.host}, process {self.pid}"


@dataclass
class Claims:
    """What this process sees of claims, and takes of them.

    Attributes:
        who: this process, in words.
        lease: seconds; see the module.
    """

    who: str
    lease: float = LEASE
    _seen: dict[Path, tuple[int, float]] = field(default_factory=dict)

    def take(self, folder: Path, name: str = "claim", mark: str = "") -> Claim | None:
        """Claim the work in a folder, which is made; None where somebody else has it.

        Args:
            folder: what is claimed.
            name: of the claim, where a folder has several.
            mark: how far the work is, so that owners that die without getting on can be counted.
        """
        folder.mkdir(parents=True, exist_ok=True)
        number, owner = _highest(folder, name)
        if number and not self._dead(folder / f"{name}-{number}.json", owner):
            return None
        died = owner is not None and not owner.free
        deaths = (owner.deaths if owner and owner.mark == mark else 0) + 1 if died else 0
        mine = Owner(
            self.who, platform.node(), _machine(), os.getpid(), _born(os.getpid()), secrets.token_hex(8), deaths, mark
        )
        path = folder / f"{name}-{number + 1}.json"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(asdict(mine)))
        except FileExistsError:
            return None
        if _highest(folder, name)[0] != number + 1:  # decided by an old look
            path.unlink(missing_ok=True)
            return None
        for lower in range(1, number + 1):
            (folder / f"{name}-{lower}.json").unlink(missing_ok=True)
        return Claim(path, mine, self.lease)

    def owner(self, folder: Path, name: str = "claim") -> Owner | None:
        """Who works on what is in a folder; None for nobody, as far as can be known."""
        number, owner = _highest(folder, name)
        return owner if number and not self._dead(folder / f"{name}-{number}.json", owner) else None

    def silent(self, folder: Path, name: str = "claim") -> float:
        """Seconds since the owner was last heard of, by this machine's clock; for people only."""
        try:
            touched = (folder / f"{name}-{_highest(folder, name)[0]}.json").stat().st_mtime
        except FileNotFoundError:
            return 0.0
        return time.time() - touched

    @contextmanager
    def hold(self, folder: Path, name: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold a claim during a block; wait while somebody else does, and say so once."""
        pause = POLL[0]
        while (claim := self.take(folder, name)) is None:
            if waiting:
                waiting()
                waiting = None
            time.sleep(pause)
            pause = min(2 * pause, POLL[1])
        with claim:
            yield

    def _dead(self, path: Path, owner: Owner | None) -> bool:
        if owner is not None and owner.free:
            return True
        if owner is not None and owner.machine == _machine():
            return _born(owner.pid) != owner.born
        # Written on another machine, or just being written: by what is seen of it, since clocks differ.
        try:
            touched = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False  # somebody else is at it
        before, since = self._seen.get(path, (-1, 0.0))
        if before != touched:
            self._seen[path] = touched, time.monotonic()
            return False
        return time.monotonic() - since > self.lease


class Claim:
    """A claim that this process holds, while it is open: a context manager.

    Attributes:
        deaths: owners before this one that died one after the other without getting on.
    """

    def __init__(self, path: Path, owner: Owner, lease: float) -> None:
        self.deaths = owner.deaths
        self._path, self._owner, self._lease = path, owner, lease
        self._name = path.name.rpartition("-")[0]
        self._beaten = time.monotonic()
        self._ended = threading.Event()
        self._beater = threading.Thread(target=self._beat_on, daemon=True)

    def __enter__(self) -> Self:
        self._beater.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        self._beater.join()
        self.release()

    def release(self) -> None:
        """Give it back; leaving its context does so, too."""
        if self._path.exists() and self._is_mine():
            write_atomic(self._path, json.dumps(asdict(self._owner) | {"who": "", "host": "", "free": True}))

    def check(self) -> None:
        """See that the claim still holds, if that was long ago: call it where the work can be left.

        Raises:
            ClaimLostError: somebody else has it, since this process stood still for a while.
        """
        if time.monotonic() - self._beaten > self._lease / 2:
            self._beat()

    def clear(self) -> None:
        """Delete the claims: the work is done, and says so by itself to whoever claims it anew."""
        for path in self._path.parent.glob(f"{self._name}-*.json"):
            path.unlink(missing_ok=True)

    def _beat_on(self) -> None:
        while not self._ended.wait(min(BEAT, self._lease / 4)):
            try:
                self._beat()
            except (ClaimLostError, OSError):
                return  # check() says so in the thread that works

    def _beat(self) -> None:
        if not self._is_mine():
            raise ClaimLostError("another process has taken this work over", file=self._path.parent)
        os.utime(self._path)
        self._beaten = time.monotonic()

    def _is_mine(self) -> bool:
        owner = _highest(self._path.parent, self._name)[1]
        return owner is not None and owner.token == self._owner.token


def _highest(folder: Path, name: str) -> tuple[int, Owner | None]:
    """Number of the claim that counts, 0 for none, and its owner, None where it cannot be read."""
    pattern = re.compile(re.escape(name) + r"-(\d+)\.json")
    try:
        numbers = [int(found[1]) for entry in os.listdir(folder) if (found := pattern.fullmatch(entry))]  # noqa: PTH208
    except FileNotFoundError:
        return 0, None
    if not numbers:
        return 0, None
    try:
        values: dict[str, Any] = json.loads((folder / f"{name}-{max(numbers)}.json").read_bytes())
        return max(numbers), Owner(**values)
    except (OSError, ValueError, TypeError):
        return max(numbers), None


@cache
def _machine() -> str:
    """This machine since it was started, and the space that its process numbers are of: containers have their own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return platform.node()


def _born(pid: int) -> str:
    """When a process of this machine began, in the system's own unit; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        try:  # no Linux: whether it lives is all that can be known
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        return "alive"
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]  # field 22, counted from the one after the name
