"""leakage.json: it holds for the cohort it was made for, and every change of it, cohort or archive is seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clean_cohorts import DAY, clean_cohort
from precordial.cohort import Cohort, LeakReport, find_leaks, signing_key, verify_leakage, write_leakage
from precordial.cohort.leakage import KEY_FILE, LEAKAGE
from precordial.cohort.leaks import RULES
from precordial.errors import LeakageError, PrecordialError

COHORT, ARCHIVE = clean_cohort("sites", 5)
REPORT = find_leaks(COHORT, *ARCHIVE)
KEY, OTHER = bytes(range(32)), bytes(32)


def refused(folder: Path, report: LeakReport = REPORT, archive: str = "a1", key: bytes | None = None) -> str:
    with pytest.raises(LeakageError) as error:
        verify_leakage(folder, report, archive=archive, key=key)
    message = str(error.value)
    assert "\n" not in message
    assert "secret" not in message
    return message.removeprefix(f"{folder / LEAKAGE}: ")


@pytest.mark.parametrize("key", [None, KEY])
def test_it_says_what_was_checked_and_holds(tmp_path: Path, key: bytes | None) -> None:
    write_leakage(tmp_path, REPORT, archive="a1", key=key)
    verify_leakage(tmp_path, find_leaks(COHORT, *ARCHIVE), archive="a1", key=key)
    said = json.loads((tmp_path / LEAKAGE).read_text())
    assert list(said["rules"]) == list(RULES)
    assert said["rules"]["patient"] == {
        "holds": "a patient is in one role and split only, in each fold",
        "rows_checked": len(COHORT),
        "rows_broken": 0,
        "rows": [],
    }
    assert (said["verdict"], said["cohort"], said["archive"]) == ("clean", COHORT.digest, "a1")
    assert said["made_at"].endswith("+00:00")
    assert "secret" not in (tmp_path / LEAKAGE).read_text()


def test_it_holds_for_the_saved_cohort(tmp_path: Path) -> None:
    COHORT.save(tmp_path)
    write_leakage(tmp_path, REPORT, archive="a1")
    verify_leakage(tmp_path, find_leaks(Cohort.load(tmp_path), *ARCHIVE), archive="a1")


def leaves(values: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(values, dict):
        return [leaf for name, value in values.items() for leaf in leaves(value, (*path, name))]
    return [path]


def altered(values: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """Another value in one place."""
    *way, last = path
    copy = json.loads(json.dumps(values))
    inner = copy
    for name in way:
        inner = inner[name]
    old = inner[last]
    inner[last] = old + 1 if isinstance(old, int) else [{"row": 2}] if isinstance(old, list) else f"{old}x"
    return copy


@given(st.data(), st.sampled_from([None, KEY]))
@settings(max_examples=60, deadline=None)
def test_any_changed_value_is_seen(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, key: bytes | None
) -> None:
    folder = tmp_path_factory.mktemp("cohort")
    write_leakage(folder, REPORT, archive="a1", key=key)
    values = json.loads((folder / LEAKAGE).read_text())
    path = data.draw(st.sampled_from(leaves(values)))
    (folder / LEAKAGE).write_text(json.dumps(altered(values, path)))
    message = refused(folder, key=key)
    if path[0] in ("format", "format_version"):
        assert message.startswith("it is damaged, or of another version; precordial cohort build STUDY.toml")
    elif path != ("key",):
        assert message.startswith("it was changed after it was written; find out why; precordial cohort build")


def test_a_value_more_or_less_is_seen(tmp_path: Path) -> None:
    write_leakage(tmp_path, REPORT, archive="a1")
    values = json.loads((tmp_path / LEAKAGE).read_text())
    for name in values:
        (tmp_path / LEAKAGE).write_text(json.dumps({key: value for key, value in values.items() if key != name}))
        refused(tmp_path)
    (tmp_path / LEAKAGE).write_text(json.dumps(values | {"more": 1}))
    assert refused(tmp_path).startswith("it was changed")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"format": 1}', "\udcff"])
def test_damage(tmp_path: Path, text: str) -> None:
    (tmp_path / LEAKAGE).write_bytes(text.encode(errors="surrogateescape"))
    assert refused(tmp_path).startswith("it is damaged, or of another version; ")


def test_without_it_nothing_is_proven(tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        "there is no such file, and so no proof that the cohort was checked; "
        "precordial cohort build STUDY.toml builds and checks it anew"
    )


@pytest.mark.parametrize(
    ("made", "asked", "message"),
    [
        (None, KEY, f"it is not signed, and {KEY_FILE} names a key"),
        (KEY, None, "it is signed with a key"),
        (OTHER, KEY, f"it is signed with another key than {KEY_FILE} names"),
    ],
)
def test_the_wrong_key(tmp_path: Path, made: bytes | None, asked: bytes | None, message: str) -> None:
    write_leakage(tmp_path, REPORT, archive="a1", key=made)
    assert refused(tmp_path, key=asked).startswith(f"{message}; ")


def test_a_signature_cannot_be_made_without_the_key(tmp_path: Path) -> None:
    """One who writes the file anew, and the fingerprint of the key into it, is found out."""
    write_leakage(tmp_path, REPORT, archive="a1", key=KEY)
    said = json.loads((tmp_path / LEAKAGE).read_text())
    write_leakage(tmp_path, REPORT, archive="a1", key=OTHER)
    forged = json.loads((tmp_path / LEAKAGE).read_text()) | {"key": said["key"]}
    (tmp_path / LEAKAGE).write_text(json.dumps(forged))
    assert refused(tmp_path, key=KEY).startswith("it was changed after it was written")


def other_settings(cohort: Cohort) -> Cohort:
    from dataclasses import replace

    return replace(cohort, settings=dict(cohort.settings) | {"complaint": ["chest pain"]})


def without_a_visit(cohort: Cohort) -> Cohort:
    alone = [name for name in cohort.patient_id.tolist() if (cohort.patient_id == name).sum() > 1]
    return cohort._rows(np.arange(len(cohort)) != np.flatnonzero(cohort.patient_id == alone[0])[0])


@pytest.mark.parametrize(
    ("change", "archive", "what"),
    [
        (lambda cohort: cohort, "a2", "archive"),
        (without_a_visit, "a1", "cohort"),
        (other_settings, "a1", "settings"),
    ],
)
def test_it_holds_for_nothing_else(tmp_path: Path, change: Callable[[Cohort], Cohort], archive: str, what: str) -> None:
    write_leakage(tmp_path, REPORT, archive="a1")
    report = find_leaks(change(COHORT), *ARCHIVE)
    assert refused(tmp_path, report, archive) == (
        f"it is stale: it was made for another {what}; precordial cohort build STUDY.toml builds and checks it anew"
    )


def test_times_that_the_archive_has_lost_are_seen(tmp_path: Path) -> None:
    write_leakage(tmp_path, REPORT, archive="a1")
    nothing = np.full(len(ARCHIVE[0]), np.datetime64("NaT", "s"))
    report = find_leaks(COHORT, ARCHIVE[0], nothing, ARCHIVE[2])
    assert refused(tmp_path, report).startswith("it is stale: it was made for another rules or rows")


def test_a_leak_is_written_down_and_refused(tmp_path: Path) -> None:
    late = find_leaks(COHORT, ARCHIVE[0], ARCHIVE[1] + DAY, ARCHIVE[2])
    write_leakage(tmp_path, late, archive="a1")
    said = json.loads((tmp_path / LEAKAGE).read_text())
    assert said["verdict"] == "leak"
    assert said["rules"]["time"]["rows_broken"] == len(COHORT)
    assert said["rules"]["time"]["rows"][0] == {"row": 2, "ecg_id": COHORT.ecg_id[0]}
    assert "secret" not in (tmp_path / LEAKAGE).read_text()
    assert "an ECG was recorded after its prediction time: row 2 (ECG" in refused(tmp_path, late)
    # A verdict of "leak" is no proof for a cohort that is clean now.
    assert refused(tmp_path).startswith("it is stale")


def test_the_key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = tmp_path / "study"
    study.mkdir()
    monkeypatch.delenv(KEY_FILE, raising=False)
    assert signing_key(keep_out=study) is None
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "key"))
    with pytest.raises(PrecordialError, match="there is no such key file; check the path"):
        signing_key(keep_out=study)
    key = signing_key(keep_out=study, create=True)
    assert key == signing_key(keep_out=study)
    assert len(key or b"") == 32
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(PrecordialError, match="others on this machine can read this file"):
        signing_key(keep_out=study)
    monkeypatch.setenv(KEY_FILE, str(study / "key"))
    with pytest.raises(PrecordialError, match="would lie in the study's folder, and be given away with it"):
        signing_key(keep_out=study, create=True)
    assert not (study / "key").exists()
