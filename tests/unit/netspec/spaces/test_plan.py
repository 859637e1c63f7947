"""Operators of a space's file: what follows from their place, and what cannot be."""

import pytest
from pydantic import ValidationError

from netspec.errors import InvalidSpec
from netspec.operators import Bottleneck, FusedBottleneck, MBConv, UniversalBottleneck
from netspec.spaces import OperatorPlan, Slot

SLOT = Slot(
    input_size=14, in_channels=16, out_channels=16, stride=1, width=1.0, precision="float32"
)
STRIDED = Slot(
    input_size=14, in_channels=16, out_channels=24, stride=2, width=0.5, precision="int8"
)


def test_shapes_residual_and_middle_follow_from_the_place() -> None:
    plan = OperatorPlan.model_validate(
        {"kind": "bottleneck", "kernel": 5, "expand": 3, "squeeze_ratio": 0.25}
    )
    shape = {"input_size": 14, "in_channels": 16, "kernel": 5, "middle": 48}
    assert plan.operator(SLOT) == Bottleneck.model_validate(
        {**shape, "out_channels": 16, "squeeze": 16, "residual": True}
    )
    # Once-for-all rounds a quarter of 48, which is 12, up to 16 too.
    assert plan.operator(STRIDED) == Bottleneck.model_validate(
        {**shape, "out_channels": 24, "squeeze": 16, "stride": 2, "precision": "int8"}
    )


def test_channels_are_those_at_width_1() -> None:
    plan = OperatorPlan.model_validate({"kind": "fused", "middle": 64, "residual": False})
    wide, narrow = plan.operator(SLOT), plan.operator(STRIDED)
    assert isinstance(wide, FusedBottleneck)
    assert isinstance(narrow, FusedBottleneck)
    assert (wide.middle, narrow.middle) == (64, 32)
    assert not wide.residual


def test_a_ratio_is_a_field_of_its_own_where_a_kind_has_one() -> None:
    found = OperatorPlan(kind="mbconv", expand=6).operator(SLOT)
    assert found == MBConv(input_size=14, in_channels=16, out_channels=16, expand=6, residual=True)


def test_a_ratio_of_1_leaves_the_middle_as_wide_as_the_input() -> None:
    odd = Slot(14, 20, 20, 1, 1.0, "float32")
    found = OperatorPlan(kind="bottleneck", expand=1).operator(odd)
    assert [layer.name for layer in found.layers if layer.has_weights] == ["depthwise", "project"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kind": "botleneck"}, "there is no operator 'botleneck'; did you mean 'bottleneck'?"),
        ({"kind": "bottleneck", "kernl": 3}, "kernl: bottleneck has no such field; did you mean"),
        ({"kind": "mbconv", "in_channels": 3}, "in_channels: follows from where the mbconv stands"),
        ({"kind": "conv", "expand": 3}, "expand: conv has no middle that is wider than its input"),
        ({"kind": "mbconv", "squeeze_ratio": 0.25}, "mbconv has no squeeze-and-excitation"),
        ({"kind": "fused", "expand": 3, "middle": 8}, "expand and middle say the same"),
        ({"kind": "fused", "kernel": [3]}, "kernel"),
        ({"expand": 3}, "kind"),
    ],
)
def test_what_is_no_plan_is_named(values: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OperatorPlan.model_validate(values)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("values", "slot", "says"),
    [
        ({"kind": "mbconv", "expand": 2.5}, SLOT, "mbconv: expand: expected a whole number"),
        ({"kind": "mbconv", "expand": 3, "kernel": 4}, SLOT, "mbconv: kernel"),
        ({"kind": "mbconv"}, SLOT, "mbconv: expand: is missing"),
        ({"kind": "pool"}, STRIDED, "pool: pooling keeps its channels, got 16 -> 24"),
        ({"kind": "global_pool"}, STRIDED, "it has no stride, and its block has stride 2"),
        ({"kind": "conv", "stride": 1}, STRIDED, "stride: is that of the block, 2"),
        (
            {"kind": "universal", "expand": 4, "filter": 0},
            STRIDED,
            "without a depthwise convolution the stride must be 1",
        ),
    ],
)
def test_what_cannot_stand_at_a_place_is_named(
    values: dict[str, object], slot: Slot, says: str
) -> None:
    plan = OperatorPlan.model_validate(values)
    with pytest.raises(InvalidSpec) as caught:
        plan.operator(slot)
    assert says in str(caught.value)


def test_a_plan_round_trips() -> None:
    plan = OperatorPlan.model_validate({"kind": "universal", "start": 5, "filter": 0, "expand": 4})
    assert OperatorPlan.model_validate_json(plan.model_dump_json()) == plan
    found = plan.operator(SLOT)
    assert isinstance(found, UniversalBottleneck)
    assert (found.start, found.filter, found.middle, found.residual) == (5, 0, 64, True)
