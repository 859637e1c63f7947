"""Files that one user alone can read, such as keys."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def make_private(path: Path, content: bytes) -> None:
    """Makes a file that its owner alone can read; one that is there stays as it is.

    Processes that do so at the same time find one file, and never a part of it.

    Raises:
        OSError: it cannot be made.
    """
    # mkstemp makes it readable by its owner alone.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # Another process may have been first; its file is as good.
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
