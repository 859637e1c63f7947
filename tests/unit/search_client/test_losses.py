import pytest
import torch
from pydantic import TypeAdapter

from netspec.errors import UserError
from search_client.losses import LatencyLoss, Linear, LogRatio, Target

CE = torch.tensor(2.0)


@pytest.mark.parametrize(
    ("loss", "expected_ms", "value"),
    [
        (LogRatio(alpha=0.2, beta=0.3), 60.0, 0.3919339),
        (LogRatio(alpha=0.2, beta=0.3), 80.0, 0.4),
        (Linear(weight=0.1), 60.0, 1.975),
        (Linear(weight=0.1), 80.0, 2.0),
        (Target(weight=0.1), 60.0, 2.025),
        (Target(weight=0.1), 80.0, 2.0),
        (Target(weight=0.1), 100.0, 2.025),
    ],
)
def test_worked_values_at_a_reference_of_80_ms(
    loss: LogRatio | Linear | Target, expected_ms: float, value: float
) -> None:
    assert loss(CE, torch.tensor(expected_ms), 80.0).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("expected_ms", "slope"), [(60.0, -1 / 80), (100.0, 1 / 80)])
def test_target_pulls_from_both_sides(expected_ms: float, slope: float) -> None:
    expected = torch.tensor(expected_ms, requires_grad=True)
    (gradient,) = torch.autograd.grad(Target(weight=1.0)(CE, expected, 80.0), expected)
    assert gradient.item() == pytest.approx(slope)


@pytest.mark.parametrize(("least_ms", "reference_ms"), [(0.9, 2.0), (2.0, 1.0)])
def test_log_ratio_refuses_latencies_without_a_positive_log(
    least_ms: float, reference_ms: float
) -> None:
    with pytest.raises(UserError, match="choose the loss target"):
        LogRatio.check(least_ms, reference_ms)


def test_log_ratio_accepts_latencies_above_1_ms() -> None:
    LogRatio.check(1.1, 80.0)


def test_a_loss_is_known_by_its_kind() -> None:
    adapter: TypeAdapter[LogRatio | Linear | Target] = TypeAdapter(LatencyLoss)
    assert adapter.validate_python({"kind": "target"}) == Target(weight=1.0)
