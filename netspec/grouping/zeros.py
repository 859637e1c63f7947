"""Zeros around an image as a part of the convolution that reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from netspec.grouping.layer_network import PlacedLayer


def taking_zeros_in(
    placed: Sequence[PlacedLayer], outputs: Collection[str]
) -> tuple[PlacedLayer, ...]:
    """Layers of which convolutions pad by themselves where a layer before them did it.

    The runtime runs both as one, if nobody else reads the zeros. Only what then gives as many
    pixels as with SAME padding is changed; where the odd zero lies makes no difference in time.

    Args:
        placed: in order of execution.
        outputs: names that are read from without.
    """
    reads = Counter(name for one in placed for name in one.layer.inputs)
    around = {
        one.layer.name: one
        for one in placed
        if one.layer.kind == "pad" and reads[one.layer.name] == 1 and one.layer.name not in outputs
    }
    changed = {
        one.layer.name: _with_zeros(one, around[source])
        for one in placed
        if (source := one.layer.inputs[0]) in around and _takes_in(one, around[source])
    }
    gone = {one.layer.inputs[0] for one in placed if one.layer.name in changed}
    return tuple(changed.get(one.layer.name, one) for one in placed if one.layer.name not in gone)


def _takes_in(placed: PlacedLayer, around: PlacedLayer) -> bool:
    layer = placed.layer
    return (
        layer.kind in ("conv", "depthwise")
        and layer.padding == (0, 0)
        and placed.output_side == -(-around.side // layer.stride)
    )


def _with_zeros(placed: PlacedLayer, around: PlacedLayer) -> PlacedLayer:
    layer = replace(placed.layer, padding=None, inputs=around.layer.inputs)
    return replace(placed, layer=layer, side=around.side)
