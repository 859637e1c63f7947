"""What is told of a run's search, trainings and finetunings, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Observer(Protocol):
    """Is told how a run goes on, ten times a second at most."""

    def __call__(self, part: str, step: int, values: Mapping[str, float], /) -> None:
        """After so many steps of a part, such as `search` or `train/NETWORK`, it has these values.

        Steps of a part only grow, and each part counts its own.
        """


@dataclass(frozen=True)
class ObservedRun:
    """What an observer knows of a run before it begins."""

    #: of its files
    folder: Path
    #: what runs: `search`, `train` or `quantize`
    command: str
    #: as in `run.json`, tables within tables
    settings: Mapping[str, Any]
