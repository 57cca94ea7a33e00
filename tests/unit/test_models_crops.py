"""RN-900k's crops: random in training, ten and their mean in evaluation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from precordial.errors import ModelError
from precordial.models import Crops, Network, create_model


@pytest.fixture(scope="module")
def model() -> Network:
    torch.manual_seed(0)
    network = create_model("rn-900k", rate=100)
    for name, parameter in network.named_parameters():
        if ".convs.2.1.weight" in name:
            torch.nn.init.constant_(parameter, 0.2)  # at its start of zero a block is its shortcut only
    return network


@pytest.fixture
def counting() -> torch.Tensor:
    """3000 ECGs of two leads and ten samples; a value tells its ECG, lead and sample."""
    ecg, lead, sample = torch.meshgrid(torch.arange(3000), torch.arange(2), torch.arange(10), indexing="ij")
    return (ecg * 100 + lead * 10 + sample).float()


def starts_of(pieces: torch.Tensor, samples: int) -> torch.Tensor:
    """The start of each piece, after a check that each is whole and of its own ECG and leads."""
    start = pieces[:, 0, 0] % 10
    ecg, lead = torch.arange(len(pieces))[:, None, None], torch.arange(2)[None, :, None]
    expected = ecg * 100 + lead * 10 + start[:, None, None] + torch.arange(samples)
    assert torch.equal(pieces, expected)
    return start.int()


def test_each_ecg_has_its_own_start_and_every_start_occurs_equally_often(counting: torch.Tensor) -> None:
    torch.manual_seed(3)
    counts = np.bincount(starts_of(Crops(4).draw(counting), 4).numpy(), minlength=7)
    assert len(counts) == 7  # 0 … 6, both ends included
    assert abs(counts - 3000 / 7).max() < 5 * np.sqrt(3000 / 7)


def test_a_shared_start_is_drawn_once_per_batch(counting: torch.Tensor) -> None:
    torch.manual_seed(3)
    crops = Crops(4, shared=True)
    drawn = [starts_of(crops.draw(counting), 4).unique().tolist() for _ in range(60)]
    assert all(len(starts) == 1 for starts in drawn)
    assert {starts[0] for starts in drawn} == set(range(7))


def test_starts_are_equally_spaced_and_truncated() -> None:
    assert Crops(1250).starts(5000) == list(np.linspace(0, 3750, 10).astype(int))
    assert Crops(250).starts(1000) == list(np.linspace(0, 750, 10).astype(int))


def test_evaluation_is_the_mean_of_ten_crops_and_deterministic(model: Network) -> None:
    model.eval()
    x = torch.randn(3, 8, 1000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits, again, crops = model(x), model(x), model.crop_logits(x)
        starts = np.linspace(0, 750, 10).astype(int)
        each = torch.stack([model.head(model.body(x[:, :, start : start + 250])) for start in starts], dim=1)
    assert torch.equal(logits, again)
    torch.testing.assert_close(crops, each)
    torch.testing.assert_close(logits, each.mean(dim=1))
    assert each.std(dim=1).min() > 1e-4  # the crops do differ


def test_training_reads_random_crops_while_the_body_sleeps(model: Network) -> None:
    model.train()
    model.body.eval()
    model.head.eval()  # without its dropout only the crops can differ
    x = torch.randn(4, 8, 1000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.manual_seed(5)
        first, second = model(x), model(x)
        torch.manual_seed(5)
        again = model(x)
    assert not torch.allclose(first, second)
    assert torch.equal(first, again)


def test_the_start_can_be_shared_over_a_model_s_batch(model: Network) -> None:
    model.train()
    model.body.eval()
    model.head.eval()
    assert model.crops is not None
    own = model.crops
    x = torch.randn(1, 8, 1000, generator=torch.Generator().manual_seed(1)).expand(8, -1, -1)
    try:
        model.crops = replace(own, shared=True)
        with torch.inference_mode():
            shared = model(x)
        model.crops = own
        with torch.inference_mode():
            each = model(x)
    finally:
        model.crops = own
    assert shared.std().item() < 1e-5 < 1e-3 < each.std().item()


def test_a_model_without_crops_says_so() -> None:
    model = create_model("cnn-20k")
    assert model.crops is None
    with pytest.raises(ModelError, match="cnn-20k reads whole recordings"):
        model.crop_logits(torch.zeros(1, 8, 5000))


def test_many_crops_go_through_in_parts_that_do_not_show(model: Network) -> None:
    model.eval()
    x = torch.randn(30, 8, 1000, generator=torch.Generator().manual_seed(2))  # 300 crops: two parts
    with torch.inference_mode():
        torch.testing.assert_close(model(x), torch.cat([model(x[:3]), model(x[3:])]), rtol=1e-4, atol=1e-5)
