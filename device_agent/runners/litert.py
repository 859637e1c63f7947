"""Visits on this machine with LiteRT, each in a process of its own."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from device_agent import errors
from device_agent.runners.base import Measured
from device_agent.runners.forked_runs import ForkedRuns, raise_failure
from device_agent.runners.host_profile import read_profile
from device_agent.runners.image_runs import LiteRtImages
from device_agent.runners.orders import VisitOrder
from netspec.operators import Operator
from netspec.protocol import MeasurementProtocol
from netspec.statistics import VisitStatistics
from netspec.wire import Profile

#: what a visit may take beyond the time that its protocol asks for
SPARE_S = 60.0
#: what a visit's raw text may hold on the wire, characters
_MAX_RAW = 65_536


class LiteRtRunner:
    """Runs models in LiteRT with XNNPACK and one thread.

    Visits are forked from a process that holds the loaded runtime; it runs test images, too.

    Args:
        core: the core that visits are pinned to, None where the system cannot pin.
        spare_s: what a visit may take beyond the time that its protocol asks for, in s.
        python: the Python that holds the runtime, and numpy; by default this one.
    """

    def __init__(
        self, core: int | None, *, spare_s: float = SPARE_S, python: Path | None = None
    ) -> None:
        self._forked = ForkedRuns(python)
        self._core = core
        self._spare_s = spare_s
        #: visits that have begun, each with the operators that it profiles
        self._begun: deque[tuple[VisitOrder, Sequence[Operator]]] = deque()

    def begin(
        self,
        model: Path,
        protocol: MeasurementProtocol,
        operators: Sequence[Operator] | None = None,
        *,
        allow_partial: bool = False,
    ) -> None:
        """Begins a visit, see `Runner.begin`."""
        asked_s = (protocol.warmup_ms + protocol.measure_ms) / 1000
        order = VisitOrder(
            model=str(model.resolve()),
            core=self._core,
            warmup_ms=protocol.warmup_ms,
            measure_ms=protocol.measure_ms,
            min_runs=protocol.min_runs,
            max_runs=protocol.max_runs,
            timeout_s=self._spare_s + asked_s * (1 if operators is None else 2),
            profile=operators is not None,
            allow_partial=allow_partial,
        )
        self._forked.begin(order)
        self._begun.append((order, operators or ()))

    def finish(self) -> Measured:
        """What the visit gave, see `Runner.finish`."""
        if not self._begun:
            # Whoever breaks a stretch off closes the runner before the stretch learns of it.
            raise errors.RunnerFailed("the runner was closed before the visit was over")
        order, operators = self._begun.popleft()
        answer = self._forked.finish(order)
        assert answer is not None  # noqa: S101 (a visit is wanted to its end)
        visit = json.loads(answer["result"])
        raise_failure(visit)
        runs_ns = np.array(visit["runs_ns"], dtype=np.float64)
        profile = _profile(visit, operators)
        return Measured(
            statistics=VisitStatistics.of(runs_ns / 1000),
            raw=_raw_text(visit, answer["log"]),
            clean_share=visit["clean_share"],
            busy_share=visit["busy_share"],
            profile=profile,
        )

    def visit(
        self,
        model: Path,
        protocol: MeasurementProtocol,
        operators: Sequence[Operator] | None = None,
        *,
        allow_partial: bool = False,
    ) -> Measured:
        """One visit from its begin to its finish."""
        self.begin(model, protocol, operators, allow_partial=allow_partial)
        return self.finish()

    def images(self) -> LiteRtImages:
        """What runs test images as visits are run, from the same process."""
        return LiteRtImages(self._forked, self._core)

    def close(self) -> None:
        """Ends the fork server, and with it what has begun."""
        self._begun.clear()
        self._forked.close()


def _profile(visit: dict[str, Any], operators: Sequence[Operator]) -> Profile | None:
    """The profile of a visit; what it was made of gives way to what is kept as raw text.

    Raises:
        ProfileMismatch: the kernels are not the operators' layers.
    """
    if "profile" not in visit:
        return None
    try:
        profile, visit["profile"] = read_profile(operators, visit["profile"])
    except errors.ProfileMismatch as error:
        if not visit["order"]["allow_partial"]:
            raise
        del visit["profile"]
        visit["no_profile"] = str(error)
        return None
    return profile


def _raw_text(visit: dict[str, Any], log: str) -> str:
    """What was seen as JSON, with as many single runs as the wire has room for."""
    visit = {**visit, "log": log}
    text = json.dumps(visit, separators=(",", ":"))
    while len(text) > _MAX_RAW:
        kept = len(visit["runs_ns"]) // 2
        visit = {**visit, "runs_ns": visit["runs_ns"][:kept], "runs_ns_cut_to": kept}
        text = json.dumps(visit, separators=(",", ":"))
    return text
