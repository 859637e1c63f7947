"""For which machine a program or library was built."""

from __future__ import annotations

import struct

from device_agent.errors import RunnerRefused

_MAGIC = b"\x7fELF"
#: offset of `e_machine`, and what it says (ELF specification, 1.4)
_MACHINE_AT = 18
_ABIS = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86"}
#: of older phones
_ALSO = {"armeabi-v7a": ("armeabi",)}
_LITTLE_ENDIAN = 1


def program_abi(content: bytes, name: str) -> str:
    """Android's name of the ABI that a program or library is for.

    Raises:
        RunnerRefused: it is neither, or for no machine that phones have.
    """
    if content[:4] != _MAGIC or len(content) < _MACHINE_AT + 2:
        raise RunnerRefused(
            f"{name} is not a program or library (no ELF header); give one built for Android"
        )
    order = "<" if content[5] == _LITTLE_ENDIAN else ">"
    (machine,) = struct.unpack_from(f"{order}H", content, _MACHINE_AT)
    if machine not in _ABIS:
        raise RunnerRefused(f"{name} is for machine {machine}, which no phone is; give another")
    return _ABIS[machine]


def check_abi(content: bytes, name: str, abis: tuple[str, ...]) -> str:
    """The ABI of a program or library, which the phone offers.

    Raises:
        RunnerRefused: it offers others only.
    """
    abi = program_abi(content, name)
    if not {abi, *_ALSO.get(abi, ())} & set(abis):
        raise RunnerRefused(
            f"{name} is built for {abi}, but the phone runs {', '.join(abis) or 'unknown ABIs'}; "
            "give one for these"
        )
    return abi
