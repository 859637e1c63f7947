"""A device's part of an entry: the samples of its accepted visits."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from profiler_server.kit.sql.bulk import Row

_STORED = np.dtype("<f8")
#: what is kept of how a visit's runs are spread, us, in the order of rows
SPREAD_COLUMNS = ("median_us", "p95_us", "std_us")
#: what is kept of a visit's launch, in the order of rows
LAUNCH_COLUMNS = ("load_ms", "first_inference_ms", "peak_memory_bytes")
#: what an entry has as medians over visits
TYPICAL_COLUMNS = ("median_ms", "p95_ms", "std_ms", *LAUNCH_COLUMNS)


class Sample(NamedTuple):
    """What an entry takes of an accepted visit."""

    #: 5th percentile of the visit's runs, us
    p5_us: float
    started_at: datetime
    median_us: float
    p95_us: float
    std_us: float
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
    #: `SPREAD_COLUMNS` of the visits, [3, visits], each row ascending, NaN where a version stored
    #: them that did not keep this
    spreads_us: npt.NDArray[np.float64]
    #: `LAUNCH_COLUMNS` of the visits, [3, visits], each row ascending, NaN where one does not say
    launches: npt.NDArray[np.float64]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Self:
        """The samples, of which there is at least one."""
        values, starts, *others = zip(*samples, strict=True)
        # None becomes NaN, which is sorted to the end.
        said = np.sort(np.array(others, dtype=np.float64), axis=1)
        spreads_us, launches = np.split(said, [len(SPREAD_COLUMNS)])
        return cls(np.sort(np.array(values, dtype=np.float64)), max(starts), spreads_us, launches)

    @classmethod
    def load(
        cls,
        p5_us: bytes,
        spreads_us: bytes | None,
        launches: bytes | None,
        measured_at: datetime,
    ) -> Self:
        """Read the samples from their stored form."""
        values = np.frombuffer(p5_us, dtype=_STORED)
        return cls(
            values,
            measured_at,
            _rows(spreads_us, len(SPREAD_COLUMNS), len(values)),
            _rows(launches, len(LAUNCH_COLUMNS), len(values)),
        )

    def dump(self) -> Row:
        """The stored form, by column: little-endian float64."""
        return {
            "p5_us": self.p5_us.astype(_STORED).tobytes(),
            "spreads_us": self.spreads_us.astype(_STORED).tobytes(),
            "launches": self.launches.astype(_STORED).tobytes(),
        }

    @property
    def visits(self) -> int:
        """How many samples there are."""
        return len(self.p5_us)

    @property
    def tells_spreads(self) -> bool:
        """Whether all of its visits say how their runs are spread."""
        return not np.isnan(self.spreads_us).any()

    def joined(self, other: DeviceSamples) -> DeviceSamples:
        """The samples of both."""
        return DeviceSamples(
            np.sort(np.concatenate((self.p5_us, other.p5_us))),
            max(self.measured_at, other.measured_at),
            np.sort(np.concatenate((self.spreads_us, other.spreads_us), axis=1), axis=1),
            np.sort(np.concatenate((self.launches, other.launches), axis=1), axis=1),
        )


def typical(devices: Collection[DeviceSamples]) -> Row:
    """`TYPICAL_COLUMNS`: medians over the visits of devices; None where no visit says so."""
    spreads_us = _medians(np.concatenate([one.spreads_us for one in devices], axis=1))
    spreads_ms = (None if one is None else one / 1000 for one in spreads_us)
    *times, peak = _medians(np.concatenate([one.launches for one in devices], axis=1))
    values = (*spreads_ms, *times, None if peak is None else round(peak))
    return dict(zip(TYPICAL_COLUMNS, values, strict=True))


def _medians(rows: npt.NDArray[np.float64]) -> list[float | None]:
    """Of each row, without NaN; None of a row without anything else."""
    ordered = np.sort(rows, axis=1)
    known = ordered.shape[1] - np.isnan(ordered).sum(axis=1)
    return [
        float(row[(count - 1) // 2] + row[count // 2]) / 2 if count else None
        for row, count in zip(ordered, known.tolist(), strict=True)
    ]


def _rows(stored: bytes | None, rows: int, visits: int) -> npt.NDArray[np.float64]:
    if stored is None:
        return np.full((rows, visits), np.nan)
    return np.frombuffer(stored, dtype=_STORED).reshape(rows, visits)
