"""Whether a delegate runs the whole graph: evidence, not belief.

It needs nothing but Python: the process that makes a visit may hold another runtime, and little
else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, Protocol

#: `full`: one delegate kernel runs everything, `partial`: kernels run some, `none`: none run
Delegation = Literal["full", "partial", "none"]
#: what LiteRT calls a delegate's kernel among the nodes of a graph
_KERNEL = "DELEGATE"


class Interpreter(Protocol):
    """What is needed of `ai_edge_litert.interpreter.Interpreter`."""

    def get_output_details(self) -> list[dict[str, Any]]:
        """The model's outputs."""

    def _get_ops_details(self) -> list[dict[str, Any]]: ...


def delegation(interpreter: Interpreter) -> Delegation:
    """Who runs the graph of an interpreter whose tensors are allocated.

    LiteRT keeps the nodes that a delegate replaced and appends a `DELEGATE` node for each
    partition. One partition is the whole graph if it produces every output of the model and
    reads nothing that another node produces.
    """
    nodes = interpreter._get_ops_details()  # noqa: SLF001 (the only place that tells)
    kernels = [node for node in nodes if node["op_name"] == _KERNEL]
    if not kernels:
        return "none"
    inputs, outputs = set(kernels[0]["inputs"]), set(kernels[0]["outputs"])
    produced = {tensor for node in nodes for tensor in node["outputs"]} - outputs
    wanted = {detail["index"] for detail in interpreter.get_output_details()}
    whole = len(kernels) == 1 and wanted <= outputs and inputs.isdisjoint(produced)
    return "full" if whole else "partial"


@dataclass(frozen=True)
class OperatorCounts:
    """How many operators a graph has, and which of them no delegate runs."""

    operators: int
    #: kinds, as the file names them, in the order of the graph, and how many there are of each
    undelegated: dict[str, int]


def operator_counts(interpreter: Interpreter) -> OperatorCounts:
    """Count the operators of an interpreter whose tensors are allocated."""
    operators, undelegated = _left(interpreter)
    return OperatorCounts(operators, dict(Counter(node["op_name"] for node in undelegated)))


def undelegated(interpreter: Interpreter) -> tuple[int, list[tuple[str, int]]]:
    """Return how many operators an allocated interpreter has, and which no delegate runs.

    Each is its kind, as the file names it, and the index of the tensor that it gives, in the order
    of the graph.
    """
    operators, undelegated = _left(interpreter)
    return operators, [(node["op_name"], int(node["outputs"][0])) for node in undelegated]


def _left(interpreter: Interpreter) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of operators, and the nodes of those that no delegate runs."""
    nodes = interpreter._get_ops_details()  # noqa: SLF001 (the only place that tells)
    layers = [node for node in nodes if node["op_name"] != _KERNEL]
    maker = {tensor: index for index, node in enumerate(layers) for tensor in node["outputs"]}
    taken: set[int] = set()
    for kernel in (node for node in nodes if node["op_name"] == _KERNEL):
        # What a kernel runs lies between what it reads and what it gives.
        inputs, waiting = set(kernel["inputs"]), list(kernel["outputs"])
        while waiting:
            index = maker.get(waiting.pop())
            if index is not None and index not in taken:
                taken.add(index)
                waiting += [tensor for tensor in layers[index]["inputs"] if tensor not in inputs]
    return len(layers), [node for index, node in enumerate(layers) if index not in taken]
