"""The errors of the shared vocabulary.

UserError                   something the person at the terminal can put right
├── InvalidSpec             an operator, network or space that cannot exist
├── DevicesDisagree         entries whose devices are not of one mind
├── EncodingError           a network that cannot be written as a `.tflite` file
├── UnreadableModel         a `.tflite` file that is damaged, or has an operator that is no layer
├── UnknownLayer            a kind of layer that a part of the program does not know
├── Interrupted             a command that was asked to end, and kept what it had
├── UnknownId               no target, job, device or token has such an id, or several do
├── MissingEntries          a table that lacks operators it was asked for
├── ProfilerUnreachable     nobody answers at the profiler's URL
└── ProfilerRefused         the profiler answered with a problem (RFC 9457)

Every command prints a `UserError` as one line and ends with its exit code.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

_SHOWN_KEYS = 5


class UserError(Exception):
    """What was wrong, what was expected and what to do next, in one line."""

    #: with which a command ends
    exit_code: ClassVar[int] = 2


class Interrupted(UserError):
    """The process was asked to end by a signal; what it had is kept, and the text says where."""

    #: as a shell says of what SIGINT ended
    exit_code = 130


class InvalidSpec(UserError, ValueError):
    """An operator, network or space that cannot exist.

    Also a `ValueError`, so that pydantic reports it as a validation error.
    """


class EncodingError(UserError):
    """A network, its weights or its ranges cannot be written as a `.tflite` file."""


class UnreadableModel(UserError):
    """A `.tflite` file cannot be read as layers: the message names the place and what fits."""


class UnknownLayer(UserError):
    """A kind of layer that a part of the program does not know: refused, never left out."""

    def __init__(self, part: str, kind: str, name: str) -> None:
        super().__init__(
            f"{part} knows no layers of the kind {kind!r}, which {name} is; build the operator "
            "from the kinds in `netspec.layers`, or teach it this one"
        )


class UnknownId(UserError):
    """No target, job, device or token has an id that begins so, or several have."""


class MissingEntries(UserError):
    """A latency table lacks operators that it was asked for, or holds them back."""

    #: canonical keys of every missing operator, sorted
    keys: tuple[str, ...]
    #: those of them that are measured, by devices that disagree
    held_back: tuple[str, ...]

    def __init__(self, target: str, keys: Sequence[str], held_back: Collection[str] = ()) -> None:
        self.keys = tuple(sorted(set(keys)))
        self.held_back = tuple(key for key in self.keys if key in held_back)
        lacking = [key for key in self.keys if key not in self.held_back]
        said = []
        if lacking:
            said.append(
                f"the table of target {target} lacks {len(lacking)} operators: "
                f"{_listing(lacking)}; profile them with `search-client profile`, or search with "
                "--profile-missing"
            )
        if self.held_back:
            said.append(str(DevicesDisagree(target, self.held_back)))
        super().__init__("; ".join(said))


class DevicesDisagree(UserError):
    """Entries are held back: devices of the target are not of one mind about them."""

    def __init__(self, target: str, names: Sequence[str]) -> None:
        super().__init__(
            f"the table of target {target} holds back {len(names)} that its devices disagree "
            f"about: {_listing(names)}; /dashboard/targets/{target}/disagreement shows what each "
            "device says: measure on one more, or take the wrong one's visits back"
        )


def _listing(keys: Sequence[str]) -> str:
    hidden = len(keys) - _SHOWN_KEYS
    return ", ".join(keys[:_SHOWN_KEYS]) + (f" and {hidden} more" if hidden > 0 else "")


class ProfilerUnreachable(UserError):
    """Nobody answers at the profiler's URL."""


class ProfilerRefused(UserError):
    """The profiler answered with a problem.

    Source of the fields: RFC 9457, Problem Details for HTTP APIs.
    """

    #: HTTP status code
    status: int
    #: stable name of the kind of problem, the last segment of its `type` URI
    kind: str

    def __init__(self, status: int, kind: str, detail: str) -> None:
        self.status = status
        self.kind = kind
        super().__init__(detail)
