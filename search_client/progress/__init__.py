"""What a run tells while it works: to whoever looks on, and to programs that keep its curves."""

from __future__ import annotations

from search_client.progress.observer import ObservedRun, Observer
from search_client.progress.stages import Advance, Stages, job_progress

__all__ = ["Advance", "ObservedRun", "Observer", "Stages", "job_progress"]
