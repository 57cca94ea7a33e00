"""One file over HTTPS: resumed, retried, and only ever encrypted."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import threading
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from precordial import __version__
from precordial.errors import PrecordialError

PAUSES = (1.0, 3.0, 10.0, 30.0)  # s between attempts that brought nothing
TIMEOUT = 60.0  # s without a byte
LONGEST_WAIT = 120.0  # s, however long a server asks to be left alone
CHUNK = 1 << 20
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Stopped(Exception):
    """Another file has failed, or the user has had enough."""


class _Again(Exception):
    """A fault that may pass; `wait` is how many seconds the server asks for."""

    def __init__(self, problem: str, wait: float = 0.0) -> None:
        super().__init__(problem)
        self.wait = wait


class Transfer:
    """Fetches files from one home.

    Args:
        base_url: the home's address: https, or http on this machine itself.
        pauses: seconds between attempts that brought nothing; then it gives up.
        timeout: seconds without a byte after which a connection is given up.
        stop: once set, everything ends with `Stopped`.

    Raises:
        PrecordialError: the address is not encrypted.
    """

    def __init__(
        self, base_url: str, *, pauses: Sequence[float] = PAUSES, timeout: float = TIMEOUT, stop: threading.Event
    ) -> None:
        if not _is_safe(base_url, base_url):
            raise PrecordialError("the address must begin with https://", remedy="give the set's encrypted address")
        self.pauses, self.timeout, self.stop = pauses, timeout, stop
        # Python's own handlers bring the proxies of the environment; certificates are checked.
        secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
        self._opener = urllib.request.build_opener(secure, _Redirects(base_url))

    def fetch(
        self, url: str, part: Path, *, size: int | None = None, moved: Callable[[int], object] | None = None
    ) -> int:
        """Fetch a file, going on behind what `part` already holds.

        Args:
            url: its address.
            part: where it is collected; a server that cannot go on in the middle starts it again.
            size: bytes that it has, where that is known.
            moved: called with the bytes in `part`, after each further megabyte.

        Returns:
            The bytes that came over the network.

        Raises:
            PrecordialError: it cannot be had, or the disk has no room for it.
            Stopped: see above.
        """
        received, failures = 0, 0
        while True:
            before = _length(part)
            try:
                return received + self._go_on(url, part, size, moved)
            except _Again as again:
                gained = _length(part) - before
                received += max(gained, 0)
                failures = 0 if gained > 0 else failures + 1
                if failures > len(self.pauses):
                    raise PrecordialError(
                        f"the server could not be reached or broke off ({again})",
                        file=url,
                        remedy="check the network, and HTTPS_PROXY where there is a proxy; then run the command again",
                    ) from None
                if self.stop.wait(max(self.pauses[failures - 1] if failures else 0.0, again.wait)):
                    raise Stopped from None

    def _go_on(self, url: str, part: Path, size: int | None, moved: Callable[[int], object] | None) -> int:
        """One attempt; what came stays in `part`."""
        start = _length(part)
        if size is not None and start >= size:
            return 0  # complete, or too long: its checksum will tell
        response = self._open(url, start)
        if response is None:
            return 0
        with response:
            if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                part.unlink()
                raise _Again("the server sent another part of the file")
            if response.status != 206:
                start = 0
            announced = response.headers.get("Content-Length", "")
            expected = int(announced) if announced.isdecimal() else None
            if expected is not None:
                check_space(part.parent, expected)
            with part.open("ab" if start else "wb") as file:
                try:
                    received = self._copy(response, file, start, size, moved)
                finally:
                    file.flush()
                    os.fsync(file.fileno())
        if expected is not None and received < expected:  # Python does not say so for a read in chunks
            raise _Again("the connection was cut")
        return received

    def _copy(
        self, response: Any, file: IO[bytes], start: int, size: int | None, moved: Callable[[int], object] | None
    ) -> int:
        received = shown = 0
        while size is None or start + received <= size:  # no further than one chunk beyond its end
            if self.stop.is_set():
                raise Stopped
            try:
                chunk = response.read1(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Again(_say(error)) from error
            if not chunk:
                break
            file.write(chunk)
            received += len(chunk)
            if moved and received - shown >= CHUNK:
                shown = received
                moved(start + received)
        return received

    def _open(self, url: str, start: int) -> Any | None:
        """The server's answer; None where it has nothing behind `start`."""
        headers = {"User-Agent": f"precordial/{__version__}"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            return self._opener.open(urllib.request.Request(url, headers=headers), timeout=self.timeout)
        except HTTPError as error:
            error.close()
            if error.code == 416:
                return None
            if error.code in _PASSING:
                wait = error.headers.get("Retry-After", "")
                seconds = min(float(wait), LONGEST_WAIT) if wait.isdecimal() else 0.0
                raise _Again(f"it answers {error.code}", seconds) from None
            raise PrecordialError(*_refusal(error.code), file=url, remedy=_REMEDY) from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise PrecordialError(
                    f"the server's certificate is not valid ({reason.verify_message})",
                    file=url,
                    remedy="behind a proxy that opens encrypted traffic, set SSL_CERT_FILE to its certificate",
                ) from None
            raise _Again(_say(reason)) from error


_REMEDY = "look at the set's page whether it has moved, has a new version, or asks for a login; see --base-url"


def _refusal(code: int) -> tuple[str]:
    if code in (404, 410):
        return (f"there is no such file on the server ({code})",)
    if code in (401, 403):
        return (f"the server does not let it be fetched ({code})",)
    return (f"the server answers {code}",)


def _say(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    return str(reason) or type(reason).__name__


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only where it stays encrypted."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not _is_safe(newurl, self.base_url):
            fp.close()
            raise PrecordialError(
                "the server sends the request on to an address that is not encrypted", file=req.full_url, remedy=_REMEDY
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_safe(url: str, base_url: str) -> bool:
    """Encrypted; or on this machine, at the very server that the user named."""
    try:
        parts, base = urlsplit(url), urlsplit(base_url)
        if parts.scheme == "https":
            return bool(parts.hostname)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.netloc == base.netloc
    except ValueError:
        return False


def check_space(folder: Path, needed: int) -> None:
    """Refuse what the disk has no room for.

    Raises:
        PrecordialError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PrecordialError(
            f"{needed / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are free",
            file=folder,
            remedy="make room, or fetch a part with --only",
        )


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
