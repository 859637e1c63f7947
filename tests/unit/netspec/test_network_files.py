"""Networks out of files that others have published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netspec.errors import InvalidSpec, UserError
from netspec.network_files import network_of_config, read_network
from netspec.networks import mobilenet_v2
from netspec.operators import (
    Bottleneck,
    Classifier,
    FeatureMix,
    GlobalPool,
    HeadConv,
    MBConv,
    StemConv,
)
from tests.unit.netspec import configs


def network(config: dict[str, Any], input_size: int | None = 32) -> Any:
    return network_of_config(config, input_size=input_size, precision="int8")


def test_a_network_of_proxylessnas() -> None:
    found = network(configs.proxylessnas())
    assert found.name == "ProxylessNASNets 32"
    p: dict[str, Any] = {"precision": "int8"}
    assert found.operators == (
        StemConv(input_size=32, in_channels=3, out_channels=16, stride=2, **p),
        MBConv(input_size=16, in_channels=16, out_channels=8, expand=1, **p),
        MBConv(input_size=16, in_channels=8, out_channels=24, kernel=5, expand=6, stride=2, **p),
        MBConv(
            input_size=8, in_channels=24, out_channels=24, kernel=7, expand=3, residual=True, **p
        ),
        HeadConv(input_size=8, in_channels=24, out_channels=64, **p),
        Classifier(input_size=8, in_channels=64, out_channels=10, **p),
    )


def test_a_network_of_once_for_all() -> None:
    p: dict[str, Any] = {"precision": "int8"}
    *start, pool, mix, last = network(configs.mobilenet_v3()).operators
    assert start == [
        StemConv(
            input_size=32, in_channels=3, out_channels=16, stride=2, activation="hard_swish", **p
        ),
        Bottleneck(
            input_size=16,
            in_channels=16,
            out_channels=16,
            middle=16,
            residual=True,
            activation="relu",
            **p,
        ),
        # A quarter of 40 is 10: squeezed in whole eights, and no less than 90 % of it, to 16.
        Bottleneck(
            input_size=16,
            in_channels=16,
            out_channels=24,
            middle=40,
            squeeze=16,
            stride=2,
            activation="relu",
            **p,
        ),
        Bottleneck(
            input_size=8,
            in_channels=24,
            out_channels=24,
            middle=72,
            squeeze=24,
            residual=True,
            **p,
        ),
        HeadConv(input_size=8, in_channels=24, out_channels=96, activation="hard_swish", **p),
    ]
    assert pool == GlobalPool(input_size=8, in_channels=96, out_channels=96, **p)
    assert mix == FeatureMix(input_size=1, in_channels=96, out_channels=128, **p)
    assert last == Classifier(input_size=1, in_channels=128, out_channels=10, **p)


def test_only_proxylessnas_has_a_usual_size() -> None:
    assert network(configs.proxylessnas(), None).input_size == 224
    with pytest.raises(InvalidSpec, match="does not say its input size"):
        network(configs.mobilenet_v3(), None)


def changed(path: str, value: Any) -> dict[str, Any]:
    """A network of ProxylessNAS with one value, named by its path, changed."""
    config = json.loads(json.dumps(configs.proxylessnas()))
    *parts, last = path.split("/")
    inner = config
    for part in parts:
        inner = inner[int(part)] if part.isdecimal() else inner[part]
    inner[last] = value
    return dict(config)


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("name", "VGG", "there is no name 'VGG'"),
        ("first_conv/name", "DepthConvLayer", "first_conv.name: is 'DepthConvLayer'"),
        ("first_conv/act_func", "swish", "act_func: is 'swish'"),
        ("first_conv/dilation", 2, "dilation"),
        ("first_conv/in_channels", 4, r"operator 1 \(Stem\) has 4 input channels"),
        ("feature_mix_layer/kernel_size", 3, "Head is a 1x1 convolution"),
        ("blocks/1/mobile_inverted_conv/in_channels", 9, "has 9 input channels"),
        ("blocks/1/mobile_inverted_conv/kernel_size", 4, "kernel_size"),
        ("blocks/1/mobile_inverted_conv/colour", 4, "colour: there is no such value"),
        ("blocks/1/mobile_inverted_conv/name", "OddLayer", "there is no name 'OddLayer'"),
        ("blocks/1/mobile_inverted_conv/mid_channels", 8, "expands to as many channels"),
        ("blocks/2/shortcut", None, "block 2 is skipped, but has no shortcut"),
        ("blocks/0/shortcut", configs.block(8, 8, shortcut=True)["shortcut"], "a residual needs"),
        ("blocks", [], "at least 1 item"),
    ],
)
def test_what_no_operator_can_say_is_refused_by_name(path: str, value: Any, why: str) -> None:
    with pytest.raises(InvalidSpec, match=why) as raised:
        network(changed(path, value))
    assert "\n" not in str(raised.value)


def test_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "net.config"

    def read(content: str, input_size: int | None = None) -> Any:
        file.write_text(content, encoding="utf-8")
        return read_network(file, input_size=input_size, precision="float32")

    own = mobilenet_v2(96)
    assert read(own.model_dump_json()) == own
    assert read(json.dumps(configs.proxylessnas()), 64).name == "net 64"
    for content, size, why in (
        ("{", None, "it is no JSON"),
        ("[1]", None, "expected a JSON object"),
        ("{}", None, "name is missing"),
        (own.model_dump_json(), 224, "it is of 96 px, not 224"),
        ('{"operators": []}', None, "name: is missing"),
    ):
        with pytest.raises(UserError, match=why) as raised:
            read(content, size)
        assert str(file) in str(raised.value)
    with pytest.raises(UserError, match="cannot read the network"):
        read_network(tmp_path / "none", input_size=None, precision="float32")
