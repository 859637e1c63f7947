"""The commands of docker-compose.yml, run as they are, do a whole job end to end.

Without an engine: the database is the tests' own, addresses and folders are replaced, and the
replicas have ports instead of addresses of their own.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx2
import pytest

from netspec.client.http import ProfilerHttp
from netspec.operators import MBConv
from netspec.wire import Job, JobRequest, PublishRequest, Snapshot, TargetEntry
from profiler_server.auth import tokens
from tests.integration.deployment import compose
from tests.integration.profiler_server.postgres import CannotStart, running
from tests.waiting import wait_for

SERVICES = compose.load()["services"]
VARIABLES = {"PROFILER_DB_PASSWORD": "not asked for: the tests' database trusts everybody"}
ADDRESS = "127.0.0.1"
TIMEOUT_S = 90.0
OPERATOR = MBConv(input_size=8, in_channels=8, out_channels=8, expand=3, residual=True)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((ADDRESS, 0))
        return [one.getsockname()[1] for one in sockets]


class Stack:
    """The services as processes."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder = folder
        self._database_url = database_url
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.proxy, self._health, self.status, *self.servers = free_ports(5)

    def _variables(self, name: str, **variables: str) -> dict[str, str]:
        """The service's environment, with the addresses of this machine."""
        replaced = {
            "PROFILER_DATABASE_URL": self._database_url,
            "PROFILER_DATA_DIR": str(self._folder / name.rsplit("-", maxsplit=1)[-1]),
            "PROFILER_URL": self.url,
            "PROFILER_SITE": self.url,
            "PROFILER_TRUSTED_PROXIES": ADDRESS,
        }
        service, given = SERVICES[name], {**VARIABLES, **variables}
        made = compose.environment(service, given, replaced)
        if name == "proxy":
            replicas = " ".join(f"{ADDRESS}:{port}" for port in self.servers)
            made["PROFILER_REPLICAS"] = f"to {replicas}"
            made["PROFILER_PROXY_HEALTH_PORT"] = str(self._health)
        return made

    @property
    def url(self) -> str:
        """Of the proxy."""
        return f"http://{ADDRESS}:{self.proxy}"

    def run(self, *command: str) -> str:
        """Runs a command with the migration step's environment to its end; its output."""
        service = {**SERVICES["migrate"], "command": list(command)}
        ended = subprocess.run(
            compose.command(service, {}),
            env=self._variables("migrate"),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def start(self, name: str, replica: int = 0, **variables: str) -> None:
        """Starts a service with its command."""
        port = str(self.servers[replica])
        replaced = {"0.0.0.0": ADDRESS, "8600": port, "8601": str(self.status)}  # noqa: S104
        with self._log(name, replica).open("wb") as log:
            self._processes[f"{name}-{replica}"] = subprocess.Popen(
                compose.command(SERVICES[name], replaced),
                env=self._variables(name, **variables),
                stdout=log,
                stderr=log,
            )

    def _log(self, name: str, replica: int) -> Path:
        return self._folder / f"{name}-{replica}.log"

    def stop(self, name: str, replica: int = 0) -> int:
        """Asks a process to end; its exit code."""
        process = self._processes.pop(f"{name}-{replica}")
        process.send_signal(signal.SIGTERM)
        return process.wait(TIMEOUT_S)

    def kill(self) -> None:
        """Ends what still runs."""
        for process in self._processes.values():
            process.kill()
            process.wait()

    def logs(self) -> str:
        """For people, when a test has failed."""
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("*.log")))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    if shutil.which("caddy") is None:
        pytest.skip("Caddy has no wheel for this platform")
    for folder in ("migrate", "server", "agent", "proxy"):
        (tmp_path / folder).mkdir()
    # The volume that both mount.
    (tmp_path / "migrate").rmdir()
    (tmp_path / "migrate").symlink_to(tmp_path / "server")
    try:
        with running() as postgres, postgres.database(migrated=False) as url:
            made = Stack(tmp_path, url)
            try:
                yield made
            finally:
                made.kill()
                print(made.logs())  # noqa: T201 - pytest shows it when the test fails
    except CannotStart as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")


def token(stack: Stack, scope: str) -> str:
    made = stack.run("profiler-server", "token", "create", "--name", scope, "--scope", scope)
    return made.strip().splitlines()[-1].split()[-1]


def test_a_whole_job(stack: Stack) -> None:
    assert "schema" in stack.run(*SERVICES["migrate"]["command"])
    for replica in range(SERVICES["server"]["deploy"]["replicas"]):
        stack.start("server", replica)
    for port in map(str, stack.servers):
        wait_for(partial(compose.check_health, SERVICES["server"], {"8600": port}))
    stack.start("proxy")
    admin, agent = token(stack, "admin"), token(stack, "agent")
    with httpx2.Client(base_url=stack.url) as client:
        wait_for(lambda: answers(client))
        assert client.get("/metrics").status_code == 404
    stack.start("host-agent", PROFILER_AGENT_TOKEN=agent)
    with ProfilerHttp(stack.url, admin) as http:
        targets = wait_for(lambda: items(http, "/v1/targets"))
        wait_for(lambda: compose.check_health(SERVICES["host-agent"], {"8601": str(stack.status)}))
        target_id = targets[0]["id"]
        job = JobRequest(name="whole", target_id=target_id, operators=(OPERATOR,), rounds=2)
        filed = Job.model_validate_json(http.request("POST", "/v1/jobs", body=job).content)
        # A replica goes while the agent is at work; the proxy sends everybody to the other one.
        assert stack.stop("server", 0) == 0
        wait_for(lambda: followed(http, filed).state == "done")
        stack.start("server", 0)
        path = f"/v1/targets/{target_id}"
        published = http.request(
            "POST", f"{path}/snapshots", body=PublishRequest(), idempotent=True
        )
        table = Snapshot.model_validate_json(published.content)
        asked = http.request("GET", f"{path}/latency", params={"key": OPERATOR.key})
        entry = TargetEntry.model_validate_json(asked.content)
    assert [(one.name, one.visits) for one in table.entries] == [(OPERATOR.key, 2)]
    assert entry.value_ms == table.entries[0].value_ms > 0
    assert stack.stop("host-agent") == 0
    check_guesses(stack.url)


def check_guesses(url: str) -> None:
    """Who guesses tokens behind the proxy is refused under its own address, whatever it says."""
    spoofed = {"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.8"}
    detail = ""
    with httpx2.Client(base_url=url, headers=spoofed) as client:
        for _ in range(500):
            headers = {"Authorization": f"Bearer {tokens.new_token()}"}
            answer = client.get("/v1/jobs", headers=headers)
            if answer.status_code == httpx2.codes.TOO_MANY_REQUESTS:
                detail = answer.json()["detail"]
                break
    assert f"tokens from {ADDRESS} were not valid" in detail


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False


def items(http: ProfilerHttp, path: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(http.request("GET", path).content)
    return found


def followed(http: ProfilerHttp, job: Job) -> Job:
    return Job.model_validate_json(http.request("GET", f"/v1/jobs/{job.id}").content)
