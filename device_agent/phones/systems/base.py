"""What one system has of its own; all else is the same on every device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from device_agent.measuring.energy import EnergyChoice
from device_agent.phones.energy.counters import PhoneCounter
from device_agent.phones.files import QUICK_S
from device_agent.phones.properties import PhoneProperties
from device_agent.phones.settings.clock import PhoneClock
from device_agent.transports.base import Transport
from netspec.protocol import Delegate
from netspec.wire import Conditions

#: what a command prints on the device
Say = Callable[[str], str]
Verdict = Literal["ok", "warning", "bad"]


@dataclass(frozen=True)
class Check:
    """One thing looked at by `doctor`."""

    name: str
    verdict: Verdict
    #: what was found
    found: str
    #: what to do; empty where all is well
    advice: str = ""


class HeldSettings(Protocol):
    """What is set on a device while it is measured, and given back as it was."""

    def take(self) -> None:
        """Set it; nothing is left set where that fails."""

    def give_back(self) -> object:
        """Undo what was set, by this agent or by one that was killed."""


class QuietDevice(HeldSettings, Protocol):
    """A device that does nothing else while its energy is counted."""

    def __enter__(self) -> Self:
        """See `take`."""

    def __exit__(self, *_: object) -> None: ...

    def check(self) -> None:
        """See that it has stayed quiet.

        Raises:
            VisitFailed: it has not.
        """


def asking(transport: Transport) -> Say:
    """What a command prints on a device; one that fails prints nothing that counts."""
    return lambda command: transport.shell(command, timeout_s=QUICK_S).output


@dataclass(frozen=True)
class System:
    """Commands of one system, and how their answers are read."""

    #: what a device with it is called
    noun: str
    #: program that runs scripts
    interpreter: str
    #: prints the device's own number, its model, its release and the id of its start, a line each
    introduction: str
    #: prints who the device is
    describe: str
    read_description: Callable[[str], PhoneProperties]
    #: prints how warm it is, and what its battery has
    heat: str
    read_heat: Callable[[str], Conditions]
    #: prints whether the device holds itself back
    hindrance: str
    #: why nothing is to be measured now; empty where nothing speaks against it
    read_hindrance: Callable[[str], str]
    #: commands whose answers say in what state it is measured, and what of them visits keep
    state: Sequence[str]
    state_steps: Callable[..., tuple[str, ...]]
    #: what keeps it awake for a batch
    awake: Callable[[Transport], HeldSettings]
    #: what makes it quiet while energy is counted; True: its battery must feed all of it
    quiet: Callable[[Transport, bool], QuietDevice]
    #: the clock of these cores, by the system's own means
    clock: Callable[[Transport, Sequence[int], PhoneProperties], PhoneClock]
    #: see `phones.energy.counters`
    find_counter: Callable[[Say, EnergyChoice, str, Delegate], PhoneCounter]
    #: of `doctor`: is it up and new enough, is it fit now, and what more can it do?
    first_checks: Sequence[Callable[[Transport], Check]]
    fitness_checks: Sequence[Callable[[Transport], Check]]
    last_checks: Sequence[Callable[[Transport], Check]]
    #: what to do where the agent's folder takes no programs, and where clocks are free
    folder_advice: str
    clock_advice: str
