"""Networks: lists of operators with an input size."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import PaddingRule
from netspec.operators import Convert, Operator, Precision, content_hash

#: characters of a network's name
MAX_NAME = 200


class Network(BaseModel):
    """A chain of operators.

    The name is for people; the identity (`content_hash`) is that of the operators.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    operators: Annotated[tuple[Operator, ...], Field(min_length=1, max_length=512)]

    @model_validator(mode="after")
    def _shapes_must_chain(self) -> Self:
        for before, after in zip(self.operators, self.operators[1:], strict=False):
            given = (before.output_size, before.out_channels)
            wanted = (after.input_size, after.in_channels)
            if given != wanted:
                raise InvalidSpec(
                    f"network {self.name!r}: {after.key} expects {wanted[0]} px and {wanted[1]} "
                    f"channels, but {before.key} gives {given[0]} px and {given[1]} channels"
                )
        return self

    @property
    def input_size(self) -> int:
        """Side of the input image in px."""
        return self.operators[0].input_size

    @property
    def classes(self) -> int:
        """Channels of the last operator's output."""
        return self.operators[-1].out_channels

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the operators' canonical JSON."""
        return content_hash([operator.model_dump(mode="json") for operator in self.operators])

    def with_padding(self, padding: PaddingRule) -> Network:
        """The same network with its convolutions padded by one rule, where that is a difference."""
        padded = (
            operator.model_copy(
                update={"padding": padding if operator.is_padded(padding) else "same"}
            )
            for operator in self.operators
        )
        return Network(name=self.name, operators=tuple(padded))

    def with_precision(self, precision: Precision) -> Network:
        """The same network with every operator in one precision, and so no conversions."""
        return Network(
            name=self.name,
            operators=tuple(
                operator.with_precision(precision)
                for operator in self.operators
                if not isinstance(operator, Convert)
            ),
        )
