"""Downloads, against a local server in the sets' own layouts that fails in the usual ways."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import socket
import ssl
import stat
import struct
import subprocess
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from precordial.datasets import transfer as transfer_module
from precordial.datasets.download import DownloadSummary, download
from precordial.datasets.homes import HOMES, checked_name, parse_sums, parse_zenodo
from precordial.datasets.verified import unpack
from precordial.errors import PrecordialError, SettingsError

BODY = bytes(range(256)) * 800  # 204,800 bytes
PTBXL = {
    "LICENSE.txt": b"CC BY 4.0",
    "ptbxl_database.csv": b"ecg_id,patient_id\n",
    "records100/00000/00001_lr.dat": BODY[:1000],
    "records100/00000/00001_lr.hea": b"lr",
    "records500/00000/00001_hr.dat": BODY,
    "records500/00000/00001_hr.hea": b"hr",
}
BIG = "records500/00000/00001_hr.dat"


class Site:
    """What the server has, and which faults it shows, one a request, at each path."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.ranges = True
        self.log: list[tuple[str, str | None]] = []
        self.agents: set[str | None] = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.url = ""

    def asked(self, path: str) -> list[str | None]:
        return [start for name, start in self.log if name == path]

    def physionet(self, files: dict[str, bytes]) -> None:
        sums = "".join(f"{hashlib.sha256(data).hexdigest()} {name}\n" for name, data in files.items())
        self.files = files | {"SHA256SUMS.txt": sums.encode()}

    def zenodo(self, files: dict[str, bytes]) -> None:
        entries = [
            {"key": name, "size": len(data), "checksum": f"md5:{hashlib.md5(data).hexdigest()}", "links": {}}
            for name, data in files.items()
        ]
        self.files = {f"files/{name}/content": data for name, data in files.items()}
        self.files[""] = json.dumps({"id": 4916206, "files": entries}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, path = self.site, self.path.lstrip("/")
        with site.lock:
            site.log.append((path, self.headers.get("Range")))
            site.agents.add(self.headers.get("User-Agent"))
            fault = site.faults[path].pop(0) if site.faults.get(path) else ""
            site.at_once += 1
            site.most_at_once = max(site.most_at_once, site.at_once)
        try:
            self.answer(site, path, fault)
        finally:
            with site.lock:
                site.at_once -= 1

    def answer(self, site: Site, path: str, fault: str) -> None:
        kind, _, value = fault.partition(" ")
        if kind == "status" or path not in site.files:
            code, _, wait = (value or "404").partition(" ")
            self.send_response(int(code))
            if wait:
                self.send_header("Retry-After", wait)
            self.end_headers()
            return
        if kind == "redirect":
            self.send_response(302)
            self.send_header("Location", value)
            self.end_headers()
            return
        if kind == "slow":
            time.sleep(0.1)
        data = site.files[path] if kind != "page" else b"<!DOCTYPE html><html>Please log in</html>"
        start = self.headers.get("Range")
        first = int(start.removeprefix("bytes=").removesuffix("-")) if start and site.ranges and kind != "page" else 0
        if first and first >= len(data):
            self.send_response(416)
            self.end_headers()
            return
        self.send_response(206 if first else 200)
        if first:
            shown = first if kind != "elsewhere" else 0
            self.send_header("Content-Range", f"bytes {shown}-{len(data) - 1}/{len(data)}")
        if kind != "unsized":
            self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        sent = int(value) if kind in {"cut", "reset", "stall"} else len(data)
        self.wfile.write(data[first : first + sent])
        if kind == "stall":
            site.over.wait(10)
        if kind == "reset":  # the connection is torn, not ended
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.rfile = self.wfile = BytesIO()  # type: ignore[assignment]

    def log_message(self, *_: Any) -> None:
        pass


def serve(context: ssl.SSLContext | None = None) -> Iterator[Site]:
    site = Site()
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are the point here
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_address[1]}"
    yield site
    site.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    yield from serve()


@pytest.fixture
def get(site: Site, tmp_path: Path) -> Callable[..., DownloadSummary]:
    """Download PTB-XL, or what is named, from the local site, with short pauses."""

    def run(name: str = "ptb-xl", **options: Any) -> DownloadSummary:
        return download(name, tmp_path / "set", **({"base_url": site.url, "pauses": (0.01, 0.02)} | options))

    return run


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_whole_set_and_then_nothing(site: Site, get: Callable[..., DownloadSummary], tmp_path: Path) -> None:
    site.physionet(PTBXL)
    seen: list[tuple[int, int, str]] = []
    first = get(progress=lambda *moved: seen.append(moved))
    assert (first.fetched, first.present, first.bytes) == (6, 0, sum(map(len, PTBXL.values())))
    assert contents(tmp_path / "set") == PTBXL | {"SHA256SUMS.txt": site.files["SHA256SUMS.txt"]}
    assert seen[-1] == (6, 6, "files")
    assert site.agents == {f"precordial/{transfer_module.__version__}"}
    site.log.clear()
    again = get()
    assert (again.fetched, again.present, again.bytes) == (0, 6, 0)
    assert site.log == [("SHA256SUMS.txt", None)]


def test_known_files_are_not_read_again(
    site: Site, get: Callable[..., DownloadSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.physionet(PTBXL)
    get()
    read: list[str] = []
    from precordial.datasets import download as module

    def spy(path: Path, file: Any, real: Callable[..., bool] = module.matches) -> bool:
        read.append(path.name)
        return real(path, file)

    monkeypatch.setattr("precordial.datasets.download.matches", spy)
    get()
    assert read == []
    touched = tmp_path / "set" / "LICENSE.txt"
    os.utime(touched, (1, 1))
    assert get().fetched == 0
    assert read == ["LICENSE.txt"]
    (tmp_path / "set" / BIG).write_bytes(BODY[:-1] + b"?")
    with (tmp_path / "set" / ".verified.jsonl").open("a") as known:
        known.write('\n["torn')
    changed = get()
    assert (changed.fetched, changed.present) == (1, 5)
    assert (tmp_path / "set" / BIG).read_bytes() == BODY
    read.clear()
    assert get().fetched == 0
    assert read == [], "also what was verified behind a torn line"


def test_files_from_elsewhere_are_taken(site: Site, get: Callable[..., DownloadSummary], tmp_path: Path) -> None:
    """Whole ones as they are, begun ones as a beginning."""
    site.physionet(PTBXL)
    for name, data in {"ptbxl_database.csv": PTBXL["ptbxl_database.csv"], BIG: BODY[:5000]}.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(data)
    assert get().fetched == 5
    assert (tmp_path / "set" / BIG).read_bytes() == BODY
    assert site.asked("ptbxl_database.csv") == []
    assert site.asked(BIG) == ["bytes=5000-"]


def test_only_a_part(site: Site, get: Callable[..., DownloadSummary], tmp_path: Path) -> None:
    site.physionet(PTBXL)
    assert get(only=["records100/*"]).fetched == 4
    assert not (tmp_path / "set" / "records500").exists()
    with pytest.raises(PrecordialError, match=r"no file of PTB-XL 1\.0\.3 is named as 'record500/\*'"):
        get(only=["record500/*"])
    assert get().fetched == 2


@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        (["status 500", "status 503"], [None, None, None]),
        (["status 429 0"], [None, None]),
        (["cut 1000"], [None, "bytes=1000-"]),
        (["cut 1000", "status 500", "status 502", "cut 500", "status 503"], 6),
        (["reset 1000"], 2),
        (["stall 1000"], [None, "bytes=1000-"]),
        (["cut 1000", "elsewhere"], [None, "bytes=1000-", None]),
        (["unsized"], [None]),
    ],
)
def test_faults_that_pass(
    site: Site, get: Callable[..., DownloadSummary], tmp_path: Path, faults: list[str], ranges: list[str | None] | int
) -> None:
    site.physionet(PTBXL)
    site.faults[BIG] = list(faults)
    summary = get(timeout=0.5)
    assert summary.fetched == 6
    assert contents(tmp_path / "set").items() >= PTBXL.items()
    asked = site.asked(BIG)
    assert (len(asked) if isinstance(ranges, int) else asked) == ranges


def test_a_second_call_goes_on_in_the_middle(site: Site, get: Callable[..., DownloadSummary], tmp_path: Path) -> None:
    site.physionet(PTBXL)
    site.faults[BIG] = ["cut 100000", "status 500", "status 500", "status 500", "status 500"]
    with pytest.raises(
        PrecordialError, match=r"the server could not be reached or broke off \(it answers 500\); check"
    ):
        get()
    assert (tmp_path / "set" / f"{BIG}.part").stat().st_size == 100_000
    assert not (tmp_path / "set" / BIG).exists()
    site.faults[BIG].clear()
    assert get().bytes <= sum(map(len, PTBXL.values())) - 100_000
    assert site.asked(BIG)[-1] == "bytes=100000-"
    assert contents(tmp_path / "set").items() >= PTBXL.items()


def test_a_server_that_cannot_go_on_in_the_middle(
    site: Site, get: Callable[..., DownloadSummary], tmp_path: Path
) -> None:
    site.physionet(PTBXL)
    site.ranges = False
    site.faults[BIG] = ["cut 1000", "cut 2000"]
    get()
    assert (tmp_path / "set" / BIG).read_bytes() == BODY
    site.faults["LICENSE.txt"] = ["cut 5"] * 10  # which never gets any further
    (tmp_path / "set" / "LICENSE.txt").unlink()
    with pytest.raises(PrecordialError, match=r"LICENSE\.txt: .*the connection was cut"):
        get()
    assert site.faults["LICENSE.txt"], "it gives up"


def test_a_part_of_another_file(site: Site, get: Callable[..., DownloadSummary], tmp_path: Path) -> None:
    site.physionet(PTBXL)
    for name, data in {BIG: b"x" * 1000, "LICENSE.txt": b"y" * 1000, "ptbxl_database.csv": b"z" * 18}.items():
        (tmp_path / "set" / f"{name}.part").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / f"{name}.part").write_bytes(data)
    get()
    assert contents(tmp_path / "set").items() >= PTBXL.items()
    assert site.asked(BIG) == ["bytes=1000-", None]


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("status 404", r"LICENSE\.txt: there is no such file on the server \(404\); look at the set's page"),
        ("status 403", r"LICENSE\.txt: the server does not let it be fetched \(403\); look at the set's page"),
        ("status 418", r"LICENSE\.txt: the server answers 418"),
        ("page", r"LICENSE\.txt: the file does not match its published checksum; the server sent a web page"),
    ],
)
def test_faults_that_stay(
    site: Site, get: Callable[..., DownloadSummary], tmp_path: Path, fault: str, problem: str
) -> None:
    site.physionet(PTBXL)
    site.faults["LICENSE.txt"] = [fault]
    with pytest.raises(PrecordialError, match=problem):
        get()
    assert not list((tmp_path / "set").glob("LICENSE.txt*"))
    assert len(site.asked("LICENSE.txt")) == 1


def test_a_wrong_checksum(site: Site, get: Callable[..., DownloadSummary], tmp_path: Path) -> None:
    site.physionet(PTBXL)
    site.files[BIG] = BODY[:-1] + b"?"
    with pytest.raises(PrecordialError, match=r"does not match its published checksum; what was fetched is not kept"):
        get()
    assert not list((tmp_path / "set" / BIG).parent.glob("*.dat*"))


def test_redirects(site: Site, get: Callable[..., DownloadSummary], tmp_path: Path) -> None:
    site.physionet(PTBXL)
    port = site.url.rpartition(":")[2]
    site.files["moved"] = PTBXL["LICENSE.txt"]
    site.faults["LICENSE.txt"] = ["redirect /moved"]
    get()
    assert (tmp_path / "set" / "LICENSE.txt").read_bytes() == PTBXL["LICENSE.txt"]
    (tmp_path / "set" / "LICENSE.txt").unlink()
    for address in (f"http://localhost:{port}/moved", "http://example.org/LICENSE.txt"):
        site.faults["LICENSE.txt"] = [f"redirect {address}"]
        with pytest.raises(PrecordialError, match="sends the request on to an address that is not encrypted"):
            get()
    for address in ("file:///etc/passwd", "/LICENSE.txt"):
        site.faults["LICENSE.txt"] = [f"redirect {address}"] * 20
        with pytest.raises(PrecordialError, match="the server answers 302"):
            get()
    assert not (tmp_path / "set" / "LICENSE.txt").exists()


@pytest.mark.parametrize("address", ["http://physionet.org/files", "ftp://physionet.org", "physionet.org", "https://"])
def test_addresses_must_be_encrypted(tmp_path: Path, address: str) -> None:
    with pytest.raises(PrecordialError, match="the address must begin with https://"):
        download("ludb", tmp_path, base_url=address)


def test_no_network(get: Callable[..., DownloadSummary]) -> None:
    with socket.socket() as taken:  # bound and not listening: refused
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PrecordialError, match=r"could not be reached .*Connection refused.*check the network"):
            get(base_url=address)


@pytest.mark.parametrize(
    ("listing", "problem"),
    [
        (b"<html>Please log in</html>", "row 1: this is no list of files with checksums"),
        (b"", "this is no list of files with checksums"),
        (b"0" * 64 + b" /etc/passwd\n", "a file's name in it leads out of its folder"),
        (b"0" * 64 + b" records/../../x\n", "a file's name in it leads out of its folder"),
        (b"0" * 64 + b" c:\\x\n", "a file's name in it leads out of its folder"),
        (b"0" * 63 + b" x\n", "row 1: this is no list"),
        (b"\xff" * 1000, "row 1: this is no list"),
    ],
)
def test_lists_that_are_none(
    site: Site, get: Callable[..., DownloadSummary], tmp_path: Path, listing: bytes, problem: str
) -> None:
    site.files["SHA256SUMS.txt"] = listing
    with pytest.raises(PrecordialError, match=problem):
        get()
    assert contents(tmp_path / "set") == {}


def test_names_are_quoted_and_hidden_files_left_out(
    site: Site, get: Callable[..., DownloadSummary], tmp_path: Path
) -> None:
    site.physionet({"a b#%.txt": b"x", ".verified.jsonl": b"[]", ".git/config": b"y"})
    site.files["a%20b%23%25.txt"] = site.files.pop("a b#%.txt")
    assert get().fetched == 1
    assert (tmp_path / "set" / "a b#%.txt").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["/a", "../a", "a/../b", "a//b", "./a", "a/", "", "a\\b", "c:a", "a\nb", "a\0b"])
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(PrecordialError, match="leads out of its folder"):
        checked_name(name, "list")


def zipped(files: dict[str, bytes], *, link: str = "") -> bytes:
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
        if link:
            entry = zipfile.ZipInfo(link)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            packed.writestr(entry, "/etc/passwd")
    return memory.getvalue()


def test_code15(site: Site, get: Callable[..., DownloadSummary], tmp_path: Path) -> None:
    parts = {f"exams_part{k}.zip": zipped({f"exams_part{k}.hdf5": BODY[k:] * 20, "._x.hdf5": b"?"}) for k in range(3)}
    site.zenodo({"exams.csv": b"exam_id\n"} | parts)
    site.faults["files/exams_part1.zip/content"] = ["cut 100"]
    seen: list[tuple[int, int, str]] = []
    assert get("code-15", progress=lambda *moved: seen.append(moved)).fetched == 4
    unpacked = {"exams.csv": b"exam_id\n"} | {f"exams_part{k}.hdf5": BODY[k:] * 20 for k in range(3)}
    assert contents(tmp_path / "set") == unpacked | {"zenodo.json": site.files[""]}
    assert seen[-1][2] == "MB"
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert site.asked("files/exams_part1.zip/content") == [None, "bytes=100-"]
    again = get("code-15")
    assert (again.fetched, again.present) == (0, 4)
    (tmp_path / "set" / "exams_part2.hdf5").unlink()
    assert get("code-15").fetched == 1
    assert get("code-15", only=["exams_part0.zip"]).present == 2


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("{}", "no list of files"),
        ('{"files": []}', "no list of files"),
        ('{"files": [{"key": "a", "size": 1, "checksum": "sha1:00"}]}', "no list of files"),
        ('{"files": [{"key": "a", "size": "x", "checksum": ""}]}', "no list of files"),
        ("[" * 100_000, "no list of files"),
        (f'{{"files": [{{"key": "../a", "size": 1, "checksum": "md5:{"0" * 32}"}}]}}', "leads out of its folder"),
    ],
)
def test_records_that_are_none(record: str, problem: str) -> None:
    with pytest.raises(PrecordialError, match=problem):
        parse_zenodo(record, "https://zenodo.org")


def test_zips_that_are_to_be_distrusted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.zip"
    for name in ("../evil.hdf5", "/tmp/evil.hdf5", "b/../../evil.hdf5"):
        path.write_bytes(zipped({name: b"x"}))
        with pytest.raises(PrecordialError, match="leads out of its folder"):
            unpack(path, ".hdf5")
    path.write_bytes(zipped({"a.txt": b"x"}, link="a.hdf5"))
    with pytest.raises(PrecordialError, match=r"the zip holds no \*\.hdf5"):
        unpack(path, ".hdf5")
    whole = zipped({"a.hdf5": BODY})
    for damaged in (whole[:-30], whole[:60] + bytes([whole[60] ^ 255]) + whole[61:], b"PK", BODY):
        path.write_bytes(damaged)
        with pytest.raises(PrecordialError, match="the zip cannot be unpacked"):
            unpack(path, ".hdf5")
    assert {file.name for file in tmp_path.rglob("*.hdf5")} == set()


def test_the_disk_has_no_room(
    site: Site, get: Callable[..., DownloadSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.physionet(PTBXL)
    usage = Counter(free=2_000_000_000)
    monkeypatch.setattr(transfer_module.shutil, "disk_usage", lambda _: type("Usage", (), dict(usage))())
    with pytest.raises(PrecordialError, match=r"set: 3\.2 GB are needed and 2\.0 GB are free; make room"):
        get()
    assert site.asked(BIG) == []
    usage["free"] = 150_000  # and where the list does not say, each file is looked at
    monkeypatch.setitem(HOMES, "ptb-xl", HOMES["ludb"].__class__(**(vars(HOMES["ptb-xl"]) | {"bytes": 0})))
    with pytest.raises(PrecordialError, match=r"are needed and 0\.0 GB are free"):
        get()
    assert not (tmp_path / "set" / BIG).exists()
    site.zenodo({"exams_part0.zip": BODY})
    with pytest.raises(PrecordialError, match=r"are needed and 0\.0 GB are free"):
        get("code-15")


def test_several_connections(site: Site, get: Callable[..., DownloadSummary]) -> None:
    files = {f"f{k}": b"x" for k in range(6)}
    site.physionet(files)
    site.faults = {name: ["slow"] for name in files}
    get(connections=3)
    assert site.most_at_once == 3


def test_one_download_a_folder(site: Site, get: Callable[..., DownloadSummary]) -> None:
    site.physionet(PTBXL)
    met = []

    def meanwhile(*_: object) -> None:
        if not met:
            met.append(True)
            with pytest.raises(PrecordialError, match="another process is downloading into this folder"):
                get()

    get(progress=meanwhile)
    assert met


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out c.pem"
    if subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("there is no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "key.pem")
    running = serve(context)
    site = next(running)
    try:
        site.physionet({"ludb.csv": b"ID\n"})
        with pytest.raises(PrecordialError, match=r"the server's certificate is not valid .*SSL_CERT_FILE"):
            download("ludb", tmp_path / "set", base_url=site.url)
        assert site.log == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "c.pem"))
        assert download("ludb", tmp_path / "set", base_url=site.url).fetched == 1
    finally:
        next(running, None)


def test_the_homes() -> None:
    assert list(HOMES) == ["ptb-xl", "cinc2021", "code-15", "ludb"]
    assert all(re.match(r"https://(physionet\.org/files|zenodo\.org/api/records)/", h.base_url) for h in HOMES.values())
    text = "a" * 64 + " training/a.hea\n" + "B" * 64 + "  ./RECORDS\n"
    first, second = parse_sums(text, "https://x")
    assert (first.name, first.url, first.digest) == ("training/a.hea", "https://x/training/a.hea", "a" * 64)
    assert (second.name, second.digest) == ("RECORDS", "b" * 64)


def test_no_such_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no set 'mimic' to download; choose one of ptb-xl, cinc2021"):
        download("mimic", tmp_path)
