"""Operators of every kind and form, small enough to run."""

from typing import get_args

from netspec.operators import (
    Bottleneck,
    ChannelShuffle,
    Classifier,
    Conv,
    Elementwise,
    FeatureMix,
    FusedBottleneck,
    GlobalPool,
    GroupedBottleneck,
    HeadConv,
    MBConv,
    OperatorBase,
    Padding,
    Pool,
    ResidualPair,
    SqueezeExcite,
    StemConv,
    UniversalBottleneck,
)
from netspec.operators.parts.elementwise import Applied

#: by what is special about them; all float32, inputs of 9 px and 8 channels
EXAMPLES: dict[str, OperatorBase] = {
    "stem hard-swish": StemConv(
        input_size=9, in_channels=8, out_channels=12, stride=2, activation="hard_swish"
    ),
    "head hard-swish": HeadConv(
        input_size=9, in_channels=8, out_channels=16, activation="hard_swish"
    ),
    "feature mix": FeatureMix(input_size=9, in_channels=8, out_channels=16),
    "classifier": Classifier(input_size=9, in_channels=8, out_channels=5),
    "mbconv hard-swish": MBConv(
        input_size=9,
        in_channels=8,
        out_channels=8,
        expand=3,
        residual=True,
        activation="hard_swish",
    ),
    "bottleneck": Bottleneck(
        input_size=9, in_channels=8, out_channels=12, middle=20, activation="relu", stride=2
    ),
    "bottleneck squeezed": Bottleneck(
        input_size=9,
        in_channels=8,
        out_channels=8,
        kernel=5,
        middle=24,
        squeeze=8,
        residual=True,
    ),
    "bottleneck squeezed by sigmoid": Bottleneck(
        input_size=9,
        in_channels=8,
        out_channels=12,
        middle=24,
        squeeze=4,
        gate="sigmoid",
        activation="relu6",
        stride=2,
    ),
    "bottleneck not expanded": Bottleneck(
        input_size=9, in_channels=8, out_channels=8, middle=8, squeeze=8, activation="relu"
    ),
    "fused": FusedBottleneck(input_size=9, in_channels=8, out_channels=8, middle=32, residual=True),
    "fused stride 2": FusedBottleneck(
        input_size=9,
        in_channels=8,
        out_channels=12,
        middle=16,
        stride=2,
        activation="hard_swish",
    ),
    "universal inverted bottleneck": UniversalBottleneck(
        input_size=9, in_channels=8, out_channels=12, middle=24, stride=2
    ),
    "universal ConvNext": UniversalBottleneck(
        input_size=9, in_channels=8, out_channels=8, start=7, filter=0, middle=32, residual=True
    ),
    "universal extra depthwise": UniversalBottleneck(
        input_size=9, in_channels=8, out_channels=12, start=5, filter=3, middle=24, stride=2
    ),
    "universal feed-forward": UniversalBottleneck(
        input_size=9, in_channels=8, out_channels=8, filter=0, middle=32, residual=True
    ),
    "grouped": GroupedBottleneck(
        input_size=9, in_channels=8, out_channels=8, middle=8, groups=2, residual=True
    ),
    "grouped stride 2": GroupedBottleneck(
        input_size=9, in_channels=8, out_channels=12, kernel=5, middle=24, groups=4, stride=2
    ),
    "shuffle": ChannelShuffle(input_size=9, in_channels=8, out_channels=8, groups=2),
    "conv linear": Conv(input_size=9, in_channels=8, out_channels=12, kernel=1, activation="none"),
    "conv in groups": Conv(input_size=9, in_channels=8, out_channels=12, groups=4, stride=2),
    "conv depthwise": Conv(input_size=9, in_channels=8, out_channels=8, groups=8, kernel=5),
    "conv hard-sigmoid": Conv(
        input_size=9, in_channels=8, out_channels=12, activation="hard_sigmoid"
    ),
    "conv sigmoid": Conv(input_size=9, in_channels=8, out_channels=12, activation="sigmoid"),
    "residual pair": ResidualPair(input_size=9, in_channels=8, out_channels=8, middle=12),
    "residual pair with shortcut": ResidualPair(
        input_size=9, in_channels=8, out_channels=12, middle=12, stride=2
    ),
    "average pool": Pool(input_size=9, in_channels=8, out_channels=8, kernel=3, stride=2),
    "max pool": Pool(input_size=9, in_channels=8, out_channels=8, pooled="max", kernel=2, stride=2),
    "global average": GlobalPool(input_size=9, in_channels=8, out_channels=8),
    "global max": GlobalPool(input_size=9, in_channels=8, out_channels=8, pooled="max"),
    "squeeze and excite": SqueezeExcite(
        input_size=9, in_channels=8, out_channels=8, squeeze=4, gate="sigmoid"
    ),
    "padding": Padding(input_size=9, in_channels=8, out_channels=8, before=0, after=1),
    **{
        f"elementwise {applied}": Elementwise(
            input_size=9, in_channels=8, out_channels=8, applied=applied
        )
        for applied in get_args(Applied)
    },
}
