from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from netspec.operators import MBConv
from netspec.validation import first_problem

BLOCK = {"input_size": 8, "in_channels": 8, "out_channels": 8, "expand": 3}


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([BLOCK, {**BLOCK, "kernel": 4}], "1.kernel: Input should be 1, 3, 5, 7, 9 or 11"),
        (
            [{**BLOCK, "stride": 2, "residual": True}],
            "0: a residual needs stride 1",
        ),
        ("no list", "Input should be a valid list"),
    ],
)
def test_where_and_what(blocks: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[MBConv]).validate_python(blocks)
    assert first_problem(caught.value).startswith(said)
