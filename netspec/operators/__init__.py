"""Operators: the things that a latency table prices, each kind in a file of its own.

An operator declares its fields, its key and its layers; everything else follows from these. Who
adds a kind writes one class of `OperatorBase` and names it in `registered`, or in the entry points
of a package of their own.
"""

from netspec.layers import Activation
from netspec.operators.base import (
    PRECISIONS,
    Channels,
    Kernel,
    OperatorBase,
    Place,
    Precision,
    Side,
    Stride,
    StridedOperator,
    content_hash,
    named_layers,
    require_residual_shapes,
)
from netspec.operators.bottleneck import Bottleneck
from netspec.operators.classifier import Classifier
from netspec.operators.conv import Conv
from netspec.operators.convert import Convert
from netspec.operators.fused import FusedBottleneck
from netspec.operators.grouped import GroupedBottleneck
from netspec.operators.head import FeatureMix, HeadConv
from netspec.operators.keys import operator_from_key
from netspec.operators.mbconv import MBConv
from netspec.operators.parts.elementwise import Elementwise
from netspec.operators.parts.padding import Padding
from netspec.operators.parts.shuffle import ChannelShuffle
from netspec.operators.parts.squeeze_excite import SqueezeExcite
from netspec.operators.pool import GlobalPool, Pool
from netspec.operators.registered import registered_operators
from netspec.operators.residual_pair import ResidualPair
from netspec.operators.stem import StemConv
from netspec.operators.union import OPERATOR, OPERATOR_CLASSES, Operator
from netspec.operators.universal import UniversalBottleneck

__all__ = [
    "OPERATOR",
    "OPERATOR_CLASSES",
    "PRECISIONS",
    "Activation",
    "Bottleneck",
    "ChannelShuffle",
    "Channels",
    "Classifier",
    "Conv",
    "Convert",
    "Elementwise",
    "FeatureMix",
    "FusedBottleneck",
    "GlobalPool",
    "GroupedBottleneck",
    "HeadConv",
    "Kernel",
    "MBConv",
    "Operator",
    "OperatorBase",
    "Padding",
    "Place",
    "Pool",
    "Precision",
    "ResidualPair",
    "Side",
    "SqueezeExcite",
    "StemConv",
    "Stride",
    "StridedOperator",
    "UniversalBottleneck",
    "content_hash",
    "named_layers",
    "operator_from_key",
    "registered_operators",
    "require_residual_shapes",
]
