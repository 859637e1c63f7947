"""Networks: lists of operators with an input size; and published ones, each in a file of its own.

What a published network computes beyond its layers, such as BatchNorm's epsilon, belongs to its
weights.
"""

from netspec.networks.chain import Chain
from netspec.networks.channels import round_channels
from netspec.networks.efficientnet_lite import efficientnet_lite0
from netspec.networks.mnasnet import mnasnet_a1
from netspec.networks.mobilenet_v1 import mobilenet_v1
from netspec.networks.mobilenet_v2 import HEAD_CHANNELS, head_and_classifier, mobilenet_v2
from netspec.networks.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from netspec.networks.mobilenet_v4 import mobilenet_v4_conv_small
from netspec.networks.network import MAX_NAME, Network
from netspec.networks.proxylessnas import (
    proxylessnas_cpu,
    proxylessnas_gpu,
    proxylessnas_mobile,
    proxylessnas_mobile_14,
)
from netspec.networks.shipped import SHIPPED_NETWORKS

__all__ = [
    "HEAD_CHANNELS",
    "MAX_NAME",
    "SHIPPED_NETWORKS",
    "Chain",
    "Network",
    "efficientnet_lite0",
    "head_and_classifier",
    "mnasnet_a1",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "mobilenet_v4_conv_small",
    "proxylessnas_cpu",
    "proxylessnas_gpu",
    "proxylessnas_mobile",
    "proxylessnas_mobile_14",
    "round_channels",
]
