"""Keeping some blocks float32: where, and at what price by the table.

A block in another precision than its neighbours needs conversions, which are operators with
entries of their own (`netspec.operators.Convert`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from netspec.console.units import latency_text
from netspec.errors import InvalidSpec, UserError
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
    """A way to run a network's blocks in int8 and float32."""

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
    return _choice(network, values_ms, min(_mixes(network, values_ms, {})))


def most_exact_mix(
    network: Network, values_ms: Mapping[str, float], gains: Mapping[int, float], bound_ms: float
) -> MixedChoice:
    """The precision of every block that gains most exactness within a latency, as `fastest_mix`.

    Args:
        network: of one precision.
        values_ms: the table, by canonical key; holds the network's operators in int8.
        gains: what a block is worth in float32, by its index; gains of several blocks add up.
        bound_ms: the greatest sum of entries.

    Raises:
        UserError: no mix is within it.
    """
    mixes = _mixes(network, values_ms, gains)
    within = [mix for mix in mixes if mix[0] <= bound_ms]
    if not within:
        raise UserError(
            f"no mix of precisions of {network.name} takes at most {latency_text(bound_ms)}: the "
            f"fastest takes {latency_text(min(mixes)[0])}; raise the bound"
        )
    return _choice(network, values_ms, min(within, key=lambda mix: (mix[1], mix[0])))


#: sum of entries, ms; what is gained, negative; blocks in float32
_Mix = tuple[float, float, tuple[int, ...]]


def _choice(network: Network, values_ms: Mapping[str, float], mix: _Mix) -> MixedChoice:
    mixed_ms, _, blocks = mix
    int8 = network.with_precision("int8").operators
    return MixedChoice(
        network=with_float_blocks(network, blocks),
        blocks=blocks,
        int8_ms=sum(values_ms[operator.key] for operator in int8),
        mixed_ms=mixed_ms,
    )


def _mixes(
    network: Network, values_ms: Mapping[str, float], gains: Mapping[int, float]
) -> list[_Mix]:
    """Every mix than which no other is both faster and more exact."""
    operators = network.with_precision("int8").operators
    best: dict[Precision, list[_Mix]] = {"int8": [(values_ms[operators[0].key], 0.0, ())]}
    for index, operator in enumerate(operators[1:], start=1):
        gain = gains.get(index, 0.0)
        best = {
            precision: found
            for precision in PRECISIONS
            if (
                found := _extended(best, index, operator.with_precision(precision), gain, values_ms)
            )
        }
    return best["int8"]


def _extended(
    best: Mapping[Precision, list[_Mix]],
    index: int,
    operator: Operator,
    gain: float,
    values_ms: Mapping[str, float],
) -> list[_Mix]:
    """The best mixes up to an operator, in its precision."""
    own_ms, floating = values_ms.get(operator.key), operator.precision == "float32"
    if own_ms is None or (floating and operator.place != "block"):
        return []
    added, kept = (-gain, (index,)) if floating else (0.0, ())
    found: list[_Mix] = []
    for before, mixes in best.items():
        crossing_ms: float | None = 0.0
        if before != operator.precision:
            crossing_ms = values_ms.get(conversion_before(operator, operator.precision).key)
        if crossing_ms is not None:
            found += [
                (ms + crossing_ms + own_ms, loss + added, (*blocks, *kept))
                for ms, loss, blocks in mixes
            ]
    front: list[_Mix] = []
    for mix in sorted(found):
        if not front or mix[1] < front[-1][1]:
            front.append(mix)
    return front
