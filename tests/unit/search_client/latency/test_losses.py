import pytest
import torch
from pydantic import TypeAdapter

from netspec.errors import UserError
from search_client.latency.losses import Equation3, LatencyLoss, Linear, LogRatio, TargetLoss

CE = torch.tensor(2.0)


@pytest.mark.parametrize(
    ("loss", "expected_ms", "value"),
    [
        (LogRatio(alpha=0.2, beta=0.3), 60.0, 0.3919339),
        (LogRatio(alpha=0.2, beta=0.3), 80.0, 0.4),
        # the natural logarithm of 2, to the power of 0.3, times 0.4
        (Equation3(alpha=0.2, beta=0.3), 160.0, 0.3583503),
        # at the reference and below, the floor of 0.01 stands for the logarithm
        (Equation3(alpha=0.2, beta=0.3, floor=0.01), 80.0, 0.1004755),
        (Equation3(alpha=0.2, beta=0.3, floor=0.01), 60.0, 0.1004755),
        (Linear(weight=0.1), 60.0, 1.975),
        (Linear(weight=0.1), 80.0, 2.0),
        (TargetLoss(weight=0.1), 60.0, 2.025),
        (TargetLoss(weight=0.1), 80.0, 2.0),
        (TargetLoss(weight=0.1), 100.0, 2.025),
    ],
)
def test_worked_values_at_a_reference_of_80_ms(
    loss: LatencyLoss, expected_ms: float, value: float
) -> None:
    assert loss(CE, torch.tensor(expected_ms), 80.0).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("expected_ms", "slope"), [(60.0, -1 / 80), (100.0, 1 / 80)])
def test_target_pulls_from_both_sides(expected_ms: float, slope: float) -> None:
    expected = torch.tensor(expected_ms, requires_grad=True)
    (gradient,) = torch.autograd.grad(TargetLoss(weight=1.0)(CE, expected, 80.0), expected)
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
    adapter: TypeAdapter[LatencyLoss] = TypeAdapter(LatencyLoss)
    assert adapter.validate_python({"kind": "target"}) == TargetLoss(weight=1.0)


@pytest.mark.parametrize("loss", [LogRatio(), Equation3(), Linear(), TargetLoss()])
@pytest.mark.parametrize("expected_ms", [60.0, 80.5, 160.0])
def test_slopes_to_latency_are_those_of_differences_in_float64(
    loss: LatencyLoss, expected_ms: float
) -> None:
    ce = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    expected = torch.tensor(expected_ms, dtype=torch.float64, requires_grad=True)

    def value(ce: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
        return loss(ce, expected, 80.0)

    assert torch.autograd.gradcheck(value, (ce, expected))


def test_equation3_pulls_above_the_reference_and_never_below() -> None:
    slopes = []
    for expected_ms in (60.0, 80.0, 100.0):
        expected = torch.tensor(expected_ms, requires_grad=True)
        slopes.append(torch.autograd.grad(Equation3()(CE, expected, 80.0), expected)[0].item())
    assert slopes[:2] == [0.0, 0.0]
    assert slopes[2] > 0
