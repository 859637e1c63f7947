"""This machine as a device: its identity, and the core that it measures on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from device_agent.conditions import HostConditions
from device_agent.cpu_time import BusyWatch
from device_agent.errors import NoSuchCore, RuntimeMissing
from device_agent.local_device import LocalDevice
from device_agent.runners.litert import LiteRtRunner
from netspec.protocol import ClockPolicy, MeasurementProtocol, TargetIdentity

_RUNTIME = "ai-edge-litert"
_PACKAGE = "ai_edge_litert"
#: where LiteRT keeps interpreter and kernels: a library that its bindings share or, in
#: other releases, the binding itself
_LIBRARIES = ("libpywrap_litert_common.*", "_pywrap_litert_interpreter_wrapper*")
_MAX_TEXT = 200
_CPU_NAMES = ("model name", "Model", "Hardware")
#: what firmware says where nobody filled the field in
_PLACEHOLDERS = frozenset({"to be filled by o.e.m.", "system product name", "default string"})


def host_device(protocol: MeasurementProtocol, core: int | None = None) -> LocalDevice:
    """This machine, measured with LiteRT, XNNPACK and one thread.

    Args:
        protocol: how visits are made; part of the target.
        core: the core to pin to, by default the last one that this process may use.

    Raises:
        NoSuchCore: the core is not there, or this system cannot pin.
        RuntimeMissing: LiteRT is not installed.
    """
    pinned = choose_core(core)
    return LocalDevice(
        serial=serial(),
        identity=host_identity(protocol, pinned),
        runner=LiteRtRunner(pinned),
        look=HostConditions(pinned),
        core=pinned,
        protocol=protocol,
        busy=None if pinned is None else BusyWatch(pinned, protocol.gate.busy_window_s),
    )


def host_identity(
    protocol: MeasurementProtocol, core: int | None, root: Path = Path("/")
) -> TargetIdentity:
    """What a latency measured on this machine is true for.

    Args:
        protocol: how visits are made.
        core: the core that visits are pinned to, None where the system cannot pin.
        root: of the file system that describes the machine.

    Raises:
        RuntimeMissing: LiteRT is not installed.
    """
    soc = _cpu_name(root)
    return TargetIdentity(
        device_model=_machine_name(root) or soc,
        soc=soc,
        os_build=_os_build(),
        abi=clean(platform.machine()) or "unknown",
        runtime=f"{_RUNTIME} {_runtime_version()}",
        runtime_sha256=_sha256(_runtime_library()),
        delegate="xnnpack",
        threads=1,
        affinity="none" if core is None else f"{1 << core:x}",
        clock_policy=clock_policy(root, core),
        protocol=protocol.content_hash,
    )


def serial() -> str:
    """This machine's name among devices: hosts have no serial number that all may read."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"host-{socket.gethostname()}")[:_MAX_TEXT]


def choose_core(wished: int | None) -> int | None:
    """The core to measure on; None where the system cannot pin.

    The last one by default: interrupts and other programs crowd the first.

    Raises:
        NoSuchCore: the wished core is not ours to use, or this system cannot pin.
    """
    if sys.platform != "linux":
        if wished is not None:
            raise NoSuchCore(f"{sys.platform} cannot pin a process to a core; leave --core out")
        return None
    cores = sorted(os.sched_getaffinity(0))
    if wished is not None and wished not in cores:
        raise NoSuchCore(
            f"core {wished} is not one that this process may use; choose one of "
            f"{', '.join(map(str, cores))}"
        )
    return cores[-1] if wished is None else wished


def leave_core(core: int | None) -> None:
    """Moves the agent's own work away from the measured core, where there is another one."""
    if sys.platform == "linux" and core is not None:
        others = os.sched_getaffinity(0) - {core}
        if others:
            os.sched_setaffinity(0, others)


def clock_policy(root: Path, core: int | None) -> ClockPolicy:
    """Who sets the measured core's clock.

    `locked`: its limits leave one frequency; `fixed_performance`: the governor always asks for
    the highest; `free`: anything else, also where the machine does not say.
    """
    folder = root / f"sys/devices/system/cpu/cpu{core or 0}/cpufreq"
    lowest, highest = _text(folder / "scaling_min_freq"), _text(folder / "scaling_max_freq")
    if lowest and lowest == highest:
        return "locked"
    return "fixed_performance" if _text(folder / "scaling_governor") == "performance" else "free"


def clean(text: str) -> str:
    """Printable, single spaces, as long as the wire allows."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:_MAX_TEXT].strip()


def _machine_name(root: Path) -> str:
    """Vendor and product from the firmware, or the board's name from the device tree."""
    dmi = root / "sys/class/dmi/id"
    parts = [_text(dmi / "sys_vendor"), _text(dmi / "product_name")]
    named = [part for part in parts if part and part.lower() not in _PLACEHOLDERS]
    return clean(" ".join(named) or _text(root / "proc/device-tree/model"))


def _cpu_name(root: Path) -> str:
    fields = dict(_cpuinfo_fields(_text(root / "proc/cpuinfo").splitlines()))
    names = [fields[name] for name in _CPU_NAMES if name in fields]
    return clean((names or [platform.processor() or platform.machine()])[0]) or "unknown"


def _cpuinfo_fields(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and value.strip():
            yield name.strip(), value.strip()


def _os_build() -> str:
    kernel = f"{platform.system()} {platform.release()}"
    try:
        distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):  # not every system describes itself this way
        distribution = platform.mac_ver()[0]
    return clean(f"{kernel} ({distribution})" if distribution else kernel)


def _text(path: Path) -> str:
    """The file's text; empty where there is none or it may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip(" \t\n\0")
    except OSError:
        return ""


def _runtime_version() -> str:
    try:
        return importlib.metadata.version(_RUNTIME)
    except importlib.metadata.PackageNotFoundError as error:
        raise _runtime_missing() from error


def _runtime_library() -> Path:
    """The library that holds interpreter and kernels, found without loading it."""
    spec = importlib.util.find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    for pattern in _LIBRARIES:
        for folder in folders or ():
            for path in sorted(Path(folder).glob(pattern)):
                return path
    raise _runtime_missing()


def _runtime_missing() -> RuntimeMissing:
    return RuntimeMissing(
        f"{_RUNTIME} is not installed, or incomplete: install it with `pip install {_RUNTIME}`"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
