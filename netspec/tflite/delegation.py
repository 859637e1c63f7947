"""Whether a delegate runs the whole graph: evidence, not belief."""

from __future__ import annotations

from typing import Any, Literal, Protocol

#: `full`: one delegate runs everything, `partial`: it runs some of it, `none`: there is none
Delegation = Literal["full", "partial", "none"]


class _Interpreter(Protocol):
    def get_input_details(self) -> list[dict[str, Any]]: ...
    def get_output_details(self) -> list[dict[str, Any]]: ...
    def _get_ops_details(self) -> list[dict[str, Any]]: ...


def delegation(interpreter: _Interpreter) -> Delegation:
    return "none"
