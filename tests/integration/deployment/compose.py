"""docker-compose.yml as data, and its commands as plain processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def load() -> dict[str, Any]:
    """The file, with its anchors resolved."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return loaded


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """The text as compose would fill it in.

    Raises:
        KeyError: a required variable is missing or empty.
    """

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if found := variables.get(name):
            return found
        if kind == "-":
            return str(rest)
        raise KeyError(name)

    return _VARIABLE.sub(value, text)


def environment(
    service: Mapping[str, Any], variables: Mapping[str, str], replaced: Mapping[str, str]
) -> dict[str, str]:
    """A service's variables beside this process's, some of them replaced."""
    own = {
        name: substituted(str(value), variables) for name, value in service["environment"].items()
    }
    outer = {name: value for name, value in os.environ.items() if "PROFILER" not in name}
    return {**outer, **{name: replaced.get(name, value) for name, value in own.items()}}


def command(service: Mapping[str, Any], replaced: Mapping[str, str]) -> list[str]:
    """A service's command, with some arguments replaced; files are those that it would mount."""
    mounted = {
        target: str(ROOT / source)
        for source, target, *_ in (one.split(":") for one in service.get("volumes", ()))
        if source.startswith("./")
    }
    program, *arguments = service["command"]
    found = shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found is not None, f"{program} is not installed"
    return [found, *(replaced.get(one, mounted.get(one, one)) for one in arguments)]


def check_health(service: Mapping[str, Any], replaced: Mapping[str, str]) -> bool:
    """Whether a service's health check, which is a program of Python's, says yes."""
    how, python, *arguments = service["healthcheck"]["test"]
    assert (how, python) == ("CMD", "python")
    for old, new in replaced.items():
        arguments = [one.replace(old, new) for one in arguments]
    ended = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return ended.returncode == 0
