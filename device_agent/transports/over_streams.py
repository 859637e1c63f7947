"""The transport that both ways share: everything above opening a stream."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from device_agent.errors import DeviceFull, FileRefused, TransportLost
from device_agent.text import one_line
from device_agent.transports import shell, sync
from device_agent.transports.base import ShellResult, Way
from device_agent.transports.streams import Connection, Deadline, ServiceRefused, Stream

#: "adb says connected" is not usable; a command that has echoed within this is
_USABLE_WITHIN_S = 5.0
#: of Android's shell
ANDROID_FOLDER = PurePosixPath("/data/local/tmp")
#: characters of a command in a message
_SHOWN_COMMAND = 60


class StreamTransport:
    """One device, asked through streams to its adb daemon.

    After `TransportLost` every call says so again until `reconnect` has succeeded: what a cut
    command did on the device is unknown, and so is what of its answer is still under way.

    Args:
        connection: not yet connected; `reconnect` does.
    """

    folder = ANDROID_FOLDER

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._connected = False
        self._shell_v2 = True
        self._numbers = itertools.count()

    @property
    def serial(self) -> str:
        """Names the device among those that this machine sees."""
        return self._connection.serial

    @property
    def way(self) -> Way:
        """What lies between this machine and the device."""
        return self._connection.way

    def shell(self, command: str, *, timeout_s: float, merged: bool = False) -> ShellResult:
        """Runs a command line of the device's shell to its end.

        Before Android 7 both streams are merged always.
        """
        deadline = Deadline(timeout_s, f"`{_shortened(command)}` on {self.serial}")
        if self._shell_v2:
            service = shell.V2_SERVICE + shell.v2_command(command, merged=merged)
            try:
                with self._stream(service, deadline, may_be_refused=True) as stream:
                    return shell.v2_result(stream)
            except ServiceRefused:
                self._shell_v2 = False
        with self._stream(shell.V1_SERVICE + shell.v1_command(command), deadline) as stream:
            return shell.v1_result(stream)

    def push(self, content: bytes, path: PurePosixPath, *, mode: int, timeout_s: float) -> None:
        """Writes a file: completely, or not at all under this name."""
        deadline = Deadline(timeout_s, f"the transfer of {path} to {self.serial}")
        # Of this process and this call: a cut transfer's rest cannot be mixed with the next.
        part = path.with_name(f".{path.name}.{os.getpid()}-{next(self._numbers)}.part")
        try:
            with self._stream(sync.SERVICE, deadline) as stream:
                sync.send_file(stream, content, part, mode, path)
                sync.quit_service(stream)
        except (DeviceFull, FileRefused):
            # The refusal is what the caller hears of.
            self.shell(_rm_parts(path), timeout_s=_USABLE_WITHIN_S, merged=True)
            raise
        moved = self.shell(
            f"{shlex.join(['chmod', f'{mode:o}', str(part)])} && "
            f"{shlex.join(['mv', '-f', str(part), str(path)])}; code=$?; "
            f"{_rm_parts(path)}; exit $code",
            timeout_s=deadline.remaining_s(),
            merged=True,
        )
        if moved.exit_code:
            raise FileRefused(f"the phone refuses to write {path}: {moved.output.strip()}")

    def pull(self, path: PurePosixPath, *, timeout_s: float) -> bytes:
        """A file's bytes."""
        deadline = Deadline(timeout_s, f"the transfer of {path} from {self.serial}")
        with self._stream(sync.SERVICE, deadline) as stream:
            content = sync.receive_file(stream, path)
            sync.quit_service(stream)
            return content

    def reconnect(self) -> None:
        """Closes and opens the way again; it is usable when a command has echoed."""
        self.close()
        deadline = Deadline(_USABLE_WITHIN_S, f"connecting to {self.serial}")
        self._shell_v2 = True
        self._connection.connect(deadline)
        self._connected = True
        echoed = self.shell("echo ok", timeout_s=deadline.remaining_s())
        if echoed.exit_code or echoed.output.strip() != "ok":
            self.close()
            raise TransportLost(
                f"{self.serial} answers, but its shell does not: `echo ok` gave "
                f"{_shortened(echoed.output)!r}"
            )

    def close(self) -> None:
        """Ends the connection."""
        self._connected = False
        self._connection.close()

    @contextmanager
    def _stream(
        self, service: str, deadline: Deadline, *, may_be_refused: bool = False
    ) -> Iterator[Stream]:
        if not self._connected:
            raise TransportLost(f"{self.serial} is not connected")
        try:
            stream = self._connection.open(service, deadline)
            try:
                yield stream
            except (DeviceFull, FileRefused, FileNotFoundError):
                stream.close()
                raise
            stream.close()
        except TransportLost:
            self.close()
            raise
        except ServiceRefused as error:
            if may_be_refused:
                raise
            # Every phone offers the others: an adb server says so, too, of one that goes away.
            self.close()
            raise TransportLost(
                f"{self.serial} refuses the service `{_shortened(service)}`"
            ) from error


def _rm_parts(path: PurePosixPath) -> str:
    """Removes this transfer's temporary file, and those of earlier ones that were cut."""
    return f"rm -f {shlex.quote(str(path.with_name(f'.{path.name}.')))}*.part"


def _shortened(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _SHOWN_COMMAND else f"{line[: _SHOWN_COMMAND - 3]}..."
