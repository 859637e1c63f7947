"""Operators of different kinds that are one computation."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from netspec.equivalents import equivalents
from netspec.operators import (
    Bottleneck,
    Conv,
    FeatureMix,
    HeadConv,
    MBConv,
    Operator,
    StemConv,
)
from tests.unit.netspec.strategies import operators

SHAPE: dict[str, Any] = {"input_size": 28, "in_channels": 8, "out_channels": 8}


def test_an_mbconv_is_the_bottleneck_of_its_middle_width() -> None:
    for expand in (1, 3):
        block = MBConv(**SHAPE, kernel=5, expand=expand, residual=True, activation="relu")
        twin = Bottleneck(**SHAPE, kernel=5, middle=8 * expand, residual=True, activation="relu")
        assert equivalents(block) == (twin,)
        assert equivalents(twin) == (block,)


def test_what_only_a_bottleneck_can_be_has_no_twin() -> None:
    several: tuple[dict[str, Any], ...] = (
        {"middle": 20},
        {"middle": 24, "squeeze": 8},
        {"middle": 8 * 17},
    )
    for fields in several:
        assert equivalents(Bottleneck(**SHAPE, **fields)) == ()
    wide = MBConv(input_size=1, in_channels=16384, out_channels=8, expand=16)
    assert equivalents(wide) == ()


def test_single_convolutions_are_known_by_their_layers() -> None:
    head = HeadConv(**SHAPE, activation="relu")
    stem = StemConv(**SHAPE, kernel=1, activation="relu")
    conv = Conv(**SHAPE, kernel=1, activation="relu")
    # Its BatchNorm is folded, and then it is as one without.
    mix = FeatureMix(**SHAPE, activation="relu")
    assert set(equivalents(head)) == {stem, conv, mix}
    assert set(equivalents(conv)) == {stem, head, mix}
    strided = StemConv(**SHAPE, stride=2)
    assert equivalents(strided) == (Conv(**SHAPE, stride=2, activation="relu6"),)
    assert equivalents(Conv(**SHAPE, groups=8)) == ()


@given(operators())
@settings(max_examples=60, deadline=None)
def test_twins_are_each_others(operator: Operator) -> None:
    for twin in equivalents(operator):
        assert type(twin) is not type(operator)
        assert twin.key != operator.key
        assert operator in equivalents(twin)
