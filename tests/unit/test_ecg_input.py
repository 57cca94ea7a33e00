"""InputSpec prepares as the paper does: Fourier resampling, then zeros on either side."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.signal import resample

from precordial.ecg import InputSpec, fourier_resample
from precordial.errors import ModelError


def batch(samples: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(2, 8, samples, dtype=dtype, generator=torch.Generator().manual_seed(samples))


@pytest.mark.parametrize(
    ("samples", "to"), [(5000, 4000), (1000, 5000), (1000, 4000), (5000, 1000), (999, 400), (999, 401), (1000, 1001)]
)
def test_fourier_resampling_is_scipy_s(samples: int, to: int) -> None:
    given = batch(samples)
    before = given.clone()
    np.testing.assert_allclose(fourier_resample(given, to).numpy(), resample(given.numpy(), to, axis=2), atol=1e-12)
    assert torch.equal(given, before)


def test_resampling_keeps_a_nyquist_wave_and_equal_lengths_change_nothing() -> None:
    nyquist = torch.tensor([1.0, -1.0] * 8, dtype=torch.float64)[None]
    np.testing.assert_allclose(fourier_resample(nyquist, 32).numpy(), resample(nyquist.numpy(), 32, axis=1), atol=1e-12)
    given = batch(500)
    torch.testing.assert_close(fourier_resample(given, 500), given)


def test_the_rate_of_the_large_models() -> None:
    given = batch(5000, torch.float32)
    out = InputSpec(model_rate=400, model_samples=4096).prepare(given)
    assert out.shape == (2, 8, 4096)
    assert out.dtype == torch.float32
    assert not out[:, :, :48].any()
    assert not out[:, :, -48:].any()
    np.testing.assert_allclose(out[:, :, 48:-48].numpy(), resample(given.double().numpy(), 4000, axis=2), atol=1e-5)


@pytest.mark.parametrize(("model_rate", "model_samples", "padding"), [(500, 5000, 0), (400, 4096, 48)])
def test_ecgs_of_100_hz_are_raised_to_the_model_s_rate(model_rate: int, model_samples: int, padding: int) -> None:
    given = batch(1000)
    spec = InputSpec(rate=100, samples=1000, model_rate=model_rate, model_samples=model_samples)
    out = spec.prepare(given)
    assert out.shape == (2, 8, model_samples)
    expected = np.pad(resample(given.numpy(), model_rate * 10, axis=2), [(0, 0), (0, 0), (padding, padding)])
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)


def test_ecgs_that_fit_pass_as_they_are() -> None:
    given = batch(5000)
    assert torch.equal(InputSpec().prepare(given), given)


def test_an_odd_zero_goes_to_the_end() -> None:
    out = InputSpec(model_samples=5003).prepare(torch.ones(1, 8, 5000))
    assert out[0, 0, :2].tolist() == [0, 1]
    assert out[0, 0, -3:].tolist() == [1, 0, 0]


@pytest.mark.parametrize("shape", [(8, 5000), (1, 12, 5000), (1, 8, 1000), (1, 5000, 8)])
def test_other_ecgs_are_refused_with_what_to_do(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"8 leads × 5000 samples at 500 Hz, not .*; bring them there"):
        InputSpec().prepare(torch.zeros(shape))


def test_a_spec_is_strict_and_survives_json() -> None:
    spec = InputSpec(rate=100, samples=1000, model_rate=400, model_samples=4096)
    assert InputSpec.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValidationError, match="hertz"):
        InputSpec(hertz=500)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="rate"):
        InputSpec(rate="500")  # type: ignore[arg-type]
