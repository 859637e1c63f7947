"""From a canonical key back to its operator."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from netspec.errors import InvalidSpec
from netspec.operators.base import KEY_NAMES
from netspec.operators.union import OPERATOR, Operator
from netspec.validation import first_problem

_KEY = re.compile(
    r"(?P<kind>[a-z][a-z0-9_]*)"
    r"-in:(?P<n>\d{1,4})x(?P=n)x(?P<cin>\d{1,5})-out:(?P<m>\d{1,4})x(?P=m)x(?P<cout>\d{1,5})"
    r"(?P<options>(?:-[a-z_]+:\w+)*)-(?P<precision>float32|int8)"
)
_FIELDS = {short: name for name, short in KEY_NAMES.items()}


def operator_from_key(key: str) -> Operator:
    """The operator that a canonical key names.

    Raises:
        InvalidSpec: the text is no canonical key, or names an operator that cannot exist.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise InvalidSpec(
            f"{key!r} is not an operator key; expected for instance "
            "'mbconv-in:56x56x24-out:56x56x24-kernel:5-expand:6-stride:1-residual:1-act:relu6-int8'"
        )
    pairs = (part.split(":", 1) for part in match["options"].split("-") if part)
    options: dict[str, Any] = {
        _FIELDS.get(name, name): int(value) if value.isdecimal() else value for name, value in pairs
    }
    try:
        operator = OPERATOR.validate_python(
            {
                "kind": match["kind"],
                "input_size": int(match["n"]),
                "in_channels": int(match["cin"]),
                "out_channels": int(match["cout"]),
                "precision": match["precision"],
                **options,
            }
        )
    except ValidationError as error:
        raise InvalidSpec(f"{key!r} names no operator: {first_problem(error)}") from error
    if operator.key != key:
        raise InvalidSpec(f"{key!r} is not canonical; did you mean {operator.key!r}?")
    return operator
