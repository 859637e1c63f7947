"""The type of a field that holds an operator of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field, TypeAdapter

from netspec.operators.base import OperatorBase
from netspec.operators.registered import registered_operators

#: every kind of operator, by its name
OPERATOR_CLASSES: dict[str, type[OperatorBase]] = {
    operator.kind_name(): operator for operator in registered_operators()
}

if TYPE_CHECKING:
    Operator = OperatorBase
else:
    # Which kinds there are is known only now.
    _ANY = Union[tuple(OPERATOR_CLASSES.values())]  # noqa: UP007
    Operator = Annotated[_ANY, Field(discriminator="kind")]

OPERATOR: TypeAdapter[Operator] = TypeAdapter(Operator)
