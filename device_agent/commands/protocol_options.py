"""The measurement protocol that a user asks for: a file, and single numbers over it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from netspec.errors import UserError
from netspec.protocol import MeasurementProtocol, steady
from netspec.validation import first_problem

ProtocolFile = Annotated[
    Path | None,
    typer.Option(help="Measurement protocol as JSON; part of the target.", show_default=False),
]
Runs = Annotated[
    int | None,
    typer.Option(
        help="Counted runs of a visit, at least; part of the target.",
        show_default=False,
        min=1,
        max=10_000,
    ),
]
WarmupMs = Annotated[
    float | None,
    typer.Option(
        help="Warm-up of a visit, at least, in ms; part of the target.",
        show_default=False,
        min=0,
        max=10_000,
    ),
]

Steady = Annotated[
    float | None,
    typer.Option(
        help="Measure in the steady state, warm of so many minutes of work; part of the target.",
        show_default=False,
        min=1,
        max=60,
        metavar="MINUTES",
    ),
]


@dataclass(frozen=True)
class ProtocolOptions:
    """What was given on the command line."""

    file: Path | None = None
    runs: int | None = None
    warmup_ms: float | None = None
    #: minutes of work before the first visit
    steady: float | None = None

    def chosen(self, default: MeasurementProtocol) -> MeasurementProtocol:
        """The protocol.

        Args:
            default: where no file is given.

        Raises:
            UserError: there is no such file, or it is no protocol.
        """
        protocol = default if self.file is None else read_protocol(self.file)
        if self.runs is not None:
            most = max(protocol.max_runs, self.runs)
            protocol = protocol.model_copy(update={"min_runs": self.runs, "max_runs": most})
        if self.warmup_ms is not None:
            protocol = protocol.model_copy(update={"warmup_ms": self.warmup_ms})
        return protocol if self.steady is None else steady(protocol, self.steady)

    def arguments(self) -> list[str]:
        """The same for another process."""
        file = None if self.file is None else self.file.resolve()
        given = {
            "--protocol": file,
            "--runs": self.runs,
            "--warmup-ms": self.warmup_ms,
            "--steady": self.steady,
        }
        known = {name: value for name, value in given.items() if value is not None}
        return [part for name, value in known.items() for part in (name, str(value))]


def read_protocol(path: Path) -> MeasurementProtocol:
    """A protocol from a JSON file.

    Raises:
        UserError: there is no such file, or it is no protocol.
    """
    try:
        return MeasurementProtocol.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"the protocol {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise UserError(
            f"{path} is no measurement protocol: {first_problem(error, MeasurementProtocol)}"
        ) from error
