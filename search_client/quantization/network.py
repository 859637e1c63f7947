"""A network as its int8 file computes it, in torch, so that it can be finetuned.

Scheme: weights keep their BatchNorm. While BatchNorm follows the batches, the weight is rounded
under its own greatest magnitudes, which gives the codes of the folded weight (a gain scales a
channel's weights and their step alike), and the output is normalised by the batch: what folding
with batch statistics would give, with one convolution instead of two. Once BatchNorm is frozen,
and in evaluation mode, its running statistics are folded into weight and bias, and what runs is
exactly what is exported. Source of the aim: Jacob et al. (CVPR 2018), section 3.2.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Self, cast

from torch import Tensor, nn

from netspec.errors import InvalidSpec
from netspec.layers import INPUT, ActivationRange, Layer, LayerWeights, Parameters, layer_name, walk
from netspec.networks import Network
from netspec.operators import Convert, Operator
from netspec.quantization import Affine, affine_of
from search_client.networks.layers import (
    DenseLayer,
    FloatNetwork,
    OperatorModule,
    WeightedModule,
    channels_last,
)
from search_client.quantization.background import BackgroundClassifier
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.pixels import USUAL, PixelInput
from search_client.quantization.ranges import Activations


class QuantizedOperator(nn.Module):
    """The layers of one operator, each with what it learned in the float network."""

    def __init__(self, operator: Operator, trained: OperatorModule | None) -> None:
        super().__init__()
        self.graph = operator.layers
        self.layers = nn.ModuleDict(
            {
                layer.name: _quantized(
                    layer,
                    cast("WeightedModule", trained.chain[layer.name])
                    if trained is not None and layer.has_weights
                    else None,
                    int8=operator.precision == "int8",
                )
                for layer in self.graph
            }
        )

    def forward(self, x: Activations) -> Activations:
        """The operator's output."""
        return walk(self.graph, x, self._layer)

    def _layer(self, layer: Layer, inputs: list[Activations]) -> Activations:
        return cast("Activations", self.layers[layer.name](*inputs))


def _quantized(layer: Layer, trained: WeightedModule | None, *, int8: bool) -> QuantizedLayer:
    if isinstance(trained, DenseLayer) and trained.background is not None:
        return BackgroundClassifier(layer, trained, int8=int8)
    return QuantizedLayer(layer, trained, int8=int8)


class QuantizedNetwork(nn.Module):
    """A network under fake quantization: normalised images [N, 3, H, W] to logits [N, classes].

    Build it with `from_float`, then let it see batches in train mode before it is evaluated.
    """

    def __init__(self, network: Network, model: FloatNetwork) -> None:
        super().__init__()
        self.network = network
        trained = iter(model.operators)
        self.operators = nn.ModuleList(
            QuantizedOperator(
                operator,
                None if isinstance(operator, Convert) else cast("OperatorModule", next(trained)),
            )
            for operator in network.operators
        )
        #: None where the stem is float32 and takes normalised images
        self.input: PixelInput | None = None
        self.renormalise = copy.deepcopy(model.renormalise)
        if network.operators[0].precision == "int8":
            wanted = USUAL if self.renormalise is None else self.renormalise.wanted
            self.input, self.renormalise = PixelInput(wanted), None
            stem = next(layer for layer in self.layers() if layer.layer.has_weights)
            self.input.fold_normalisation(stem.weight, cast("nn.BatchNorm2d", stem.norm))

    @classmethod
    def from_float(cls, model: FloatNetwork, network: Network | None = None) -> Self:
        """Start from a trained network, on its device; ranges are still to be observed.

        Args:
            model: trained; stays as it is.
            network: the same operators in the precisions wanted, with conversions between them;
                None: all int8.
        """
        device = next(model.parameters()).device
        return cls(network or model.network.with_precision("int8"), model).to(device)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x = channels_last(x if self.renormalise is None else self.renormalise(x))
        flowing = Activations(x) if self.input is None else cast("Activations", self.input(x))
        for operator in self.operators:
            flowing = operator(flowing)
        return flowing.values

    def layers(self) -> Iterator[QuantizedLayer]:
        """Every layer in order of execution."""
        for operator in self.operators:
            for layer in cast("QuantizedOperator", operator).layers.values():
                yield cast("QuantizedLayer", layer)

    def freeze_norms(self) -> None:
        """Fold BatchNorm with its running statistics from now on."""
        for layer in self.layers():
            layer.norm_frozen = True

    def learn_ranges(self) -> None:
        """Have ranges learned with the weights, but of a classifier with a background."""
        for layer in self.layers():
            # Ranges that are frozen before training are those that a rule says.
            if layer.output is not None and not layer.output.frozen and not layer.keeps_range:
                layer.output.learn()

    def settle_ranges(self) -> None:
        """Keep learned ranges as they are, so that the network is one like any other."""
        for layer in self.layers():
            if layer.output is not None:
                layer.output.settle()

    def freeze_ranges(self) -> None:
        """Keep all ranges from now on, so that weights settle under final scales."""
        for layer in self.layers():
            if layer.output is not None:
                layer.output.freeze()

    @property
    def tensor_scales(self) -> bool:
        """Whether fully connected layers have one scale for the whole weight.

        What a file for old runtimes needs; the file of a trained network does not keep it.
        """
        return any(layer.tensor_scales for layer in self.layers())

    @tensor_scales.setter
    def tensor_scales(self, chosen: bool) -> None:
        for layer in self.layers():
            layer.tensor_scales = chosen and layer.layer.kind == "dense"

    def widened(self) -> Self:
        """Return the network with int16 activations: what a file of 16x8 bits computes.

        Raises:
            InvalidSpec: it has a background class, which is silent in int8 codes alone.
        """
        wide = copy.deepcopy(self).eval()
        for layer in wide.layers():
            if layer.keeps_range:
                raise InvalidSpec(
                    "a background class is kept silent by int8 codes; int16 files have none: "
                    "quantize the network without --background"
                )
            layer.widen()
        if wide.input is not None:
            wide.input.wide = True
        return wide

    def parameters_for_export(self) -> Parameters:
        """What `netspec.tflite.encode` needs to write `network`."""
        weights: dict[str, LayerWeights] = {}
        ranges: dict[str, ActivationRange] = {} if self.input is None else {INPUT: self.input.range}
        flowing = None if self.input is None else affine_of(self.input.range)
        for index, operator in enumerate(self.operators):
            held = cast("QuantizedOperator", operator)

            def export(
                layer: Layer,
                sources: list[Affine | None],
                index: int = index,
                held: QuantizedOperator = held,
            ) -> Affine | None:
                module = cast("QuantizedLayer", held.layers[layer.name])
                name, source = layer_name(index, layer), sources[0]
                if layer.has_weights:
                    weights[name] = module.weights(source)
                if module.output is None:
                    return source if module.int8 else None
                ranges[name] = module.output_range(source)
                return affine_of(ranges[name])

            flowing = walk(held.graph, flowing, export)
        return Parameters(weights, ranges)
