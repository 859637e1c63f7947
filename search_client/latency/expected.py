"""E[LAT]: the latency of a space's mean network, as one tensor operation in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn

from netspec.errors import MissingEntries
from netspec.spaces import Space


class ExpectedLatency(nn.Module):
    """scale * (fixed + sum over blocks of sum_i p_i F(o_i)) + intercept, in ms.

    Source: ProxylessNAS (ICLR 2019), section 3.3; scale and intercept are the calibration
    that maps a sum of entries to a whole network.
    """

    def __init__(
        self, fixed_ms: float, costs_ms: Tensor, scale: float = 1.0, intercept_ms: float = 0.0
    ) -> None:
        super().__init__()
        self.fixed_ms = fixed_ms
        self.scale = scale
        self.intercept_ms = intercept_ms
        #: float32 [blocks, most choices]; 0 for Zero and where a block has no such choice
        self.costs_ms: Tensor
        self.register_buffer("costs_ms", costs_ms.to(torch.float32))

    @classmethod
    def of_space(
        cls,
        space: Space,
        entries_ms: Mapping[str, float],
        target: str,
        *,
        scale: float = 1.0,
        intercept_ms: float = 0.0,
    ) -> Self:
        """E[LAT] of a space under a table.

        Args:
            space: in the precision that the table prices.
            entries_ms: ms by the operator's canonical key.
            target: the table's target, for the error.
            scale: of the calibration.
            intercept_ms: of the calibration.

        Raises:
            MissingEntries: the table lacks operators of the space; it names all of them.
        """
        missing = [operator.key for operator in space.operators() if operator.key not in entries_ms]
        if missing:
            raise MissingEntries(target, missing)
        costs = torch.zeros(len(space.blocks), max(block.choices for block in space.blocks))
        for row, block in zip(costs, space.blocks, strict=True):
            prices = [entries_ms[candidate.key] for candidate in block.candidates]
            row[: len(prices)] = torch.tensor(prices)
        fixed = sum(entries_ms[part.key] for part in (*space.fixed_start, *space.fixed_end))
        return cls(fixed, costs, scale, intercept_ms)

    def forward(self, probabilities: Tensor) -> Tensor:
        """Expected ms (scalar) under probabilities [blocks, most choices], differentiable."""
        total: Tensor = self.fixed_ms + (probabilities * self.costs_ms).sum()
        return self.scale * total + self.intercept_ms
