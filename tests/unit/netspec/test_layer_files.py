"""Files that give what their layers give."""

import math

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from netspec.layers import Float32Array
from netspec.operators import PRECISIONS, Precision
from netspec.tflite import encode
from netspec.tflite.layer_files import layer_files
from tests.unit.search_client.tiny import tiny_space

MOST = 4_000


def by_name(file: bytes, *, keep: bool = False) -> dict[str, Float32Array]:
    """What the outputs are, or all that is between operators."""
    interpreter = Interpreter(
        model_content=file,
        experimental_preserve_all_tensors=keep,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    made = np.random.default_rng(0).integers(-100, 100, given["shape"])
    interpreter.set_tensor(given["index"], made.astype(given["dtype"]))
    interpreter.invoke()
    details = interpreter.get_tensor_details() if keep else interpreter.get_output_details()
    return {one["name"]: interpreter.get_tensor(one["index"]) for one in details}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_layer_is_an_output_of_one_file(precision: Precision) -> None:
    file = encode(tiny_space().network([0, 6]).with_precision(precision).operators)
    inside = by_name(file, keep=True)
    parts = [by_name(part) for part in layer_files(file, MOST)]
    assert len(parts) > 1
    seen: list[str] = []
    for part in parts:
        assert sum(math.prod(values.shape) for values in part.values()) <= MOST
        for name, values in part.items():
            assert np.array_equal(values, inside[name])
            seen.append(name)
    assert seen[0] == "0.conv"
    assert seen[-1] == "4.dense"
    assert len(seen) == len(set(seen))


def test_a_tensor_that_is_too_large_is_left_out() -> None:
    file = encode(tiny_space().network([0, 6]).operators)
    (part,) = [by_name(one) for one in layer_files(file, 10)]
    assert list(part) == ["4.dense"]
