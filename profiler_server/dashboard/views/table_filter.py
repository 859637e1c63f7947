"""The form that filters a target's table."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import Field, field_validator

from netspec.operators import PRECISIONS, Kernel, Precision, Side, Stride
from netspec.validation import FrozenModel
from netspec.wire import MAX_CURSOR, Method
from profiler_server.latency_tables.views.grid_repository import CellFilter, Quantity

KERNELS: tuple[int, ...] = get_args(Kernel)
STRIDES: tuple[int, ...] = get_args(Stride)
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
METHODS: tuple[Method, ...] = get_args(Method)


class TableFilter(FrozenModel):
    """Query of a table's page; a field that is left blank filters nothing."""

    quantity: Quantity | None = None
    precision: Precision | None = None
    kernel: Annotated[int, Field(ge=1, le=11)] | None = None
    expand: Annotated[int, Field(ge=1, le=16)] | None = None
    stride: Annotated[int, Field(ge=1, le=2)] | None = None
    size: Side | None = None
    method: Method | None = None
    #: of the page of blocks
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] | None = None
    #: of the page of other operators
    others: Annotated[str, Field(max_length=MAX_CURSOR)] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    def cell_filter(self, present: tuple[Precision, ...]) -> CellFilter:
        """What to read from a table that has these precisions: the first, if none is chosen."""
        return CellFilter(
            precision=self.precision or (*present, *PRECISIONS)[0],
            kernel=self.kernel,
            expand=self.expand,
            stride=self.stride,
            input_size=self.size,
            method=self.method,
            quantity=self.quantity or "latency",
        )

    @property
    def chosen(self) -> dict[str, Any]:
        """The fields that filter, for links to other pages."""
        return self.model_dump(exclude_none=True, exclude={"cursor", "others"})
