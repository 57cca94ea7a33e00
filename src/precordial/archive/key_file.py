"""The key file of pseudonyms: made once, for its owner alone, and never inside an archive."""

from __future__ import annotations

import json
import os
import secrets
from hashlib import blake2b
from pathlib import Path

from precordial.errors import PrecordialError
from precordial.files import replacing


def table_of(keyfile: Path) -> Path:
    """Where the key table of a key file is."""
    return keyfile.with_name(keyfile.name + ".table.csv")


def fingerprint(key: bytes) -> str:
    """16 hex digits that tell keys apart and say nothing of the key."""
    return blake2b(key=key, person=b"fingerprint", digest_size=8).hexdigest()


def open_key(keyfile: Path, *, archive: Path | None, create: bool) -> bytes:
    """The 32 bytes in a key file, which is made if absent; see `Pseudonyms.open`."""
    table = table_of(keyfile)
    for path in (keyfile, table):
        if archive is not None and path.resolve().is_relative_to(archive.resolve()):
            raise PrecordialError(
                "the key would lie inside the archive, and be given away with it",
                file=keyfile,
                remedy="name a key file in another folder",
            )
        if path.exists() and not path.is_file():
            raise PrecordialError("this is no regular file", file=path, remedy="name another key file")
        if path.exists() and path.stat().st_mode & 0o077:
            raise PrecordialError(
                "others on this machine can read this file",
                file=path,
                remedy="take their right away with chmod 600, on a disk that knows rights",
            )
    if not keyfile.exists() and table.exists():
        raise PrecordialError(
            "the key file is gone, while its key table is still there",
            file=keyfile,
            remedy="restore it from a copy; for a new key, name another file",
        )
    if not keyfile.exists() and not (create and keyfile.parent.is_dir()):
        what = "there is no folder for the key file" if create else "there is no such key file"
        raise PrecordialError(what, file=keyfile, remedy="check the path")
    return _read(keyfile, create)


def _read(keyfile: Path, create: bool) -> bytes:
    """The key in a file; a new one in a file that is absent, or empty as a kill may leave it."""
    import fcntl

    handle = os.open(keyfile, os.O_RDONLY | (os.O_CREAT if create else 0), 0o600)
    with os.fdopen(handle, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # of two that come first, the second reads what the first made
        if create and keyfile.stat().st_size == 0:
            new = secrets.token_bytes(32)
            values = {"format": "precordial-key", "version": 1, "key": new.hex(), "fingerprint": fingerprint(new)}
            with replacing(keyfile) as temporary:
                temporary.unlink(missing_ok=True)
                temporary.touch(mode=0o600)
                temporary.write_text(json.dumps(values, indent=1) + "\n")
        try:
            values = json.loads(keyfile.read_bytes())
            key = bytes.fromhex(str(values["key"]))
            good = len(key) == 32 and fingerprint(key) == values["fingerprint"]
        except (ValueError, LookupError, TypeError):
            good = False
    if not good:
        raise PrecordialError(
            "this is no key file, or it is damaged",
            file=keyfile,
            remedy="restore it from a copy: a new key would give other pseudonyms",
        )
    return key
