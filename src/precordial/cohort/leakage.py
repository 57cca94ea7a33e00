"""leakage.json: what a cohort was checked for, sealed or signed, so that a study can see that it still holds.

Without a key the last field is a seal, a digest of all others: it shows accidents and careless changes, and anybody
can make a new one. With a key it is a signature that only those who have the key can make.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from typing import Any

from precordial import __version__
from precordial.archive.key_file import fingerprint, open_key
from precordial.cohort.guard import LeakReport
from precordial.cohort.leaks import RULES
from precordial.errors import LeakageError, PrecordialError
from precordial.files import write_atomic

LEAKAGE = "leakage.json"
FORMAT, VERSION = "precordial-leakage", 1
KEY_FILE = "PRECORDIAL_SIGNING_KEY_FILE"
LISTED = 1000  # rows named for each rule; all are counted
_BUILD = "precordial cohort build STUDY.toml builds and checks it anew"


def signing_key(*, keep_out: Path, create: bool = False) -> bytes | None:
    """The key in the file that the environment variable PRECORDIAL_SIGNING_KEY_FILE names; None without one.

    Args:
        keep_out: a folder in which the key may not lie, since it is given away.
        create: make the file if it is absent.

    Raises:
        PrecordialError: as for the key of pseudonyms: no such file, a damaged one, or others can read it.
    """
    named = os.environ.get(KEY_FILE)
    if not named:
        return None
    file = Path(named).expanduser()
    if file.resolve().is_relative_to(keep_out.resolve()):
        raise PrecordialError(
            "the signing key would lie in the study's folder, and be given away with it",
            file=file,
            remedy=f"let {KEY_FILE} name a file in another folder",
        )
    return open_key(file, archive=None, create=create)


def write_leakage(folder: str | Path, report: LeakReport, *, archive: str, key: bytes | None = None) -> None:
    """Write what a cohort was checked for, leaks included, into its folder.

    Args:
        folder: of the cohort.
        report: from `find_leaks`.
        archive: digest of the archive.
        key: with which to sign; see `signing_key`.
    """
    values = {
        "format": FORMAT,
        "format_version": VERSION,
        "version": __version__,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **_said(report, archive),
        "key": fingerprint(key) if key else None,
    }
    text = json.dumps({**values, "signature": _signature(values, key)}, indent=1) + "\n"
    write_atomic(Path(folder) / LEAKAGE, text)


def verify_leakage(folder: str | Path, report: LeakReport, *, archive: str, key: bytes | None = None) -> None:
    """Prove that a cohort is clean, and that leakage.json says so of this very cohort, archive and settings.

    Args:
        folder: of the cohort.
        report: from `find_leaks`, made now.
        archive: digest of the archive as it is now.
        key: with which the file must be signed; None: it must be sealed.

    Raises:
        LeakageError: there is a leak; or leakage.json is missing, changed, not signed with this key, or is about
            something else.
    """
    folder = Path(folder)
    report.require_clean(folder / "cohort.csv")
    path = folder / LEAKAGE
    values = _read(path)
    signature = values.pop("signature")
    signed_by, wanted = values.get("key"), fingerprint(key) if key else None
    if signed_by != wanted:
        if wanted is None:
            problem, remedy = "it is signed with a key", f"let {KEY_FILE} name the key file; or {_BUILD}"
        elif signed_by is None:
            problem, remedy = f"it is not signed, and {KEY_FILE} names a key", _BUILD
        else:
            problem, remedy = f"it is signed with another key than {KEY_FILE} names", f"name that; or {_BUILD}"
        raise LeakageError(problem, file=path, remedy=remedy)
    if not compare_digest(str(signature), _signature(values, key)):
        raise LeakageError("it was changed after it was written", file=path, remedy=f"find out why; {_BUILD}")
    for name, value in _said(report, archive).items():
        if values.get(name) != value:
            what = "rules or rows" if name in ("rules", "verdict") else name
            raise LeakageError(f"it is stale: it was made for another {what}", file=path, remedy=_BUILD)


def _said(report: LeakReport, archive: str) -> dict[str, Any]:
    """All that must come out again when the same cohort is checked again."""
    rules = {
        name: {
            "holds": rule.holds,
            "rows_checked": report.checked[name],
            "rows_broken": len(report.broken[name]),
            # The header is row 1. Never patients.
            "rows": [
                {"row": row + 2, "ecg_id": str(report.cohort.ecg_id[row])}
                for row in report.broken[name][:LISTED].tolist()
            ],
        }
        for name, rule in RULES.items()
    }
    settings = blake2b(_canonical(report.cohort.settings), digest_size=16).hexdigest()
    return {
        "cohort": report.cohort.digest,
        "archive": archive,
        "settings": settings,
        "rules": rules,
        "verdict": "clean" if report.clean else "leak",
    }


def _canonical(values: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(values), sort_keys=True, separators=(",", ":")).encode()


def _signature(values: Mapping[str, Any], key: bytes | None) -> str:
    return blake2b(_canonical(values), key=key or b"", person=LEAKAGE.encode(), digest_size=32).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
        if (values["format"], values["format_version"]) != (FORMAT, VERSION):
            raise ValueError("another format")
        return {**values, "signature": values["signature"]}
    except FileNotFoundError:
        problem = "there is no such file, and so no proof that the cohort was checked"
    except (OSError, ValueError, TypeError, LookupError):
        problem = "it is damaged, or of another version"
    raise LeakageError(problem, file=path, remedy=_BUILD)
