"""What constraints.txt pins installs on every Python that pyproject.toml promises."""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = {
    canonicalize_name(requirement.name): requirement
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for requirement in [Requirement(line)]
}


#: how the names of the parts of CUDA begin
CUDA = ("cuda-", "nvidia-", "triton")
#: extras that the environment of the tests leaves out
LEFT_OUT = {"mlflow", "wandb"}


def oldest_python() -> str:
    """Return the first release that `requires-python` allows: `3.11.0` for `>=3.11`."""
    (specifier,) = SpecifierSet(PROJECT["requires-python"])
    assert specifier.operator == ">="
    return f"{specifier.version}.0"


def refusals(pins: dict[str, str], python: str) -> dict[str, str]:
    """Return the pins whose distribution refuses a Python, with what it requires instead.

    Args:
        pins: name and `Requires-Python` of each.
        python: a release such as `3.11.0`.
    """
    return {
        name: required
        for name, required in pins.items()
        if not SpecifierSet(required).contains(python)
    }


def needed(requirement: Requirement, done: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the names of all that a requirement installs on this machine, itself included.

    Not of CUDA, which torch brings where its index has that build: torch itself pins all of it.
    """
    name = canonicalize_name(requirement.name)
    if name.startswith(CUDA):
        return
    yield name
    for extra in ("", *sorted(requirement.extras)):
        if (name, extra) in done:
            continue
        done.add((name, extra))
        for line in importlib.metadata.requires(name) or ():
            dependency = Requirement(line)
            if dependency.marker is None or dependency.marker.evaluate({"extra": extra}):
                yield from needed(dependency, done)


@pytest.mark.parametrize("name", PINS)
def test_a_pin_is_what_is_installed_and_takes_the_oldest_python(name: NormalizedName) -> None:
    try:
        installed = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        # Some are backports. On the oldest Python nothing may be missing.
        assert sys.version_info[:2] > tuple(map(int, oldest_python().split(".")[:2]))
        pytest.skip(f"{name} is not installed on this Python")
    # A build of the same release (`+cpu`) is the release.
    assert installed.version.partition("+")[0] in PINS[name].specifier
    (required,) = installed.metadata.get_all("Requires-Python") or (">=3",)
    assert refusals({name: required}, oldest_python()) == {}


def test_a_pin_that_wants_a_later_python_is_noticed() -> None:
    pins = {"early": ">=3.10", "late": ">=3.11.5", "never": "<3.11"}
    assert refusals(pins, "3.11.0") == {"late": ">=3.11.5", "never": "<3.11"}
    assert oldest_python() == "3.11.0"


def test_everything_that_is_installed_is_pinned() -> None:
    extras = ",".join(PROJECT["optional-dependencies"].keys() - LEFT_OUT)
    project = Requirement(f"{PROJECT['name']}[{extras}]")
    assert set(needed(project, set())) - {project.name} <= set(PINS)
