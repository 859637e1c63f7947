"""In which order a batch is visited: shuffled, interleaved rounds.

Many short visits spread over time repeat better than one long one, and a fresh shuffle
each round keeps two tasks from always warming each other's caches.
"""

from __future__ import annotations

import random
from collections.abc import Mapping


def interleaved_rounds(visits: Mapping[str, int], seed: int | str) -> list[list[str]]:
    """The task ids of each round.

    There are as many rounds as the neediest task wants visits. A task that wants fewer has them
    spread evenly, from a random first round on, and no task comes twice in a round.

    Args:
        visits: visits still wanted, by task id.
        seed: the same seed and visits give the same rounds.
    """
    rng = random.Random(seed)  # noqa: S311 (an order, no secret)
    total = max(visits.values(), default=0)
    rounds: list[list[str]] = [[] for _ in range(total)]
    for task_id in sorted(visits):
        wanted = visits[task_id]
        offset = rng.randrange(total) if total else 0
        for visit in range(wanted):
            rounds[(visit * total + offset) // wanted].append(task_id)
    for tasks in rounds:
        rng.shuffle(tasks)
    return rounds
