"""Looking into small files on a phone with nothing but what its shell has built in."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def look_command(paths: Sequence[str]) -> str:
    """Prints a line `PATH VALUE` for each file: its first line, nothing where it cannot be read."""
    return look_pattern(shlex.join(paths))


def look_pattern(pattern: str) -> str:
    """The same for the files that a pattern of the shell's stands for."""
    return (
        f"for file in {pattern}; do "
        'value=; read -r value < $file; echo "$file $value"; done 2>/dev/null'
    )


def looked(text: str) -> dict[str, str]:
    """Values by path, from the lines of a look."""
    pairs = (line.partition(" ") for line in text.splitlines())
    return {path: value.strip() for path, _, value in pairs if path}
