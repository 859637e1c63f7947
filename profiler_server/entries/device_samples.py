"""A device's part of an entry: the samples of its accepted visits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

_STORED = np.dtype("<f8")


class Sample(NamedTuple):
    """What an estimate takes of an accepted visit."""

    #: 5th percentile of the visit's runs, us
    p5_us: float
    started_at: datetime


#: by subject hash and device
Samples = dict[str, dict[str, list[Sample]]]


@dataclass(frozen=True)
class DeviceSamples:
    """The samples of one device's accepted visits of one subject."""

    #: ascending, shape [visits]
    p5_us: npt.NDArray[np.float64]
    #: start of the latest visit
    measured_at: datetime

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Self:
        """The samples, of which there is at least one."""
        values, starts = zip(*samples, strict=True)
        return cls(np.sort(np.array(values, dtype=np.float64)), max(starts))

    @classmethod
    def load(cls, stored: bytes, measured_at: datetime) -> Self:
        """Read the samples from their stored form."""
        return cls(np.frombuffer(stored, dtype=_STORED), measured_at)

    def dump(self) -> bytes:
        """The stored form: little-endian float64."""
        return self.p5_us.astype(_STORED).tobytes()

    @property
    def visits(self) -> int:
        """How many samples there are."""
        return len(self.p5_us)

    def joined(self, other: DeviceSamples) -> DeviceSamples:
        """The samples of both."""
        p5_us = np.sort(np.concatenate((self.p5_us, other.p5_us)))
        return DeviceSamples(p5_us, max(self.measured_at, other.measured_at))
