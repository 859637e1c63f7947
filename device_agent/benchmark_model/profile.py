"""The per-operator profile that `benchmark_model --enable_op_profiling=true` prints."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from device_agent.errors import UnparsableOutput

_SECTION = "Operator-wise Profiling Info for Regular Benchmark Runs:"
_TABLE = re.compile(r"=+ Run Order =+\s*\n(?P<header>[^\n]*)\n(?P<rows>.*?)\n\s*\n", re.DOTALL)
_COLUMN = re.compile(r"\[[^\]]*\]")
#: TensorFlow's summary parts cells by tabs, LiteRT's by spaces; single ones are in names
_CELL_END = re.compile(r"\s*\t\s*| {2,}")
#: in the kind or the name of a delegate's kernels, and of the node that holds them
_OF_DELEGATE = re.compile("delegate", re.IGNORECASE)


@dataclass(frozen=True)
class ProfiledNode:
    """One kernel of the graph, in the order of running."""

    #: of the kernel, for instance `Convolution (NHWC, F32) IGEMM`
    kind: str
    #: with its index among the delegate's kernels
    name: str
    #: average over the runs, ms; printed with three decimals
    average_ms: float

    @property
    def is_delegated(self) -> bool:
        """Whether a delegate ran it."""
        return bool(_OF_DELEGATE.search(f"{self.kind} {self.name}"))


def parse_profile(text: str) -> tuple[ProfiledNode, ...]:
    """The run-order table of the regular runs.

    Columns are found by their names: versions differ in which they print.

    Raises:
        UnparsableOutput: there is no such table, or a row does not fit it.
    """
    _, heading, section = text.partition(_SECTION)
    table = _TABLE.search(section)
    if not heading or table is None:
        raise UnparsableOutput("benchmark_model printed no profile of the regular runs", text)
    columns = [name.strip("[]").lower() for name in _COLUMN.findall(table["header"])]
    return tuple(_node(row, columns, text) for row in table["rows"].splitlines() if row.strip())


def _node(row: str, columns: list[str], text: str) -> ProfiledNode:
    cells = [cell.strip() for cell in _CELL_END.split(row.strip())]
    named = dict(zip(columns, cells, strict=False))
    try:
        return ProfiledNode(named["node type"], named["name"], float(named["avg ms"]))
    except (KeyError, ValueError) as error:
        raise UnparsableOutput(
            f"a row of the profile does not fit its table: {row!r}", text
        ) from error


def undelegated(text: str) -> dict[str, int]:
    """Count the operators that no delegate ran in the profiled runs, by kind.

    Raises:
        UnparsableOutput: there is no profile.
    """
    others = (node.kind for node in parse_profile(text) if not node.is_delegated)
    return dict(Counter(others))
