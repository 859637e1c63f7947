"""What the profiles of one network say; kept, so that an upload need not read them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self

import numpy as np

from profiler_server.latency_model.design import Array
from profiler_server.latency_model.in_network import Profiled


class ProfileSample(NamedTuple):
    """What an estimate takes of the profile of an accepted visit."""

    started_at: datetime
    #: by position
    operators_us: tuple[float, ...]


#: the network's hash and the device
ProfiledBy = tuple[str, str]
ProfileSamples = dict[ProfiledBy, list[ProfileSample]]


@dataclass(frozen=True)
class ProfiledNetwork:
    """The profiles of one network's accepted visits by one device."""

    #: hash of each position's operator
    operators: tuple[str, ...]
    #: us [positions, visits], each row ascending
    operators_us: Array
    #: start of the latest visit
    measured_at: datetime

    @classmethod
    def of(cls, operators: tuple[str, ...], samples: Sequence[ProfileSample]) -> Self:
        """Of at least one sample."""
        return cls(
            operators=operators,
            operators_us=np.sort(
                np.array([sample.operators_us for sample in samples], np.float64).T
            ),
            measured_at=max(sample.started_at for sample in samples),
        )

    def joined(self, other: ProfiledNetwork) -> ProfiledNetwork:
        """The visits of both."""
        return ProfiledNetwork(
            operators=self.operators,
            operators_us=np.sort(np.concatenate((self.operators_us, other.operators_us), axis=1)),
            measured_at=max(self.measured_at, other.measured_at),
        )


@dataclass(frozen=True)
class PositionEstimates:
    """What a device's profiles of a network say of its positions, without the visits."""

    device_id: str
    profiled: Profiled
    measured_at: datetime
