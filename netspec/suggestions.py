"""What somebody may have meant who misspelt a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST_LISTED = 20


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown word: the likeliest words, else all there are.

    >>> did_you_mean("joint_epoch", ["joint_epochs", "warmup_epochs"])
    "did you mean 'joint_epochs'?"
    >>> did_you_mean("colour", ["seed", "space"])
    'expected one of: seed, space'
    """
    known = sorted(words)
    if close := difflib.get_close_matches(word, known, n=2):
        return f"did you mean {' or '.join(map(repr, close))}?"
    more = ", ..." if len(known) > _MOST_LISTED else ""
    return f"expected one of: {', '.join(known[:_MOST_LISTED])}{more}"
