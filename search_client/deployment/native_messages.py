"""What LiteRT writes past Python to stderr, without what it says in passing."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
#: as in `INFO: Created TensorFlow Lite XNNPACK delegate for CPU.`
_INFO = re.compile(rb"INFO: [^\n]*\n?")
#: there is one stderr for all threads
_alone = threading.Lock()


@contextmanager
def without_info() -> Iterator[None]:
    """Hold back what is written to stderr in the block, and write all but INFO lines at its end.

    LiteRT has no setting for this, and such a line in the midst of a progress bar tears it.
    """
    if sys.stderr is None:
        yield
        return
    with _alone, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        stderr = os.dup(_STDERR)
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            held.seek(0)
            with open(_STDERR, "wb", closefd=False) as shown:
                shown.write(_INFO.sub(b"", held.read()))
