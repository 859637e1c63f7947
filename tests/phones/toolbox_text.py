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


async def wc(call: Call) -> int:
    flags, names = flags_of(call.args)
    content = inputs(call, names)
    counts = {"l": content.count(b"\n"), "w": len(content.split()), "c": len(content)}
    shown = [str(counts[key]) for key in counts if not flags or key in flags]
    await call.out(" ".join([*shown, *names]) + "\n")
    return 0


async def tr(call: Call) -> int:
    flags, sets = flags_of(call.args)
    text = call.io.stdin.read().decode(errors="replace")
    first = escaped(sets[0])
    second = "" if "d" in flags else escaped(sets[1])
    table = {ord(char): second[number : number + 1] for number, char in enumerate(first)}
    await call.out(text.translate(table))
    return 0


async def grep(call: Call) -> int:
    """With `-h`, `-F` and any number of `-e`."""
    words, patterns = list(call.args), []
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "-e":
            patterns.append(words.pop(0))
        elif option not in {"-h", "-F"}:
            await call.err(f"grep: bad option {option}\n")
            return 2
    lines = inputs(call, words).decode().splitlines()
    found = [line for line in lines if any(pattern in line for pattern in patterns)]
    await call.out("".join(f"{line}\n" for line in found))
    return int(not found)


async def sed(call: Call) -> int:
    """One substitution in each line, of a basic expression."""
    _, pattern, new, _ = call.args[0].split("/")
    found = re.compile(pattern.replace("(", r"\(").replace(")", r"\)"))
    for line in inputs(call, call.args[1:]).decode().splitlines():
        await call.out(found.sub(new, line, count=1) + "\n")
    return 0


TEXT: dict[str, Program] = {
    "echo": echo,
    "printf": printf,
    "wc": wc,
    "tr": tr,
    "grep": grep,
    "sed": sed,
}
