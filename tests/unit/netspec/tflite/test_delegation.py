"""The rule alone; interpreters are asked in the integration tests."""

from typing import Any

import pytest

from netspec.delegation import OperatorCounts, operator_counts
from netspec.tflite import Delegation, delegation


class FakeInterpreter:
    """Nodes as (name, inputs, outputs); tensor 9 is the model's output."""

    def __init__(self, *nodes: tuple[str, list[int], list[int]]) -> None:
        self.nodes = nodes

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"index": 9}]

    def _get_ops_details(self) -> list[dict[str, Any]]:
        return [{"op_name": n, "inputs": i, "outputs": o} for n, i, o in self.nodes]


CONV, ADD = ("CONV_2D", [0, 1], [2]), ("ADD", [2, 0], [9])


@pytest.mark.parametrize(
    ("nodes", "expected", "left"),
    [
        ([CONV, ADD], "none", ["CONV_2D", "ADD"]),
        ([CONV, ADD, ("DELEGATE", [0, 1], [9])], "full", []),
        # The first layer, then the last one, runs outside.
        ([CONV, ADD, ("DELEGATE", [2, 0], [9])], "partial", ["CONV_2D"]),
        ([CONV, ADD, ("DELEGATE", [0, 1], [2])], "partial", ["ADD"]),
        ([CONV, ADD, ("DELEGATE", [0, 1], [2]), ("DELEGATE", [2, 0], [9])], "partial", []),
        # A second kernel runs something beside the output.
        ([CONV, ADD, ("DELEGATE", [0, 1], [9]), ("DELEGATE", [0], [5])], "partial", []),
    ],
)
def test_one_kernel_must_run_everything(
    nodes: list[tuple[str, list[int], list[int]]], expected: Delegation, left: list[str]
) -> None:
    interpreter = FakeInterpreter(*nodes)
    assert delegation(interpreter) == expected
    counts = operator_counts(interpreter)
    assert counts.operators == 2
    assert list(counts.undelegated) == left


def test_operators_of_one_kind_are_counted() -> None:
    nodes = (CONV, ("CONV_2D", [2], [3]), ("ADD", [3, 0], [9]), ("DELEGATE", [3, 0], [9]))
    assert operator_counts(FakeInterpreter(*nodes)) == OperatorCounts(3, {"CONV_2D": 2})
