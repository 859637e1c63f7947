"""The type of a field that holds an operator of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field, TypeAdapter

from netspec.operators.base import OperatorBase
from netspec.operators.registered import registered_operators

if TYPE_CHECKING:
    Operator = OperatorBase
else:
    # Which kinds there are is known only now.
    Operator = Annotated[Union[registered_operators()], Field(discriminator="kind")]  # noqa: UP007

OPERATOR: TypeAdapter[Operator] = TypeAdapter(Operator)
