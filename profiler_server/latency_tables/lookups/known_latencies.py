"""Look-ups answered from what a process has just found.

A search asks for the same operators again and again, and reading the question takes longer than
answering it. So a question is cut between its operators, and each operator's JSON, byte by byte
as it was read before, leads to the item of the answer. Only fresh entries are kept: what was
missing or stale is asked of the database until it has been measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import repeat

from netspec.wire import MAX_LOOKED_UP
from profiler_server.kit.http.caching import BriefCache

#: for so long (s) a process does not hear of visits that change a fresh entry's value
KNOWN_S = 5.0
#: kept items of answers; one takes about a kilobyte
_MOST_ITEMS = 8_192

#: as every client of ours writes it; others are read by the model
_QUESTION = re.compile(rb'\{"target_id":"([0-9a-f]{16})","operators":\[\{(.*)\}\]\}', re.DOTALL)
_BETWEEN = b"},{"

Items = dict[bytes, bytes]


class Question:
    """A question whose operators were not read yet."""

    def __init__(self, target_id: str, operators: Sequence[bytes]) -> None:
        self.target_id = target_id
        #: JSON of each operator, without its braces
        self.operators = operators

    @classmethod
    def of(cls, body: bytes) -> Question | None:
        """A question in the form that is known; None for any other body."""
        found = _QUESTION.fullmatch(body)
        if found is None:
            return None
        # No value of an operator holds the text between two of them. If one ever did, there were
        # more pieces than operators, and `KnownLatencies.learn` keeps none of those.
        return cls(found[1].decode(), found[2].split(_BETWEEN))

    def part(self, positions: Sequence[int]) -> Question:
        """The question for some of the operators."""
        return Question(self.target_id, [self.operators[position] for position in positions])

    def to_json(self) -> bytes:
        """As it was asked."""
        operators = _BETWEEN.join(self.operators)
        return b'{"target_id":"%s","operators":[{%s}]}' % (self.target_id.encode(), operators)


class KnownLatencies:
    """The fresh entries that were found a moment ago, as items of an answer."""

    def __init__(self) -> None:
        #: by target
        self._items: BriefCache[str, Items] = BriefCache(KNOWN_S)
        self._learnt = 0

    def items(self, question: Question) -> list[bytes]:
        """The answer's item for each operator, empty for one that is not known.

        Empty altogether where none is known, or the question asks for too many.
        """
        items = self._items.get(question.target_id)
        if items is None or len(question.operators) > MAX_LOOKED_UP:
            return []
        found = list(map(items.get, question.operators, repeat(b"")))
        return found if any(found) else []

    def learn(self, question: Question, fresh: Sequence[bytes | None]) -> None:
        """Keeps what the database has just said.

        Args:
            question: what was asked.
            fresh: for each operator its item of the answer, None where it is no fresh entry.
        """
        if len(question.operators) != len(fresh):
            return
        self._learnt += len(fresh)
        if self._learnt > _MOST_ITEMS:
            self._items, self._learnt = BriefCache(KNOWN_S), len(fresh)
        items = self._items.get(question.target_id)
        if items is None:
            items = {}
            self._items.put(question.target_id, items)
        items.update(
            (operator, item)
            for operator, item in zip(question.operators, fresh, strict=True)
            if item is not None
        )


def to_json(target_id: str, items: Sequence[bytes]) -> bytes:
    """The JSON of `LookedUpLatencies` out of that of its items."""
    return b'{"target_id":"%s","latencies":[%s]}' % (target_id.encode(), b",".join(items))
