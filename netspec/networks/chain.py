"""A network under construction: what is added begins where the last operator ends."""

from __future__ import annotations

from typing import Any

from netspec.networks.network import Network
from netspec.operators import Operator, OperatorBase, Precision


class Chain:
    """Operators one after another, in one precision."""

    def __init__(
        self, input_size: int, precision: Precision = "float32", channels: int = 3
    ) -> None:
        """Begin with an image of `input_size` px and `channels`."""
        self.operators: list[Operator] = []
        self.size = input_size
        self.channels = channels
        self.precision = precision

    def add(
        self, kind: type[OperatorBase], out_channels: int | None = None, **fields: Any
    ) -> Operator:
        """Add an operator of a kind.

        Args:
            kind: its class.
            out_channels: by default as many as come in.
            fields: that the kind has beside shapes and precision. Where `residual` is not among
                them, the input is added wherever the operator keeps its shape.

        Returns:
            the operator.

        Raises:
            ValidationError: there can be no such operator.
        """
        out_channels = self.channels if out_channels is None else out_channels
        if "residual" in kind.model_fields:
            keeps_shape = fields.get("stride", 1) == 1 and self.channels == out_channels
            fields.setdefault("residual", keeps_shape)
        operator = kind.model_validate(
            {
                "input_size": self.size,
                "in_channels": self.channels,
                "out_channels": out_channels,
                "precision": self.precision,
                **fields,
            }
        )
        self.operators.append(operator)
        self.size, self.channels = operator.output_size, operator.out_channels
        return operator

    def network(self, name: str) -> Network:
        """The network so far."""
        return Network(name=name, operators=tuple(self.operators))
