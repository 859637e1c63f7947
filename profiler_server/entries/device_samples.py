"""A device's part of an entry: the samples of its accepted visits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from profiler_server.kit.sql.bulk import Row

_STORED = np.dtype("<f8")
#: what is kept of a visit's launch, in the order of rows
LAUNCH_COLUMNS = ("load_ms", "first_inference_ms", "peak_memory_bytes")


class Sample(NamedTuple):
    """What an entry takes of an accepted visit."""

    #: 5th percentile of the visit's runs, us
    p5_us: float
    started_at: datetime
    #: None where the runner did not say
    load_ms: float | None = None
    first_inference_ms: float | None = None
    peak_memory_bytes: int | None = None


#: by subject hash and device
Samples = dict[str, dict[str, list[Sample]]]


@dataclass(frozen=True)
class DeviceSamples:
    """The samples of one device's accepted visits of one subject."""

    #: ascending, shape [visits]
    p5_us: npt.NDArray[np.float64]
    #: start of the latest visit
    measured_at: datetime
    #: `LAUNCH_COLUMNS` of the visits, [3, visits], each row ascending, NaN where one does not say
    launches: npt.NDArray[np.float64]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Self:
        """The samples, of which there is at least one."""
        values, starts, *launches = zip(*samples, strict=True)
        # None becomes NaN, which is sorted to the end.
        said = np.sort(np.array(launches, dtype=np.float64), axis=1)
        return cls(np.sort(np.array(values, dtype=np.float64)), max(starts), said)

    @classmethod
    def load(cls, p5_us: bytes, launches: bytes | None, measured_at: datetime) -> Self:
        """Read the samples from their stored form."""
        values = np.frombuffer(p5_us, dtype=_STORED)
        if launches is None:
            said = np.full((len(LAUNCH_COLUMNS), len(values)), np.nan)
        else:
            said = np.frombuffer(launches, dtype=_STORED).reshape(len(LAUNCH_COLUMNS), len(values))
        return cls(values, measured_at, said)

    def dump(self) -> Row:
        """The stored form, by column: little-endian float64."""
        return {
            "p5_us": self.p5_us.astype(_STORED).tobytes(),
            "launches": self.launches.astype(_STORED).tobytes(),
        }

    @property
    def visits(self) -> int:
        """How many samples there are."""
        return len(self.p5_us)

    def joined(self, other: DeviceSamples) -> DeviceSamples:
        """The samples of both."""
        return DeviceSamples(
            np.sort(np.concatenate((self.p5_us, other.p5_us))),
            max(self.measured_at, other.measured_at),
            np.sort(np.concatenate((self.launches, other.launches), axis=1), axis=1),
        )


def typical_launch(devices: Iterable[DeviceSamples]) -> Row:
    """Medians of `LAUNCH_COLUMNS` over the visits of devices; None where no visit says so."""
    launches = np.sort(np.concatenate([one.launches for one in devices], axis=1), axis=1)
    known = launches.shape[1] - np.isnan(launches).sum(axis=1)
    medians = [
        float(row[(count - 1) // 2] + row[count // 2]) / 2 if count else None
        for row, count in zip(launches, known.tolist(), strict=True)
    ]
    load_ms, first_inference_ms, peak = medians
    return {
        "load_ms": load_ms,
        "first_inference_ms": first_inference_ms,
        "peak_memory_bytes": None if peak is None else round(peak),
    }
