"""Operators as a space's file has them: without the shapes, which follow from where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import Activation, LayerKind
from netspec.networks import round_channels
from netspec.operators import OPERATOR_CLASSES, Channels, Operator, OperatorBase, Precision
from netspec.suggestions import did_you_mean
from netspec.validation import first_problem

#: fields that the place of an operator decides
_OF_THE_PLACE = frozenset({"kind", "input_size", "in_channels", "out_channels", "precision"})
#: fields of operators that hold channels: a plan has them at width 1
_WIDTHS = ("middle", "squeeze")


@dataclass(frozen=True)
class Slot:
    """Where an operator is to stand."""

    #: px
    input_size: int
    in_channels: int
    out_channels: int
    #: None: the plan's own, or the usual one of its kind
    stride: int | None
    #: multiplies channels that a plan names
    width: float
    precision: Precision
    #: in place of the plan's, where its operator has one; None: the plan's
    activation: Activation | None = None


class OperatorPlan(BaseModel):
    """An operator of any registered kind, without shapes.

    Beside the values below it has the fields of its kind, at their defaults where they are left
    out. Channels (`middle`, `squeeze`) are those at width 1. Where `residual` is left out, the
    input is added wherever the operator keeps its shape.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, bool | int | float | str] = Field(init=False)

    #: of the operator, as in its key
    kind: str
    #: output channels at width 1; by default those of the stage, or of the input
    channels: Channels | None = Field(default=None, exclude_if=lambda value: value is None)
    #: ratio of middle to input channels
    expand: float | None = Field(default=None, gt=0, le=64, exclude_if=lambda value: value is None)
    #: ratio of the channels within squeeze-and-excitation to those of the middle
    squeeze_ratio: float | None = Field(
        default=None, gt=0, le=1, exclude_if=lambda value: value is None
    )

    @model_validator(mode="after")
    def _names_fields_of_its_kind(self) -> OperatorPlan:
        fields = self.operator_class.model_fields.keys() - _OF_THE_PLACE
        ours = {"channels", "expand", "squeeze_ratio"}
        for name in self.extra:
            if name in _OF_THE_PLACE:
                raise InvalidSpec(
                    f"{name}: follows from where the {self.kind} stands; leave it out"
                )
            if name not in fields:
                known = (fields | ours) - {"expand"} if "middle" not in fields else fields | ours
                raise InvalidSpec(
                    f"{name}: {self.kind} has no such field; {did_you_mean(name, known)}"
                )
        if self.expand is not None and not fields & {"expand", "middle"}:
            raise InvalidSpec(f"expand: {self.kind} has no middle that is wider than its input")
        if self.squeeze_ratio is not None and "squeeze" not in fields:
            raise InvalidSpec(f"squeeze_ratio: {self.kind} has no squeeze-and-excitation")
        for ratio, name in (("expand", "middle"), ("squeeze_ratio", "squeeze")):
            if getattr(self, ratio) is not None and name in self.extra:
                raise InvalidSpec(f"{ratio} and {name} say the same; give one of them")
        return self

    @property
    def extra(self) -> dict[str, bool | int | float | str]:
        """The fields of the operator's kind that the plan names."""
        return self.__pydantic_extra__

    @property
    def operator_class(self) -> type[OperatorBase]:
        """The class of its kind.

        Raises:
            InvalidSpec: there is no such kind.
        """
        if self.kind not in OPERATOR_CLASSES:
            meant = did_you_mean(self.kind, OPERATOR_CLASSES)
            raise InvalidSpec(f"there is no operator {self.kind!r}; {meant}")
        return OPERATOR_CLASSES[self.kind]

    def has(self, field: str) -> bool:
        """Whether operators of its kind have such a field."""
        return field in self.operator_class.model_fields

    def with_values(self, **values: Any) -> OperatorPlan:
        """The same plan with some values more.

        Raises:
            InvalidSpec: it has one of them already, or what says the same.
        """
        mine = self.model_dump()
        if twice := sorted(mine.keys() & values):
            raise InvalidSpec(f"{twice[0]}: is chosen already; leave it out of the {self.kind}")
        try:
            return OperatorPlan.model_validate({**mine, **values})
        except ValidationError as error:
            raise InvalidSpec(f"{self.kind}: {first_problem(error)}") from error

    def operator(self, slot: Slot) -> Operator:
        """The operator at a place.

        Raises:
            InvalidSpec: there can be none of these values there.
        """
        kind, values = self.operator_class, dict[str, Any](self.extra)
        for name in _WIDTHS:
            if values.get(name):
                values[name] = round_channels(values[name] * slot.width)
        if self.expand is not None:
            values.update(self._expanded(slot.in_channels))
        if self.squeeze_ratio is not None:
            middle = values.get("middle", slot.in_channels)
            values["squeeze"] = round_channels(int(middle * self.squeeze_ratio))
        if slot.activation is not None and self._activates(values):
            values["activation"] = slot.activation
        stride = self._stride(slot, values)
        if "residual" in kind.model_fields:
            keeps_shape = stride == 1 and slot.in_channels == slot.out_channels
            values.setdefault("residual", keeps_shape)
        try:
            operator = kind.model_validate(
                {
                    **values,
                    "input_size": slot.input_size,
                    "in_channels": slot.in_channels,
                    "out_channels": slot.out_channels,
                    "precision": slot.precision,
                }
            )
        except ValidationError as error:
            raise InvalidSpec(f"{self.kind}: {first_problem(error, kind)}") from error
        _require_encoder(operator)
        return operator

    def _activates(self, values: dict[str, Any]) -> bool:
        if not self.has("activation"):
            return False
        default = self.operator_class.model_fields["activation"].default
        return bool(values.get("activation", default) != "none")

    def _expanded(self, in_channels: int) -> dict[str, Any]:
        ratio = self.expand or 1.0
        if self.has("middle"):
            # What is not wider needs no convolution to widen it, whatever it would be rounded to.
            return {"middle": in_channels if ratio == 1 else round_channels(in_channels * ratio)}
        return {"expand": int(ratio) if ratio.is_integer() else ratio}

    def _stride(self, slot: Slot, values: dict[str, Any]) -> int:
        if not self.has("stride"):
            if (slot.stride or 1) > 1:
                raise InvalidSpec(
                    f"{self.kind}: it has no stride, and its block has stride {slot.stride}; list "
                    "what a first block chooses among in `first_candidates`"
                )
            return 1
        if slot.stride is not None:
            if values.get("stride", slot.stride) != slot.stride:
                raise InvalidSpec(
                    f"stride: is that of the block, {slot.stride}; leave it out of the {self.kind}"
                )
            values["stride"] = slot.stride
        default = self.operator_class.model_fields["stride"].default
        return int(values.get("stride", default))


@lru_cache(maxsize=4096)
def _require_encoder(operator: Operator) -> None:
    """Refuse an operator of layers that no encoder writes.

    Raises:
        InvalidSpec: there is such a layer, or the layers do not fit the operator's shapes.
    """
    known = get_args(LayerKind)
    for layer in operator.layers:
        if layer.kind not in known:
            raise InvalidSpec(
                f"{operator.kind}: no encoder writes layers of the kind {layer.kind!r}, which its "
                f"layer {layer.name} is; build it from the kinds in `netspec.layers`"
            )
