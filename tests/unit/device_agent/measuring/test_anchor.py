from pathlib import Path

import pytest

from device_agent.measuring.anchor import WINDOW, AnchorWatch, reference
from netspec.protocol import Anchor

RULES = Anchor(slow_ratio=1.05, quarantine_ratio=1.10)


def test_the_reference_is_the_second_fastest() -> None:
    assert reference([5.0]) == 5
    assert reference([9.0, 1.0, 5.0]) == 5


@pytest.mark.parametrize(("us", "state"), [(105.0, "good"), (105.2, "slow"), (120.0, "slow")])
def test_slower_than_its_reference_by_more_than_the_limit_is_slow(us: float, state: str) -> None:
    watch = AnchorWatch(RULES)
    assert watch.judge(100).state == watch.judge(100).state == "good"
    verdict = watch.judge(us)
    assert verdict.state == state
    assert verdict.ratio == pytest.approx(us / 100)


def test_far_too_slow_twice_in_a_row_is_quarantine() -> None:
    watch = AnchorWatch(RULES)
    states = [watch.judge(us).state for us in (100, 100, 111, 100, 111, 112)]
    assert states == ["good", "good", "slow", "good", "slow", "quarantine"]


def test_a_shared_device_has_no_quarantine() -> None:
    watch = AnchorWatch(Anchor(slow_ratio=1.05))
    assert [watch.judge(us).state for us in (100, 100, 150, 150)][2:] == ["slow", "slow"]


def test_the_reference_follows_a_device_that_stays_slower() -> None:
    watch = AnchorWatch(Anchor(slow_ratio=1.05))
    states = [watch.judge(100).state] + [watch.judge(110).state for _ in range(WINDOW)]
    assert states[-1] == "good"


def test_the_reference_outlives_the_agent(tmp_path: Path) -> None:
    path = tmp_path / "anchor.json"
    for _ in range(2):
        AnchorWatch(RULES, path).judge(100)
    assert AnchorWatch(RULES, path).judge(106).state == "slow"


def test_a_file_that_a_power_cut_left_empty_is_no_reference(tmp_path: Path) -> None:
    path = tmp_path / "anchor.json"
    path.touch()
    assert AnchorWatch(RULES, path).judge(100).ratio == 1
    assert AnchorWatch(RULES, path).judge(200).ratio == 1
    assert AnchorWatch(RULES, path).judge(300).ratio == 1.5
