"""Networks as layers, as files hold them, and the operators that such layers make together.

A table prices operators. So a network of layers is cut into operators: whole blocks where its
layers are those of a registered kind, single layers otherwise.
"""

from netspec.grouping.layer_network import LayerNetwork, PlacedLayer
from netspec.grouping.pieces import Grouping, Piece, grouping
from netspec.grouping.tiling import Knowledge, tiling
from netspec.grouping.zeros import taking_zeros_in

__all__ = [
    "Grouping",
    "Knowledge",
    "LayerNetwork",
    "Piece",
    "PlacedLayer",
    "grouping",
    "taking_zeros_in",
    "tiling",
]
