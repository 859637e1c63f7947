"""Looking into small files on a phone with nothing but what its shell has built in."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def read_command(paths: Sequence[str]) -> str:
    """Prints a line `PATH VALUE` for each file: its first line, nothing where it cannot be read."""
    return read_pattern_command(shlex.join(paths))


def read_pattern_command(pattern: str) -> str:
    """The same for the files that a pattern of the shell's stands for."""
    return (
        f"for file in {pattern}; do "
        'value=; read -r value < $file; echo "$file $value"; done 2>/dev/null'
    )


def read_tables_command(paths: Sequence[str]) -> str:
    """Prints a line `PATH/KEY VALUE` for each line `KEY VALUE` of each file."""
    return (
        f"for file in {shlex.join(paths)}; do while read -r key value; do "
        'echo "$file/$key $value"; done < $file; done 2>/dev/null'
    )


def parse_values(text: str) -> dict[str, str]:
    """Return the values by path from what such commands printed."""
    pairs = (line.partition(" ") for line in text.splitlines())
    return {path: value.strip() for path, _, value in pairs if path}
