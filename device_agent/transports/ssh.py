"""Linux boards over SSH: commands of the board's `sh`, and files through its `cat`.

How the user's own `ssh` reaches a board decides here, too: `~/.ssh/config`, known hosts, keys, the
agent that holds keys. Nothing is ever asked at the terminal, and no password is ever sent.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from device_agent.errors import (
    DeviceFull,
    DeviceNotReady,
    FileRefused,
    KeyNotTrusted,
    NoSuchDevice,
    SshMissing,
    TransportLost,
)
from device_agent.text import one_line, printed
from device_agent.transports.base import ShellResult, Way
from device_agent.transports.shell import v2_command
from device_agent.transports.streams import Deadline

if TYPE_CHECKING:
    import asyncssh

#: a small board takes some seconds to agree on keys
_USABLE_WITHIN_S = 10.0
_ADDRESS = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_LAST_PORT = 65_535
#: caches may be removed at any time, and are the user's alone
_ASK_FOLDER = 'echo "${XDG_CACHE_HOME:-$HOME/.cache}"'
#: the agent's scripts name files in it without quotes
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._@+-]*")
#: what no `cat` ends with
_NO_FILE = 44
_FULL = ("No space left on device", "Disk quota exceeded")
_SHOWN_COMMAND = 60
_SIGNALLED = 128


class SshAddress(NamedTuple):
    """Where a board is; None: as `~/.ssh/config` says, or SSH's usual."""

    host: str
    user: str | None
    port: int | None

    def command(self, program: str) -> str:
        """OpenSSH's program, as it is started for this address."""
        port = [] if self.port is None else ["-p", str(self.port)]
        return shlex.join(
            [program, *port, self.host if self.user is None else f"{self.user}@{self.host}"]
        )


def ssh_address(text: str) -> SshAddress:
    """The parts of `USER@HOST:PORT`, of which the host alone must be there.

    Raises:
        NoSuchDevice: it is no address.
    """
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 0 < port <= _LAST_PORT):
        raise NoSuchDevice(
            f"{text!r} is not a board's address; write USER@HOST, USER@HOST:PORT, or a name of "
            "~/.ssh/config"
        )
    return SshAddress(match["ipv6"] or match["host"], match["user"], port)


class SshTransport:
    """One board, see `Transport`. It is usable when its shell has named the agent's folder.

    Args:
        serial: its address, see `ssh_address`.

    Raises:
        NoSuchDevice: the address is none.
    """

    way: Way = "ssh"

    def __init__(self, serial: str) -> None:
        self.serial = serial
        self._address = ssh_address(serial)
        self._runner: asyncio.Runner | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._folder: PurePosixPath | None = None
        self._numbers = itertools.count()

    @property
    def folder(self) -> PurePosixPath:
        """See `Transport`: the user's caches."""
        if self._folder is None:
            raise TransportLost(f"{self.serial} is not connected")
        return self._folder

    def shell(self, command: str, *, timeout_s: float, merged: bool = False) -> ShellResult:
        """Runs a command line of the board's `sh` to its end."""
        line = one_line(command)
        shown = line if len(line) <= _SHOWN_COMMAND else f"{line[: _SHOWN_COMMAND - 3]}..."
        deadline = Deadline(timeout_s, f"`{shown}` on {self.serial}")
        code, output, errors = self._run(v2_command(command, merged=merged), b"", deadline)
        return ShellResult(code, printed(output), printed(errors))

    def push(self, content: bytes, path: PurePosixPath, *, mode: int, timeout_s: float) -> None:
        """Writes a file: completely, or not at all under this name."""
        name = f".{path.name}.{os.getpid()}-{next(self._numbers)}.part"
        part, parts = shlex.quote(str(path.with_name(name))), path.with_name(f".{path.name}.")
        # A transfer that is cut ends for `cat` as a whole one does: only the size tells.
        command = (
            f"mkdir -p {shlex.quote(str(path.parent))} && cat > {part} && "
            f'[ "$(wc -c < {part})" -eq {len(content)} ] && '
            f"chmod {mode:o} {part} && mv -f {part} {shlex.quote(str(path))}; code=$?; "
            f"rm -f {shlex.quote(str(parts))}*.part; exit $code"
        )
        doing = Deadline(timeout_s, f"the transfer of {path} to {self.serial}")
        code, _, errors = self._run(command, content, doing)
        said = one_line(printed(errors))
        if any(words in said for words in _FULL):
            raise DeviceFull(
                f"no space is left on {self.serial} for {path}; delete files from its disk"
            )
        if code:
            raise FileRefused(f"{self.serial} refuses to write {path}: {said or 'it came cut'}")

    def pull(self, path: PurePosixPath, *, timeout_s: float) -> bytes:
        """A file's bytes."""
        name = shlex.quote(str(path))
        doing = Deadline(timeout_s, f"the transfer of {path} from {self.serial}")
        code, content, errors = self._run(
            f"[ -e {name} ] || exit {_NO_FILE}; cat {name}", b"", doing
        )
        if code == _NO_FILE:
            raise FileNotFoundError(f"there is no {path} on {self.serial}")
        if code:
            said = one_line(printed(errors))
            raise FileRefused(f"{self.serial} refuses to hand out {path}: {said}")
        return content

    def reconnect(self) -> None:
        """Closes and opens the way again.

        Raises:
            TransportLost: the board does not answer within 10 s.
            KeyNotTrusted: this machine does not know the board's key, or the board not the user's.
            NoSuchDevice: `~/.ssh/config` cannot be read.
            SshMissing: the library is not installed.
        """
        self.close()
        deadline = Deadline(_USABLE_WITHIN_S, f"connecting to {self.serial}")
        self._runner = asyncio.Runner()
        try:
            self._connection = self._runner.run(_connected(self.serial, self._address, deadline))
            self._folder = self._usable_folder(deadline)
        except BaseException:
            self.close()
            raise

    def _usable_folder(self, deadline: Deadline) -> PurePosixPath:
        """The folder of the user's caches, which only a shell that answers can name."""
        code, output, errors = self._run(_ASK_FOLDER, b"", deadline)
        folder = printed(output).strip()
        if code or not folder:
            said = one_line(printed(output + errors)) or "nothing"
            raise TransportLost(f"{self.serial} answers, but its shell does not: it said {said}")
        if not _PLAIN_PATH.fullmatch(folder):
            raise DeviceNotReady(
                f"{self.serial} keeps caches in {folder!r}, which a script cannot name; set "
                "XDG_CACHE_HOME there to a path of letters, digits and ._@+-"
            )
        return PurePosixPath(folder)

    def close(self) -> None:
        """Ends the connection."""
        connection, runner = self._connection, self._runner
        self._connection = self._runner = None
        if connection is not None:
            connection.abort()
        if runner is not None:
            runner.close()

    def _run(self, command: str, given: bytes, deadline: Deadline) -> tuple[int, bytes, bytes]:
        """How a command of `sh` ended, and what it said on both streams.

        The user's own shell may be another one: it only starts `sh`. Messages are read, so they
        are asked for in the one language that every board has.
        """
        import asyncssh  # noqa: PLC0415

        if self._connection is None or self._runner is None:
            raise TransportLost(f"{self.serial} is not connected")
        line = f"env LC_ALL=C sh -c {shlex.quote(command)}"
        try:
            ended = self._runner.run(_ended(self._connection, line, given, deadline))
        except (asyncssh.Error, OSError, TransportLost) as error:
            self.close()
            if isinstance(error, TransportLost):
                raise
            raise TransportLost(f"{self.serial} was lost: {one_line(error)}") from error
        code = ended.returncode
        if code is None:
            self.close()
            raise TransportLost(f"{self.serial} went away before the command ended")
        if code < 0:  # the number of the signal that ended it
            code = _SIGNALLED - code
        return code, _bytes(ended.stdout), _bytes(ended.stderr)


async def _ended(
    connection: asyncssh.SSHClientConnection, line: str, given: bytes, deadline: Deadline
) -> asyncssh.SSHCompletedProcess:
    import asyncssh  # noqa: PLC0415

    try:
        async with asyncio.timeout(deadline.remaining_s()):
            return await connection.run(
                line,
                input=given or None,
                stdin=asyncssh.PIPE if given else asyncssh.DEVNULL,
                encoding=None,
                # Whatever the user's configuration says of other connections.
                request_pty=False,
            )
    except TimeoutError as error:
        raise deadline.passed() from error


async def _connected(
    serial: str, address: SshAddress, deadline: Deadline
) -> asyncssh.SSHClientConnection:
    try:
        import asyncssh  # noqa: PLC0415
    except ImportError as error:
        raise SshMissing(
            "boards are reached through asyncssh, which is not installed: `pip install asyncssh`"
        ) from error
    shown: list[str] = []

    class Client(asyncssh.SSHClient):
        """Told of a host's key only where no file of known hosts has it."""

        def validate_host_public_key(
            self, host: str, addr: str, port: int, key: asyncssh.SSHKey
        ) -> bool:
            del host, addr, port
            shown.append(key.get_fingerprint())
            return False

    try:
        async with asyncio.timeout(deadline.remaining_s()):
            return await asyncssh.connect(
                address.host,
                () if address.port is None else address.port,
                username=() if address.user is None else address.user,
                client_factory=Client,
                preferred_auth="publickey",
                password_auth=False,
                kbdint_auth=False,
            )
    except TimeoutError as error:
        raise deadline.passed() from error
    except asyncssh.HostKeyNotVerifiable as error:
        found = f"{shown[0]}, which is not the one" if shown else "one that is revoked, or not"
        look = address.command("ssh")
        raise KeyNotTrusted(
            f"{serial} shows the host key {found} in your file of known hosts: run `{look}` "
            "once, compare the fingerprint with that of the board "
            "(`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there), and look again"
        ) from error
    except asyncssh.PermissionDenied as error:
        raise KeyNotTrusted(
            f"{serial} takes none of your keys: allow one with `{address.command('ssh-copy-id')}`, "
            "and hand one with a passphrase to your SSH agent (`ssh-add`)"
        ) from error
    except asyncssh.ConfigParseError as error:
        raise NoSuchDevice(f"~/.ssh/config cannot be read: {one_line(error)}; mend it") from error
    except ValueError as error:  # also asyncssh's own, of keys
        raise KeyNotTrusted(
            f"a key or a file of known hosts cannot be read: {one_line(error)}; mend it"
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise TransportLost(f"no answer from {serial}: {one_line(error)}") from error


def _bytes(said: object) -> bytes:
    return said if isinstance(said, bytes) else b""
