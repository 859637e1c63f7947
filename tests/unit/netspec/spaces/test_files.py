"""Spaces as files: what they may say, and what is wrong with one."""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from netspec import operators
from netspec.errors import InvalidSpec
from netspec.layers import Layer, LayerGraph, Value
from netspec.operators import Bottleneck, FusedBottleneck, OperatorBase, StemConv
from netspec.spaces import Space, named_values, read_space, shipped_spaces

MIXED = """
kind = "mine"
input_size = 64
stem = [{ kind = "stem", channels = 24, kernel = 5, stride = 4, activation = "hard_swish" }]
head = [{ kind = "global_pool" }, { kind = "feature_mix", channels = 64 }, { kind = "classifier" }]

[[stages]]
channels = 24
depth = 3
least_depth = 2
stride = 1
candidates = [
  { kind = "bottleneck", expand = 3, squeeze_ratio = 0.25 },
  { kind = "fused", middle = 96, kernel = 3 },
  { kind = "conv", kernel = 3 },
]

[[stages]]
channels = 32
depth = 2
stride = 2
kernels = [5]
expands = [2, 3]
operator = { kind = "bottleneck", activation = "relu" }
"""


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_any_operators_is_a_space(tmp_path: Path) -> None:
    space = read_space(written(tmp_path, MIXED))
    (stem,) = space.fixed_start
    assert stem == StemConv(
        input_size=64, in_channels=3, out_channels=24, kernel=5, stride=4, activation="hard_swish"
    )
    first, *_, last = space.blocks
    kinds = [candidate.kind for candidate in first.candidates]
    assert kinds == ["bottleneck", "fused", "conv"]
    assert isinstance(first.candidates[1], FusedBottleneck)
    assert first.candidates[1].middle == 96
    assert [block.skippable for block in space.blocks] == [False, False, True, False, True]
    assert all(isinstance(one, Bottleneck) and one.kernel == 5 for one in last.candidates)
    assert [operator.kind for operator in space.fixed_end] == [
        "global_pool",
        "feature_mix",
        "classifier",
    ]
    network = space.network([0, 1, 3, 1, 2])
    assert network.name == "mine 64-1 01312"
    assert (network.input_size, network.classes, len(network.operators)) == (64, 1000, 7)


def test_toml_json_and_the_wire_say_the_same(tmp_path: Path) -> None:
    space = read_space(written(tmp_path, MIXED))
    again = read_space(written(tmp_path, space.model_dump_json(), "mine.json"))
    assert again == space
    assert again.operators() == space.operators()
    assert space.with_precision("int8").with_precision("float32") == space


def test_an_activation_takes_the_place_of_every_operators_own(tmp_path: Path) -> None:
    ofa = read_space("mobilenetv3-ofa").with_values(activation="relu6")
    kinds = {layer.kind for operator in ofa.operators() for layer in operator.layers}
    assert "hard_swish" not in kinds
    fused = {layer.activation for one in ofa.operators() for layer in one.layers}
    assert fused == {"relu6", "relu", None}
    # What squeezes keeps its relu, what is linear stays so.
    relu = {x.name for one in ofa.operators() for x in one.layers if x.activation == "relu"}
    assert relu == {"reduce"}
    stage = "stages = [{ channels = 16, depth = 1, stride = 1, candidates = ["
    convs = '{ kind = "conv", activation = "none" }, { kind = "conv", kernel = 1 }'
    linear = read_space(written(tmp_path, f'activation = "relu"\n{stage}{convs}] }}]'))
    named = [layer.activation for one in linear.blocks[0].candidates for layer in one.layers]
    assert named == [None, "relu"]


def test_sizes_and_widths_make_variants(tmp_path: Path) -> None:
    space = read_space(written(tmp_path, f"sizes = [32, 64]\nwidths = [0.5, 1.0]\n{MIXED}"))
    rows = [[(one.input_size, one.width) for one in row] for row in space.variants()]
    assert rows == [[(32, 0.5), (64, 0.5)], [(32, 1.0), (64, 1.0)]]
    assert [[one.width for one in row] for row in space.variants([48], [2.0])] == [[2.0]]
    assert not any(one.sizes or one.widths for row in space.variants() for one in row)


def test_first_candidates_are_the_first_blocks_alone(tmp_path: Path) -> None:
    stage = """
    [[stages]]
    channels = 32
    depth = 2
    stride = 2
    first_candidates = [{ kind = "universal", expand = 2, filter = 5 }]
    candidates = [{ kind = "universal", expand = 2, filter = 0 }]
    """
    first, second = read_space(written(tmp_path, stage)).blocks
    assert [len(block.candidates) for block in (first, second)] == [1, 1]
    assert first.candidates[0].largest_kernel == 5
    assert second.candidates[0].largest_kernel == 1


STAGE = "stages = [{ channels = 32, depth = 2, stride = 2, %s }]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (STAGE % "candidates = [{ kind = 'botleneck' }]", "stages.0.candidates.0: there is no"),
        (STAGE % "candidates = [{ kind = 'botleneck' }]", "did you mean 'bottleneck'?"),
        (
            STAGE % "chanels = 3",
            "stages.0.chanels: there is no such value; did you mean 'channels'",
        ),
        (
            STAGE % "candidates = [{ kind = 'pool' }]",
            "stages.0.candidates.0: pool: pooling keeps its channels, got 16 -> 32",
        ),
        (
            STAGE % "candidates = [{ kind = 'universal', expand = 4, filter = 0 }]",
            "without a depthwise convolution the stride must be 1, got 2",
        ),
        (
            STAGE % "candidates = [{ kind = 'conv' }, { kind = 'conv', groups = 1 }]",
            "stages.0.candidates: number 0 and number 1 are the same operator, conv-in:112x112x16",
        ),
        (STAGE % "kernels = [3, 3]", "are the same operator, mbconv-in:112x112x16"),
        (
            STAGE % "kernels = [3], candidates = [{ kind = 'conv' }]",
            "stages.0.kernels: the stage lists its candidates; leave it out",
        ),
        (
            STAGE % "operator = { kind = 'universal' }",
            "stages.0.operator: universal has no kernel, so that kernels cannot be chosen among",
        ),
        (STAGE % "operator = { kind = 'bottleneck', kernel = 3 }", "kernel: is chosen already"),
        (STAGE % "least_depth = 3", "stages.0.least_depth: 3 blocks of 2 cannot be kept"),
        (
            STAGE % "candidates = [{ kind = 'conv', channels = 8 }]",
            "stages.0.candidates.0: channels are those of the stage",
        ),
        (
            "stages = [{channels = 16, depth = 1, stride = 1, candidates=[{kind='global_pool'}]}]",
            "global_pool is no candidate: expected an operator of a block that gives 112 px",
        ),
        (STAGE % "candidates = [{ kind = 'classifier' }]", "it has no stride, and its block has"),
        ("stem = [{ kind = 'classifier' }]", "stem.0: classifier cannot stand in the stem"),
        ("stem = [{ kind = 'stem' }]\nstem_stride = 1", "stem_stride: is that of the usual stem"),
        ("head = [{ kind = 'head' }]", "head.0: the last operator must classify, got head"),
        ("head = [{ kind = 'head' }]", "end with a classifier"),
        (
            "head = [{ kind = 'stem', channels = 8 }, { kind = 'classifier' }]",
            "head.0: stem cannot stand in the head",
        ),
        ("head = [{ kind = 'classifier', channels = 10 }]", "channels are the classes"),
        (
            "head = [{kind='classifier'}]\nhead_channels = 8",
            "head_channels: are those of the usual",
        ),
        ("sizes = [32, 32]", "sizes: expected each once"),
        ("stages = []", "stages: expected at least 1 item"),
        ("input_size = 'big'", "input_size: expected a whole number"),
        ("kind = 'Mine!'", "kind"),
        ("input_size = ", "is no TOML"),
    ],
)
def test_what_is_wrong_with_a_space_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidSpec) as caught:
        read_space(path)
    message = str(caught.value)
    assert message.startswith(f"space {path}")
    assert says in message
    assert "\n" not in message
    assert "Value error" not in message


@pytest.mark.parametrize(("text", "says"), [("{", "is no JSON"), ("[1]", "expected an object")])
def test_what_is_no_json_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        read_space(written(tmp_path, text, "mine.json"))


def test_an_unknown_name_lists_the_shipped_spaces(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"no space 'fbnt'.*did you mean 'fbnet'\?"):
        read_space("fbnt")
    with pytest.raises(InvalidSpec, match="no such file; expected one of: cifar"):
        read_space("zzz.toml", tmp_path)


def test_a_base_is_taken_with_other_values(tmp_path: Path) -> None:
    written(tmp_path, MIXED)
    for given in ("mine.toml", {"base": "mine.toml"}):
        assert Space.model_validate(named_values(given, tmp_path)).input_size == 64
    taken = Space.model_validate(named_values({"base": "fbnet", "input_size": 96}))
    assert taken == read_space("fbnet").with_values(input_size=96)
    assert named_values({"input_size": 96}) == {"input_size": 96}
    with pytest.raises(InvalidSpec, match="base: expected the name of a space"):
        named_values({"base": 3})
    # Where files are another's, only shipped spaces are known.
    with pytest.raises(InvalidSpec, match=r"no space 'mine\.toml'; expected one of: cifar"):
        named_values("mine.toml", folder=None)
    assert named_values("cifar", folder=None)["kind"] == "cifar"


class Unwritable(OperatorBase):
    """Has a layer of a kind that no encoder knows."""

    key_fields: ClassVar = ()
    kind: Literal["unwritable"] = "unwritable"

    def build(self, graph: LayerGraph, x: Value) -> Value:
        odd: Any = "fourier"
        graph.layers.append(Layer("odd", odd, x.channels, self.out_channels))
        return Value("odd", self.out_channels, x.size)


def test_a_candidate_without_an_encoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(operators.OPERATOR_CLASSES, "unwritable", Unwritable)
    values = {"stages": [{"channels": 16, "depth": 1, "stride": 1}]}
    values["stages"][0]["candidates"] = [{"kind": "conv"}, {"kind": "unwritable"}]  # type: ignore[assignment]
    with pytest.raises(
        ValueError, match=r"stages\.0\.candidates\.1: unwritable: no encoder writes"
    ):
        Space.model_validate(values)


def test_every_shipped_space_is_read() -> None:
    assert shipped_spaces() == [
        "cifar",
        "fbnet",
        "mobilenetv3-ofa",
        "mobilenetv4-uib",
        "proxylessnas",
    ]
    for name in shipped_spaces():
        space = read_space(name)
        assert space.kind == name
        assert read_space(name) == Space.model_validate(json.loads(space.model_dump_json()))
