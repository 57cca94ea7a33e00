"""What a run's provenance.json says, that it names nobody, and that energy is counted or not there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import precordial
from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.training import Stage, Step, TrainingRun, train
from precordial.training import energy as energy_module
from precordial.training import provenance as module
from precordial.training.energy import EnergyMeter

RUN = TrainingRun(
    model="cnn-20k", rate=100, role="target", task="label", stages=(Stage(epochs=3, peak=1e-3),), batch=16
)
Made = tuple[Cohort, Archive]


class Stop(Exception):
    pass


def stop_in_epoch_2(step: Step) -> None:
    if step.epoch == 2:
        raise Stop


def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "provenance.json").read_text())
    return found


def test_it_says_what_was_done_with_what_where_and_how_long(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    cohort, archive = small_cohort(target=60)
    began, cpu = time.monotonic(), time.process_time()
    train(RUN, cohort, archive, tmp_path / "run", device="cpu")
    took, used = time.monotonic() - began, time.process_time() - cpu
    found = read(tmp_path / "run")
    assert found["run"] == RUN.id
    assert TrainingRun.model_validate_json(json.dumps(found["settings"])) == RUN
    assert found["data"] == {"archive": archive.digest, "cohort": cohort.digest}
    (session,) = found["sessions"]
    assert session["epochs"] == [1, 3]
    assert 0 < session["wall_seconds"] <= took + 0.01
    assert 0 < session["processor_seconds"] <= used + 0.01
    assert session["libraries"]["torch"] == torch.__version__
    assert session["code"]["precordial"] == precordial.__version__
    machine = session["machine"]
    assert machine["device"] == "cpu"
    assert "gpu" not in machine
    assert machine["cores"] >= 1
    assert machine["memory_gib"] > 0.1


def test_a_run_that_went_on_has_two_sessions(small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    made = small_cohort(target=60)
    with pytest.raises(Stop):
        train(RUN, *made, tmp_path / "run", progress=stop_in_epoch_2)
    assert [session["epochs"] for session in read(tmp_path / "run")["sessions"]] == [[1, 1]]
    train(RUN, *made, tmp_path / "run")
    before = read(tmp_path / "run")
    assert [session["epochs"] for session in before["sessions"]] == [[1, 1], [2, 3]]
    train(RUN, *made, tmp_path / "run")  # finished: nothing is done, nothing is added
    assert read(tmp_path / "run") == before


def test_nobody_is_named(small_cohort: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "mrs-known")
    monkeypatch.setattr("socket.gethostname", lambda: "ward-seven")
    monkeypatch.setattr("platform.node", lambda: "ward-seven")
    train(RUN, *small_cohort(target=60), tmp_path / "a-telling-folder")
    text = (tmp_path / "a-telling-folder" / "provenance.json").read_text()
    assert not [name for name in ("mrs-known", "ward-seven", "a-telling-folder") if name in text]
    assert '"/' not in text  # nor a path of any kind


def test_a_commit_is_that_of_the_package_s_own_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(module.__file__).parents[1]
    answers = {"rev-parse --show-toplevel": str(source.parents[1]), "rev-parse HEAD": "0123abc", "status": " M x.py"}

    def git(folder: Path, *arguments: str) -> str | None:
        text = " ".join(arguments)
        return next((answer for key, answer in answers.items() if text.startswith(key)), None)

    monkeypatch.setattr(module, "_git", git)
    version = {"precordial": precordial.__version__}
    assert module.code_version() == version | {"commit": "0123abc", "changed": True}
    answers["status"] = ""
    assert module.code_version() == version | {"commit": "0123abc", "changed": False}
    answers["rev-parse --show-toplevel"] = str(source.parents[2])  # a package that is installed within another checkout
    assert module.code_version() == version
    del answers["rev-parse --show-toplevel"]
    assert module.code_version() == version


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module._git(tmp_path, "rev-parse", "HEAD") is None
    assert module.code_version() == {"precordial": precordial.__version__}


def test_damaged_sessions_are_begun_anew(tmp_path: Path) -> None:
    for text in ("", "{", "{}"):
        (tmp_path / "provenance.json").write_text(text)
        record = module.Provenance(tmp_path, RUN, archive="a", cohort="c", place=torch.device("cpu"))
        record.save(1)
        assert len(read(tmp_path)["sessions"]) == 1


class Clock:
    """Packages of a processor as the kernel shows them, and the time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.now = folder, 1000.0
        monkeypatch.setattr(energy_module.time, "monotonic", lambda: self.now)

    def package(self, number: int, joules: float, name: str = "", turn: float = 262_144.0) -> None:
        folder = self.folder / f"intel-rapl:{number}"
        folder.mkdir(exist_ok=True)
        (folder / "name").write_text(f"{name or f'package-{number}'}\n")
        (folder / "max_energy_range_uj").write_text(f"{turn * 1e6:.0f}\n")
        (folder / "energy_uj").write_text(f"{joules * 1e6:.0f}\n")


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(tmp_path, monkeypatch)


def test_joules_are_those_of_all_packages_since_the_beginning(clock: Clock) -> None:
    clock.package(0, 1000)
    clock.package(1, 500)
    clock.package(2, 7, name="psys")  # the whole board: the packages are in it
    meter = EnergyMeter(powercap=clock.folder)
    clock.package(0, 1100)
    clock.package(1, 530)
    clock.package(2, 900, name="psys")
    assert meter.joules() == {"processor": 130.0}


def test_a_counter_goes_round_once_and_is_not_believed_if_it_could_have_twice(clock: Clock) -> None:
    clock.package(0, 262_000)
    meter = EnergyMeter(powercap=clock.folder)
    clock.now += 60
    clock.package(0, 856)
    meter.tick()
    clock.now += 10
    clock.package(0, 900)
    meter.tick()  # too early to look
    assert meter.joules() == {"processor": 1044.0}
    clock.now += 200
    clock.package(0, 1000)
    assert meter.joules() == {}
    clock.now += 1
    assert meter.joules() == {}  # and it does not come back with a part


def test_without_counters_there_is_no_energy(clock: Clock, tmp_path: Path) -> None:
    assert EnergyMeter(powercap=tmp_path / "none").joules() == {}
    clock.package(0, 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    (tmp_path / "intel-rapl:0" / "energy_uj").mkdir()  # cannot be read, root or not
    assert EnergyMeter(powercap=tmp_path).joules() == {}


def test_a_counter_that_goes_away_takes_its_sum_along(clock: Clock) -> None:
    clock.package(0, 1)
    meter = EnergyMeter(powercap=clock.folder)
    (clock.folder / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.joules() == {}


def test_a_gpu_without_its_library_has_no_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(energy_module.ctypes, "CDLL", absent)
    assert EnergyMeter("0000", tmp_path).joules() == {}


def test_a_gpu_is_read_by_its_uuid_in_millijoules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nvml:
        energy, asked = 5_000_000, b""

        def nvmlInit_v2(self) -> int:  # noqa: N802
            return 0

        def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:  # noqa: N802
            self.asked = uuid
            return 0

        def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, value: Any) -> int:  # noqa: N802
            value._obj.value = self.energy
            return 0

    library = Nvml()
    monkeypatch.setattr(energy_module.ctypes, "CDLL", lambda name: library)
    meter = EnergyMeter("12ab", tmp_path)
    library.energy += 1234
    assert meter.joules() == {"gpu": 1.2}
    assert library.asked == b"GPU-12ab"
