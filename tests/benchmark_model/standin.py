"""Builds the stand-in of `benchmark_model` from its source.

It is linked to the LiteRT library of the installed wheel, so it measures what the host runner
measures, and prints the TFLite tool's format.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

_SOURCE = Path(__file__).with_name("benchmark_model.c")
_LIBRARY = "libLiteRt.so"


class CannotBuild(Exception):
    """The stand-in cannot be built here; the text says why."""


def litert_library() -> Path:
    """LiteRT's C library out of the wheel.

    Raises:
        CannotBuild: it is not there.
    """
    spec = importlib.util.find_spec("ai_edge_litert")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / _LIBRARY
        if path.exists():
            return path
    raise CannotBuild(f"the wheel of ai-edge-litert holds no {_LIBRARY}")


def build_benchmark_model() -> Path:
    """The program, cached by its source and library, which it finds through `LD_LIBRARY_PATH`.

    Raises:
        CannotBuild: there is no C compiler, or no library.
    """
    compiler, library = shutil.which("gcc"), litert_library()
    if compiler is None:
        raise CannotBuild("there is no gcc")
    recipe = _SOURCE.read_bytes() + f"{library} {library.stat()}".encode()
    path = user_cache_path("proxyless-farm") / f"standin-{hashlib.sha256(recipe).hexdigest()[:12]}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            built = Path(folder) / "benchmark_model"
            flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-lm"]
            made = subprocess.run(
                [compiler, "-o", built, _SOURCE, library, *flags],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                raise CannotBuild(f"gcc fails: {' '.join(made.stderr.split())[-300:]}")
            built.rename(path)
    return path
