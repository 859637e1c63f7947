from typing import cast

import pytest
from rich.console import Console

from netspec.client import ProfilerClient
from netspec.errors import ProfilerRefused
from netspec.operators import PRECISIONS, MBConv, Operator, Precision
from netspec.wire import Job, JobRequest, MeasuringMethod, Target
from search_client.progress import Stages
from search_client.recipe import Recipe, read_recipe
from search_client.stages.measure import CALIBRATION_FACTOR, _calibration_networks, measure_space
from tests import made_up


def cost_ms(operator: Operator) -> float:
    """Made up: grows with kernel, expansion and channels; int8 takes half the time."""
    speed = 2_000 if operator.precision == "int8" else 1_000
    if isinstance(operator, MBConv):
        return (operator.kernel**2 + 4) * operator.expand * operator.in_channels / speed
    return 10 / speed


def recipe(latency_ref_ms: float | None) -> Recipe:
    # Of ten blocks: what this made-up cost makes of fewer is far below the baseline's.
    stages = ", ".join(
        f"{{channels = {channels}, depth = 2, stride = {stride}}}"
        for channels, stride in ((24, 2), (40, 2), (80, 2), (96, 1), (192, 2))
    )
    settings = read_recipe("demo", ["sizes=[]", f"space.stages=[{stages}]"]).for_classes(10)
    return settings.model_copy(update={"latency_ref_ms": latency_ref_ms})


def baseline_ms(settings: Recipe, precision: Precision) -> float:
    return sum(cost_ms(operator) for operator in settings.baseline(precision).operators)


@pytest.mark.parametrize("of_baseline", [None, 0.75, 1.25])
def test_calibration_networks_lie_around_the_latency_aimed_at(of_baseline: float | None) -> None:
    settings = recipe(None)
    if of_baseline is not None:
        # The loss is in int8; the float32 networks lie around the same multiple of the baseline.
        settings = recipe(of_baseline * baseline_ms(settings, "int8"))
    values = {operator.key: cost_ms(operator) for operator in settings.operators()}
    networks = _calibration_networks(settings, values)
    count = settings.profiling.calibration_networks
    assert len({network.content_hash for network in networks}) == 2 * (count + 1)
    for precision in PRECISIONS:
        aim = (of_baseline or 1.0) * baseline_ms(settings, precision)
        sums = [
            sum(values[operator.key] for operator in network.operators)
            for network in networks
            if {operator.precision for operator in network.operators} == {precision}
        ]
        assert settings.baseline(precision) in networks
        assert len(sums) == count + 1
        assert 0.95 * aim / CALIBRATION_FACTOR < min(sums) < aim
        assert aim < max(sums) < 1.05 * aim * CALIBRATION_FACTOR
        assert max(sums) > 1.4 * min(sums)


class Recorder:
    """A client that refuses every job after it has noted it."""

    def __init__(self) -> None:
        self.filed: list[JobRequest] = []

    def create_job(self, request: JobRequest) -> Job:
        self.filed.append(request)
        raise ProfilerRefused(422, "method-not-supported", "no device can measure so")


@pytest.mark.parametrize("method", ["isolated", "in_network"])
def test_networks_are_profiled_first_where_that_is_asked_for(method: MeasuringMethod) -> None:
    settings = recipe(None)
    recorder = Recorder()
    target = Target(id="ab" * 8, identity=made_up.identity(), entries=0, devices=1)
    with pytest.raises(ProfilerRefused, match="no device can measure so"):
        measure_space(
            cast("ProfilerClient", recorder),
            target,
            settings,
            Stages(Console(), quiet=True),
            method,
        )
    # What nobody can do is refused before anything is measured.
    (filed,) = recorder.filed
    assert (filed.method, filed.target_id) == (method, target.id)
    subjects = filed.operators or filed.spaces
    assert {subject.precision for subject in subjects} == set(PRECISIONS)
    profiled = [settings.every_baseline(precision) for precision in PRECISIONS]
    networks = [one for several in profiled for one in several] if method == "in_network" else []
    assert list(filed.networks) == networks
    assert bool(filed.operators) == (method == "isolated")


@pytest.mark.parametrize("method", ["isolated", "in_network"])
def test_more_sizes_and_widths_than_a_job_has_spaces_are_measured(method: MeasuringMethod) -> None:
    settings = read_recipe("demo", ["sizes=[64, 80, 96, 112]", "widths=[0.35, 0.5, 0.75, 1.0]"])
    settings = settings.for_classes(10)
    recorder = Recorder()
    target = Target(id="ab" * 8, identity=made_up.identity(), entries=0, devices=1)
    with pytest.raises(ProfilerRefused):
        measure_space(
            cast("ProfilerClient", recorder),
            target,
            settings,
            Stages(Console(), quiet=True),
            method,
        )
    (filed,) = recorder.filed
    assert len(filed.spaces) == (16 if method == "in_network" else 0)
    assert set(filed.operators) == (set(settings.operators()) if method == "isolated" else set())
