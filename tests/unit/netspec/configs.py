"""Small `net.config` files, made up in the shape of those that are published."""

from __future__ import annotations

from typing import Any

_LAYER = {"use_bn": True, "dropout_rate": 0, "ops_order": "weight_bn_act"}


def convolution(in_channels: int, out_channels: int, **fields: Any) -> dict[str, Any]:
    usual = {
        "name": "ConvLayer",
        "kernel_size": 1,
        "stride": 1,
        "dilation": 1,
        "groups": 1,
        "bias": False,
        "has_shuffle": False,
        "in_channels": in_channels,
        "out_channels": out_channels,
        "act_func": "relu6",
        **_LAYER,
    }
    return usual | fields


def block(in_channels: int, out_channels: int, *, shortcut: bool, **fields: Any) -> dict[str, Any]:
    inner = {
        "name": "MBInvertedConvLayer",
        "in_channels": in_channels,
        "out_channels": out_channels,
        "kernel_size": 3,
        "stride": 1,
        "expand_ratio": 3,
    }
    identity = {
        "name": "IdentityLayer",
        "in_channels": [in_channels],
        "out_channels": [out_channels],
        **_LAYER,
        "use_bn": False,
        "act_func": None,
    }
    return {
        "name": "MobileInvertedResidualBlock",
        "mobile_inverted_conv": inner | fields,
        "shortcut": identity if shortcut else None,
    }


def skipped(channels: int) -> dict[str, Any]:
    made = block(channels, channels, shortcut=True)
    return {**made, "mobile_inverted_conv": {"name": "ZeroLayer", "stride": 1}}


def classifier(in_features: int, classes: int) -> dict[str, Any]:
    return {
        "name": "LinearLayer",
        "in_features": in_features,
        "out_features": classes,
        "bias": True,
        **_LAYER,
        "use_bn": False,
        "act_func": None,
    }


def proxylessnas() -> dict[str, Any]:
    """Stem of 16 channels, three blocks of which one is skipped, a head of 64, 10 classes."""
    return {
        "name": "ProxylessNASNets",
        "bn": {"momentum": 0.1, "eps": 0.001},
        "first_conv": convolution(3, 16, kernel_size=3, stride=2),
        "blocks": [
            block(16, 8, shortcut=False, expand_ratio=1),
            block(8, 24, shortcut=False, kernel_size=5, stride=2, expand_ratio=6),
            skipped(24),
            block(24, 24, shortcut=True, kernel_size=7),
        ],
        "feature_mix_layer": convolution(24, 64),
        "classifier": classifier(64, 10),
    }


def mobilenet_v3() -> dict[str, Any]:
    """Stem of 16 channels, three blocks of which two squeeze, expansion 96, mix 128, 10 classes."""
    return {
        "name": "MobileNetV3",
        "bn": {"momentum": 0.1, "eps": 1e-05},
        "first_conv": convolution(3, 16, kernel_size=3, stride=2, act_func="h_swish"),
        "blocks": [
            block(16, 16, shortcut=True, expand_ratio=1, act_func="relu", use_se=False),
            block(16, 24, shortcut=False, stride=2, mid_channels=40, act_func="relu", use_se=True),
            block(24, 24, shortcut=True, mid_channels=None, act_func="h_swish", use_se=True),
        ],
        "final_expand_layer": convolution(24, 96, act_func="h_swish"),
        "feature_mix_layer": convolution(96, 128, use_bn=False, act_func="h_swish"),
        "classifier": classifier(128, 10),
    }
