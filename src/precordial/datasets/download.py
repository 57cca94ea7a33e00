"""Public sets from their homes: resumed, verified, and not fetched twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from precordial.datasets.homes import HOMES, Home, RemoteFile
from precordial.datasets.transfer import PAUSES, TIMEOUT, Transfer, check_space
from precordial.datasets.verified import Known, is_page, matches, unpack
from precordial.errors import PrecordialError, SettingsError
from precordial.files import hold_folder, write_atomic

GROWTH = 1.5  # unpacked bytes of a packed one, roughly: CODE-15 % is 46 GB of zips and 66 GB of HDF5
CONNECTIONS = 6
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class DownloadSummary:
    """What one call of `download` did.

    Attributes:
        fetched: files that came over the network.
        present: files that were there already, with the right checksum.
        bytes: what came over the network.
        seconds: how long it took.
    """

    fetched: int
    present: int
    bytes: int
    seconds: float


def download(
    name: str,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    base_url: str | None = None,
    connections: int = CONNECTIONS,
    pauses: Sequence[float] = PAUSES,
    timeout: float = TIMEOUT,
    progress: Progress | None = None,
) -> DownloadSummary:
    """Fetch a public set, or go on where an earlier call ended.

    Every file is compared with its published checksum and gets its name only then. Files that are there and match
    are not fetched again, and not read again either unless their size or time has changed. CODE-15 %'s zips are
    unpacked and deleted.

    Args:
        name: one of `precordial.datasets.homes.HOMES`.
        out: the set's folder; made if absent.
        only: patterns such as ``"records500/*"`` (``*`` also stands for slashes); tables and licences come with any of
            them. None: everything.
        base_url: where a copy of the set lives, in the layout of its own home.
        connections: files at a time.
        pauses, timeout: see `precordial.datasets.transfer.Transfer`.
        progress: called with what is done, all there is, and the unit, "files" or "MB".

    Raises:
        SettingsError: there is no such set.
        PrecordialError: a file cannot be had or does not match its checksum, no file has a name as in `only`, the disk
            has no room, or another process is downloading into the folder.
    """
    started = time.monotonic()
    if name not in HOMES:
        raise SettingsError(f"there is no set {name!r} to download", remedy=f"choose one of {', '.join(HOMES)}")
    home, out = HOMES[name], Path(out)
    base_url, stop = (base_url or home.base_url).rstrip("/"), threading.Event()
    transfer = Transfer(base_url, pauses=pauses, timeout=timeout, stop=stop)
    # Without a network, the first request says so soon.
    first = Transfer(base_url, pauses=pauses[:1], timeout=timeout, stop=stop)
    with hold_folder(out, "downloading into this folder"):
        listed = _listing(home, base_url, out, first)
        files = _chosen(listed, only, home)
        known = Known(out)
        todo = [file for file in files if not known.holds(file)]
        _check_room(out, home, todo, len(listed), connections)
        received = _Job(home, out, transfer, known, progress, files, todo).run(todo, connections)
    return DownloadSummary(len(received), len(files) - len(received), sum(received), time.monotonic() - started)


def _listing(home: Home, base_url: str, out: Path, transfer: Transfer) -> list[RemoteFile]:
    part = out / f"{home.list_name}.part"
    part.unlink(missing_ok=True)
    try:
        transfer.fetch(base_url + home.list_url, part)
        text = part.read_text(encoding="utf-8", errors="replace")
    finally:
        part.unlink(missing_ok=True)
    files = {file.name: file for file in home.parse(text, base_url) if file.name != home.list_name}
    write_atomic(out / home.list_name, text)
    return list(files.values())


def _chosen(files: list[RemoteFile], only: Sequence[str], home: Home) -> list[RemoteFile]:
    if not only:
        return files
    for pattern in only:
        if not any(fnmatchcase(file.name, pattern) for file in files):
            raise PrecordialError(
                f"no file of {home.title} is named as '{pattern}'",
                remedy=f"its first files are {', '.join(file.name for file in files[:3])}",
            )
    patterns = (*only, *home.always)
    return [file for file in files if any(fnmatchcase(file.name, pattern) for pattern in patterns)]


def _check_room(out: Path, home: Home, todo: list[RemoteFile], listed: int, connections: int) -> None:
    """Before anything is fetched; each file is checked again when its size is known."""
    sizes = sorted(file.size or 0 for file in todo)
    if home.unpacks:  # while they are unpacked, a zip and what is in it are both there
        needed = int(sum(sizes) * GROWTH) + sum(sizes[-connections:])
    else:
        needed = sum(sizes) if home.bytes is None else home.bytes * len(todo) // listed
    check_space(out, needed)


class _Job:
    """The files of one call, fetched by several threads."""

    def __init__(
        self,
        home: Home,
        out: Path,
        transfer: Transfer,
        known: Known,
        progress: Progress | None,
        files: list[RemoteFile],
        todo: list[RemoteFile],
    ) -> None:
        self.home, self.out, self.transfer, self.known, self.progress = home, out, transfer, known, progress
        self.lock = threading.Lock()
        self.sizes = None if any(file.size is None for file in files) else sum(file.size or 0 for file in files)
        self.count, self.done = len(files), len(files) - len(todo)
        self.positions = {file.name: file.size or 0 for file in files} | {file.name: 0 for file in todo}

    def run(self, todo: Iterable[RemoteFile], connections: int) -> list[int]:
        """The bytes received of each file that was fetched."""
        queue, received = iter(todo), list[int]()
        with ThreadPoolExecutor(connections, thread_name_prefix="download") as pool:
            workers = [pool.submit(self._work, queue, received) for _ in range(connections)]
            try:
                for worker in as_completed(workers):
                    worker.result()
            except BaseException:
                self.transfer.stop.set()
                raise
        return received

    def _work(self, queue: Iterator[RemoteFile], received: list[int]) -> None:
        while not self.transfer.stop.is_set():
            with self.lock:
                file = next(queue, None)
            if file is None:
                return
            came = self._obtain(file)
            with self.lock:
                if came is not None:
                    received.append(came)
                self.done += 1
                self._show(file.name, file.size or 0)

    def _obtain(self, file: RemoteFile) -> int | None:
        """Fetch a file; None if it was there. The bytes that came."""
        target = self.out / file.name
        part = target.with_name(f"{target.name}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        received = None
        if target.is_file() and not matches(target, file):
            target.replace(part)  # perhaps the beginning of it, from another program
        if not target.is_file():
            received = self._fetch(file, part)
            part.replace(target)
        made = [target]
        if self.home.unpacks and target.suffix == ".zip":
            made = unpack(target, self.home.unpacks)
        with self.lock:
            self.known.add(file, made)
        if target not in made:
            target.unlink()
        return received

    def _fetch(self, file: RemoteFile, part: Path) -> int:
        def moved(position: int) -> None:
            with self.lock:
                self._show(file.name, position)

        resumed, received = part.exists(), 0
        while True:
            received += self.transfer.fetch(file.url, part, size=file.size, moved=moved if self.sizes else None)
            if matches(part, file):
                return received
            page = is_page(part)
            part.unlink()
            if not resumed:
                sent = "the server sent a web page in its place" if page else "what was fetched is not kept"
                raise PrecordialError(
                    f"the file does not match its published checksum; {sent}",
                    file=file.url,
                    remedy="open the address in a browser, and try again later",
                )
            resumed = False  # its beginning was of another file

    def _show(self, name: str, position: int) -> None:
        self.positions[name] = position
        if self.progress and self.sizes:
            self.progress(sum(self.positions.values()) // 1_000_000, -(-self.sizes // 1_000_000), "MB")
        elif self.progress:
            self.progress(self.done, self.count, "files")
