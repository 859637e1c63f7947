"""The shipped spaces are the published ones."""

import math

from netspec.networks import mobilenet_v4_conv_small
from netspec.operators import Bottleneck, FeatureMix, HeadConv
from netspec.spaces import Space, read_space


def test_proxylessnas_is_what_a_space_is_that_says_nothing() -> None:
    assert read_space("proxylessnas") == Space()


def test_once_for_all_is_its_released_space() -> None:
    space = read_space("mobilenetv3-ofa")
    assert len(space.blocks) == 20
    assert [block.skippable for block in space.blocks] == [False, False, True, True] * 5
    assert all(len(block.candidates) == 9 for block in space.blocks)
    squeezed, activations, middles = [], [], []
    for block in space.blocks[::4]:
        largest = block.candidates[-1]
        assert isinstance(largest, Bottleneck)
        assert (largest.kernel, largest.stride) == (7, 1 if largest.out_channels == 112 else 2)
        squeezed.append(largest.squeeze)
        activations.append(largest.activation)
        middles.append(largest.middle)
    assert middles == [96, 144, 240, 480, 672]
    # A quarter of the middle, rounded to 8.
    assert squeezed == [0, 40, 0, 120, 168]
    assert activations == ["relu", "relu", *["hard_swish"] * 3]
    final, pool, mix, classifier = space.fixed_end
    assert isinstance(final, HeadConv)
    assert isinstance(mix, FeatureMix)
    assert (final.out_channels, pool.output_size, mix.out_channels) == (960, 1, 1280)
    assert classifier.in_channels == 1280


def test_fbnet_has_22_blocks_of_eight_candidates_and_zero() -> None:
    space = read_space("fbnet")
    assert len(space.blocks) == 22
    assert {len(block.candidates) for block in space.blocks} == {8}
    # Source: FBNet, table 2.
    block = space.blocks[2]
    assert [one.label for one in block.candidates] == [
        *(f"MB{expand} {kernel}x{kernel}" for kernel in (3, 5) for expand in (1, 3, 6)),
        *(f"MB1 {kernel}x{kernel} G2" for kernel in (3, 5)),
    ]
    assert sum(block.skippable for block in space.blocks) == 22 - 6
    # Source: FBNet, table 1; FBNet-C of mobile-vision.
    widths = [block.candidates[0].out_channels for block in space.blocks]
    assert widths == [16] + [24] * 4 + [32] * 4 + [64] * 4 + [112] * 4 + [184] * 4 + [352]
    assert [operator.out_channels for operator in space.fixed_end] == [1984, 1000]


def test_mobilenetv4_has_its_conv_small_but_for_the_ratios() -> None:
    space = read_space("mobilenetv4-uib")
    assert [len(block.candidates) for block in space.blocks] == [8, *[9] * 5] * 2
    assert not any(block.skippable for block in space.blocks)
    published = mobilenet_v4_conv_small()
    assert space.fixed_start == published.operators[:5]
    assert space.fixed_end == published.operators[-4:]
    blocks = published.operators[5:-4]
    assert [one.out_channels for one in blocks] == [
        block.candidates[0].out_channels for block in space.blocks
    ]
    assert math.prod(block.choices for block in space.blocks) == (8 * 9**5) ** 2


def test_cifar_keeps_maps_on_which_kernels_differ() -> None:
    space = read_space("cifar")
    assert [len(row) for row in space.variants()] == [3] * 4
    assert all(one.cramped_blocks() == 0 for row in space.variants() for one in row)
