"""How well measurements repeat: what the same subject gave in one session and in the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Repeatability:
    """Figures over subjects that were measured in several sessions."""

    #: with at least two sessions
    subjects: int
    #: values of these subjects, one a session
    values: int
    #: median over subjects of a subject's coefficient of variation over its sessions, 0 to 1
    entry_cv_median: float
    #: |next - one| over the mean of both, of all consecutive sessions of all subjects, percent
    consecutive_median_percent: float
    consecutive_p90_percent: float


def repeatability(histories: Iterable[Sequence[float]]) -> Repeatability | None:
    """The figures of subjects' latencies; None where none has two sessions above 0.

    Args:
        histories: of each subject, its latency in each of its sessions, in the order of time; any
            unit. What has no latency above 0 is left out.
    """
    values = [np.array([one for one in history if one > 0]) for history in histories]
    repeated = [own for own in values if len(own) > 1]
    if not repeated:
        return None
    differences = np.concatenate(
        [200 * np.abs(np.diff(own)) / (own[1:] + own[:-1]) for own in repeated]
    )
    median, p90 = np.percentile(differences, (50, 90)).tolist()
    variations = [own.std(ddof=1) / own.mean() for own in repeated]
    return Repeatability(
        subjects=len(repeated),
        values=sum(map(len, repeated)),
        entry_cv_median=float(np.median(variations)),
        consecutive_median_percent=median,
        consecutive_p90_percent=p90,
    )
