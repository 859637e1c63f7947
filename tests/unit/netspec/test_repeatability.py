from __future__ import annotations

import math

import pytest

from netspec.repeatability import repeatability


def test_figures_by_hand() -> None:
    # 1.0 to 1.1 differ by 0.1 over 1.05, 1.1 to 1.0 by as much; 2.0 to 2.0 by nothing.
    found = repeatability([[1.0, 1.1, 1.0], [2.0, 2.0], [5.0]])
    assert found is not None
    assert (found.subjects, found.values) == (2, 5)
    step = 100 * 0.1 / 1.05
    assert found.consecutive_median_percent == pytest.approx(step)
    assert found.consecutive_p90_percent == pytest.approx(step)
    deviation = math.sqrt((2 * (1 / 30) ** 2 + (2 / 30) ** 2) / 2)
    assert found.entry_cv_median == pytest.approx(deviation / (3.1 / 3) / 2)


def test_figures_do_not_hang_on_the_unit_nor_on_the_order_of_subjects() -> None:
    histories = [[1.0, 1.2, 0.9], [3.0, 3.1]]
    in_us = [[1000 * value for value in history] for history in reversed(histories)]
    first, second = repeatability(histories), repeatability(in_us)
    assert first is not None
    assert second is not None
    assert first.consecutive_p90_percent == pytest.approx(second.consecutive_p90_percent)
    assert first.entry_cv_median == pytest.approx(second.entry_cv_median)


@pytest.mark.parametrize("histories", [[], [[1.0]], [[], [2.0]], [[0.0, 1.0], [0.0, 0.0]]])
def test_one_session_repeats_nothing(histories: list[list[float]]) -> None:
    assert repeatability(histories) is None
