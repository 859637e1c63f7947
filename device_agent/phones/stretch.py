"""Runs a script on the phone, looks after it, and fetches what it wrote."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from uuid import uuid4

import structlog

from device_agent.errors import DeviceNotReady, TransportLost, VisitTimedOut
from device_agent.phones.files import QUICK_S, folders_on
from device_agent.phones.script import PhoneScript, kill_command
from device_agent.text import one_line, printed
from device_agent.transports.base import Transport

#: between two looks at a running script, s: each one wakes the phone's daemon and shell
POLL_S = 1.0
#: between two looks when the script may be over any moment
SOON_POLL_S = 0.1
#: how long a phone that went away is waited for, s
PATIENCE_S = 45.0
_RECONNECT_EVERY_S = 2.0
_FETCH_S = 60.0
#: between two lines of the log that say how far a script is, s
TELL_EVERY_S = 30.0

_log = structlog.get_logger()


class PhoneScripts:
    """Scripts on one phone, one at a time.

    Args:
        transport: to the phone.
        visit_timeout_s: what one visit may take at most; a script that stays longer at one is
            killed.
        poll_s: between two looks.
        patience_s: how long a phone that went away is waited for.
        sleep: for tests.
    """

    def __init__(
        self,
        transport: Transport,
        visit_timeout_s: float,
        *,
        poll_s: float = POLL_S,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._visit_timeout_s = visit_timeout_s
        self._poll_s = poll_s
        self._patience_s = patience_s
        self._sleep = sleep

    def folder(self) -> PurePosixPath:
        """A name for the next stretch's folder."""
        return folders_on(self._transport).stretches / uuid4().hex

    def run(
        self, script: PhoneScript, go_on: Callable[[], bool]
    ) -> tuple[str, DeviceNotReady | VisitTimedOut | None]:
        """What the script wrote, and what kept it from its end, if anything did.

        It stays on the phone, too, until `remove`.

        `VisitTimedOut` is what is to be said of the visit that it was at.

        Args:
            script: its folder is one of `folder`.
            go_on: asked at each look; after the first no, the script ends with its visit.

        Raises:
            TransportLost: the phone went away and did not come back; what was written stays on
                it.
        """
        self._start(script)
        stuck = self._watch(script, go_on, time.monotonic() + script.least_s)
        return self._fetch(script.folder), stuck

    def fetch_late(self, folder: str) -> str:
        """What a script wrote whose phone was lost; the script is ended if it still runs."""
        self._shell(kill_command(folder))
        try:
            return self._fetch(folder)
        except FileNotFoundError:
            return ""

    def remove(self, folder: str) -> None:
        """Removes a script and what it wrote."""
        self._shell(f"rm -rf {shlex.quote(folder)}")

    def _fetch(self, folder: str) -> str:
        results = PurePosixPath(folder) / "results"
        return printed(self._transport.pull(results, timeout_s=_FETCH_S))

    def _start(self, script: PhoneScript) -> None:
        folder = PurePosixPath(script.folder)
        make = f"mkdir -p {shlex.quote(script.folder)} && command -v setsid"
        ready = self._transport.shell(make, timeout_s=QUICK_S)
        if ready.exit_code:
            raise DeviceNotReady(
                f"{self._transport.serial} cannot run a script by itself: it has no `setsid`, or "
                f"makes no folder {folder}; `device-agent doctor` says more"
            )
        path = folder / "script.sh"
        self._transport.push(script.text.encode(), path, mode=0o755, timeout_s=QUICK_S)
        # In a session of its own: it must outlive the connection.
        self._shell(f"cd {script.folder} && setsid sh script.sh > results 2>&1 < /dev/null &")

    def _watch(
        self, script: PhoneScript, go_on: Callable[[], bool], soon_at: float
    ) -> DeviceNotReady | VisitTimedOut | None:
        """Looks until the script is over; why it ended early, None where it did not."""
        # Without a number, the script is only about to begin.
        question = (
            f"cd {script.folder} && pid=$(cat pid 2>/dev/null); if [ -e over ]; then echo over; "
            'elif [ -z "$pid" ] || kill -0 "$pid"; then echo "at $(cat progress)"; '
            "else echo dead; fi"
        )
        stop_requested = False
        at, since = "at", time.monotonic()
        told_at = since
        while True:
            if time.monotonic() - told_at >= TELL_EVERY_S:
                told_at = time.monotonic()
                number = at.removeprefix("at").strip() or "0"
                _log.info("measuring", device=self._transport.serial, visit=number, of=script.steps)
            state = self._patiently(question)
            if state == "over":
                return None
            if state != at:
                at, since = state, time.monotonic()
            if state == "dead":
                # It may have come to its end between the two questions of one look.
                if self._patiently(question) == "over":
                    return None
                return DeviceNotReady(
                    f"{self._transport.serial} ended the script of its visits; did it restart?"
                )
            if time.monotonic() - since > self._visit_timeout_s:
                self._patiently(kill_command(script.folder))
                return VisitTimedOut(
                    f"the visit took longer than {self._visit_timeout_s:g} s and was stopped"
                )
            if not stop_requested and not go_on():
                self._patiently(f"echo stop > {script.folder}/stop")
                stop_requested = True
            remaining_s = soon_at - time.monotonic()
            is_soon = remaining_s <= 0 or stop_requested
            self._sleep(
                SOON_POLL_S if is_soon else min(self._poll_s, max(remaining_s, SOON_POLL_S))
            )

    def _patiently(self, command: str) -> str:
        """What a command said, reconnecting while the phone is away.

        Raises:
            TransportLost: it does not come back.
        """
        deadline: float | None = None
        while True:
            try:
                if deadline is not None:
                    self._transport.reconnect()
                return self._shell(command)
            except TransportLost as error:
                now = time.monotonic()
                if deadline is None:
                    deadline = now + self._patience_s
                    why = one_line(error)
                    _log.warning("device lost", device=self._transport.serial, why=why)
                if now >= deadline:
                    raise
                self._sleep(_RECONNECT_EVERY_S)

    def _shell(self, command: str) -> str:
        return self._transport.shell(command, timeout_s=QUICK_S).output.strip()
