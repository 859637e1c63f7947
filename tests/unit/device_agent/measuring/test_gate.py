import pytest

from device_agent.cpu_time import BusyWatch, busy_share, cpu_time
from device_agent.measuring.acceptance import rejection
from device_agent.measuring.gate import objections
from netspec.protocol import Acceptance, Gate
from netspec.statistics import VisitStatistics
from netspec.wire import Conditions

STAT = """cpu  300 0 100 1000 0 0 0 0 0 0
cpu0 100 0 50 500 0 0 0 0 0 0
cpu1 200 0 50 400 100 0 0 0 0 0
intr 12345
"""


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (Conditions(thermal_status=1), "thermal status 1"),
        (Conditions(battery_percent=29.9), "battery at 29.9 %"),
        (Conditions(battery_celsius=37.1), "battery at 37.1 C"),
        (Conditions(busy_share=0.3), "30% of the measured cores"),
    ],
)
def test_the_gate_says_what_keeps_it_closed(seen: Conditions, says: str) -> None:
    (found,) = objections(seen, Gate())
    assert says in found


def test_a_fit_or_silent_device_passes() -> None:
    fit = Conditions(thermal_status=0, battery_percent=30, battery_celsius=37, busy_share=0.25)
    assert objections(fit, Gate()) == objections(Conditions(), Gate()) == ()


def test_every_objection_is_told() -> None:
    assert len(objections(Conditions(thermal_status=3, battery_percent=1), Gate())) == 2


def statistics(p5_us: float, median_us: float) -> VisitStatistics:
    return VisitStatistics(
        count=9, min_us=p5_us, p5_us=p5_us, median_us=median_us, p95_us=900, mean_us=median_us,
        std_us=1,
    )  # fmt: skip


def test_clean_runs_decide_where_they_are_known() -> None:
    rules = Acceptance(min_clean_share=0.25, max_spread=2)
    assert rejection(statistics(10, 90), 0.25, rules) == ""
    assert "only 24% of the runs" in rejection(statistics(10, 10), 0.24, rules)


def test_the_spread_decides_elsewhere() -> None:
    rules = Acceptance(max_spread=2)
    assert rejection(statistics(10, 20), None, rules) == ""
    assert "2.10 times" in rejection(statistics(10, 21), None, rules)
    assert rejection(statistics(0, 21), None, rules) == ""


def test_a_cores_time_is_the_sum_of_its_fields() -> None:
    one = cpu_time(STAT, [1])
    assert one is not None
    assert (one.busy, one.total) == (250, 750)
    both = cpu_time(STAT, [0, 1])
    assert both is not None
    assert (both.busy, both.total) == (400, 1400)
    assert cpu_time(STAT, [2]) is None


def test_the_busy_share_is_of_the_time_between() -> None:
    before = cpu_time("cpu0 100 0 0 100 0 0 0 0", [0])
    after = cpu_time("cpu0 130 0 0 160 10 0 0 0", [0])
    assert busy_share(before, after) == 0.3
    assert busy_share(before, before) is None
    assert busy_share(None, after) is None


def test_this_machine_tells_how_busy_it_is() -> None:
    share = BusyWatch(0, 0.05)()
    assert share is None or 0 <= share <= 1
