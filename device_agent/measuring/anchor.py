"""The anchor: an operator of known speed that tells whether the device is still itself."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from netspec.protocol import Anchor

#: anchors that the reference is taken of: enough to outlive a lucky one, few enough to follow
#: a device that an update made slower
WINDOW = 20
#: of the window, ascending: the reference
_RANK = 1

State = Literal["good", "slow", "quarantine"]


@dataclass(frozen=True)
class Verdict:
    """What one visit of the anchor says."""

    state: State
    #: its time over its reference
    ratio: float


class AnchorWatch:
    """Judges the visits of the anchor on one target.

    The reference is the second fastest of the last `WINDOW` visits, so one lucky visit does not
    make all others slow.

    Args:
        rules: the protocol's.
        path: where the last visits are kept between runs of the agent, None to forget them.
    """

    def __init__(self, rules: Anchor, path: Path | None = None) -> None:
        self._rules = rules
        self._path = path
        self._seen_us: list[float] = _load(path)
        self._bad = 0

    def judge(self, p5_us: float) -> Verdict:
        """The verdict on one visit, given the 5th percentile of its runs in us."""
        ratio = p5_us / reference([*self._seen_us, p5_us])
        self._seen_us = [*self._seen_us, p5_us][-WINDOW:]
        self._save()
        limit = self._rules.quarantine_ratio
        self._bad = self._bad + 1 if limit is not None and ratio > limit else 0
        if self._bad > 1:
            self._bad = 0
            return Verdict("quarantine", ratio)
        return Verdict("slow" if ratio > self._rules.slow_ratio else "good", ratio)

    def _save(self) -> None:
        if self._path is not None:
            partial = self._path.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(json.dumps(self._seen_us), encoding="ascii")
            partial.replace(self._path)


def reference(seen_us: Sequence[float]) -> float:
    """The second smallest of the times, or the only one."""
    return sorted(seen_us)[min(_RANK, len(seen_us) - 1)]


def _load(path: Path | None) -> list[float]:
    if path is None or not path.exists():
        return []
    try:
        return [float(value) for value in json.loads(path.read_text(encoding="ascii"))]
    except ValueError:
        return []  # a power cut may leave the file empty
