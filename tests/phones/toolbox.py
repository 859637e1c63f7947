"""The programs of a fake phone: what scripts for phones call, as Android's toybox has them."""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import posixpath
import re
import shlex
import stat
import time
from collections.abc import Awaitable, Callable
from functools import partial

from tests.phones.shell_run import NOT_FOUND, Call

Program = Callable[[Call], Awaitable[int]]
_TIMED_OUT = 124
_NANO = 10**9


def _flags(args: list[str], valued: str = "") -> tuple[dict[str, str], list[str]]:
    """Options of one letter, those in `valued` with the argument that follows; and the rest."""
    found: dict[str, str] = {}
    rest = list(args)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        option = rest.pop(0)
        if option == "--":
            break
        for number, letter in enumerate(option[1:], 1):
            if letter in valued:
                found[letter] = option[number + 1 :] or rest.pop(0)
                break
            found[letter] = ""
    return found, rest


def _inputs(call: Call, names: list[str]) -> bytes:
    if not names:
        return call.io.stdin.read()
    return b"".join(call.phone.files.read(call.shell.path(name)) for name in names)


async def echo(call: Call) -> int:
    newline = call.args[:1] != ["-n"]
    words = call.args if newline else call.args[1:]
    if words[:1] == ["-e"]:
        words = [_escaped(word) for word in words[1:]]
    await call.out(" ".join(words) + ("\n" if newline else ""))
    return 0


async def printf(call: Call) -> int:
    form, *values = call.args
    form = _escaped(form)
    slots = re.findall(r"%[-0-9.]*[sdxu]", form)
    while True:
        taken, values = values[: len(slots)], values[len(slots) :]
        taken += [""] * (len(slots) - len(taken))
        filled = [
            value if slot.endswith("s") else int(value or 0)
            for slot, value in zip(slots, taken, strict=True)
        ]
        await call.out(form.replace("%u", "%d") % tuple(filled))
        if not values or not slots:
            return 0


def _escaped(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")


async def cat(call: Call) -> int:
    code = 0
    names = call.args or ["-"]
    for name in names:
        try:
            await call.out(_inputs(call, [] if name == "-" else [name]))
        except OSError as error:
            await call.err(f"cat: {name}: {error.strerror}\n")
            code = 1
    return code


async def ls(call: Call) -> int:
    flags, names = _flags(call.args)
    code = 0
    for name in names or ["."]:
        path = call.shell.path(name)
        node = call.phone.files.find(path)
        if node is None:
            await call.err(f"ls: {name}: No such file or directory\n")
            code = 1
            continue
        inside = node.content is None and "d" not in flags
        for entry in call.phone.files.names(path) if inside else [name]:
            if inside and entry.startswith(".") and "a" not in flags:
                continue
            await _listed(call, posixpath.join(path, entry), entry, long="l" in flags)
    return code


async def _listed(call: Call, path: str, name: str, *, long: bool) -> None:
    if long:
        node = call.phone.files.get(path)
        changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(node.changed_s))
        owner = "shell shell"
        name = f"{stat.filemode(node.mode)} 1 {owner} {node.size:>8} {changed} {name}"
    await call.out(f"{name}\n")


async def stat_(call: Call) -> int:
    flags, names = _flags(call.args, "c")
    code = 0
    for name in names:
        node = call.phone.files.find(call.shell.path(name))
        if node is None:
            await call.err(f"stat: '{name}': No such file or directory\n")
            code = 1
            continue
        said = {"n": name, "s": str(node.size), "Y": str(int(node.changed_s))}
        said |= {"a": f"{stat.S_IMODE(node.mode):o}", "A": stat.filemode(node.mode), "U": "shell"}
        form = flags.get("c", "%n %s %a")
        for letter, value in said.items():
            form = form.replace(f"%{letter}", value)
        await call.out(f"{form}\n")
    return code


async def df(call: Call) -> int:
    _, names = _flags(call.args)
    files = call.phone.files
    total, used, free = (size // 1024 for size in (files.capacity, files.used, files.free))
    await call.out("Filesystem     1K-blocks     Used Available Use% Mounted on\n")
    share = 100 * used // max(total, 1)
    for _ in names or ["/data"]:
        await call.out(f"/dev/block/dm-5 {total:>11} {used:>8} {free:>9} {share:>3}% /data\n")
    return 0


async def mv(call: Call) -> int:
    _, (old, new) = _flags(call.args)
    return await _changed(call, lambda: call.phone.files.move(*map(call.shell.path, (old, new))))


async def cp(call: Call) -> int:
    _, (old, new) = _flags(call.args)
    source, target = call.shell.path(old), call.shell.path(new)
    node = call.phone.files.find(target)
    if node is not None and node.content is None:
        target = posixpath.join(target, posixpath.basename(source))

    def copy() -> None:
        mode = call.phone.files.get(source).mode
        call.phone.files.write(target, call.phone.files.read(source), mode=stat.S_IMODE(mode))

    return await _changed(call, copy)


async def rm(call: Call) -> int:
    flags, names = _flags(call.args)
    recursive = bool({"r", "R"} & flags.keys())
    code = 0
    for name in names:
        path = call.shell.path(name)
        if "f" in flags and call.phone.files.find(path) is None:
            continue
        code |= await _changed(call, partial(call.phone.files.remove, path, recursive=recursive))
    return code


async def rmdir(call: Call) -> int:
    for name in call.args:
        if call.phone.files.names(call.shell.path(name)):
            await call.err(f"rmdir: '{name}': Directory not empty\n")
            return 1
        call.phone.files.remove(call.shell.path(name), recursive=True)
    return 0


async def mkdir(call: Call) -> int:
    flags, names = _flags(call.args, "m")
    code = 0
    for name in names:
        path = call.shell.path(name)
        code |= await _changed(
            call, partial(call.phone.files.make_folder, path, parents="p" in flags)
        )
    return code


async def chmod(call: Call) -> int:
    _, (mode, *names) = _flags(call.args)
    for name in names:
        try:
            node = call.phone.files.get(call.shell.path(name))
        except OSError as error:
            await call.err(f"chmod: '{name}': {error.strerror}\n")
            return 1
        bits = int(mode, 8) if mode.isdigit() else stat.S_IMODE(node.mode) | 0o111
        node.mode = stat.S_IFMT(node.mode) | bits
    return 0


async def touch(call: Call) -> int:
    files = call.phone.files
    code = 0
    for name in call.args:
        path = call.shell.path(name)
        code |= await _changed(call, partial(files.write, path, b"", append=True))
    return code


async def _changed(call: Call, change: Callable[[], None]) -> int:
    try:
        change()
    except OSError as error:
        await call.err(f"{call.args[0]}: '{error.filename}': {error.strerror}\n")
        return 1
    return 0


async def find(call: Call) -> int:
    folder, *tests = call.args
    start = call.shell.path(folder)
    wanted = dict(zip(tests[::2], tests[1::2], strict=False))
    for path in sorted(call.phone.files.nodes):
        node = call.phone.files.nodes[path]
        inside = path == start or path.startswith(f"{start.rstrip('/')}/")
        kind = "d" if node.content is None else "f"
        named = fnmatch.fnmatchcase(posixpath.basename(path), wanted.get("-name", "*"))
        if inside and named and wanted.get("-type", kind) == kind:
            await call.out(f"{path}\n")
    return 0


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


async def grep(call: Call) -> int:
    flags, (pattern, *names) = _flags(call.args, "em")
    if "e" in flags:
        names, pattern = [pattern, *names] if pattern else names, flags["e"]
    if "F" in flags:
        pattern = re.escape(pattern)
    compiled = re.compile(pattern.replace(r"\|", "|"), re.IGNORECASE if "i" in flags else 0)
    lines = _inputs(call, names).decode(errors="replace").splitlines()
    found = [line for line in lines if bool(compiled.search(line)) != ("v" in flags)]
    if "c" in flags:
        await call.out(f"{len(found)}\n")
    elif "q" not in flags:
        for line in found[: int(flags.get("m", len(found)))]:
            shown = [hit[0] for hit in compiled.finditer(line)] if "o" in flags else [line]
            await call.out("".join(f"{text}\n" for text in shown))
    return int(not found)


async def head(call: Call) -> int:
    return await _end(call, first=True)


async def tail(call: Call) -> int:
    return await _end(call, first=False)


async def _end(call: Call, *, first: bool) -> int:
    args = list(call.args)
    if args and re.fullmatch(r"-\d+", args[0]):
        args[:1] = ["-n", args[0][1:]]
    flags, names = _flags(args, "nc")
    content = _inputs(call, names)
    if "c" in flags:
        count = int(flags["c"])
        await call.out(content[:count] if first else content[-count:])
        return 0
    lines = content.splitlines(keepends=True)
    wanted = flags.get("n", "10")
    if wanted.startswith("+"):
        await call.out(b"".join(lines[int(wanted) - 1 :]))
    else:
        count = int(wanted)
        await call.out(b"".join(lines[:count] if first else lines[-count:] if count else []))
    return 0


async def wc(call: Call) -> int:
    flags, names = _flags(call.args)
    content = _inputs(call, names)
    counts = {"l": content.count(b"\n"), "w": len(content.split()), "c": len(content)}
    shown = [str(counts[key]) for key in counts if not flags or key in flags]
    await call.out(" ".join([*shown, *names]) + "\n")
    return 0


async def sed(call: Call) -> int:
    flags, (order, *names) = _flags(call.args)
    found = re.fullmatch(r"s(.)(.*?)\1(.*?)\1(g?)", order)
    if found is None:
        await call.err(f"sed: not understood: {order}\n")
        return 1
    _, pattern, replacement, everywhere = found.groups()
    text = _inputs(call, names).decode(errors="replace")
    changed = "".join(
        re.sub(pattern, replacement, line, count=0 if everywhere else 1)
        for line in text.splitlines(keepends=True)
    )
    if "i" in flags:
        call.phone.files.write(call.shell.path(names[0]), changed.encode())
    else:
        await call.out(changed)
    return 0


async def cut(call: Call) -> int:
    flags, names = _flags(call.args, "dfc")
    wanted = [int(number) - 1 for number in flags["f"].split(",")]
    for line in _inputs(call, names).decode(errors="replace").splitlines():
        fields = line.split(flags.get("d", "\t"))
        kept = [fields[number] for number in wanted if number < len(fields)]
        await call.out(flags.get("d", "\t").join(kept) + "\n")
    return 0


async def tr(call: Call) -> int:
    flags, sets = _flags(call.args)
    text = call.io.stdin.read().decode(errors="replace")
    first = _escaped(sets[0])
    second = "" if "d" in flags else _escaped(sets[1])
    table = {ord(char): second[number : number + 1] for number, char in enumerate(first)}
    await call.out(text.translate(table))
    return 0


async def sort(call: Call) -> int:
    flags, names = _flags(call.args)
    lines = _inputs(call, names).decode(errors="replace").splitlines()
    lines = sorted(set(lines) if "u" in flags else lines, reverse="r" in flags)
    await call.out("".join(f"{line}\n" for line in lines))
    return 0


async def tee(call: Call) -> int:
    content = call.io.stdin.read()
    for name in call.args:
        call.phone.files.write(call.shell.path(name), content)
    await call.out(content)
    return 0


async def sha256sum(call: Call) -> int:
    return await _hashed(call, "sha256")


async def md5sum(call: Call) -> int:
    return await _hashed(call, "md5")


async def _hashed(call: Call, kind: str) -> int:
    code = 0
    flags, names = _flags(call.args)
    for name in names or ["-"]:
        try:
            digest = hashlib.new(kind, _inputs(call, [] if name == "-" else [name])).hexdigest()
        except OSError as error:
            await call.err(f"{kind}sum: {name}: {error.strerror}\n")
            code = 1
            continue
        await call.out(f"{digest}\n" if "b" in flags else f"{digest}  {name}\n")
    return code


async def basename(call: Call) -> int:
    await call.out(posixpath.basename(call.args[0]).removesuffix("".join(call.args[1:2])) + "\n")
    return 0


async def dirname(call: Call) -> int:
    await call.out((posixpath.dirname(call.args[0]) or ".") + "\n")
    return 0


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
            return await call.shell._child().run(call.io.stdin.read().decode(), call.io)
        return await call.shell.script(call.shell.path(args[0]), args[1:], call.io)
    child = call.shell._child()
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
    flags, (limit, *command) = _flags(call.args, "ks")
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
    _, rest = _flags(call.args, "n")
    return await call.shell.call(rest, call.io)


async def taskset(call: Call) -> int:
    flags, rest = _flags(call.args)
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
    flags, _ = _flags(call.args)
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


async def missing(call: Call) -> int:
    """For tests that take a program away."""
    await call.err("/system/bin/sh: inaccessible or not found\n")
    return NOT_FOUND


FILES: dict[str, Program] = {
    "cat": cat, "ls": ls, "stat": stat_, "df": df, "mv": mv, "cp": cp, "rm": rm, "rmdir": rmdir,
    "mkdir": mkdir, "chmod": chmod, "touch": touch, "find": find, "sha256sum": sha256sum,
    "md5sum": md5sum, "basename": basename, "dirname": dirname, "sync": true,
}  # fmt: skip
TEXT: dict[str, Program] = {
    "echo": echo, "printf": printf, "grep": grep, "head": head, "tail": tail, "wc": wc, "sed": sed,
    "cut": cut, "tr": tr, "sort": sort, "tee": tee,
}  # fmt: skip
SYSTEM: dict[str, Program] = {
    "test": test, "[": bracket, "[[": bracket, "pwd": pwd, "true": true, "false": false, "sh": sh,
    "sleep": sleep, "usleep": usleep, "date": date, "timeout": timeout, "nohup": wrapped,
    "setsid": wrapped, "nice": nice, "taskset": taskset, "nproc": nproc, "kill": kill,
    "uname": uname, "id": id_, "su": su, "which": which,
}  # fmt: skip
