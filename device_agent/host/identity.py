"""This machine as a device: its identity, and the core that it measures on."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from device_agent.cpu_time import BusyWatch
from device_agent.errors import NoSuchCore, RuntimeMissing
from device_agent.host.conditions import HostConditions
from device_agent.host.device import LocalDevice
from device_agent.host.rapl import find_rapl
from device_agent.measuring.energy import EnergyChoice
from device_agent.naming import machine_name, system_name
from device_agent.runners.forked_runs import runner_environment
from device_agent.runners.litert import LiteRtRunner
from device_agent.runners.runtime import LITERT, Runtime, find_runtime
from device_agent.text import clean
from netspec.protocol import ClockPolicy, MeasurementProtocol, TargetIdentity

_MAX_TEXT = 200
#: for another Python to start and look around, s
_ASK_TIMEOUT_S = 30.0
_CPU_NAMES = ("model name", "Model", "Hardware")


def host_device(
    protocol: MeasurementProtocol,
    core: int | None = None,
    python: Path | None = None,
    energy: EnergyChoice | None = None,
) -> LocalDevice:
    """This machine, measured with LiteRT or its predecessor, XNNPACK and one thread.

    Args:
        protocol: how visits are made; part of the target.
        core: the core to pin to, by default the last one that this process may use.
        python: the Python that holds the runtime, by default this one.
        energy: by what energy is counted.

    Raises:
        NoSuchDevice: the counters of energy that were chosen are not there.
        NoSuchCore: the core is not there, or this system cannot pin.
        RuntimeMissing: there is no runtime.
    """
    pinned = choose_core(core)
    runner = LiteRtRunner(pinned, python=python)
    return LocalDevice(
        serial=serial(),
        identity=host_identity(protocol, pinned, python=python),
        runner=runner,
        conditions=HostConditions(pinned),
        core=pinned,
        protocol=protocol,
        busy=None if pinned is None else BusyWatch(pinned, protocol.gate.busy_window_s),
        images=runner.images(),
        rapl=find_rapl(energy or EnergyChoice()),
    )


def host_identity(
    protocol: MeasurementProtocol,
    core: int | None,
    root: Path = Path("/"),
    python: Path | None = None,
) -> TargetIdentity:
    """What a latency measured on this machine is true for.

    Args:
        protocol: how visits are made.
        core: the core that visits are pinned to, None where the system cannot pin.
        root: of the file system that describes the machine.
        python: the Python that holds the runtime, None for this one.

    Raises:
        RuntimeMissing: there is no runtime.
    """
    soc = _cpu_name(root)
    runtime = runtime_of(python)
    return TargetIdentity(
        device_model=_machine_name(root) or soc,
        soc=soc,
        os_build=_os_build(),
        abi=clean(platform.machine()) or "unknown",
        runtime=runtime.name,
        runtime_sha256=runtime.sha256,
        delegate="xnnpack",
        threads=1,
        affinity="none" if core is None else f"{1 << core:x}",
        clock_policy=clock_policy(root, core),
        protocol=protocol.content_hash,
        locked_khz=_locked_khz(root, core),
        thermal=protocol.thermal,
    )


def serial() -> str:
    """This machine's name among devices: hosts have no serial number that all may read."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"host-{socket.gethostname()}")[:_MAX_TEXT]


def choose_core(core: int | None) -> int | None:
    """The core to measure on; None where the system cannot pin.

    The last one by default: interrupts and other programs crowd the first.

    Raises:
        NoSuchCore: the wished core is not ours to use, or this system cannot pin.
    """
    if sys.platform != "linux":
        if core is not None:
            raise NoSuchCore(f"{sys.platform} cannot pin a process to a core; leave --core out")
        return None
    cores = sorted(os.sched_getaffinity(0))
    if core is not None and core not in cores:
        raise NoSuchCore(
            f"core {core} is not one that this process may use; choose one of "
            f"{', '.join(map(str, cores))}"
        )
    return cores[-1] if core is None else core


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


def _locked_khz(root: Path, core: int | None) -> tuple[int, ...] | None:
    """The one clock that the core may take, kHz; None where there are several."""
    if clock_policy(root, core) != "locked":
        return None
    folder = root / f"sys/devices/system/cpu/cpu{core or 0}/cpufreq"
    return (int(_text(folder / "scaling_max_freq")),)


def _machine_name(root: Path) -> str:
    """Vendor and product from the firmware, or the board's name from the device tree."""
    dmi = root / "sys/class/dmi/id"
    tree = _text(root / "proc/device-tree/model")
    return machine_name(_text(dmi / "sys_vendor"), _text(dmi / "product_name"), tree)


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
    return system_name(kernel, distribution)


def _text(path: Path) -> str:
    """The file's text; empty where there is none or it may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip(" \t\n\0")
    except OSError:
        return ""


def runtime_of(python: Path | None) -> Runtime:
    """The runtime that this Python holds, or another one.

    Raises:
        RuntimeMissing: it holds none, or is none.
    """
    if python is None:
        runtime = find_runtime((LITERT,))
        if runtime is None:
            raise RuntimeMissing(
                "ai-edge-litert is not installed, or incomplete: install it with "
                "`pip install ai-edge-litert`"
            )
        return runtime
    try:
        output = subprocess.run(  # noqa: S603 (the user's own Python)
            [str(python), "-P", "-m", "device_agent.runners.runtime"],
            env=runner_environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=_ASK_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeMissing(
            f"{python} cannot be asked for its runtime ({error}); give the path of a Python 3.11 "
            "or later"
        ) from error
    answer = json.loads(output)
    if answer is None:
        raise RuntimeMissing(
            f"{python} holds neither ai-edge-litert nor tflite-runtime; install one for it"
        )
    return Runtime(**answer)
