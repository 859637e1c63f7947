import copy
from typing import ClassVar, Literal, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.layers import LayerGraph, Value
from netspec.operators import (
    Bottleneck,
    FusedBottleneck,
    OperatorBase,
    ResidualPair,
    UniversalBottleneck,
)
from netspec.spaces import Space, Stage
from search_client.networks.layers import ConvLayer, FloatNetwork, OperatorModule
from search_client.supernet.shared_weights import CannotShare, LargestOperator, SlicedOperator
from search_client.supernet.subnetwork import subnetwork
from search_client.supernet.variants import Family, Weights
from search_client.training.norm_statistics import recalibrate
from tests.unit.netspec.operators.examples import EXAMPLES
from tests.unit.search_client.tiny import tiny_space

SPACE = Space(
    input_size=16,
    width=0.5,
    classes=3,
    stem_stride=1,
    head_channels=16,
    kernels=(3, 5),
    expands=(1, 2, 3),
    stages=(Stage(channels=16, depth=2, stride=2), Stage(channels=24, depth=2, stride=2)),
)


def _family(seed: int, weights: Weights = "shared") -> Family:
    torch.manual_seed(seed)
    family = Family(SPACE, sizes=(12, 16), widths=(0.5, 1.0), weights=weights)
    with torch.no_grad():
        # Residual blocks begin as the identity, in which no mistake would show.
        for parameter in family.weights():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return family


def _normalising_by_the_batch(model: FloatNetwork) -> FloatNetwork:
    for child in model.modules():
        if isinstance(child, torch.nn.BatchNorm2d):
            child.track_running_stats = False
            child.running_mean = child.running_var = None
    return model


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_slice_computes_what_an_operator_with_its_weights_does(name: str) -> None:
    torch.manual_seed(0)
    operator = EXAMPLES[name]
    if any(layer.kind == "conv" and layer.groups > 1 for layer in operator.layers):
        with pytest.raises(CannotShare, match=r"-in:9x9.*layer \w+ is a convolution in groups"):
            LargestOperator([operator])
        return
    largest = LargestOperator([operator, operator])
    with torch.no_grad():
        for parameter in largest.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    sliced, module = SlicedOperator(operator, largest), OperatorModule(operator).train()
    sliced.copy_to(module)
    x = torch.randn(4, 8, 9, 9)
    assert torch.allclose(sliced(x), module(x), atol=1e-5)


def test_candidates_of_unlike_layers_say_which_cannot_share() -> None:
    shape = {"input_size": 9, "in_channels": 8, "out_channels": 8, "middle": 16}
    block = Bottleneck.model_validate({**shape, "activation": "relu"})
    # Layers of one name and kind are slices of one another, whatever operator they are of.
    LargestOperator([block, FusedBottleneck.model_validate(shape)])
    LargestOperator([UniversalBottleneck.model_validate({**shape, "start": 5}), block])
    pair = ResidualPair.model_validate(shape)
    odd = _Odd.model_validate(shape)
    LargestOperator([block, pair])
    with pytest.raises(
        CannotShare, match=r"^odd-in.* with bottleneck-in.*layer expand is depthwise"
    ):
        LargestOperator([block, odd])


class _Odd(OperatorBase):
    """Calls a depthwise convolution by the name of a whole one."""

    key_fields: ClassVar = ("middle",)
    kind: Literal["odd"] = "odd"
    middle: int

    def build(self, graph: LayerGraph, x: Value) -> Value:
        return graph.depthwise("expand", x, 3)


@given(seed=st.integers(0, 1000), variant=st.integers(0, 3), data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_subnetwork_computes_what_the_supernet_computes(
    seed: int, variant: int, data: st.DataObject
) -> None:
    family = _family(seed)
    blocks = family.variants[variant].space.blocks
    choices = [data.draw(st.integers(0, block.choices - 1)) for block in blocks]
    size = family.variants[variant].space.input_size
    images = torch.randn(4, 3, size, size)
    with torch.no_grad():
        cut = _normalising_by_the_batch(subnetwork(family, variant, choices)).train()
        assert torch.equal(cut(images), family.supernet(variant)(images, choices))


def test_a_smaller_kernel_is_the_centre_and_fewer_channels_are_the_first() -> None:
    family = _family(0)
    small, large = (subnetwork(family, variant, choices) for variant, choices in _CUTS)
    of = "operators.2.chain.depthwise.weight"
    narrow, wide = small.state_dict()[of], large.state_dict()[of]
    assert (narrow.shape, wide.shape) == ((8, 1, 3, 3), (48, 1, 5, 5))
    assert torch.equal(narrow, wide[:8, :, 1:4, 1:4])


#: smallest and largest candidate of the first block, at the least and greatest width
_CUTS = ((0, [0, 0, 0, 0]), (2, [5, 5, 5, 5]))


def test_a_step_on_the_largest_network_moves_the_smallest() -> None:
    family = _family(0)
    before = subnetwork(family, *_CUTS[0])
    family.supernet(2)(torch.randn(4, 3, 16, 16), _CUTS[1][1]).square().sum().backward()
    with torch.no_grad():
        for parameter in family.weights():
            if parameter.grad is not None:
                parameter.sub_(0.1 * parameter.grad)
    after = subnetwork(family, *_CUTS[0])
    # A bias moves nothing where the next BatchNorm takes it away again.
    weights = {name: one for name, one in after.named_parameters() if name.endswith("weight")}
    for name, value in weights.items():
        assert not torch.equal(value, before.get_parameter(name)), name


def test_every_weight_is_held_once_and_no_candidate_holds_any() -> None:
    family = _family(0)
    weights = list(family.weights())
    assert len(weights) == len({id(weight) for weight in weights})
    names = [name for name in family.state_dict() if "alpha" not in name and name != "beta"]
    assert all(name.startswith("shared.") for name in names)
    sliced = [module for module in family.modules() if isinstance(module, SlicedOperator)]
    assert not any(list(module.parameters()) for module in sliced)
    copied = copy.deepcopy(family)
    assert not {id(weight) for weight in copied.weights()} & {id(weight) for weight in weights}


def test_a_subnetwork_of_separate_candidates_has_their_weights_and_statistics() -> None:
    family = _family(0, "separate").eval()
    images = torch.randn(2, 3, 16, 16)
    cut = subnetwork(family, 1, [4, 6, 0, 2]).eval()
    with torch.no_grad():
        assert torch.equal(cut(images), family(1, images, [4, 6, 0, 2]))


@pytest.mark.parametrize("weights", ["separate", "shared"])
def test_recalibrated_statistics_are_those_of_the_images(weights: Weights) -> None:
    torch.manual_seed(0)
    family = Family(tiny_space(), weights=weights)
    model = subnetwork(family, 0, [1, 3])
    parts = [(torch.randn(8, 3, 16, 16) + shift, torch.zeros(8)) for shift in (0.0, 2.0)]
    recalibrate(model, parts)
    stem = cast("ConvLayer", model.get_submodule("operators.0.chain.conv"))
    mean = stem.norm.running_mean
    assert mean is not None
    with torch.no_grad():
        outputs = [
            torch.nn.functional.conv2d(
                torch.nn.functional.pad(images, (0, 1, 0, 1)), stem.weight, stride=2
            )
            for images, _ in parts
        ]
    expected = torch.stack([one.mean((0, 2, 3)) for one in outputs]).mean(0)
    assert torch.allclose(mean, expected, atol=1e-5)
    assert not model.training
    assert stem.norm.momentum == pytest.approx(0.1)
