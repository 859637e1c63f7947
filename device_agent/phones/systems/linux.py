"""Linux on a board: device tree, DMI, `/proc` and `/sys`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

from device_agent.naming import machine_name, system_name
from device_agent.phones.energy.board_counters import find_board_counter
from device_agent.phones.properties import PhoneProperties, own_number
from device_agent.phones.systems import linux_checks as checks
from device_agent.phones.systems.base import System
from device_agent.phones.systems.linux_clock import BoardClock
from device_agent.phones.systems.linux_readings import (
    ASK_HEAT,
    ASK_HINDRANCE,
    read_heat,
    read_hindrance,
)
from device_agent.text import clean
from device_agent.transports.base import Transport

_TREE = "/sys/firmware/devicetree/base"
_DMI = "/sys/class/dmi/id"
#: of the device tree, else of a hash: machine-id(5) asks not to show that id itself
_NUMBER = (
    f"number=$(tr -d '\\0' < {_TREE}/serial-number); "
    '[ -n "$number" ] || [ ! -s /etc/machine-id ] || '
    "number=$({ echo proxyless-farm; cat /etc/machine-id; } | sha256sum | cut -c 1-16)"
)
_MODEL = f"$(tr -d '\\0' < {_TREE}/model || cat {_DMI}/product_name)"
_RELEASE = '$(. /etc/os-release && echo "$PRETTY_NAME")'
_DESCRIBE = f"""{_NUMBER}
echo "number=$number"
echo "tree=$(tr -d '\\0' < {_TREE}/model)"
echo "compatible=$(tr '\\0' ' ' < {_TREE}/compatible)"
echo "vendor=$(cat {_DMI}/sys_vendor)"
echo "product=$(cat {_DMI}/product_name)"
echo "cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
echo "kernel=$(uname -sr)"
echo "machine=$(uname -m)"
echo "bits=$(getconf LONG_BIT)"
echo "release={_RELEASE}"
"""
#: a kernel of 64 bits may run programs of 32 alone, as Raspberry Pi OS did for long
_OF_32_BITS = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}


def read_description(text: str) -> PhoneProperties:
    """From what `describe` printed; what is missing is `unknown`."""
    pairs = (line.partition("=") for line in text.splitlines())
    values: Mapping[str, str] = {name: value.strip() for name, _, value in pairs}

    def value(name: str) -> str:
        return values.get(name, "")

    machine = value("machine")
    if value("bits") == "32":
        machine = _OF_32_BITS.get(machine, machine)
    # Of a device tree's names for a board, the most general comes last: its SoC.
    soc = clean((value("compatible").split() or [value("cpu")])[-1]) or "unknown"
    return PhoneProperties(
        model=machine_name(value("vendor"), value("product"), value("tree")) or soc,
        soc=soc,
        build=system_name(value("kernel"), value("release")) or "unknown",
        abis=(f"linux_{machine}",) if re.fullmatch(r"\w+", machine) else (),
        sdk=0,
        number=own_number(value("number")),
    )


class _AsItIs:
    """A board is set for nothing: it neither sleeps nor has a screen or radios of its own.

    Args:
        transport: to the board, which is asked nothing.
    """

    def __init__(self, _transport: Transport, _of_battery: bool = False) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def take(self) -> None:
        """Nothing is set."""

    def give_back(self) -> None:
        """Nothing was set."""

    def check(self) -> None:
        """Nothing can have come between."""


LINUX = System(
    noun="board",
    interpreter="/bin/sh",
    introduction=(
        f'{_NUMBER}; echo "$number"; echo "{_MODEL}"; echo "{_RELEASE}"; '
        "cat /proc/sys/kernel/random/boot_id"
    ),
    describe=_DESCRIBE,
    read_description=read_description,
    heat=ASK_HEAT,
    read_heat=read_heat,
    hindrance=ASK_HINDRANCE,
    read_hindrance=read_hindrance,
    state=(),
    state_steps=lambda: (),
    awake=_AsItIs,
    quiet=_AsItIs,
    clock=lambda transport, cores, _: BoardClock(transport, cores),
    find_counter=find_board_counter,
    first_checks=(checks.linux,),
    fitness_checks=(checks.thermal, checks.memory),
    last_checks=(checks.energy,),
    folder_advice="let this user write and run programs; is it mounted noexec?",
    clock_advice=(
        "numbers vary more; let this user `sudo` without a password, or set the governor "
        "`performance` on the board"
    ),
)
