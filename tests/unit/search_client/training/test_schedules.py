import pytest
import torch
from torch.optim import SGD

from search_client.training.schedules import cosine, set_learning_rate


@pytest.mark.parametrize(("step", "rate"), [(0, 0.4), (25, 0.341421), (50, 0.2), (100, 0.0)])
def test_half_a_cosine_falls_from_the_peak_to_zero(step: int, rate: float) -> None:
    assert cosine(step, 100, 0.4) == pytest.approx(rate, abs=1e-6)


def test_the_rise_is_straight_and_ends_at_the_peak() -> None:
    rates = [cosine(step, 104, 0.4, rising=4) for step in range(5)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert cosine(54, 104, 0.4, rising=4) == pytest.approx(0.2)


def test_a_schedule_that_only_rises_has_no_cosine() -> None:
    assert [cosine(step, 2, 1.0, rising=2) for step in range(2)] == [0.5, 1.0]


def test_every_group_gets_the_rate() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = SGD([{"params": [weight]} for weight in weights], lr=1.0)
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
