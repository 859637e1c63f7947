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

    device_id: str
    started_at: datetime
    #: by position
    operators_us: tuple[float, ...]


#: by the network's hash
ProfileSamples = dict[str, list[ProfileSample]]


@dataclass(frozen=True)
class ProfiledNetwork:
    """The profiles of one network's accepted visits on one target."""

    #: hash of each position's operator
    operators: tuple[str, ...]
    #: us [positions, visits], each row ascending
    operators_us: Array
    devices: frozenset[str]
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
            devices=frozenset(sample.device_id for sample in samples),
            measured_at=max(sample.started_at for sample in samples),
        )

    def joined(self, other: ProfiledNetwork) -> ProfiledNetwork:
        """The visits of both."""
        return ProfiledNetwork(
            operators=self.operators,
            operators_us=np.sort(np.concatenate((self.operators_us, other.operators_us), axis=1)),
            devices=self.devices | other.devices,
            measured_at=max(self.measured_at, other.measured_at),
        )


@dataclass(frozen=True)
class PositionEstimates:
    """What a network's profiles say of its positions, without the visits."""

    profiled: Profiled
    devices: frozenset[str]
    measured_at: datetime
