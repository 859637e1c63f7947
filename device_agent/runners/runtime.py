"""The TensorFlow Lite runtime that a Python holds.

Also a program: `python -m device_agent.runners.runtime` says what that Python holds, as JSON. It
needs nothing but the standard library: the other Python may hold nothing else of ours.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Distribution:
    """A way to get the interpreter."""

    name: str
    package: str
    #: where it keeps interpreter and kernels: a library that its bindings share or, in other
    #: releases, the binding itself
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class Runtime:
    """What is installed; part of what a latency is true for."""

    #: name and version
    name: str
    sha256: str


#: the one that is looked for first
LITERT = Distribution(
    "ai-edge-litert",
    "ai_edge_litert",
    ("libpywrap_litert_common.*", "_pywrap_litert_interpreter_wrapper*"),
)
#: its predecessor: another library, with other speeds; its int8 kernels are not XNNPACK's
TFLITE_RUNTIME = Distribution(
    "tflite-runtime", "tflite_runtime", ("_pywrap_tensorflow_interpreter_wrapper*",)
)
DISTRIBUTIONS = (LITERT, TFLITE_RUNTIME)


def find_runtime(distributions: Sequence[Distribution] = DISTRIBUTIONS) -> Runtime | None:
    """The first runtime that is installed whole, found without loading it."""
    for distribution in distributions:
        library = _library(distribution)
        if library is None:
            continue
        try:
            version = importlib.metadata.version(distribution.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        with library.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Runtime(f"{distribution.name} {version}", digest)
    return None


def interpreter_class() -> Any:
    """`Interpreter` of the runtime that `find_runtime` finds."""
    for distribution in DISTRIBUTIONS:
        if _library(distribution) is not None:
            return importlib.import_module(f"{distribution.package}.interpreter").Interpreter
    raise ImportError("no TensorFlow Lite runtime is installed")


def main() -> None:
    """Says what this Python holds."""
    runtime = find_runtime()
    json.dump(None if runtime is None else asdict(runtime), sys.stdout)


def _library(distribution: Distribution) -> Path | None:
    spec = importlib.util.find_spec(distribution.package)
    for pattern in distribution.libraries:
        for folder in (spec.submodule_search_locations if spec else None) or ():
            for path in sorted(Path(folder).glob(pattern)):
                return path
    return None


if __name__ == "__main__":
    main()
