"""The server process: its socket, its signals, its first token."""

from __future__ import annotations

import errno
import gc
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from netspec.console.tokens import save_token, server_address, stored_tokens, token_path
from netspec.errors import UserError
from profiler_server.auth import repository, service, tokens
from profiler_server.auth.scopes import Scope
from profiler_server.auth.service import TokenChecker
from profiler_server.devices import repository as devices
from profiler_server.kit.http.protocol import Http
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from profiler_server.tracing import traced

#: how long (s) running requests may take once the server is told to stop
_GRACE_S = 10
_BACKLOG = 2048
#: proxies keep idle connections for about a minute, and must not find them closed
_KEEP_ALIVE_S = 75
#: so many new objects before the collector looks for cycles: a full batch of visits makes 30,000,
#: and looking through them while they are needed takes a third of the time of their upload
_COLLECT_AFTER = 50_000


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any that is free.

    Raises:
        UserError: the port is taken, or the host is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With the protocol left out, asyncio would not turn Nagle's algorithm off: 40 ms an answer.
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UserError(f"{host!r} is no address to listen on: {error.strerror}") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} on {host} is taken; stop what uses it, or pass another with --port "
                "(0 takes any that is free)"
            ) from error
        raise UserError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose others with --host "
            "and --port"
        ) from error
    return made


def url_of(listening: socket.socket) -> str:
    """The URL under which a listening socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: FastAPI, listening: socket.socket, announce: Callable[[], None], drain_s: float = 0.0
) -> None:
    """Serves until SIGINT or SIGTERM, then lets running requests end.

    Args:
        app: from `create_app`, with traces if the environment asks for them.
        listening: from `listen`; closed at the end.
        announce: called once requests are answered.
        drain_s: for so long after SIGTERM new requests are still answered, while `/readyz`
            fails and nobody waits for work any more; a second signal ends that.

    Raises:
        UserError: the environment asks for traces that cannot be sent.
    """
    config = uvicorn.Config(
        traced(app),
        http=Http,
        log_config=None,
        access_log=False,
        # `TrustedProxies` does that, for those that the settings name.
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config, app, announce, drain_s)

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # What is there by now stays, and need not be looked through again.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    # uvicorn raises the signal again when it is done: then this handler makes the exit code 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, app: FastAPI, announce: Callable[[], None], drain_s: float
    ) -> None:
        super().__init__(config)
        self._app = app
        self._announce = announce
        self._drain_s = drain_s
        self._stopping = False
        self._stops_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._stopping or sig != signal.SIGTERM:
            super().handle_exit(sig, frame)
        self._stopping = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def on_tick(self, counter: int) -> bool:
        # Not in the signal's handler, which may interrupt who holds the work signal's lock.
        if self._stopping and self._stops_at is None:
            self._stops_at = time.monotonic() + self._drain_s
            self._app.state.work_signal.close()
        if self._stops_at is not None and time.monotonic() >= self._stops_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.work_signal.close()
        await super().shutdown(sockets)


def first_token(database: Database, settings: Settings, url: str) -> str:
    """Make the token of a fresh database; return one line about the token for the terminal.

    Of a database that has tokens, the one stored on this machine becomes the one for `url`, also
    if the server moved to another port, or another database was served here in the meantime.

    Raises:
        UserError: the server key cannot be used, or the token cannot be kept; then none is made.
    """
    key = tokens.server_key(settings.server_key_file)
    with database.write() as session:
        # Replicas that start at once make one token, and find it kept.
        devices.lock_server(session)
        if repository.count(session) == 0:
            token = service.create(session, key, "first start", list(Scope))
            return f"token (shown this once, kept in {save_token(url, token)}): {token}"
    return _about_saved_token(TokenChecker(database, key), url)


def _about_saved_token(checker: TokenChecker, url: str) -> str:
    for token in stored_tokens(url):
        with suppress(Problem):
            checker.check(token)
            return f"token: the one in {save_token(url, token)}"
    return (
        f"no token of this database is stored for {server_address(url)} in {token_path(url)}, and "
        "the database keeps only hashes; `profiler-server token create --name NAME --scope admin "
        f"--save --profiler-url {server_address(url)}` makes one"
    )
