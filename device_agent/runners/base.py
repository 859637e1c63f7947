"""What the agent asks of a runner on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from netspec.layers import Float32Array
from netspec.operators import Operator
from netspec.protocol import MeasurementProtocol
from netspec.statistics import VisitStatistics
from netspec.wire import Profile


@dataclass(frozen=True)
class Measured:
    """What one visit saw."""

    statistics: VisitStatistics
    #: what the runner printed
    raw: str
    #: share of the runs that had the core to themselves, None where nobody knows
    clean_share: float | None = None
    #: share of the runs' time that others had the core, None where nobody knows
    busy_share: float | None = None
    #: of the model's operators, where it was asked for
    profile: Profile | None = None


@dataclass(frozen=True)
class ImageOutputs:
    """What a model gave for some images."""

    #: real values [images, numbers], also of a quantized output; of several outputs one after the
    #: other
    logits: Float32Array
    #: time to load the model, ms; None where the runner does not say
    load_ms: float | None
    #: greatest memory that model and runs took beyond the program that ran them, MiB; None where
    #: the runner does not say
    peak_memory_mib: float | None


class Runner(Protocol):
    """Makes visits of `.tflite` files on this machine, one at a time.

    One may begin before the one before it was finished: it is made when that one is over.
    """

    def begin(
        self,
        model: Path,
        protocol: MeasurementProtocol,
        operators: Sequence[Operator] | None = None,
        *,
        allow_partial: bool = False,
    ) -> None:
        """Launches the model once, in a fresh process, and lets it measure its runs.

        Args:
            model: the file, on the agent's machine.
            protocol: how long to warm up and to measure.
            operators: of the model, where the visit shall carry a profile of them.
            allow_partial: whether the delegate may leave operators to other kernels.

        Raises:
            VisitFailed: it could not be launched.
            DeviceNotReady: nothing can be measured now.
        """

    def finish(self) -> Measured:
        """Waits for the first visit that was begun and not finished.

        Raises:
            VisitFailed: there is no number; its text says why.
        """

    def close(self) -> None:
        """Ends what the runner left running."""
