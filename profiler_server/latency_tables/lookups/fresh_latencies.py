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
    """The answers to look-ups that were fresh entries, by target and operator."""

    def __init__(self) -> None:
        self._latencies: BriefCache[tuple[str, Operator], LookedUpLatency] = BriefCache(
            KNOWN_S, _MOST_ENTRIES
        )

    def known(
        self, target_id: str, operators: Sequence[Operator]
    ) -> dict[Operator, LookedUpLatency]:
        """Return what was found a moment ago of those of the operators that are known."""
        found = ((operator, self._latencies.get((target_id, operator))) for operator in operators)
        return {operator: latency for operator, latency in found if latency is not None}

    def learn(self, target_id: str, latencies: dict[Operator, LookedUpLatency]) -> None:
        """Keep those of the latencies that the database has just called fresh entries."""
        for operator, latency in latencies.items():
            if latency.state == "hit":
                self._latencies.put((target_id, operator), latency)
