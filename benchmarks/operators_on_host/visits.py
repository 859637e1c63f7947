"""Interleaved visits of files on this host, by the agent's own runner, in a given time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from device_agent.errors import DelegateRefused, VisitFailed
from device_agent.host.device import LocalDevice
from device_agent.host.identity import host_device, leave_core
from device_agent.measuring.acceptance import rejection
from device_agent.measuring.device import VisitRequest
from device_agent.measuring.rounds import interleaved_rounds
from device_agent.runners.base import Measured
from netspec.operators import Operator
from netspec.protocol import MeasurementProtocol
from netspec.statistics import Estimate, VisitStatistics, estimate
from netspec.tflite import encode
from netspec.wire import NetworkSubject, OperatorSubject
from profiler_server.latency_model.design import Array, Priced

#: short: many visits beat long ones
PROTOCOL = MeasurementProtocol(warmup_ms=2, measure_ms=6, min_runs=2)

#: what is encoded by seeded weights, beside files that are there
Encoded = OperatorSubject | NetworkSubject


@dataclass
class Host:
    """This machine, with what its visits have said so far, by name.

    Files lie in `folder` while it is open.
    """

    folder: Path
    device: LocalDevice = field(default_factory=lambda: host_device(PROTOCOL))
    statistics: dict[str, list[VisitStatistics]] = field(default_factory=lambda: defaultdict(list))
    #: visits that others on the machine disturbed
    disturbed: dict[str, list[VisitStatistics]] = field(default_factory=lambda: defaultdict(list))
    #: names of what the delegate does not run as a whole, with its reason
    refused: dict[str, str] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)

    def __enter__(self) -> Self:
        leave_core(self.device.core)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.device.close()

    def add_file(self, name: str, file: Path) -> None:
        """Name a file that is there."""
        self._files[name] = file

    def add(self, subjects: Iterable[Encoded]) -> list[str]:
        """Write files of operators and networks; the names to visit them by."""
        names = []
        for subject in subjects:
            name = subject.content_hash
            names.append(name)
            if name in self._files:
                continue
            operators = (
                (subject.operator,)
                if isinstance(subject, OperatorSubject)
                else subject.network.operators
            )
            self._files[name] = self.folder / f"{name}.tflite"
            self._files[name].write_bytes(encode(operators))
        return names

    def visit(self, wanted: Mapping[str, int], limit_s: float, seed: int = 0) -> None:
        """Visits in shuffled rounds, as many as the time allows.

        Args:
            wanted: visits by name.
            limit_s: no round begins later than this, but what was never visited is once.
            seed: of the order.
        """
        end = time.monotonic() + limit_s
        seen = {*self.statistics, *self.disturbed, *self.refused}
        first = {name: 1 for name in wanted if name not in seen}
        rest = {name: count - (name in first) for name, count in wanted.items()}
        for names in interleaved_rounds(first, seed):
            self._round(names)
        for names in interleaved_rounds({n: c for n, c in rest.items() if c}, seed + 1):
            if time.monotonic() > end:
                return
            self._round([name for name in names if name not in self.refused])

    def _round(self, names: Sequence[str]) -> None:
        requests = [VisitRequest(self._files[name]) for name in names]
        for result in self.device.visits(requests, lambda: True, lambda _: True):
            name, outcome = names[result.index], result.outcome
            if isinstance(outcome, DelegateRefused):
                self.refused[name] = str(outcome)
            elif isinstance(outcome, Measured):
                why = rejection(outcome.statistics, outcome.clean_share, PROTOCOL.acceptance)
                (self.disturbed if why else self.statistics)[name].append(outcome.statistics)
            elif isinstance(outcome, VisitFailed):
                raise outcome

    def profiles(self, name: str, operators: Sequence[Operator], visits: int) -> Array:
        """What each operator takes inside a network, us [operators, visits], each row ascending.

        Args:
            name: of the network.
            operators: what it is made of, whole or layer by layer.
            visits: that many, one after the other.

        Raises:
            VisitFailed: the runtime did not run these operators one after the other.
        """
        requests = [VisitRequest(self._files[name], operators=operators)] * visits
        found = []
        for result in self.device.visits(requests, lambda: True, lambda _: True):
            if isinstance(result.outcome, VisitFailed):
                raise result.outcome
            if result.outcome.profile is not None:
                found.append(result.outcome.profile.operators_us)
        return np.sort(np.array(found).T)

    def estimate(self, name: str) -> Estimate | None:
        """What the visits of a name say; disturbed ones where there are no others."""
        visits = self.statistics.get(name) or self.disturbed.get(name)
        return estimate(visits) if visits else None

    def priced(self, name: str) -> Priced | None:
        """The same with its relative error."""
        found = self.estimate(name)
        if found is None:
            return None
        return Priced.of_entry(found.value_ms, found.low_ms, found.high_ms, found.visits)

    @property
    def disturbed_share(self) -> float:
        """Share of the visits that others on the machine disturbed."""
        disturbed = sum(map(len, self.disturbed.values()))
        return disturbed / max(1, disturbed + sum(map(len, self.statistics.values())))
