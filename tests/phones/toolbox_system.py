"""A fake phone's programs for processes and time, as Android's toybox has them."""

from __future__ import annotations

from tests.phones.shell_io import Call
from tests.phones.toolbox import Program, flags_of

_TIMED_OUT = 124
_NANO = 10**9


async def test(call: Call) -> int:
    return int(not _true(call, call.args))


async def bracket(call: Call) -> int:
    if call.args[-1:] not in (["]"], ["]]"]):
        await call.err("[: missing ]\n")
        return 2
    return int(not _true(call, call.args[:-1]))


def _true(call: Call, words: list[str]) -> bool:
    for joint, both in (("-o", any), ("-a", all)):
        if joint in words:
            at = words.index(joint)
            return both((_true(call, words[:at]), _true(call, words[at + 1 :])))
    if words[:1] == ["!"]:
        return not _true(call, words[1:])
    if len(words) == 3:
        return _compared(*words)
    if len(words) == 2:
        return _examined(call, *words)
    return bool(words and words[0])


def _compared(left: str, how: str, right: str) -> bool:
    if how in {"=", "=="}:
        return left == right
    if how == "!=":
        return left != right
    a, b = int(left), int(right)
    return {"-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b, "-ge": a >= b}[
        how
    ]


def _examined(call: Call, how: str, word: str) -> bool:
    if how in {"-n", "-z"}:
        return bool(word) == (how == "-n")
    node = call.phone.files.find(call.shell.path(word))
    if node is None:
        return False
    return {
        "-e": True,
        "-f": node.content is not None,
        "-d": node.content is None,
        "-s": node.size > 0,
        "-x": bool(node.mode & 0o111),
        "-r": True,
        "-w": bool(node.mode & 0o222),
    }[how]


async def pwd(call: Call) -> int:
    await call.out(f"{call.shell.folder}\n")
    return 0


async def true(call: Call) -> int:
    del call
    return 0


async def false(call: Call) -> int:
    del call
    return 1


async def sh(call: Call) -> int:
    if call.args[:1] != ["-c"]:
        return await call.shell.script(call.shell.path(call.args[0]), call.io)
    child = call.shell.child()
    child.pid = call.phone.processes.new_pid()
    return await child.run(call.args[1], call.io)


async def sleep(call: Call) -> int:
    seconds = float(call.args[0].removesuffix("s"))
    await call.phone.pass_time(seconds)
    return 0


async def setsid(call: Call) -> int:
    return await call.shell.call(call.args, call.io)


async def taskset(call: Call) -> int:
    flags, rest = flags_of(call.args)
    if "p" in flags:
        cores = sum(1 << core for core in call.phone.state.cores)
        await call.out(f"pid {rest[-1]}'s current affinity mask: {cores:x}\n")
        return 0
    mask, *command = rest
    try:
        wanted = int(mask, 16)
    except ValueError:
        wanted = 0
    if mask.startswith("0x") or not wanted:
        await call.err(f"taskset: bad mask '{mask}'\n")
        return 1
    if not wanted & sum(1 << core for core in call.phone.state.cores):
        await call.err("taskset: failed to set affinity: Invalid argument\n")
        return 1
    return await call.shell.call(command, call.io)


async def env(call: Call) -> int:
    child = call.shell.child()
    rest = list(call.args)
    while rest and "=" in rest[0]:
        name, _, value = rest.pop(0).partition("=")
        child.variables[name] = value
    return await child.call(rest, call.io)


async def kill(call: Call) -> int:
    code = 0
    # Below zero, a process group: here, a script and what it runs.
    named = call.args[1:] if call.args[:1] and call.args[0].startswith("-") else call.args
    for pid in [int(arg.lstrip("-")) for arg in named if arg.lstrip("-").isdigit()]:
        if "-0" in call.args:
            code |= pid not in call.phone.processes.pids()
        elif not call.phone.processes.kill(pid):
            await call.err(f"kill: {pid}: No such process\n")
            code = 1
    return code


SYSTEM: dict[str, Program] = {
    "test": test, "[": bracket, "pwd": pwd, "true": true, "false": false, "sh": sh,
    "sleep": sleep, "setsid": setsid, "taskset": taskset, "kill": kill, "env": env,
}  # fmt: skip
