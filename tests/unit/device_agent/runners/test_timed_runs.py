"""What models are fed while they are timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from device_agent.runners.timed_runs import _BLOCK, _fill


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint8, np.int32])
@pytest.mark.parametrize("shape", [(1,), (1, 7, 7, 3), (1, 224, 224, 3)])
def test_inputs_are_filled_to_the_last_value_and_alike_each_time(
    dtype: type, shape: tuple[int, ...]
) -> None:
    first: npt.NDArray[Any]
    second: npt.NDArray[Any]
    first, second = np.zeros(shape, dtype), np.zeros(shape, dtype)
    _fill(first)
    _fill(second)
    assert (first == second).all()
    # A block repeats; within it hardly a value does, and few are zero.
    flat = first.reshape(-1)
    assert len(np.unique(flat[:100])) >= min(flat.size, 60)
    assert (flat == 0).mean() < 0.05
    period = _BLOCK // first.itemsize if np.issubdtype(dtype, np.integer) else _BLOCK
    assert (flat[period:] == flat[:-period]).all()
    if np.issubdtype(dtype, np.floating):
        assert (np.abs(flat) <= 1).all()
