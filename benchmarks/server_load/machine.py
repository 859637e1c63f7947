"""Processes for a measurement, and the cores that they run on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from netspec.console.tokens import server_tokens
from tests.integration.profiler_server.postgres import running
from tests.integration.profiler_server.process import Server

DATABASES = ("sqlite", "postgresql")
#: as a lab would run it: receipts survive a power cut
_POSTGRESQL = "-c shared_buffers=128MB -c max_connections=200"
_CORES = os.sched_getaffinity(0)
_CORE_OF_SERVERS = min(_CORES)


@dataclass(frozen=True)
class Service:
    """Replicas on one database, asked with a token of every scope."""

    replicas: tuple[Server, ...]
    token: str
    database_url: str

    @property
    def url(self) -> str:
        """Of the first replica."""
        return self.replicas[0].url

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def service(kind: str, replicas: int = 1) -> Iterator[Service]:
    """Server processes on a new database; each logs a line for every request."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database_url = f"sqlite:///{folder}/profiler.db"
        if kind == "postgresql":
            postgres = stack.enter_context(running(_POSTGRESQL))
            database_url = stack.enter_context(postgres.database())
        settings = {"PROFILER_DATABASE_URL": database_url}
        program, options = ("-m", "profiler_server"), ("--log-level", "info")
        started = [
            stack.enter_context(
                Server(folder, program=program, options=options, variables=settings)
            )
            for _ in range(replicas)
        ]
        yield Service(tuple(started), server_tokens(started[0].url, folder)[0], database_url)


@contextmanager
def bare() -> Iterator[Server]:
    """The bare endpoint's process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder), program=("-m", "benchmarks.server_load.bare")) as server,
    ):
        yield server


@contextmanager
def client_apart() -> Iterator[None]:
    """Within, this process and what it starts stay off the core of `alone`."""
    os.sched_setaffinity(0, _CORES - {_CORE_OF_SERVERS} or _CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, _CORES)


def alone(server: Server) -> Server:
    """The server, with every thread on a core that `client_apart` leaves to it."""
    for thread in Path(f"/proc/{server.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {_CORE_OF_SERVERS})
    return server


def resident_mb(server: Server) -> float:
    """Memory of the server's process that is in RAM, in MB (2**20 bytes)."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
