"""The networks that come with the package, by name."""

from __future__ import annotations

from collections.abc import Callable

from netspec.networks.efficientnet_lite import efficientnet_lite0
from netspec.networks.mnasnet import mnasnet_a1
from netspec.networks.mobilenet_v1 import mobilenet_v1
from netspec.networks.mobilenet_v2 import mobilenet_v2
from netspec.networks.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from netspec.networks.mobilenet_v4 import mobilenet_v4_conv_small
from netspec.networks.network import Network
from netspec.networks.proxylessnas import (
    proxylessnas_cpu,
    proxylessnas_gpu,
    proxylessnas_mobile,
    proxylessnas_mobile_14,
)

#: each takes `input_size` (px), `classes` and `precision` by name, some a `width`, and has defaults
SHIPPED_NETWORKS: dict[str, Callable[..., Network]] = {
    build.__name__: build
    for build in (
        mobilenet_v1,
        mobilenet_v2,
        mobilenet_v3_small,
        mobilenet_v3_large,
        mnasnet_a1,
        proxylessnas_mobile,
        proxylessnas_cpu,
        proxylessnas_gpu,
        proxylessnas_mobile_14,
        efficientnet_lite0,
        mobilenet_v4_conv_small,
    )
}
