"""Heartbeats that a test gives when it wants to, in the place of every 30 s."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest


def beats_by_hand(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[Callable[[], None]]:
    """Replace `heartbeat` in a module; the list gets what each one would call."""
    beats: list[Callable[[], None]] = []

    @contextmanager
    def by_hand(beat: Callable[[], None]) -> Iterator[None]:
        beats.append(beat)
        yield

    monkeypatch.setattr(module, "heartbeat", by_hand)
    return beats
