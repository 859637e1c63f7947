from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler_server.dashboard.views.scatter import (
    HEIGHT,
    WIDTH,
    Axis,
    first_and_second,
    ratios,
)

_LATENCIES = st.floats(1e-4, 1e4)


def test_a_logarithmic_axis_has_equal_factors_at_equal_distances() -> None:
    axis = Axis(1.0, 100.0, 0.0, 200.0)
    assert [axis.at(value) for value in (1, 10, 100)] == [0, 100, 200]
    assert axis.ticks() == [1, 3, 10, 30, 100]
    assert Axis(1e-3, 1e3, 0, 1).ticks() == pytest.approx([10.0**power for power in range(-3, 4)])


@given(st.lists(st.tuples(_LATENCIES, _LATENCIES), min_size=1, max_size=20))
def test_every_mark_and_tick_is_inside(points: list[tuple[float, float]]) -> None:
    for plot in (first_and_second(points, "plot", ("a", "b")), ratios(points, "plot", "a")):
        assert 0 < len(plot.marks) <= len(points)
        for x, y in plot.marks:
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
        assert plot.x_ticks
        assert plot.y_ticks
        assert all(0 <= x <= WIDTH for x, _ in plot.x_ticks)
        assert all(0 <= y <= HEIGHT for y, _ in plot.y_ticks)


def test_equal_latencies_lie_on_the_line() -> None:
    plot = first_and_second([(0.1, 0.1), (0.4, 0.4)], "plot", ("a", "b"))
    x0, y0, x1, y1 = plot.line
    for x, y in plot.marks:
        assert y == pytest.approx(y0 + (x - x0) / (x1 - x0) * (y1 - y0), abs=0.2)
    assert plot.x_title == "a, us"


def test_a_ratio_of_one_lies_on_the_line() -> None:
    plot = ratios([(1.0, 1.0), (2.0, 6.0)], "plot", "a")
    (_, even), (_, three) = plot.marks
    assert even == plot.line[1] == plot.line[3]
    assert three < even
