"""Every kind of operator: its key, its costs, and what its fields may be."""

import pytest
from pydantic import ValidationError

from netspec.costs import macs, parameters
from netspec.operators import (
    OPERATOR,
    Bottleneck,
    Conv,
    Pool,
    ResidualPair,
    UniversalBottleneck,
    operator_from_key,
    registered_operators,
)
from tests.unit.netspec.operators.examples import EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_keys_json_and_layers_agree(name: str) -> None:
    for precision in ("float32", "int8"):
        operator = EXAMPLES[name].with_precision(precision)
        assert operator_from_key(operator.key) == operator
        assert OPERATOR.validate_json(operator.model_dump_json()) == operator
        assert operator.layers
        assert operator.label


def test_there_is_an_example_of_every_kind() -> None:
    kinds = {operator.kind for operator in EXAMPLES.values()}
    assert kinds == {operator.kind_name() for operator in registered_operators()} - {"convert"}
    assert len({operator.key for operator in EXAMPLES.values()}) == len(EXAMPLES)


def test_keys_read_as_documented() -> None:
    block = Bottleneck(input_size=28, in_channels=40, out_channels=40, middle=120, squeeze=32)
    assert block.key == (
        "bottleneck-in:28x28x40-out:28x28x40-kernel:3-middle:120-squeeze:32-gate:hard_sigmoid"
        "-stride:1-residual:0-act:hard_swish-float32"
    )
    assert (block.label, block.expansion) == ("MB3 3x3 SE", 3)


def test_costs_by_hand() -> None:
    block = Bottleneck(input_size=4, in_channels=4, out_channels=6, middle=8, squeeze=2)
    expand, filtered, squeezed, project = 16 * 32, 16 * 72, 8 * 2 + 2 * 8, 16 * 48
    assert macs(block) == expand + filtered + squeezed + project
    weights = 32 + 72 + 16 + 16 + 48
    assert parameters([block]) == weights + 8 + 8 + 2 + 8 + 6
    grouped = Conv(input_size=4, in_channels=4, out_channels=8, groups=2)
    assert macs(grouped) == 16 * 9 * 2 * 8
    pair = ResidualPair(input_size=4, in_channels=4, out_channels=8, middle=4, stride=2)
    assert macs(pair) == 4 * (9 * 16 + 9 * 32 + 32)
    assert macs(Pool(input_size=4, in_channels=4, out_channels=4)) == 0


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("bottleneck", {"middle": 8, "gate": "sigmoid"}, "no gate without squeeze"),
        ("bottleneck", {"middle": 8, "residual": True}, "a residual needs stride 1"),
        ("bottleneck", {}, "middle"),
        ("fused", {"middle": 8, "residual": True}, "a residual needs stride 1"),
        ("universal", {"middle": 8, "filter": 0, "stride": 2}, "the stride must be 1, got 2"),
        ("universal", {"middle": 8, "residual": True}, "a residual needs stride 1"),
        ("conv", {"groups": 3}, "got 3 groups of 4 -> 6"),
        ("pool", {}, "pooling keeps its channels, got 4 -> 6"),
        ("global_pool", {}, "pooling keeps its channels, got 4 -> 6"),
    ],
)
def test_operators_that_cannot_exist_are_refused(
    kind: str, fields: dict[str, object], says: str
) -> None:
    shape = {"input_size": 4, "in_channels": 4, "out_channels": 6}
    with pytest.raises(ValidationError, match=says):
        OPERATOR.validate_python({"kind": kind, **shape, **fields})


@pytest.mark.parametrize(
    ("start", "kernel", "names"),
    [
        (0, 3, ["expand", "filter", "project"]),
        (5, 0, ["start", "expand", "project"]),
        (5, 3, ["start", "expand", "filter", "project"]),
    ],
)
def test_the_last_depthwise_convolution_has_the_stride(
    start: int, kernel: int, names: list[str]
) -> None:
    block = UniversalBottleneck.model_validate(
        {
            "input_size": 8,
            "in_channels": 4,
            "out_channels": 4,
            "start": start,
            "filter": kernel,
            "middle": 12,
            "stride": 2,
        }
    )
    assert [layer.name for layer in block.layers] == names
    (strided,) = (layer.name for layer in block.layers if layer.stride == 2)
    assert strided == [name for name in names if name in ("start", "filter")][-1]
