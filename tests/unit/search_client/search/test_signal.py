"""Signal to noise of a gradient, by hand and on noise of known size."""

from __future__ import annotations

import math

import pytest
import torch

from search_client.search.signal import SignalToNoise


def _of(gradients: torch.Tensor) -> SignalToNoise:
    signal = SignalToNoise()
    for gradient in gradients:
        signal.add(gradient)
    return signal


def test_signal_to_noise_by_hand() -> None:
    # Means (2, 0), variances 2 and 2, so the mean of two is off by 4 / 2 in square.
    signal = _of(torch.tensor([[1.0, 1.0], [3.0, -1.0]]))
    assert signal.value == pytest.approx(math.sqrt((4 - 2) / 4))


@pytest.mark.parametrize("size", [0.0, 0.1, 1.0])
def test_it_is_the_length_of_the_mean_over_that_of_the_spread(size: float) -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.zeros(50)
    mean[:5] = size
    noise = torch.randn(4000, 50, generator=generator)
    wanted = size * math.sqrt(5) / math.sqrt(50)
    assert _of(mean + noise).value == pytest.approx(wanted, abs=0.012)


def test_there_is_none_of_one_step_or_of_steps_that_are_all_alike() -> None:
    assert _of(torch.ones(1, 3)).value is None
    assert _of(torch.zeros(4, 3)).value is None


def test_it_goes_on_from_a_checkpoint() -> None:
    gradients = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    resumed = SignalToNoise.of_state(_of(gradients[:3]).state())
    for gradient in gradients[3:]:
        resumed.add(gradient)
    assert resumed.value == _of(gradients).value
