from __future__ import annotations

import re
from importlib import resources

import pytest

from profiler_server.dashboard.views.heat import LEVELS, HeatScale


def test_levels_are_steps_of_a_ratio() -> None:
    scale = HeatScale.of([4.0, 1.0, 256.0, 0.0])
    assert scale == HeatScale(1.0, 256.0)
    assert scale.steps == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128])
    shown = [scale.level(value) for value in (0.0, 1.0, 1.9, 2.1, 17.0, 255.0, 256.0)]
    assert shown == [0, 0, 0, 1, 4, 7, 7]


def test_a_single_latency_and_none() -> None:
    assert HeatScale.of([]) is None
    assert HeatScale.of([0.0]) is None
    single = HeatScale.of([3.0, 3.0])
    assert single is not None
    assert single.level(3.0) == 0


def luminance(colour: str) -> float:
    """Relative, of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_level_has_a_colour_and_an_ink_that_is_read_on_it() -> None:
    style = resources.files("profiler_server.dashboard").joinpath("static", "tables.css")
    rules = re.findall(
        r"\.heat-(\d) \{ background: (#\w{6}); --on-heat: (#\w{6}); \}", style.read_text("utf-8")
    )
    assert [int(level) for level, _, _ in rules] == [*range(LEVELS)] * 2
    for _, paper, ink in rules:
        low, high = sorted((luminance(paper), luminance(ink)))
        assert (high + 0.05) / (low + 0.05) >= 4.5
