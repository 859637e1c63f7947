"""A fake phone's programs for processes and time, as Android's toybox has them."""

from __future__ import annotations

import asyncio
import shlex
import time

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
    args = list(call.args)
    options = ""
    while args and args[0].startswith("-") and args[0] != "-c":
        options += args.pop(0)
    if args[:1] != ["-c"]:
        if not args:
            return await call.shell.child().run(call.io.stdin.read().decode(), call.io)
        return await call.shell.script(call.shell.path(args[0]), args[1:], call.io)
    child = call.shell.child()
    child.errexit = "e" in options
    child.pid = call.phone.processes.new_pid()
    child.name, child.args = (args[2:3] or ["sh"])[0], args[3:]
    return await child.run(args[1], call.io)


async def sleep(call: Call) -> int:
    seconds = float(call.args[0].removesuffix("s"))
    await call.phone.pass_time(seconds)
    return 0


async def usleep(call: Call) -> int:
    await call.phone.pass_time(int(call.args[0]) / 1e6)
    return 0


async def date(call: Call) -> int:
    now = call.phone.now_ns()
    form = next((arg for arg in call.args if arg.startswith("+")), "+%c")[1:]
    said = form.replace("%s", str(now // _NANO)).replace("%N", f"{now % _NANO:09d}")
    await call.out(time.strftime(said, time.localtime(now / _NANO)) + "\n")
    return 0


async def timeout(call: Call) -> int:
    flags, (limit, *command) = flags_of(call.args, "ks")
    del flags
    # The phone's own time passes as fast as its state says, and so does the limit.
    started = call.phone.now_ns()
    running = asyncio.ensure_future(call.shell.call(command, call.io))
    seconds = float(limit.removesuffix("s"))
    while not running.done():
        if call.phone.now_ns() - started > seconds * _NANO:
            running.cancel()
            return _TIMED_OUT
        await asyncio.wait({running}, timeout=0.005)
    return running.result()


async def wrapped(call: Call) -> int:
    """nohup, setsid: the command, as it is."""
    return await call.shell.call(call.args, call.io)


async def nice(call: Call) -> int:
    _, rest = flags_of(call.args, "n")
    return await call.shell.call(rest, call.io)


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


async def nproc(call: Call) -> int:
    await call.out(f"{len(call.phone.state.cores)}\n")
    return 0


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


async def uname(call: Call) -> int:
    machine = {"arm64-v8a": "aarch64", "armeabi-v7a": "armv7l"}.get(
        call.phone.state.abi, call.phone.state.abi
    )
    said = {"m": machine, "r": "5.10.66-android12-9", "s": "Linux"}
    flags, _ = flags_of(call.args)
    await call.out(" ".join(said[flag] for flag in flags or "s") + "\n")
    return 0


async def id_(call: Call) -> int:
    root = call.phone.state.root
    await call.out(
        f"{0 if root else 2000}\n" if call.args else f"uid={'0(root)' if root else '2000(shell)'}\n"
    )
    return 0


async def su(call: Call) -> int:
    if not call.phone.state.root:
        await call.err("su: permission denied\n")
        return 1
    return await call.shell.call(["sh", "-c", shlex.join(call.args[2:])], call.io)


async def which(call: Call) -> int:
    for name in call.args:
        if name not in call.phone.programs:
            return 1
        await call.out(f"/system/bin/{name}\n")
    return 0


SYSTEM: dict[str, Program] = {
    "test": test, "[": bracket, "[[": bracket, "pwd": pwd, "true": true, "sync": true,
    "false": false, "sh": sh,
    "sleep": sleep, "usleep": usleep, "date": date, "timeout": timeout, "nohup": wrapped,
    "setsid": wrapped, "nice": nice, "taskset": taskset, "nproc": nproc, "kill": kill,
    "env": env, "uname": uname, "id": id_, "su": su, "which": which,
}  # fmt: skip
