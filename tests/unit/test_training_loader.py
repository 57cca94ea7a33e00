"""The loader: batches are the ECGs asked for, whole or cut, from the map or resident; damage is said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from precordial.archive import Archive, convert
from precordial.cohort import Cohort
from precordial.errors import ArchiveError, PrecordialError
from precordial.models import Crops, create_model
from precordial.models.rows import Rows
from precordial.training import loader
from precordial.training.loader import Examples, batches, crop_starts, make_resident, seed_step

CPU = torch.device("cpu")
N = 24


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Raw and compressed."""
    from conftest import make_small_cohort

    folder = tmp_path_factory.mktemp("archives")
    make_small_cohort(folder / "raw", target=N)
    convert(folder / "raw", folder / "pco", codec="pco")
    return {name: folder / name for name in ("raw", "pco")}


def examples(folder: Path) -> Examples:
    """All ECGs, in an order that is not the archive's."""
    archive = Archive(folder)
    rows = np.random.default_rng(3).permutation(N)
    extra = rows[:, None].astype(np.float32) / 2
    return Examples(archive, rows, rows[:, None].astype(np.float32), extra)


@pytest.mark.parametrize("codec", ["raw", "pco"])
@pytest.mark.parametrize("resident", [False, True])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_batches_are_what_was_asked_for(
    archives: dict[str, Path], codec: str, resident: bool, data: st.DataObject
) -> None:
    """In any order, repeated or not; crops as they stand in the whole; labels and values beside them with them."""
    some = make_resident(examples(archives[codec]), CPU, resident)
    sizes = data.draw(st.lists(st.integers(0, 6), max_size=4))
    parts = [np.array(data.draw(st.lists(st.integers(0, N - 1), min_size=n, max_size=n)), np.int64) for n in sizes]
    samples = data.draw(st.none() | st.integers(1, 1000))
    starts = None
    if samples is not None:
        among = st.integers(0, 1000 - samples)
        starts = [np.array(data.draw(st.lists(among, min_size=n, max_size=n)), np.int64) for n in sizes]
    spec = create_model("rn-900k", rate=100).spec
    whole = some.archive.units(some.rows) * some.archive.millivolts_per_unit(some.rows)[:, None, None]
    seen = 0
    for k, (inputs, truth, extra) in enumerate(batches(some, parts, spec, CPU, None, starts, samples)):
        expected = whole[parts[k]]
        if starts is not None:
            cut = [one[:, start : start + samples] for one, start in zip(expected, starts[k], strict=True)]
            expected = np.array(cut, np.float32).reshape(len(cut), 8, samples)
        np.testing.assert_array_equal(inputs.numpy(), expected)
        np.testing.assert_array_equal(truth.numpy(), some.truth[parts[k]])
        assert extra is not None
        np.testing.assert_array_equal(extra.numpy(), some.truth[parts[k]] / 2)
        seen += 1
    assert seen == len(parts)


def test_crops_of_resampled_ecgs_are_cut_after_resampling(archives: dict[str, Path]) -> None:
    some, spec = examples(archives["raw"]), create_model("cnn-20k", rate=100).spec
    parts, starts = [np.array([2, 0]), np.array([5])], [np.array([7, 4000]), np.array([1111])]
    cut = [batch.inputs.clone() for batch in batches(some, parts, spec, CPU, None, starts, 900)]
    for k, batch in enumerate(batches(some, parts, spec, CPU)):
        for whole, piece, start in zip(batch.inputs, cut[k], starts[k], strict=True):
            torch.testing.assert_close(piece, whole[:, start : start + 900], rtol=0, atol=0)


def test_changes_are_told_the_number_of_the_part_and_given_the_crop(archives: dict[str, Path]) -> None:
    some, spec = examples(archives["raw"]), create_model("rn-900k", rate=100).spec
    parts, told = [np.arange(3), np.arange(3)], []

    def change(number: int, millivolts: torch.Tensor) -> torch.Tensor:
        told.append((number, tuple(millivolts.shape)))
        return millivolts + number

    starts = [np.array([1, 2, 3])] * 2
    first, second = (batch.inputs.clone() for batch in batches(some, parts, spec, CPU, change, starts, 250))
    assert told == [(0, (3, 8, 250)), (1, (3, 8, 250))]
    torch.testing.assert_close(second, first + 1, rtol=0, atol=0)


@pytest.mark.parametrize("shared", [False, True])
def test_crops_are_those_that_a_network_would_draw_in_its_step(shared: bool) -> None:
    """And dropout behind them draws what it would have drawn: equal seeds give what they gave before."""
    network = create_model("rn-900k", rate=100).train()
    network.crops = replace(network.crops or Crops(250), shared=shared)
    torch.manual_seed(77)
    drawn = torch.randint(751, (1 if shared else 6,)).expand(6)
    after = torch.rand(5)
    starts = crop_starts(network.crops, 1000, 77, 6)
    np.testing.assert_array_equal(starts, drawn.numpy())
    seed_step(network, 77, 6)
    assert torch.equal(torch.rand(5), after)
    np.testing.assert_array_equal(crop_starts(network.crops, 1000, 77, 6, Rows(2, 5, 6)), starts[2:5])
    x = torch.randn(6, 8, 1000)
    cut = torch.stack([one[:, start : start + 250] for one, start in zip(x, starts, strict=True)])
    network.body.eval()
    with torch.no_grad():
        torch.manual_seed(77)
        whole = network(x)
        seed_step(network, 77, 6)
        assert torch.equal(network(cut), whole)


def damage(path: Path, row: int) -> None:
    shard = next((path / "signals").iterdir())
    data = bytearray(shard.read_bytes())
    at = int(Archive(path).index["signal_at"][row]) + 700
    data[at] ^= 1
    shard.chmod(0o644)
    shard.write_bytes(data)


@pytest.mark.parametrize("codec", ["raw", "pco"])
def test_a_damaged_ecg_is_said_also_where_the_crop_is_whole(
    small_cohort: Callable[..., tuple[Cohort, Archive]], tmp_path: Path, codec: str
) -> None:
    """The damage is in lead I; the crop that is asked for ends before it."""
    _, archive = small_cohort(target=10)
    folder = archive.path
    if codec == "pco":
        folder = tmp_path / "pco"
        convert(archive.path, folder, codec="pco")
    damage(folder, 4)
    some = Examples(Archive(folder), np.arange(10), np.zeros((10, 1), np.float32))
    spec, parts = create_model("rn-900k", rate=100).spec, [np.array([1, 2]), np.array([3, 4]), np.array([5])]
    starts = [np.zeros(len(part), np.int64) for part in parts]
    with pytest.raises(ArchiveError, match=r"signals/00000.*ECG 0000000000000004 do not match their digest"):
        list(batches(some, parts, spec, CPU, None, starts, 10))
    with pytest.raises(ArchiveError, match="do not match their digest"):
        make_resident(some, CPU, True)


def test_an_ecg_is_compared_with_its_digest_once(archives: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from precordial.archive import signals

    compared: list[int] = []
    monkeypatch.setattr(signals, "xxh3_64_intdigest", lambda data: compared.append(1) or digest(data))
    from xxhash import xxh3_64_intdigest as digest

    archive, out = Archive(archives["raw"]), np.empty((4, 8, 100), np.int16)
    for _ in range(3):
        archive.read_again(np.array([3, 1, 3, 2]), out, np.array([0, 5, 900, 7]))
    assert len(compared) == 3
    archive.units(np.array([3, 3]))
    assert len(compared) == 5


def test_resident_or_not_by_what_is_free_and_faster(archives: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    raw, pco = examples(archives["raw"]), examples(archives["pco"])
    needed = N * 16000
    monkeypatch.setattr(loader, "free_bytes", lambda device: 2 * needed + 2)
    assert make_resident(raw, CPU, "auto").held is None  # the map is as fast
    assert make_resident(pco, CPU, "auto").held is not None
    assert make_resident(pco, CPU, False).held is None
    monkeypatch.setattr(loader, "free_bytes", lambda device: 2 * needed)
    assert make_resident(pco, CPU, "auto").held is None
    assert make_resident(raw, CPU, True).held is not None
    monkeypatch.setattr(loader, "free_bytes", lambda device: needed - 1)
    with pytest.raises(PrecordialError, match=r'training\.resident.*24 ECGs take 0\.0 GB.*"auto" or false'):
        make_resident(raw, CPU, True)


def test_who_stops_early_leaves_no_thread(archives: dict[str, Path]) -> None:
    import threading

    before = threading.active_count()
    source = batches(examples(archives["raw"]), [np.arange(4)] * 9, create_model("rn-900k", rate=100).spec, CPU)
    next(source)
    source.close()
    assert threading.active_count() == before


MEMORY = """
import re, sys
import numpy as np
from precordial.archive import Archive
from precordial.ecg import InputSpec
from precordial.training.loader import Examples, batches
import torch

def held():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

archive = Archive(sys.argv[1])
n = len(archive)
examples = Examples(archive, np.arange(n), np.zeros((n, 1), np.float32))
spec = InputSpec(rate=100, samples=1000, model_rate=100, model_samples=1000)
parts = [np.random.default_rng(k).integers(0, n, 64) for k in range(40)]
starts = [np.zeros(64, np.int64)] * 40
def go():
    for _ in batches(examples, parts, spec, torch.device("cpu")): pass
    for _ in batches(examples, parts, spec, torch.device("cpu"), None, starts, 250): pass
go()
print(held())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by Linux")
def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    """One that is eight times as large, by 34 MB, takes not 3 MB more: a byte an ECG, and noise."""
    from conftest import make_small_cohort

    taken = []
    for n in (300, 2400):
        make_small_cohort(tmp_path / str(n), target=n)
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(tmp_path / str(n))], capture_output=True, text=True, check=True
        )
        taken.append(int(done.stdout))
    assert taken[1] - taken[0] < 3e6
