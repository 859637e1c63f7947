"""A fake phone's programs for files, as Android's toybox has them."""

from __future__ import annotations

import posixpath
import stat
import time
from collections.abc import Callable
from functools import partial

from tests.phones.shell_io import Call
from tests.phones.toolbox import Program, flags_of, inputs


async def cat(call: Call) -> int:
    code = 0
    names = call.args or ["-"]
    for name in names:
        try:
            await call.out(inputs(call, [] if name == "-" else [name]))
        except OSError as error:
            await call.err(f"cat: {name}: {error.strerror}\n")
            code = 1
    return code


async def ls(call: Call) -> int:
    flags, names = flags_of(call.args)
    code = 0
    for name in names or ["."]:
        path = call.shell.path(name)
        node = call.phone.files.find(path)
        if node is None:
            await call.err(f"ls: {name}: No such file or directory\n")
            code = 1
            continue
        inside = node.content is None and "d" not in flags
        for entry in _ordered(call, path, flags) if inside else [name]:
            if inside and entry.startswith(".") and "a" not in flags:
                continue
            await _listed(call, posixpath.join(path, entry), entry, long="l" in flags)
    return code


def _ordered(call: Call, folder: str, flags: dict[str, str]) -> list[str]:
    files = call.phone.files
    names = files.names(folder)
    if "t" in flags:
        names.sort(key=lambda name: -files.get(posixpath.join(folder, name)).changed_s)
    return names[::-1] if "r" in flags else names


async def _listed(call: Call, path: str, name: str, *, long: bool) -> None:
    if long:
        node = call.phone.files.get(path)
        changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(node.changed_s))
        owner = "shell shell"
        name = f"{stat.filemode(node.mode)} 1 {owner} {node.size:>8} {changed} {name}"
    await call.out(f"{name}\n")


async def stat_(call: Call) -> int:
    flags, names = flags_of(call.args, "c")
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
    _, names = flags_of(call.args)
    files = call.phone.files
    total, used, free = (size // 1024 for size in (files.capacity, files.used, files.free))
    await call.out("Filesystem     1K-blocks     Used Available Use% Mounted on\n")
    share = 100 * used // max(total, 1)
    for _ in names or ["/data"]:
        await call.out(f"/dev/block/dm-5 {total:>11} {used:>8} {free:>9} {share:>3}% /data\n")
    return 0


async def mv(call: Call) -> int:
    _, (old, new) = flags_of(call.args)
    return await _changed(call, lambda: call.phone.files.move(*map(call.shell.path, (old, new))))


async def rm(call: Call) -> int:
    flags, names = flags_of(call.args)
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
    flags, names = flags_of(call.args, "m")
    code = 0
    for name in names:
        path = call.shell.path(name)
        code |= await _changed(
            call, partial(call.phone.files.make_folder, path, parents="p" in flags)
        )
    return code


async def chmod(call: Call) -> int:
    _, (mode, *names) = flags_of(call.args)
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


FILES: dict[str, Program] = {
    "cat": cat, "ls": ls, "stat": stat_, "df": df, "mv": mv, "rm": rm, "rmdir": rmdir,
    "mkdir": mkdir, "chmod": chmod, "touch": touch,
}  # fmt: skip
