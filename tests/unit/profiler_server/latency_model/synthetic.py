"""Made-up networks whose operators cost more, or less, inside them than by themselves."""

from __future__ import annotations

import numpy as np

from profiler_server.latency_model.design import (
    Design,
    MeasuredNetwork,
    OperatorPrice,
    Priced,
    design,
)


def made_up(
    networks: int,
    *,
    operators: int = 12,
    scale: float = 1.06,
    spread: float = 0.0,
    intercept_ms: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Design:
    """A design whose truth is known.

    Args:
        networks: how many; each has every operator 0 to 2 times, and at least one.
        operators: in the table.
        scale: what operators cost inside a network, over what they cost alone.
        spread: of the single operators around that, relative.
        intercept_ms: what every network costs besides.
        noise: of the measured latencies, relative.
        seed: same seed, same numbers.
    """
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.2, 3.0, operators)
    inside = values * scale * (1 + spread * rng.standard_normal(operators))
    counts = rng.integers(0, 3, (networks, operators))
    counts[np.arange(networks), np.arange(networks) % operators] += 1
    measured = (counts @ inside + intercept_ms) * (1 + noise * rng.standard_normal(networks))
    entries = {f"op{index:02d}": OperatorPrice(value, 0.0) for index, value in enumerate(values)}
    keys = sorted(entries)
    return design(
        [
            MeasuredNetwork(
                f"net{index:03d}",
                tuple(key for key, count in zip(keys, row, strict=True) for _ in range(count)),
                Priced(float(ms), 0.0),
            )
            for index, (row, ms) in enumerate(zip(counts, measured, strict=True))
        ],
        entries,
    )
