"""How long writing `.tflite` files takes.

Encodes every operator of the ProxylessNAS space, and MobileNetV2 and a ProxylessNAS network as
wholes, at 224 px in both precisions with seeded weights. The last line is one JSON object:
`encode_operator_ms` and `encode_network_ms` are medians over everything encoded, the `worst_` ones
the slowest of each, all of them the best of three tries.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence

from netspec.networks import mobilenet_v2
from netspec.operators import PRECISIONS, Operator
from netspec.spaces import Space
from netspec.tflite import encode

TRIES = 3


def encode_ms(operators: Sequence[Operator]) -> float:
    """Time (ms) to make seeded weights and encode a chain, the best of several tries."""
    tries = []
    for _ in range(TRIES):
        start = time.perf_counter()
        encode(operators)
        tries.append((time.perf_counter() - start) * 1000)
    return min(tries)


def main() -> None:
    """Time everything and print it."""
    spaces = [Space(precision=precision) for precision in PRECISIONS]
    alone = {
        operator.key: encode_ms([operator]) for space in spaces for operator in space.operators()
    }
    networks = [mobilenet_v2(precision=precision) for precision in PRECISIONS]
    networks += [space.network([0] * len(space.blocks)) for space in spaces]
    whole = {
        f"{network.name} {network.operators[0].precision}": encode_ms(network.operators)
        for network in networks
    }
    for name, taken in sorted((alone | whole).items(), key=lambda pair: pair[1]):
        print(f"{taken:8.2f} ms  {name}")
    numbers = {
        "encode_operator_ms": statistics.median(alone.values()),
        "worst_encode_operator_ms": max(alone.values()),
        "encode_network_ms": statistics.median(whole.values()),
        "worst_encode_network_ms": max(whole.values()),
        "operators": len(alone),
        "networks": len(whole),
    }
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
