from collections.abc import Callable

import pytest

from netspec.errors import InvalidSpec
from netspec.layers import INPUT, Layer, LayerGraph, Value, sized, walk


def graph() -> LayerGraph:
    return LayerGraph.of_input(8, 4)


def test_layers_name_what_they_read() -> None:
    built = graph()
    wide = built.conv("wide", built.input, 12, 3, 2, "relu6")
    gate = built.conv("gate", built.global_average("pool", wide), 12, activation="hard_sigmoid")
    output = built.multiply("scale", wide, gate)
    assert [(layer.name, layer.inputs) for layer in built.layers] == [
        ("wide", (INPUT,)),
        ("pool", ("wide",)),
        ("gate", ("pool",)),
        ("gate_hard_sigmoid", ("gate",)),
        ("scale", ("wide", "gate_hard_sigmoid")),
    ]
    assert output == Value("scale", 12, 4)
    assert [layer.activation for layer in built.layers] == ["relu6", *[None] * 4]


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda g: g.conv("a", Value("later", 4, 8), 4), "reads 'later', which no layer before"),
        (lambda g: g.mean("a", g.max_pool("a", g.input, 2, 2)), "are called 'a'"),
        (lambda g: g.conv(INPUT, g.input, 4), "are called 'input'"),
        (lambda g: g.dense("a", g.input, 4), r"expected numbers \(see `mean`\), got 8 px x 4"),
        (lambda g: g.conv("a", g.mean("m", g.input), 4), "expected an image, got 4 numbers"),
        (lambda g: g.add("a", g.input, g.conv("c", g.input, 5)), "8 px x 4 and 8 px x 5"),
        (lambda g: g.add("a", g.input, g.global_max("m", g.input)), "8 px x 4 and 1 px x 4"),
        (lambda g: g.multiply("a", g.input, g.max_pool("m", g.input, 2, 2)), "and 4 px x 4"),
        (lambda g: g.conv("a", g.input, 6, groups=4), "not both a multiple of 4 groups"),
    ],
)
def test_layers_that_do_not_fit_are_refused_by_name(
    build: Callable[[LayerGraph], Value], says: str
) -> None:
    with pytest.raises(InvalidSpec, match=says) as caught:
        build(graph())
    assert "\n" not in str(caught.value)


def test_a_walk_gives_every_layer_its_inputs_and_lets_them_go() -> None:
    built = graph()
    left = built.conv("left", built.input, 4)
    built.add("sum", built.conv("right", left, 4), left)
    seen = {}

    def visit(layer: Layer, inputs: list[str]) -> str:
        seen[layer.name] = inputs
        return layer.name.upper()

    assert walk(built.layers, "given", visit) == "SUM"
    assert seen == {"left": ["given"], "right": ["LEFT"], "sum": ["RIGHT", "LEFT"]}


def test_sides_follow_strides_pools_and_padding() -> None:
    built = graph()
    x = built.pad("pad", built.input, 1, 1)
    x = built.conv("valid", x, 4, 3, 2, padded=False)
    x = built.max_pool("pool", x, 3, 2)
    built.mean("mean", x)
    sides = [(layer.name, before, after) for layer, before, after in sized(built.layers, 8)]
    assert sides == [("pad", 8, 10), ("valid", 10, 4), ("pool", 4, 2), ("mean", 2, 1)]
