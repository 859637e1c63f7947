"""Ids as people type them: their beginnings, with or without the word that says what they name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from netspec.errors import UnknownId

_WHOLE = re.compile(r"[a-z]+_[0-9a-f]{16}")
#: candidates that a message lists
_MOST_LISTED = 5

T = TypeVar("T")


def is_whole(text: str) -> bool:
    """Whether a text is an id such as `job_5f0c9a1b2c3d4e5f`, from its beginning to its end."""
    return _WHOLE.fullmatch(text) is not None


def the_only(
    kind: str,
    items: Sequence[T],
    beginning: str,
    listing: str,
    *,
    names: Callable[[T], Sequence[str]],
    label: Callable[[T], str] = lambda _: "",
) -> T:
    """The only item with a name that begins so, or that is so.

    Args:
        kind: what the items are, for the message.
        items: all there are.
        beginning: of a name; of an id also of what follows its word and underscore.
        listing: the command that lists them.
        names: of an item, its id first.
        label: what the message says of an item beside its id.

    Raises:
        UnknownId: none or several fit; the message lists the candidates.
    """
    called = [(item, {*names(item), names(item)[0].partition("_")[2]} - {""}) for item in items]
    whole = [item for item, its in called if beginning in its]
    if len(whole) == 1:
        return whole[0]
    fitting = [item for item, its in called if any(name.startswith(beginning) for name in its)]
    if len(fitting) == 1:
        return fitting[0]
    told = [
        names(item)[0] + (f" ({text})" if (text := label(item)) else "")
        for item in fitting or items
    ]
    hidden = len(told) - _MOST_LISTED
    shown = ", ".join(told[:_MOST_LISTED]) + (f" and {hidden} more" if hidden > 0 else "")
    if fitting:
        raise UnknownId(
            f"{len(fitting)} {kind}s begin with {beginning!r}: {shown}; type more of the id"
        )
    raise UnknownId(
        f"no {kind} begins with {beginning!r}; there are: {shown or 'none'}; `{listing}` lists all"
    )
