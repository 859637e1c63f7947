"""The real server and the real agent as processes of their own."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from device_agent.host.identity import host_device
from device_agent.loop.agent import registration
from device_agent.loop.server import Link
from netspec.client import ProfilerClient
from netspec.client.http import ProfilerHttp
from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from netspec.console.tokens import server_tokens
from netspec.protocol import MeasurementProtocol
from netspec.wire import Job, JobRequest
from tests.forked import Program
from tests.waiting import wait_for


@dataclass
class Farm:
    """A server and its agents, with a data folder of their own."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    url: str = ""
    _server: Program | None = None
    _agents: list[Program] = field(default_factory=list)

    @property
    def _environment(self) -> dict[str, str]:
        outer = {
            name: value
            for name, value in os.environ.items()
            if name not in (TOKEN_VARIABLE, URL_VARIABLE)
        }
        return {**outer, DATA_DIR_VARIABLE: str(self.folder), **self.settings}

    def start_server(self) -> None:
        """Starts the server; a second time, on the port of the first."""
        port = self.url.rsplit(":", 1)[-1] or "0"
        server = Program("profiler-server", "serve", "--port", port, variables=self._environment)
        self._server = server
        wait_for(lambda: "\n" in server.stdout)
        line = server.stdout.splitlines()[0]
        assert line.startswith("profiler-server at "), line
        self.url = line.split()[-1]

    def kill_server(self) -> None:
        if self._server is not None:
            self._server.close()

    def start_agent(self, *arguments: str) -> Program:
        given = ("run", "--profiler-url", self.url, *arguments)
        agent = Program("device-agent", *given, variables=self._environment)
        self._agents.append(agent)
        return agent

    def run_agent(self, *arguments: str) -> str:
        """Runs an agent until there is no work left; its log."""
        ended = self.start_agent("--until-idle", *arguments).wait()
        assert ended.returncode == 0, ended.stderr
        return ended.stderr

    def register_host(self) -> None:
        """Makes this machine's target known, as an agent does that starts."""
        protocol = MeasurementProtocol()
        with self.http() as http:
            Link(http).register(registration(host_device(protocol), protocol))

    def close(self) -> None:
        for agent in self._agents:
            agent.close()
        self.kill_server()

    def http(self) -> ProfilerHttp:
        return ProfilerHttp(self.url, server_tokens(self.url, self.folder)[0])

    def client(self) -> ProfilerClient:
        return ProfilerClient(self.url, server_tokens(self.url, self.folder)[0])

    def file(self, request: JobRequest) -> Job:
        with self.http() as http:
            answer = http.request("POST", "/v1/jobs", body=request)
        return Job.model_validate_json(answer.content)

    def job(self, job: Job) -> Job:
        with self.http() as http:
            return Job.model_validate_json(http.request("GET", f"/v1/jobs/{job.id}").content)

    def visits_stored(self) -> int:
        with closing(sqlite3.connect(self.folder / "profiler.db")) as database:
            return int(database.execute("SELECT count(*) FROM visits").fetchone()[0])

    def visits_accepted(self) -> int:
        """Those that enter entries; on a busy machine some others are made again."""
        with closing(sqlite3.connect(self.folder / "profiler.db")) as database:
            accepted = "SELECT count(*) FROM visits WHERE rejected = ''"
            return int(database.execute(accepted).fetchone()[0])

    def visits_spooled(self) -> int:
        total = 0
        for path in self.folder.glob("spool-*.db"):
            with closing(sqlite3.connect(path)) as database:
                # A spool that is being made has no tables yet.
                tables = "SELECT count(*) FROM sqlite_master WHERE name = 'visits'"
                if database.execute(tables).fetchone()[0]:
                    total += int(database.execute("SELECT count(*) FROM visits").fetchone()[0])
        return total
