"""Ranges chosen from how often values occur."""

import pytest
import torch

from search_client.quantization.calibration.histograms import Histogram


def counted(x: torch.Tensor) -> Histogram:
    made = Histogram(x.min(), x.max())
    for part in torch.tensor_split(x, 40):
        made.add(part, None)
    return made


def squared_error(x: torch.Tensor, low: float, high: float) -> float:
    scale = (high - low) / 255
    zero = round(-128 - low / scale)
    codes = (torch.round(x / scale) + zero).clamp(-128, 127)
    return float(((codes - zero) * scale - x).square().mean())


def test_percentile_clips_what_is_rarer() -> None:
    x = torch.cat([torch.linspace(-1, 3, 39_998), torch.tensor([-80.0, 120.0])])
    low, high = counted(x).range("percentile")
    # A bin is 200 / 2,048 wide.
    assert low == pytest.approx(-1, abs=0.2)
    assert high == pytest.approx(3, abs=0.2)
    assert counted(x).range("minmax") == (-80, 120)


def test_percentile_keeps_what_is_more_frequent() -> None:
    x = torch.cat([torch.zeros(900), torch.full((100,), 50.0)])
    assert counted(x).range("percentile") == pytest.approx((0, 50), abs=0.1)


def test_mse_has_the_least_error_of_all_shares() -> None:
    x = torch.linspace(-1, 1, 1_000_000)
    x[0], x[-1] = -20.0, 20.0
    low, high = counted(x).range("mse")
    assert -18 < low == -high < -2
    errors = [squared_error(x, -20 * share, 20 * share) for share in (0.05, 0.1, 0.2, 0.5, 0.9, 1)]
    assert squared_error(x, low, high) <= min(errors)


def test_mse_keeps_all_of_what_is_uniform() -> None:
    low, high = counted(torch.linspace(-2, 2, 10_000)).range("mse")
    assert (low, high) == pytest.approx((-2, 2), rel=0.03)


@pytest.mark.parametrize("method", ["percentile", "mse"])
def test_a_layer_that_is_dead_keeps_its_range(method: str) -> None:
    made = Histogram(torch.tensor(0.0), torch.tensor(0.0))
    made.add(torch.zeros(10), "relu")
    assert made.range(method) == (0, 0)  # type: ignore[arg-type]


def test_values_are_counted_once_activated() -> None:
    made = Histogram(torch.tensor(0.0), torch.tensor(6.0))
    made.add(torch.full((10_000,), -9.0), "relu6")
    made.add(torch.full((10_000,), 9.0), "relu6")
    assert made.range("percentile") == pytest.approx((0, 6), abs=0.01)
