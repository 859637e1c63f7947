"""A process that ends with the one that started it, however that one ended.

The parent holds the other end of the child's standard input. The kernel closes it with the
parent, also after SIGKILL, on every system; a signal at the parent's death is Linux's alone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import MutableMapping

#: set by a parent that gives its child a pipe as standard input, and never writes to it
END_WITH_STDIN_VARIABLE = "PROFILER_END_WITH_STDIN"

_READ_BYTES = 4096


def end_with_parent(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sends this process SIGTERM at the end of its standard input, if its parent asks for that.

    The wish is taken out of the environment: children of this process are not meant.
    """
    if environment.pop(END_WITH_STDIN_VARIABLE, ""):
        threading.Thread(target=_wait, name="parent", daemon=True).start()


def _wait() -> None:
    while os.read(sys.stdin.fileno(), _READ_BYTES):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
