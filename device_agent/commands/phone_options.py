"""The phones and boards that a user asks for, the ways to them, and what runs models there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from device_agent.benchmark_model.program import Program, read_program, with_libraries
from device_agent.commands.runner import store
from device_agent.cores.numbers import core_list, parse_core_list
from device_agent.errors import DeviceNotReady, PhoneUnusable
from device_agent.measuring.device import MeasuringDevice
from device_agent.measuring.energy import EnergyChoice
from device_agent.processes.lock import phone_lock
from device_agent.transports.base import PhoneRoute, PhoneWay, Way
from netspec.errors import UserError
from netspec.protocol import Delegate, MeasurementProtocol

#: `--phone` for all that are plugged in
ALL = "all"


def whole_serials(phones: Sequence[str], way: PhoneWay | None) -> list[str]:
    """The phones that were named, those plugged in by the whole of their serial numbers.

    Raises:
        UnknownId: the serial numbers of several phones begin as one was named.
    """
    # Only those who have phones need what reaches them.
    from device_agent.phones.discovery import whole_serial  # noqa: PLC0415

    return [one if one == ALL else whole_serial(one, way) for one in phones]


def core_list_or_none(text: str | None) -> str | None:
    """A list of cores, in the one way to write it.

    Raises:
        UserError: it is none.
    """
    if text is None:
        return None
    try:
        cores = parse_core_list(text)
    except ValueError:
        cores = frozenset()
    if not cores:
        raise UserError(f"--cores {text} is no list of cores; write 4-7 or 4,5,6,7")
    return core_list(cores)


@dataclass(frozen=True)
class PhoneOptions:
    """What was given on the command line."""

    #: serial numbers, `HOST:PORT`, `ALL`
    phones: Sequence[str]
    #: to the phones
    way: PhoneWay | None
    runner: Path | None
    runner_version: str
    libraries: Sequence[Path]
    lock: Path | None
    delegate: Delegate
    threads: int
    #: to pin to, such as `4-7`; None: the fastest
    cores: str | None = None
    #: further ones of the runner, as `NAME=VALUE`
    flags: Sequence[str] = ()
    energy: EnergyChoice = field(default_factory=EnergyChoice)
    #: `USER@HOST`, or names of `~/.ssh/config`
    boards: Sequence[str] = ()

    @property
    def only(self) -> str | None:
        """The one phone or board that is named; None: there may be several."""
        named = [*self.phones, *self.boards]
        return named[0] if len(named) == 1 and named[0] != ALL else None

    @contextmanager
    def connected(
        self, serial: str, protocol: MeasurementProtocol, folder: Path
    ) -> Iterator[MeasuringDevice]:
        """One phone or board, ready to be measured, and nobody else's meanwhile.

        Raises:
            PhoneUnusable: it cannot be measured now.
            AgentAlreadyRuns: another agent measures on it, maybe under another name.
        """
        # Only those who have phones need what reaches them.
        from device_agent.phones.connect import phone_properties, reach  # noqa: PLC0415
        from device_agent.phones.phone import Phone  # noqa: PLC0415
        from device_agent.phones.probe import Choice  # noqa: PLC0415

        with ExitStack() as held:
            try:
                transport = reach(serial, self._way_to(serial), folder)
                properties = phone_properties(transport)
                held.enter_context(phone_lock(folder, properties.number))
                choice = Choice(
                    self._program(properties.abis),
                    self.delegate,
                    self.threads,
                    self.cores,
                    tuple(self.flags),
                    self.energy,
                )
                phone = Phone(transport, choice, protocol)
            except DeviceNotReady as error:
                raise PhoneUnusable(str(error)) from error
            yield phone

    def _way_to(self, serial: str) -> Way | None:
        return "ssh" if serial in self.boards else self.way

    def _program(self, abis: tuple[str, ...]) -> Program:
        if self.runner is not None:
            program = read_program(self.runner, self.runner_version)
        else:
            program = store(self.lock).fetched(abis, self.delegate)
        return with_libraries(program, self.libraries)

    def seen(self) -> Callable[[], list[PhoneRoute]]:
        """Looks for those named, and for those plugged in where all are wanted."""
        from device_agent.phones.connect import way_to  # noqa: PLC0415
        from device_agent.phones.discovery import PluggedPhones  # noqa: PLC0415

        named = [
            PhoneRoute(phone, self.way or way_to(phone)) for phone in self.phones if phone != ALL
        ]
        named += [PhoneRoute(board, "ssh") for board in self.boards]
        plugged_in = PluggedPhones(self.way)
        return lambda: named + (plugged_in() if ALL in self.phones else [])

    def arguments(self) -> list[str]:
        """The same for the process of one device, without the device."""
        given = [("--runner", self.runner), ("--lock", self.lock)]
        given += [("--library", library) for library in self.libraries]
        paths = [part for name, one in given if one for part in (name, str(one.resolve()))]
        return [
            *("--runner-version", self.runner_version),
            *("--delegate", self.delegate, "--threads", str(self.threads)),
            *(("--cores", self.cores) if self.cores else ()),
            *(part for flag in self.flags for part in ("--runner-flag", flag)),
            *(() if self.energy.source == "auto" else ("--energy", self.energy.source)),
            *(part for rail in self.energy.rails for part in ("--energy-rail", rail)),
            *paths,
        ]
