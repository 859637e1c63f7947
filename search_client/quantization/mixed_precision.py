"""Keeping some blocks float32: where, and at what price by the table.

A block in another precision than its neighbours needs conversions, which are operators with
entries of their own (`netspec.operators.Convert`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from netspec.errors import InvalidSpec
from netspec.networks import Network
from netspec.operators import PRECISIONS, Convert, Operator, Precision


def conversion_before(operator: Operator, precision: Precision) -> Convert:
    """The change to `precision` of what an operator takes."""
    channels = operator.in_channels
    return Convert(
        input_size=operator.input_size,
        in_channels=channels,
        out_channels=channels,
        precision=precision,
    )


def with_float_blocks(network: Network, blocks: Collection[int]) -> Network:
    """A network whose chosen blocks are float32 and all else int8, with the conversions needed.

    Args:
        network: of one precision.
        blocks: indices of its blocks, counted from 0 among all operators.

    Raises:
        InvalidSpec: an index is of no block.
    """
    plain = network.with_precision("int8").operators
    wrong = sorted(
        index for index in blocks if not (0 <= index < len(plain) and plain[index].place == "block")
    )
    if wrong:
        able = [index for index, operator in enumerate(plain) if operator.place == "block"]
        raise InvalidSpec(
            f"operators {wrong} of {network.name} are no blocks; those from {able[0]} to "
            f"{able[-1]} can be kept in float32"
            if able
            else f"{network.name} has no blocks that could be kept in float32"
        )
    return Network(
        name=f"{network.name} float32 {','.join(map(str, sorted(blocks)))}"
        if blocks
        else network.name,
        operators=_converted(
            [
                operator.with_precision("float32" if index in blocks else "int8")
                for index, operator in enumerate(plain)
            ]
        ),
    )


def _converted(operators: list[Operator]) -> tuple[Operator, ...]:
    chain: list[Operator] = []
    for operator in operators:
        if chain and chain[-1].precision != operator.precision:
            chain.append(conversion_before(operator, operator.precision))
        chain.append(operator)
    return tuple(chain)


def conversions_of(network: Network) -> tuple[Convert, ...]:
    """Every conversion that some choice of float32 blocks of a network may need, once each."""
    operators = network.with_precision("int8").operators
    after = [operators[i] for i in range(1, len(operators)) if _borders(operators, i)]
    both = [conversion_before(operator, p) for operator in after for p in PRECISIONS]
    return tuple(dict.fromkeys(both))


def _borders(operators: tuple[Operator, ...], index: int) -> bool:
    """Whether the precision may change before an operator: a block stands on either side."""
    return any(operators[side].place == "block" for side in (index - 1, index))


@dataclass(frozen=True)
class MixedChoice:
    """The fastest way to run a network's blocks in int8 and float32."""

    network: Network
    #: indices of the blocks kept in float32, as `with_float_blocks` takes them
    blocks: tuple[int, ...]
    #: sums of entries, ms
    int8_ms: float
    mixed_ms: float


def fastest_mix(network: Network, values_ms: Mapping[str, float]) -> MixedChoice:
    """The precision of every block that makes the sum of entries least, conversions included.

    Stem, head and classifier stay int8. A shortest path over two precisions. A border whose
    conversion has no entry cannot be crossed.

    Args:
        network: of one precision.
        values_ms: the table, by canonical key; holds the network's operators in int8.
    """
    operators = network.with_precision("int8").operators
    first = values_ms[operators[0].key]
    best: dict[Precision, tuple[float, tuple[int, ...]]] = {"int8": (first, ())}
    for index, operator in enumerate(operators[1:], start=1):
        best = {
            precision: found
            for precision in PRECISIONS
            if (found := _cheapest(best, index, operator, precision, values_ms)) is not None
        }
    mixed_ms, blocks = best["int8"]
    return MixedChoice(
        network=with_float_blocks(network, blocks),
        blocks=blocks,
        int8_ms=sum(values_ms[operator.key] for operator in operators),
        mixed_ms=mixed_ms,
    )


def _cheapest(
    best: Mapping[Precision, tuple[float, tuple[int, ...]]],
    index: int,
    operator: Operator,
    precision: Precision,
    values_ms: Mapping[str, float],
) -> tuple[float, tuple[int, ...]] | None:
    """The least sum up to an operator that runs in a precision, and its float32 blocks."""
    own_ms = values_ms.get(operator.with_precision(precision).key)
    if own_ms is None or (precision == "float32" and operator.place != "block"):
        return None
    kept = (index,) if precision == "float32" else ()
    found = []
    for before, (sum_ms, blocks) in best.items():
        crossing_ms: float | None = 0.0
        if before != precision:
            crossing_ms = values_ms.get(conversion_before(operator, precision).key)
        if crossing_ms is not None:
            found.append((sum_ms + crossing_ms + own_ms, (*blocks, *kept)))
    return min(found, default=None)
