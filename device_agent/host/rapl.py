"""The counters of energy of this machine's processors (RAPL), as Linux's powercap tells them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from device_agent.errors import NoSuchDevice, VisitFailed
from device_agent.measuring.energy import (
    EnergyChoice,
    RailCounters,
    Reading,
    Resolution,
    brief_protocol,
    idle_s,
    long_protocol,
    trial_protocol,
)
from device_agent.measuring.pause import pause
from device_agent.measuring.rapl_zones import RAPL_FILES, ZonesMissing, rapl_counters
from netspec.protocol import MeasurementProtocol
from netspec.wire import LEAST_WINDOW_S, EnergySubject

#: between two looks at the counters, which step every ms or so, s
_LOOK_EVERY_S = 1e-4

#: of a counter, by which it is described
_WATCHED_STEPS = 6

_log = structlog.get_logger()


@dataclass(frozen=True)
class Rapl:
    """Counters in files, one a domain."""

    counter: RailCounters
    files: tuple[Path, ...]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def read(self, patience_s: float) -> Reading:
        """The counters at their next step.

        Raises:
            VisitFailed: they made none in time, or cannot be read any more.
        """
        was, until = self._values(), self.clock() + patience_s
        while (looked := self.clock()) < until:
            self.sleep(_LOOK_EVERY_S)
            now = self._values()
            if now != was:
                # Its files are read one by one, and it may step in between.
                now, at = self._values(), self.clock()
                return Reading(at, now, at - looked)
        raise VisitFailed(f"{self.counter.meter.name} made no step within {patience_s:g} s")

    def _values(self) -> list[float]:
        try:
            return [float(file.read_text()) for file in self.files]
        except (OSError, ValueError) as error:
            raise VisitFailed(f"{self.counter.meter.name} cannot be read: {error}") from error

    def count(
        self,
        subject: EnergySubject,
        protocol: MeasurementProtocol,
        launch: Callable[[MeasurementProtocol], tuple[int, float]],
        go_on: Callable[[], bool],
    ) -> tuple[list[Reading], list[int]] | None:
        """The readings around all windows, and the runs in each; None: `go_on` said no.

        Args:
            subject: says how many windows, and how long.
            protocol: of the launches' other numbers.
            launch: makes one; the runs, and the median one, us.
            go_on: asked before each window.

        Raises:
            VisitFailed: a launch failed, or the counters did.
        """
        seconds = idle_s(subject, launch(trial_protocol(protocol))[1])
        launches = (brief_protocol(protocol), long_protocol(protocol, seconds))
        readings, runs = [self.read(subject.seconds)], list[int]()
        for window in (*[None, *launches] * subject.windows, None):
            if not go_on():
                return None
            if window is None:
                pause(seconds, go_on, clock=self.clock, sleep=self.sleep)
            runs.append(0 if window is None else launch(window)[0])
            readings.append(self.read(subject.seconds))
        return readings, runs


def find_rapl(choice: EnergyChoice, root: Path = Path("/")) -> Rapl | None:
    """The counters of this machine; None: it has none, or does not let them be read.

    Args:
        choice: what the user chose.
        root: of the file system that describes the machine.

    Raises:
        NoSuchDevice: the user chose some that are not there.
    """
    if choice.source == "off":
        return None
    try:
        return _rapl(choice, root)
    except NoSuchDevice as error:
        if choice.rails or choice.source != "auto":
            raise
        _log.debug("no energy is counted", why=str(error))
        return None


def _rapl(choice: EnergyChoice, root: Path) -> Rapl:
    if choice.source not in ("auto", "rapl"):
        raise NoSuchDevice(f"--energy {choice.source} counts nothing on this machine; it has rapl")
    paths = [path for pattern in RAPL_FILES for path in root.glob(pattern.lstrip("/"))]
    values = {f"/{path.relative_to(root)}": _text(path) for path in paths}
    try:
        counter, files = rapl_counters(choice, values)
    except ZonesMissing as error:
        raise NoSuchDevice(f"this machine has no such counters of energy ({error})") from error
    return Rapl(counter, tuple(root / file.lstrip("/") for file in files))


def describe_rapl(root: Path = Path("/")) -> str:
    """What counters this machine has and how finely they tell energy, or why there are none.

    Args:
        root: of the file system that describes the machine.
    """
    try:
        rapl = _rapl(EnergyChoice(), root)
        readings = [rapl.read(LEAST_WINDOW_S) for _ in range(_WATCHED_STEPS)]
    except (NoSuchDevice, VisitFailed) as error:
        return str(error)
    return str(Resolution.of(rapl.counter, readings))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
