"""Fresh entries that a process has just found.

A search asks for the same operators again and again. What was missing or stale is asked of the
database each time, so that a client whose job has just ended finds its entries on any server.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.operators import Operator
from netspec.wire import LookedUpLatency
from profiler_server.kit.http.caching import BriefCache

#: for so long (s) a process does not hear of visits that change a fresh entry's value
KNOWN_S = 5.0
#: entries of all targets; one takes about two kilobytes
_MOST_ENTRIES = 8_192


class FreshLatencies:
    """The answers to look-ups that were fresh entries, as JSON, by target and operator."""

    def __init__(self) -> None:
        self._latencies: BriefCache[tuple[str, Operator], bytes] = BriefCache(
            KNOWN_S, _MOST_ENTRIES
        )

    def known(self, target_id: str, operators: Sequence[Operator]) -> list[bytes | None]:
        """What was found a moment ago of each operator; None: nothing was."""
        return [self._latencies.get((target_id, operator)) for operator in operators]

    def learn(
        self, target_id: str, operators: Sequence[Operator], found: Sequence[LookedUpLatency]
    ) -> list[bytes]:
        """What the database has just said of each operator, as JSON; keeps what is fresh."""
        documents = [latency.model_dump_json().encode() for latency in found]
        for operator, latency, document in zip(operators, found, documents, strict=True):
            if latency.state == "hit":
                self._latencies.put((target_id, operator), document)
        return documents
