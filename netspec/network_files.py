"""Networks out of files: our own JSON, and the `net.config` of ProxylessNAS and Once-for-all.

Source of the latter's fields: `config` of the networks and layers of mit-han-lab/proxylessnas and
mit-han-lab/once-for-all. What a file says and our operators cannot is refused, by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from netspec.errors import InvalidSpec, UserError
from netspec.layers import Activation
from netspec.networks import MAX_NAME, Network, round_channels
from netspec.operators import (
    Bottleneck,
    Channels,
    Classifier,
    FeatureMix,
    GlobalPool,
    HeadConv,
    Kernel,
    MBConv,
    Operator,
    Precision,
    StemConv,
    Stride,
)
from netspec.validation import FrozenModel, first_problem

#: px, of the networks that ProxylessNAS has published; Once-for-all's differ in it
PROXYLESSNAS_SIZE = 224
#: middle channels divided by those inside squeeze-and-excitation, in whole eights
_REDUCTION = 4
#: files of networks are some 20 KB
_MAX_BYTES = 2**20

_IMAGE_CHANNELS = 3
_ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu",
    "relu6": "relu6",
    "h_swish": "hard_swish",
}
_NamedActivation = Literal["relu", "relu6", "h_swish"]


class _Part(FrozenModel):
    """What says nothing of latency is read and left: dropout, BatchNorm's numbers."""

    dropout_rate: float = 0.0
    ops_order: Literal["weight_bn_act"] = "weight_bn_act"


class _ConvLayer(_Part):
    """A convolution."""

    name: Literal["ConvLayer"]
    in_channels: Channels
    out_channels: Channels
    kernel_size: Kernel = 3
    stride: Stride = 1
    dilation: Literal[1] = 1
    groups: Literal[1] = 1
    bias: bool = False
    has_shuffle: Literal[False] = False
    use_bn: bool = True
    use_se: Literal[False] = False
    act_func: _NamedActivation


class _LinearLayer(_Part):
    """The classifier."""

    name: Literal["LinearLayer"]
    in_features: Channels
    out_features: Channels
    bias: bool = True
    use_bn: Literal[False] = False
    act_func: None = None


class _InvertedBlock(FrozenModel):
    """An inverted bottleneck; `mid_channels` None: the ratio of the input's."""

    name: Literal["MBInvertedConvLayer", "MBConvLayer"]
    in_channels: Channels
    out_channels: Channels
    kernel_size: Kernel
    stride: Stride
    expand_ratio: Annotated[float, Field(gt=0, le=64)]
    mid_channels: Channels | None = None
    groups: Literal[1] | None = None
    act_func: _NamedActivation = "relu6"
    use_se: bool = False


class _ZeroLayer(FrozenModel):
    """A block that is skipped."""

    name: Literal["ZeroLayer"]
    stride: Stride = 1


class _IdentityLayer(_Part):
    """A shortcut around a block."""

    name: Literal["IdentityLayer"]
    in_channels: list[Channels] | Channels
    out_channels: list[Channels] | Channels
    use_bn: Literal[False] = False
    act_func: None = None


_Inner = Annotated[_InvertedBlock | _ZeroLayer, Field(discriminator="name")]


class _BlockConfig(FrozenModel):
    """A block with or without a shortcut; newer files call its inside `conv`."""

    name: Literal["MobileInvertedResidualBlock", "ResidualBlock"]
    mobile_inverted_conv: _Inner | None = None
    conv: _Inner | None = None
    shortcut: _IdentityLayer | None


class _NetConfig(FrozenModel):
    bn: dict[str, float | None] = Field(default_factory=dict)
    first_conv: _ConvLayer
    blocks: Annotated[list[_BlockConfig], Field(min_length=1, max_length=500)]
    feature_mix_layer: _ConvLayer
    classifier: _LinearLayer


class _ProxylessNasConfig(_NetConfig):
    """A network of ProxylessNAS's space."""

    name: Literal["ProxylessNASNets"]


class _MobileNetV3Config(_NetConfig):
    """A network of Once-for-all's MobileNetV3 space."""

    name: Literal["MobileNetV3", "MobileNetV3Large"]
    final_expand_layer: _ConvLayer


_CONFIG: TypeAdapter[_ProxylessNasConfig | _MobileNetV3Config] = TypeAdapter(
    Annotated[_ProxylessNasConfig | _MobileNetV3Config, Field(discriminator="name")]
)


def read_network(path: Path, *, input_size: int | None, precision: Precision) -> Network:
    """The network in a file: our own JSON, or a published `net.config`.

    Args:
        path: of the file.
        input_size: px; of a published network, whose file does not name it. None: 224 for
            ProxylessNAS's, which have no other.
        precision: of a published network; our own JSON names it.

    Raises:
        UserError: the file cannot be read, or holds no network that our operators can say.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        document = json.loads(content) if len(content) <= _MAX_BYTES else None
    except OSError as error:
        raise UserError(f"cannot read the network {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no network: it is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise UserError(f"{path} is no network: expected a JSON object of at most 1 MiB")
    try:
        if "operators" in document:
            return _own(document, input_size)
        return network_of_config(
            document, input_size=input_size, precision=precision, name=path.stem
        )
    except InvalidSpec as error:
        raise UserError(f"{path} is no network that can be priced: {error}") from error


def _own(document: Mapping[str, Any], input_size: int | None) -> Network:
    try:
        network = Network.model_validate(document)
    except ValidationError as error:
        raise InvalidSpec(first_problem(error, Network)) from error
    if input_size not in (None, network.input_size):
        raise InvalidSpec(f"it is of {network.input_size} px, not {input_size}")
    return network


def network_of_config(
    document: Mapping[str, Any],
    *,
    input_size: int | None,
    precision: Precision,
    name: str | None = None,
) -> Network:
    """The network that a published `net.config` describes.

    Args:
        document: the file's JSON.
        input_size: px; None: 224, but only for ProxylessNAS's.
        precision: of every operator.
        name: for people; by default the family's.

    Raises:
        InvalidSpec: it is no such document, says what our operators cannot, or no size is known.
    """
    try:
        config = _CONFIG.validate_python(document)
    except ValidationError as error:
        raise InvalidSpec(
            f"{first_problem(error)} (expected a net.config of ProxylessNASNets or MobileNetV3, or "
            "a network's own JSON)"
        ) from error
    if input_size is None:
        if not isinstance(config, _ProxylessNasConfig):
            raise InvalidSpec(
                f"a net.config of {config.name} does not say its input size, and they differ; "
                "give it in px (input_size, or --input-size)"
            )
        input_size = PROXYLESSNAS_SIZE
    operators = _chained(_operators(config), input_size, precision)
    shown = f"{name or config.name} {input_size}"
    return Network(name=shown[:MAX_NAME], operators=operators)


#: an operator's kind, and its fields but for size and precision
_Described = tuple[type[Operator], dict[str, Any]]


def _chained(parts: Iterable[_Described], size: int, precision: Precision) -> tuple[Operator, ...]:
    """The operators one behind the other; what a file says of channels is checked."""
    operators: list[Operator] = []
    channels = _IMAGE_CHANNELS
    for kind, fields in parts:
        where = f"operator {len(operators) + 1} ({kind.title})"
        if fields["in_channels"] != channels:
            raise InvalidSpec(
                f"{where} has {fields['in_channels']} input channels, but the one before gives "
                f"{channels}"
            )
        try:
            operator = kind.model_validate({**fields, "input_size": size, "precision": precision})
        except ValidationError as error:
            raise InvalidSpec(f"{where}: {first_problem(error)}") from error
        operators.append(operator)
        size, channels = operator.output_size, operator.out_channels
    return tuple(operators)


def _operators(config: _ProxylessNasConfig | _MobileNetV3Config) -> Iterator[_Described]:
    yield _convolution(StemConv, config.first_conv)
    for index, block in enumerate(config.blocks):
        yield from _block(f"block {index}", block, isinstance(config, _ProxylessNasConfig))
    if isinstance(config, _MobileNetV3Config):
        yield _convolution(HeadConv, config.final_expand_layer)
        pooled = config.final_expand_layer.out_channels
        yield GlobalPool, {"in_channels": pooled, "out_channels": pooled}
        yield _convolution(FeatureMix, config.feature_mix_layer)
    else:
        yield _convolution(HeadConv, config.feature_mix_layer)
    last = config.classifier
    yield Classifier, {"in_channels": last.in_features, "out_channels": last.out_features}


def _convolution(kind: type[Operator], layer: _ConvLayer) -> _Described:
    is_point = "kernel" not in kind.model_fields
    if is_point and (layer.kernel_size, layer.stride) != (1, 1):
        raise InvalidSpec(
            f"{kind.title} is a 1x1 convolution, got {layer.kernel_size}x{layer.kernel_size} with "
            f"stride {layer.stride}"
        )
    window = {} if is_point else {"kernel": layer.kernel_size, "stride": layer.stride}
    return kind, {
        "in_channels": layer.in_channels,
        "out_channels": layer.out_channels,
        "activation": _ACTIVATIONS[layer.act_func],
        **window,
    }


def _block(where: str, block: _BlockConfig, is_proxyless: bool) -> Iterator[_Described]:
    inner = block.mobile_inverted_conv or block.conv
    if block.mobile_inverted_conv is not None and block.conv is not None:
        raise InvalidSpec(f"{where} has two insides; expected mobile_inverted_conv or conv")
    if inner is None or isinstance(inner, _ZeroLayer):
        if block.shortcut is None:
            raise InvalidSpec(f"{where} is skipped, but has no shortcut")
        return
    middle = inner.mid_channels or round(inner.in_channels * inner.expand_ratio)
    # There a ratio of 1 leaves the expansion out, here a middle as wide as the input does.
    if (inner.expand_ratio == 1) != (middle == inner.in_channels):
        raise InvalidSpec(
            f"{where} has the ratio {inner.expand_ratio:g} and {middle} middle channels of "
            f"{inner.in_channels}: no operator of ours expands to as many channels"
        )
    fields = {
        "in_channels": inner.in_channels,
        "out_channels": inner.out_channels,
        "kernel": inner.kernel_size,
        "stride": inner.stride,
        "residual": block.shortcut is not None,
        "activation": _ACTIVATIONS[inner.act_func],
    }
    expand, rest = divmod(middle, inner.in_channels)
    if is_proxyless and not rest and not inner.use_se:
        yield MBConv, {**fields, "expand": expand}
    else:
        squeeze = squeezed_channels(middle) if inner.use_se else 0
        yield Bottleneck, {**fields, "middle": middle, "squeeze": squeeze}


def squeezed_channels(middle: int) -> int:
    """Channels inside a block's squeeze-and-excitation: a quarter of the middle's, in eights.

    Source: `SEModule` of mit-han-lab/once-for-all.
    """
    return round_channels(middle // _REDUCTION)
