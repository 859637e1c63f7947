"""What other programs call the layers of a network, in the order in which these are computed.

The names alone decide the order: a `.safetensors` file keeps none of its own.
Source of the names: `timm.models.efficientnet`, `timm.models.mobilenetv3` and their blocks, of
pytorch-image-models; `proxyless_nas.layers` and its networks, of ProxylessNAS's released code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from search_client.networks.state_dicts import BadWeights, StateDict

#: of BatchNorm; how many batches it has seen decides nothing in evaluation
_COUNTER = "num_batches_tracked"
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class ModuleNames:
    """A convolution or fully connected layer, and the BatchNorms that may follow it."""

    weighted: str
    norms: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class NamingScheme:
    """The names of one program."""

    #: before the blocks and after them
    start: tuple[ModuleNames, ...]
    end: tuple[ModuleNames, ...]
    #: what stands before the names of a block's modules
    block: re.Pattern[str]
    #: the modules of each kind of block
    kinds: tuple[tuple[ModuleNames, ...], ...]


def _squeeze(reduce: str, expand: str) -> tuple[ModuleNames, ModuleNames]:
    return ModuleNames(reduce, optional=True), ModuleNames(expand, optional=True)


_TIMM_SQUEEZE = _squeeze("se.conv_reduce", "se.conv_expand")
TIMM = NamingScheme(
    start=(ModuleNames("conv_stem", ("bn1",)),),
    block=re.compile(r"blocks\.\d+\.\d+\."),
    kinds=(
        # an inverted bottleneck
        (
            ModuleNames("conv_pw", ("bn1",)),
            ModuleNames("conv_dw", ("bn2",)),
            *_TIMM_SQUEEZE,
            ModuleNames("conv_pwl", ("bn3",)),
        ),
        # one without expansion
        (
            ModuleNames("conv_dw", ("bn1",)),
            *_TIMM_SQUEEZE,
            ModuleNames("conv_pw", ("bn2",)),
        ),
        # a fused one
        (
            ModuleNames("conv_exp", ("bn1",)),
            *_TIMM_SQUEEZE,
            ModuleNames("conv_pwl", ("bn2",)),
        ),
        # a universal one
        (
            ModuleNames("dw_start.conv", ("dw_start.bn",), optional=True),
            ModuleNames("pw_exp.conv", ("pw_exp.bn",)),
            ModuleNames("dw_mid.conv", ("dw_mid.bn",), optional=True),
            ModuleNames("pw_proj.conv", ("pw_proj.bn",)),
        ),
        # a convolution
        (ModuleNames("conv", ("bn1",)),),
    ),
    end=(ModuleNames("conv_head", ("bn2", "norm_head")), ModuleNames("classifier")),
)
PROXYLESSNAS = NamingScheme(
    start=(ModuleNames("first_conv.conv", ("first_conv.bn",)),),
    block=re.compile(r"blocks\.\d+\.mobile_inverted_conv\."),
    kinds=(
        tuple(
            ModuleNames(f"{name}.conv", (f"{name}.bn",), optional=name == "inverted_bottleneck")
            for name in ("inverted_bottleneck", "depth_conv", "point_linear")
        ),
    ),
    end=(
        ModuleNames("feature_mix_layer.conv", ("feature_mix_layer.bn",)),
        ModuleNames("classifier.linear"),
    ),
)
_SCHEMES = (TIMM, PROXYLESSNAS)


@dataclass(frozen=True)
class ForeignLayer:
    """The tensors of one convolution or fully connected layer, with its BatchNorm."""

    #: of the module
    name: str
    weight: Tensor
    bias: Tensor | None
    #: as BatchNorm names them; none where there is no BatchNorm
    norm: Mapping[str, Tensor] = field(default_factory=dict)


def scheme_of(tensors: StateDict) -> NamingScheme:
    """The names that a state dict has.

    Raises:
        BadWeights: they are no known program's.
    """
    for scheme in _SCHEMES:
        if any(name.startswith(f"{scheme.start[0].weighted}.") for name in tensors):
            return scheme
    raise BadWeights(
        f"no known program names weights like {min(tensors)}; expected those of timm (conv_stem, "
        "blocks.0.0.conv_dw ...) or of ProxylessNAS (first_conv.conv, "
        "blocks.0.mobile_inverted_conv ...)"
    )


def layers_in_order(tensors: StateDict) -> list[ForeignLayer]:
    """The layers with weights of a state dict, in the order in which they are computed.

    Raises:
        BadWeights: the names are no known program's, a tensor is missing, or is one too many.
    """
    scheme = scheme_of(tensors)
    remaining = {
        name: value for name, value in tensors.items() if not name.endswith(f".{_COUNTER}")
    }
    layers = [*_taken(scheme.start, "", remaining)]
    for prefix in _blocks(scheme, remaining):
        kind = _kind(scheme, prefix, remaining)
        layers += _taken(kind, prefix, remaining)
    layers += _taken(scheme.end, "", remaining)
    if remaining:
        raise BadWeights(
            f"{min(remaining)}, of shape {_shape(remaining[min(remaining)])}, belongs to no layer "
            "that is known; expected the weights of a classifier alone, in one of the kinds of "
            "blocks of MobileNet"
        )
    return layers


def _blocks(scheme: NamingScheme, tensors: Iterable[str]) -> list[str]:
    """Return what stands before the names of each block's modules, in order."""
    found = {match.group() for name in tensors if (match := scheme.block.match(name))}
    return sorted(found, key=lambda prefix: [int(part) for part in re.findall(r"\d+", prefix)])


def _kind(scheme: NamingScheme, prefix: str, tensors: StateDict) -> tuple[ModuleNames, ...]:
    held = {
        name.removeprefix(prefix).rpartition(".")[0] for name in tensors if name.startswith(prefix)
    }
    for kind in scheme.kinds:
        known = {name for one in kind for name in (one.weighted, *one.norms)}
        needed = {name for one in kind if not one.optional for name in (one.weighted, *one.norms)}
        if needed <= held <= known:
            return kind
    # The kind that shares most with it tells what is missing or too much.
    nearest = max(scheme.kinds, key=lambda kind: len(held & {one.weighted for one in kind}))
    expected = ", ".join(name for one in nearest for name in (one.weighted, *one.norms))
    raise BadWeights(
        f"the block {prefix.rstrip('.')} holds {', '.join(sorted(held))}, which no kind of block "
        f"does; expected for instance {expected}"
    )


def _taken(
    modules: Iterable[ModuleNames], prefix: str, remaining: StateDict
) -> Iterator[ForeignLayer]:
    """Take the tensors of modules out of those that are left."""
    for module in modules:
        name = prefix + module.weighted
        if module.optional and f"{name}.weight" not in remaining:
            continue
        weight = _pop(remaining, f"{name}.weight")
        bias = remaining.pop(f"{name}.bias", None)
        norms = (f"{prefix}{norm}." for norm in module.norms)
        norm = next((one for one in norms if any(key.startswith(one) for key in remaining)), None)
        statistics = (
            {} if norm is None else {one: _pop(remaining, norm + one) for one in _STATISTICS}
        )
        yield ForeignLayer(name, weight, bias, statistics)


def _pop(remaining: StateDict, name: str) -> Tensor:
    if name not in remaining:
        raise BadWeights(f"{name} is missing among the weights; give the whole state dict")
    return remaining.pop(name)


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
