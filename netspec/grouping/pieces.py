"""Everything that the layers of a network may be priced as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netspec.grouping.blocks import operators_of_layers
from netspec.grouping.layer_network import LayerNetwork
from netspec.grouping.single_layers import operator_of_layer
from netspec.operators import OperatorBase

#: layers of the longest block that is looked for
LONGEST_BLOCK = 12


@dataclass(frozen=True)
class Piece:
    """Layers that make one operator, or several which are the same under different names."""

    #: positions in the network, ascending; the last one's output is the piece's
    layers: tuple[int, ...]
    #: at least one, in the order of the registered kinds
    operators: tuple[OperatorBase, ...]


@dataclass(frozen=True)
class Grouping:
    """The pieces of a network, by the position of their last layers."""

    network: LayerNetwork
    #: each layer's pieces, the largest first; the last one is the layer alone
    pieces: tuple[tuple[Piece, ...], ...]

    @property
    def operators(self) -> tuple[OperatorBase, ...]:
        """Every operator that a layer may be a part of, each once."""
        return tuple(
            dict.fromkeys(
                operator
                for pieces in self.pieces
                for piece in pieces
                for operator in piece.operators
            )
        )


def grouping(network: LayerNetwork) -> Grouping:
    """All pieces of a network.

    Raises:
        InvalidSpec: a layer by itself is like no operator; the message names it.
    """
    return Grouping(network, tuple(_pieces(network, index) for index in range(len(network.layers))))


def _pieces(network: LayerNetwork, last: int) -> tuple[Piece, ...]:
    """Those that end with a layer."""
    alone = operator_of_layer(network.layers[last])
    found = [Piece((last,), (alone,))]
    for layers, entry in _regions(network, last):
        operators = operators_of_layers([network.layers[at] for at in layers], entry)
        if len(layers) == 1:
            found[0] = Piece((last,), tuple(dict.fromkeys((alone, *operators))))
        elif operators:
            found.append(Piece(layers, operators))
    return tuple(reversed(found))


def _regions(network: LayerNetwork, last: int) -> Iterator[tuple[tuple[int, ...], str]]:
    """Layers up to one that read a single value from without, and nobody else reads; that value.

    They grow from the last layer by the latest one that is read and not yet within, so that
    whatever has one way in is found whole, however its branches were put in order.
    """
    within = {last}
    while len(within) <= LONGEST_BLOCK:
        layers = tuple(sorted(within))
        names = {network.layers[at].layer.name for at in layers}
        read = [name for at in layers for name in network.layers[at].layer.inputs]
        outside = [name for name in dict.fromkeys(read) if name not in names]
        shared = [
            name
            for name in names
            if name != network.layers[last].layer.name and read.count(name) != network.readers[name]
        ]
        if len(outside) == 1 and not shared:
            yield layers, outside[0]
        grown = [network.positions[name] for name in outside if name in network.positions]
        if not grown:
            return
        within.add(max(grown))
