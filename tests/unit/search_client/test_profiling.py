import pytest

from netspec.operators import PRECISIONS, MBConv, Operator, Precision
from search_client.profiling import CALIBRATION_FACTOR, _calibration_networks
from search_client.settings import Settings, read_recipe


def cost_ms(operator: Operator) -> float:
    """Made up: grows with kernel, expansion and channels; int8 takes half the time."""
    speed = 2_000 if operator.precision == "int8" else 1_000
    if isinstance(operator, MBConv):
        return (operator.kernel**2 + 4) * operator.expand * operator.in_channels / speed
    return 10 / speed


def recipe(latency_ref_ms: float | None) -> Settings:
    settings = read_recipe("demo").for_classes(10)
    return settings.model_copy(update={"latency_ref_ms": latency_ref_ms})


def baseline_ms(settings: Settings, precision: Precision) -> float:
    return sum(cost_ms(operator) for operator in settings.baseline(precision).operators)


@pytest.mark.parametrize("of_baseline", [None, 0.75, 1.25])
def test_calibration_networks_lie_around_the_latency_aimed_at(of_baseline: float | None) -> None:
    settings = recipe(None)
    if of_baseline is not None:
        # The loss is in int8; the float32 networks lie around the same multiple of the baseline.
        settings = recipe(of_baseline * baseline_ms(settings, "int8"))
    values = {operator.key: cost_ms(operator) for operator in settings.operators()}
    networks = _calibration_networks(settings, values)
    assert len({network.content_hash for network in networks}) == 10
    for precision in PRECISIONS:
        aim = (of_baseline or 1.0) * baseline_ms(settings, precision)
        sums = [
            sum(values[operator.key] for operator in network.operators)
            for network in networks
            if {operator.precision for operator in network.operators} == {precision}
        ]
        assert len(sums) == 5
        assert 0.95 * aim / CALIBRATION_FACTOR < min(sums) < aim
        assert aim < max(sums) < 1.05 * aim * CALIBRATION_FACTOR
        assert max(sums) > 1.4 * min(sums)
