"""Whether pip can install anything here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def skip_without_registry(folder: Path) -> None:
    """Skip the test, with what pip says, where it cannot have a package that is there.

    Args:
        folder: for that package.
    """
    options = ["--quiet", "--no-deps", "--retries", "0", "--no-cache-dir", "--dest", str(folder)]
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "mdurl"],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = ended.stderr.strip().rpartition("\n")[2]
        pytest.skip(f"pip reaches no registry: {said}")
