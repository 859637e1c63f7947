"""The network of `quantization.py` as torchao's PT2E quantizes it, for its step's time."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from netspec.layers import Layer, walk
from netspec.networks import Network
from search_client.networks.weightless import weightless

_ACTIVATIONS = {None: nn.Identity, "relu": nn.ReLU, "relu6": nn.ReLU6}


def torchao_network(network: Network, images: Tensor) -> nn.Module | None:
    """The network under PT2E's fake quantization in train mode; None: torchao is not installed.

    Of modules that its quantizer for x86 knows, with random weights; time does not depend on them.

    Args:
        network: of convolutions of odd kernels with BatchNorm, sums and a classifier.
        images: a batch [N, 3, H, H] that the network is traced with.
    """
    if importlib.util.find_spec("torchao") is None:
        return None
    pt2e = importlib.import_module("torchao.quantization.pt2e")
    steps = importlib.import_module("torchao.quantization.pt2e.quantize_pt2e")
    x86 = importlib.import_module("torchao.quantization.pt2e.quantizer.x86_inductor_quantizer")
    traced = torch.export.export(_Network(network).train(), (images,)).module()
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_qat=True))
    prepared = cast("nn.Module", steps.prepare_qat_pt2e(traced, quantizer))
    pt2e.move_exported_model_to_train(prepared)
    return prepared


class _Network(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.graphs = [operator.layers for operator in network.operators]
        self.operators = nn.ModuleList(
            nn.ModuleDict({layer.name: _module(layer) for layer in graph if layer.has_weights})
            for graph in self.graphs
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        for graph, modules in zip(self.graphs, self.operators, strict=True):
            held = cast("nn.ModuleDict", modules)

            def run(layer: Layer, inputs: Sequence[Tensor], held: nn.ModuleDict = held) -> Tensor:
                if layer.has_weights:
                    return cast("Tensor", held[layer.name](inputs[0]))
                return weightless(layer, [*inputs])

            x = walk(graph, x, run)
        return x


def _module(layer: Layer) -> nn.Module:
    if layer.kind == "dense":
        return nn.Linear(layer.in_channels, layer.out_channels)
    groups = layer.out_channels if layer.kind == "depthwise" else layer.groups
    return nn.Sequential(
        nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel,
            layer.stride,
            layer.kernel // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(layer.out_channels),
        _ACTIVATIONS[layer.activation](),
    )
