"""A made-up /sys, asked by a real shell."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path


def shell_of(root: Path, files: Mapping[str, str]) -> Callable[[str], str]:
    """What a real shell prints on a device with these files of /sys; each ends with a newline."""
    for path, text in files.items():
        file = root / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def say(command: str) -> str:
        there = command.replace("/sys/", f"{root}/sys/")
        said = subprocess.run(["sh", "-c", there], check=False, capture_output=True, text=True)
        return said.stdout.replace(f"{root}/sys/", "/sys/")

    return say
