"""Cutting a network of layers into the operators that a table knows best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from netspec.grouping.pieces import Grouping, Piece
from netspec.operators import OperatorBase

#: what a table has of an operator: an entry, a prediction from others' entries, or nothing
Knowledge = Literal["measured", "predicted", "missing"]

_RANKS: dict[Knowledge, int] = {"measured": 0, "predicted": 1, "missing": 2}


def tiling(
    found: Grouping, known: Mapping[str, Knowledge]
) -> tuple[tuple[OperatorBase, tuple[int, ...]], ...]:
    """Operators that make up the network, each with its layers, in order of execution.

    From the network's end on, a layer that no operator has yet gets the one that the table knows
    best, and of those the one with the most layers: what is measured together was also run
    together.

    Args:
        found: of the network.
        known: by key; operators that are not named are missing.
    """
    taken: set[int] = set()
    chosen: list[tuple[OperatorBase, tuple[int, ...]]] = []
    for last in reversed(range(len(found.network.layers))):
        if last in taken:
            continue
        free = [piece for piece in found.pieces[last] if taken.isdisjoint(piece.layers)]
        piece = min(free, key=lambda one: (_rank(one, known), -len(one.layers)))
        operator = min(piece.operators, key=lambda one: _rank_of(one, known))
        chosen.append((operator, piece.layers))
        taken.update(piece.layers)
    return tuple(sorted(chosen, key=lambda one: one[1][-1]))


def _rank(piece: Piece, known: Mapping[str, Knowledge]) -> int:
    return min(_rank_of(operator, known) for operator in piece.operators)


def _rank_of(operator: OperatorBase, known: Mapping[str, Knowledge]) -> int:
    return _RANKS[known.get(operator.key, "missing")]
