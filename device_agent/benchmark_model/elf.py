"""For which machine a program or library was built."""

from __future__ import annotations

import struct

from device_agent.benchmark_model.failures import page_size_words
from device_agent.errors import RunnerRefused

_MAGIC = b"\x7fELF"
#: offset of `e_machine`, and what it says (ELF specification, 1.4)
_MACHINE_AT = 18
#: Android's name of the ABI, then ours of Linux's, as the kernel calls the machine
_ABIS = {
    183: ("arm64-v8a", "linux_aarch64"),
    40: ("armeabi-v7a", "linux_armv7l"),
    62: ("x86_64", "linux_x86_64"),
    3: ("x86", "linux_i686"),
}
#: the processor of Qualcomm's NPUs, whose libraries are loaded there, not by the program
_HEXAGON = 164
#: of older phones
_ALSO = {"armeabi-v7a": ("armeabi",)}
#: what starts Android's programs, and where in a program its name stands at the latest, bytes
_ANDROID_LINKER, _HEAD = b"/system/bin/linker", 4096
_LITTLE_ENDIAN = 1
#: type of a program header
_LOADED = 1


def is_for_dsp(content: bytes) -> bool:
    """Whether a library is loaded by an NPU, and need not be for the device's own processor."""
    return content[:4] == _MAGIC and content[_MACHINE_AT : _MACHINE_AT + 2] == bytes([_HEXAGON, 0])


def program_abis(content: bytes, name: str) -> tuple[str, str]:
    """The ABI that a program or library is for, as phones and as Linux boards call it.

    Raises:
        RunnerRefused: it is neither, or for no machine that is measured on.
    """
    if content[:4] != _MAGIC or len(content) < _MACHINE_AT + 2:
        raise RunnerRefused(
            f"{name} is not a program or library (no ELF header); give one built for the device"
        )
    order = "<" if content[5] == _LITTLE_ENDIAN else ">"
    (machine,) = struct.unpack_from(f"{order}H", content, _MACHINE_AT)
    if machine not in _ABIS:
        raise RunnerRefused(
            f"{name} is for machine {machine}, which no phone or board is; give another"
        )
    return _ABIS[machine]


def load_alignment(content: bytes) -> int | None:
    """The smallest alignment of what is loaded of a 64-bit file, in bytes; None: it does not say.

    Offsets are those of `Elf64_Ehdr` and `Elf64_Phdr`.
    """
    if content[:5] != _MAGIC + b"\x02":
        return None
    order = "<" if content[5] == _LITTLE_ENDIAN else ">"
    try:
        (table,) = struct.unpack_from(f"{order}Q", content, 32)
        size, count = struct.unpack_from(f"{order}HH", content, 54)
        alignments = [
            struct.unpack_from(f"{order}Q", content, table + at * size + 48)[0]
            for at in range(count)
            if struct.unpack_from(f"{order}I", content, table + at * size)[0] == _LOADED
        ]
    except struct.error:
        return None
    return min(alignments, default=None)


def check_page_size(content: bytes, name: str, page_bytes: int) -> None:
    """Refuse what a phone's kernel cannot map.

    Raises:
        RunnerRefused: the program or library is aligned to smaller pages than the phone's.
    """
    alignment = load_alignment(content)
    if alignment is not None and alignment < page_bytes:
        raise RunnerRefused(f"{name} is of no use: {page_size_words(alignment, page_bytes)}")


def check_abi(content: bytes, name: str, abis: tuple[str, ...]) -> str:
    """The ABI of a program or library, which the device offers.

    Raises:
        RunnerRefused: it offers others only, or the program is Android's and the device is not.
    """
    abi, of_linux = program_abis(content, name)
    if of_linux in abis:
        if _ANDROID_LINKER in content[:_HEAD]:
            raise RunnerRefused(f"{name} is built for Android; give one for Linux ({of_linux})")
        return of_linux
    if not {abi, *_ALSO.get(abi, ())} & set(abis):
        raise RunnerRefused(
            f"{name} is built for {abi}, but the device runs {', '.join(abis) or 'unknown ABIs'}; "
            "give one for these"
        )
    return abi
