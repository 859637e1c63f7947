"""What a run has come to so far, sent beside it: the run waits for nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

import structlog

from netspec.errors import ProfilerRefused, ProfilerUnreachable
from netspec.wire import WindowsUpload

#: how long the end of a run waits for what is on its way, s
_JOIN_TIMEOUT_S = 5.0
_log = structlog.get_logger()


class SoFar:
    """Sends the newest of what it is told in a thread of its own, within `with`.

    What the server does not take is not sent again: the next windows hold it, too.

    Args:
        send: hands windows over.
    """

    def __init__(self, send: Callable[[WindowsUpload], None]) -> None:
        self._send = send
        self._changed = threading.Condition()
        self._newest: WindowsUpload | None = None
        self._over = False
        # A server that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._keep, name="windows so far", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join(_JOIN_TIMEOUT_S)

    def tell(self, upload: WindowsUpload) -> None:
        """Has this be sent as soon as nothing else is on its way."""
        with self._changed:
            self._newest = upload
            self._changed.notify()

    def _keep(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._over)
                newest, self._newest = self._newest, None
            # What is whole is sent by others.
            if newest is None or self._over:
                return
            try:
                self._send(newest)
            except (ProfilerUnreachable, ProfilerRefused) as error:
                _log.warning("windows so far were not taken", why=str(error))
