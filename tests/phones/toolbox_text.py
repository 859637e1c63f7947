"""A fake phone's programs for text, as Android's toybox has them."""

from __future__ import annotations

import re

from tests.phones.shell_io import Call
from tests.phones.toolbox import Program, escaped, flags_of, inputs


async def echo(call: Call) -> int:
    newline = call.args[:1] != ["-n"]
    words = call.args if newline else call.args[1:]
    if words[:1] == ["-e"]:
        words = [escaped(word) for word in words[1:]]
    await call.out(" ".join(words) + ("\n" if newline else ""))
    return 0


async def printf(call: Call) -> int:
    form, *values = call.args
    form = escaped(form)
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


async def grep(call: Call) -> int:
    flags, (pattern, *names) = flags_of(call.args, "em")
    if "e" in flags:
        names, pattern = [pattern, *names] if pattern else names, flags["e"]
    if "F" in flags:
        pattern = re.escape(pattern)
    compiled = re.compile(pattern.replace(r"\|", "|"), re.IGNORECASE if "i" in flags else 0)
    lines = inputs(call, names).decode(errors="replace").splitlines()
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
    flags, names = flags_of(args, "nc")
    content = inputs(call, names)
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
    flags, names = flags_of(call.args)
    content = inputs(call, names)
    counts = {"l": content.count(b"\n"), "w": len(content.split()), "c": len(content)}
    shown = [str(counts[key]) for key in counts if not flags or key in flags]
    await call.out(" ".join([*shown, *names]) + "\n")
    return 0


async def sed(call: Call) -> int:
    flags, (order, *names) = flags_of(call.args)
    found = re.fullmatch(r"s(.)(.*?)\1(.*?)\1(g?)", order)
    if found is None:
        await call.err(f"sed: not understood: {order}\n")
        return 1
    _, pattern, replacement, everywhere = found.groups()
    text = inputs(call, names).decode(errors="replace")
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
    flags, names = flags_of(call.args, "dfc")
    wanted = [int(number) - 1 for number in flags["f"].split(",")]
    for line in inputs(call, names).decode(errors="replace").splitlines():
        fields = line.split(flags.get("d", "\t"))
        kept = [fields[number] for number in wanted if number < len(fields)]
        await call.out(flags.get("d", "\t").join(kept) + "\n")
    return 0


async def tr(call: Call) -> int:
    flags, sets = flags_of(call.args)
    text = call.io.stdin.read().decode(errors="replace")
    first = escaped(sets[0])
    second = "" if "d" in flags else escaped(sets[1])
    table = {ord(char): second[number : number + 1] for number, char in enumerate(first)}
    await call.out(text.translate(table))
    return 0


async def sort(call: Call) -> int:
    flags, names = flags_of(call.args)
    lines = inputs(call, names).decode(errors="replace").splitlines()
    lines = sorted(set(lines) if "u" in flags else lines, reverse="r" in flags)
    await call.out("".join(f"{line}\n" for line in lines))
    return 0


async def tee(call: Call) -> int:
    content = call.io.stdin.read()
    for name in call.args:
        call.phone.files.write(call.shell.path(name), content)
    await call.out(content)
    return 0


TEXT: dict[str, Program] = {
    "echo": echo, "printf": printf, "grep": grep, "head": head, "tail": tail, "wc": wc, "sed": sed,
    "cut": cut, "tr": tr, "sort": sort, "tee": tee,
}  # fmt: skip
