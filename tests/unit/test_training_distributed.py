"""Several processes: their training is that of one process, and goes on exactly where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, nn

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.errors import PrecordialError
from precordial.models import MODELS, create_model, load_tensors
from precordial.models.layers import Dropout, TimeFirstNorm
from precordial.models.network import Crops
from precordial.models.rows import Rows, having
from precordial.training.distributed import first_does, is_first, own_rows, put_together
from precordial.training.synchronised import SynchronisedNorm, synchronise
from several_processes import ECGS, RUNS, launch, three_steps

Made = tuple[Cohort, Archive]
TWO = [Rows(0, 3, 7), Rows(3, 7, 7)]


@pytest.fixture
def one_of_one(tmp_path: Path) -> Iterator[None]:
    """This process joined with nobody: what is exchanged comes back."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("processes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_processes_train_as_one(processes: int, small_cohort: Callable[..., Made], tmp_path: Path) -> None:
    """Three steps of uneven batches, of which three processes cannot each have a row in the end.

    In float32 the losses agree; in float64 all weights do, too, with what Adam knows of them. (In float32 a gradient
    that is zero but for rounding, as that of a bias before batch norm, moves its weight as far as a true one.) And an
    interrupted training of several, in bf16 with everything on, ends as the uninterrupted one, to the last bit.
    """
    launch(tmp_path, processes)
    made = small_cohort(**ECGS)
    for run in RUNS:
        for double in (False, True):
            folder = Path(run.model, str(double))
            three_steps(run, *made, tmp_path / "one" / folder, double=double)
            one, about_one = load_tensors(tmp_path / "one" / folder / "last.safetensors")
            many, about_many = load_tensors(tmp_path / folder / "last.safetensors")
            sums = [json.loads(about["progress"])["sums"] for about in (about_one, about_many)]
            np.testing.assert_allclose(*sums, rtol=1e-4)
            assert one.keys() == many.keys()
            if double:
                torch.testing.assert_close(many, one, rtol=1e-4, atol=1e-9)  # the latter for zeros
    for name in ("best.safetensors", "predictions.csv", "best.json", "done.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name


@pytest.mark.parametrize("shape", [(100,), (12, 50)])
def test_dropout_is_drawn_by_sample(shape: tuple[int, ...]) -> None:
    x = torch.randn(7, *shape)
    torch.manual_seed(0)
    whole = Dropout(0.3)(x)
    for rows in TWO:
        torch.manual_seed(0)
        with having(rows):
            np.testing.assert_array_equal(Dropout(0.3)(x[rows.first : rows.last]), whole[rows.first : rows.last])
    assert torch.equal(Dropout(0.3).eval()(x), x)


@pytest.mark.parametrize("shared", [False, True])
def test_crops_are_drawn_by_sample(shared: bool) -> None:
    crops, x = Crops(20, shared=shared), torch.randn(7, 8, 100)
    torch.manual_seed(0)
    whole = crops.draw(x)
    for rows in TWO:
        torch.manual_seed(0)
        with having(rows):
            assert torch.equal(crops.draw(x[rows.first : rows.last]), whole[rows.first : rows.last])


@pytest.mark.usefixtures("one_of_one")
@pytest.mark.parametrize(
    ("kind", "shape"), [(nn.BatchNorm1d, (9, 5)), (nn.BatchNorm1d, (9, 5, 40)), (TimeFirstNorm, (9, 40, 5))]
)
def test_synchronised_norm_is_batch_norm(kind: type[nn.BatchNorm1d], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    plain = kind(5, momentum=0.03).double()
    with torch.no_grad():
        plain.weight.uniform_(0.5, 2)
        plain.bias.uniform_(-1, 1)
    other = kind(5, momentum=0.03).double()
    other.load_state_dict(plain.state_dict())
    ours = SynchronisedNorm(other)
    x, after = 3 + torch.randn(shape).double(), torch.randn(shape).double()
    results = []
    for layer in (plain, ours):
        given = x.clone().requires_grad_()
        out = layer(given)
        (out * after).sum().backward()
        assert given.grad is not None
        results.append([out, given.grad, *(p.grad for p in layer.parameters()), *layer.buffers(), layer.eval()(x)])
    assert [name for name, _ in ours.named_parameters()] == ["weight", "bias"]
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("one_of_one")
def test_synchronised_norm_takes_half_precision_as_batch_norm_does() -> None:
    torch.manual_seed(0)
    x = (3 + torch.randn(9, 5)).bfloat16()
    plain, other = nn.BatchNorm1d(5), nn.BatchNorm1d(5)
    ours = SynchronisedNorm(other)
    out = ours(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, plain(x), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(ours.running_var, plain.running_var, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("one_of_one")
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_that_sees_the_whole_batch_is_replaced(name: str) -> None:
    """And names, order and identity of weights stay, by which the optimiser and the files know them."""

    def weights() -> list[tuple[str, int]]:
        return [(key, id(value)) for key, value in (*network.named_parameters(), *network.named_buffers())]

    with torch.device("meta"):
        network = create_model(name, rate=100)
    before = weights()
    synchronise(network)
    assert weights() == before
    for module in network.modules():
        assert type(module) not in (nn.Dropout, nn.BatchNorm1d, TimeFirstNorm)


@pytest.mark.parametrize(("total", "sizes"), [(8, [2, 3, 3]), (2, [0, 1, 1]), (3, [1, 1, 1])])
def test_rows_are_shared_out_evenly(total: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("precordial.training.distributed.processes", lambda: 3)
    found = []
    for rank in range(3):
        monkeypatch.setattr("precordial.training.distributed.rank", lambda rank=rank: rank)
        found.append(own_rows(total))
    assert [rows.last - rows.first for rows in found if rows] == sizes
    assert [rows.first for rows in found if rows] == np.cumsum([0, *sizes[:-1]]).tolist()


def test_one_process_has_everything() -> None:
    assert own_rows(5) is None
    assert is_first()
    parts = [torch.ones(2, 3), torch.zeros(1, 3)]
    assert torch.equal(put_together(parts, [2, 1], 3), torch.cat(parts))
    assert first_does(lambda: 3) == 3


def test_the_others_end_when_the_first_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("precordial.training.distributed.is_first", lambda: False)
    monkeypatch.setattr("precordial.training.distributed.first_says", lambda answer: False)
    with pytest.raises(PrecordialError, match="the first process has failed; its own message says why"):
        first_does(lambda: 3)
