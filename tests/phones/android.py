"""Android's own programs on a fake phone: properties, services, settings."""

from __future__ import annotations

from tests.phones.shell_io import Call
from tests.phones.state import PhoneState
from tests.phones.toolbox import Program

_ON = frozenset({"true", "1"})
_NO_SERVICE = 20


async def getprop(call: Call) -> int:
    properties = call.phone.properties()
    if not call.args:
        await call.out("".join(f"[{key}]: [{value}]\n" for key, value in properties.items()))
        return 0
    name, *default = call.args
    await call.out(properties.get(name, "".join(default[:1])) + "\n")
    return 0


async def dumpsys(call: Call) -> int:
    if call.args[:1] == ["deviceidle"]:
        await call.out(_device_idle(call.phone.state, call.args[1:]))
        return 0
    said = call.phone.state.dumpsys(call.args[0]) if call.args else None
    await call.out(said or f"Can't find service: {' '.join(call.args)}\n")
    return 0


def _device_idle(state: PhoneState, args: list[str]) -> str:
    """Android's `DeviceIdleController`, as its shell command answers."""
    match args:
        case ["enabled"]:
            return f"{int(state.doze_enabled)}\n"
        case ["enable" | "disable"]:
            state.doze_enabled = args[0] == "enable"
            return f"Deep idle mode {args[0]}d\nLight idle mode {args[0]}d\n"
        case ["get", "deep" | "light"]:
            return "IDLE\n" if state.doze_enabled and state.wakefulness != "Awake" else "ACTIVE\n"
    return f"Unknown option: {' '.join(args)}\n"


async def settings(call: Call) -> int:
    order, space, key, *value = call.args
    stored = call.phone.state.settings
    if order == "get":
        await call.out(f"{stored.get((space, key), 'null')}\n")
    elif order == "put":
        stored[space, key] = value[0]
    elif order == "delete":
        await call.out(f"Deleted {int(stored.pop((space, key), None) is not None)} rows\n")
    return 0


async def cmd(call: Call) -> int:
    if call.args[:2] == ["power", "set-fixed-performance-mode-enabled"]:
        if call.phone.state.sdk < 30:
            await call.err("Unknown command: set-fixed-performance-mode-enabled\n")
            return 255
        call.phone.state.fixed_performance = call.args[2] in _ON
        return 0
    if call.args[:2] == ["connectivity", "airplane-mode"]:
        on = "1" if call.args[2] == "enable" else "0"
        call.phone.state.settings["global", "airplane_mode_on"] = on
        return 0
    if call.args[:2] == ["thermalservice", "override-status"]:
        call.phone.state.thermal_override = True
        call.phone.state.thermal_status = int(call.args[2])
        return 0
    await call.err(f"cmd: Can't find service: {call.args[0]}\n")
    return _NO_SERVICE


async def input_(call: Call) -> int:
    awake = {"223": "Asleep", "224": "Awake"}
    call.phone.state.wakefulness = awake[call.args[1]]
    return 0


async def reboot(call: Call) -> int:
    call.phone.reboot()
    return 0


ANDROID: dict[str, Program] = {
    "getprop": getprop, "dumpsys": dumpsys, "settings": settings, "cmd": cmd, "input": input_,
    "reboot": reboot,
}  # fmt: skip
