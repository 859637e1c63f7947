"""Who runs the operators of a file: told when it is written, not when it is measured."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.errors import UserError
from search_client.deployment.litert import TFLiteClassifier

_SHOWN = 5


class NotDelegated(UserError):
    """XNNPACK leaves operators of a file to the runtime's own kernels."""


@dataclass(frozen=True)
class LeftOperator:
    """An operator that the delegate does not take over."""

    #: as the schema names it
    kind: str
    #: what it gives, as in the file: a layer's name, or that of one of its parts
    layer: str


@dataclass(frozen=True)
class Delegated:
    """What XNNPACK, as this machine's LiteRT has it, takes over of a file."""

    operators: int
    #: in the order of execution; empty where it takes everything
    left: tuple[LeftOperator, ...]

    @property
    def text(self) -> str:
        """In a sentence."""
        if not self.left:
            return f"XNNPACK takes over all {self.operators} operators"
        shown = ", ".join(f"{one.kind} of {one.layer}" for one in self.left[:_SHOWN])
        more = len(self.left) - _SHOWN
        return (
            f"XNNPACK leaves {len(self.left)} of {self.operators} operators to the runtime's own "
            f"kernels: {shown}" + (f" and {more} more" if more > 0 else "")
        )


def delegated(file: bytes) -> Delegated:
    """Ask this machine's LiteRT who runs a file.

    Raises:
        NoClassifier: it cannot load it.
    """
    operators, left = TFLiteClassifier(file).undelegated()
    return Delegated(operators, tuple(LeftOperator(kind, layer) for kind, layer in left))


def require_delegated(found: Delegated, *, allow_partial: bool) -> None:
    """Refuse a file that runs in parts, unless that is allowed.

    Raises:
        NotDelegated: XNNPACK does not take all of it; the operators are named.
    """
    if found.left and not allow_partial:
        raise NotDelegated(
            f"{found.text}; the file would run, but its parts hand tensors over: write it with "
            "--allow-partial, or keep these operators in float32 with --float-blocks of "
            "`search-client quantize`"
        )
