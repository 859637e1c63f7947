"""Ids as people type them: their beginnings, with or without the word that says what they name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

from netspec.client.errors import UnknownId

_WHOLE = re.compile(r"[a-z]+_[0-9a-f]{16}")
#: candidates that a message lists
_MOST_LISTED = 5


class Named(Protocol):
    """What has an id such as `job_5f0c9a1b2c3d4e5f`."""

    @property
    def id(self) -> str:
        """Tells it from all others."""


T = TypeVar("T", bound=Named)


def is_whole(text: str) -> bool:
    """Whether a text is an id from its beginning to its end."""
    return _WHOLE.fullmatch(text) is not None


def the_only(kind: str, items: Sequence[T], beginning: str, listing: str) -> T:
    """The only item whose id begins so.

    Args:
        kind: what the items are, for the message.
        items: all there are.
        beginning: of an id, or of what follows its first word and underscore.
        listing: the command that lists them.

    Raises:
        UnknownId: none or several fit.
    """
    fitting = [
        item
        for item in items
        if item.id.startswith(beginning) or item.id.partition("_")[2].startswith(beginning)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise UnknownId(f"no {kind} begins with {beginning!r}; `{listing}` lists all")
    shown = ", ".join(item.id for item in fitting[:_MOST_LISTED])
    more = ", ..." if len(fitting) > _MOST_LISTED else ""
    raise UnknownId(
        f"{len(fitting)} {kind}s begin with {beginning!r}: {shown}{more}; type more of the id"
    )
