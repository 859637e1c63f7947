from __future__ import annotations

import pytest

from profiler_server.dashboard.charts import ValueRange, bars, histogram, line, y_of


def test_a_line_ends_where_values_are_missing_and_single_ones_are_dots() -> None:
    lines, dots = line(
        [0.0, 0.25, 0.5, 0.75, 1.0], [1.0, 3.0, None, 2.0, None], ValueRange(1.0, 3.0)
    )
    assert lines == ["0.0,92.0 250.0,8.0"]
    assert dots == [(750.0, 50.0)]


def test_equal_values_are_drawn_in_the_middle() -> None:
    axis = ValueRange.around([5.0, 5.0])
    assert axis.low < 5.0 < axis.high
    assert y_of(5.0, axis) == 50.0
    assert y_of(0.0, ValueRange.around([0.0])) == 50.0


def test_bars_are_as_high_as_their_share_and_none_where_nothing_is() -> None:
    made = bars([4, 0, 2], ["a", "b", "c"])
    assert [bar.title for bar in made] == ["a", "c"]
    assert [bar.height for bar in made] == pytest.approx([92.0, 46.0])
    assert all(bar.y + bar.height == pytest.approx(100.0) for bar in made)


def test_a_histogram_counts_every_value_once() -> None:
    values = [float(number % 17) for number in range(500)]
    counts, edges = histogram(values)
    assert sum(counts) == 500
    assert len(edges) == len(counts) + 1
    assert (edges[0], edges[-1]) == (0.0, 16.0)
