"""Whatever is sent: an answer that says what is wrong, from a server that is still there."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from netspec.wire import PublishRequest
from profiler_server.kit.problems import KINDS
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.postgres import Postgres
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.strange_requests import Farm, Strange, requests

ADDRESS = "127.0.0.1"
KINDS_OF_DATABASE = ["sqlite", "postgresql"]


class Answer(NamedTuple):
    status: int
    media_type: str
    content: bytes


class Asked:
    """A server with a farm, somebody's token and somebody's session."""

    def __init__(self, server: Server, token: str) -> None:
        url, self.server = server.url, server
        self.port = server.port
        with httpx2.Client(base_url=url) as client:
            self._own = {"Authorization": f"Bearer {token}", "Cookie": _signed_in(client, token)}
            self.there = _built(Api(client, token))

    def send(self, request: Strange) -> Answer:
        given = {name.lower() for name, _ in request.headers}
        own = [one for one in self._own.items() if one[0].lower() not in given]
        with closing(HTTPConnection(ADDRESS, self.port, timeout=30)) as connection:
            connection.putrequest(request.method, request.target, skip_accept_encoding=True)
            for name, value in (*own, *request.headers):
                connection.putheader(name, value.encode("latin-1"))
            if request.body is not None:
                connection.putheader("Content-Length", str(len(request.body)))
            connection.putheader("Connection", "close")
            connection.endheaders(request.body)
            answer = connection.getresponse()
            media_type = answer.getheader("Content-Type", "")
            return Answer(answer.status, media_type, answer.read())


def _signed_in(client: httpx2.Client, token: str) -> str:
    """The cookies of a browser that has signed in."""
    page = client.get("/dashboard/login").text
    found = re.search(r'name="form_token" value="(\w+)"', page)
    assert found is not None
    client.post("/dashboard/login", data={"form_token": found[1], "token": token})
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def _built(api: Api) -> Farm:
    """Two devices of two targets, a job, a lease, visits and a snapshot."""
    device = api.register(farm.registration()).id
    api.register(farm.registration("S2", "Pixel 2"))
    job = api.file(farm.job(farm.blocks(2), networks=[farm.network([2])], rounds=2))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2))
    path = f"/v1/targets/{lease.target_id}/snapshots"
    snapshot = api.call("POST", path, PublishRequest(), status=201).json()
    pages = [f"{one}?limit=1" for one in ("/v1/devices", "/v1/targets", "/v1/events")]
    pages.append(f"/v1/jobs/{job.id}/entries?limit=1")
    links = [api.call("GET", page).headers["Link"] for page in pages]
    cursors = tuple(link.split("cursor=")[1].split(">")[0] for link in links)
    wanted = {"name": "x", "scopes": ["agent"]}
    token_id = api.call("POST", "/v1/tokens", wanted, status=201).json()["info"]["id"]
    return Farm(device, lease.target_id, job.id, lease, snapshot["id"], token_id, cursors)


@contextmanager
def database_of(kind: str, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Options of `serve` for a new database of this kind."""
    if kind == "sqlite":
        yield []
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database() as url:
        yield ["--database-url", url]


@pytest.fixture(scope="module", params=KINDS_OF_DATABASE)
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Asked, Server]]:
    folder = tmp_path_factory.mktemp("strange") / "data"
    with (
        database_of(request.param, request) as options,
        Server(folder, options=[*options, "--log-level", "warning"]) as server,
    ):
        yield Asked(server, token_of(server)), server


def token_of(server: Server) -> str:
    """From the line about the first token."""
    return server.about_token.rsplit(" ", 1)[1]


def check(asked: Asked, data: st.DataObject) -> None:
    request = data.draw(requests(asked.there))
    answer = asked.send(request)
    assert answer.status < 500, (request, answer, asked.server.errors[-5_000:])
    if answer.status >= 400 and request.path.startswith("/v1") and request.method != "HEAD":
        assert answer.media_type == "application/problem+json", (request, answer)
        problem = json.loads(answer.content)
        assert KINDS[problem["type"].removeprefix("/problems/")][0] == answer.status
        assert len(answer.content) < 20_000, request


@given(st.data())
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_a_few_strange_requests(asked: tuple[Asked, Server], data: st.DataObject) -> None:
    check(asked[0], data)


@pytest.mark.nightly
@given(st.data())
@settings(
    max_examples=5_000,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_many_strange_requests(watched: Asked, data: st.DataObject) -> None:
    check(watched, data)


#: s that the server may compute while `/healthz` waits, and that this may take on a busy machine
LONGEST_BUSY_S, LONGEST_S = 2.0, 20.0
#: growth of resident memory over all of them
MOST_GROWTH_MB = 100.0


@pytest.fixture
def watched(asked: tuple[Asked, Server]) -> Iterator[Asked]:
    """The server, asked all the time whether it is well; checked at the end."""
    there, server = asked
    before, done = memory_mb(server.pid), threading.Event()
    took_s, busy_s = [0.0], [0.0]

    def watch() -> None:
        while not done.wait(0.05):
            start, busy = time.monotonic(), computed_s(server.pid)
            assert there.send(Strange("GET", "/healthz")).status == 200
            took_s.append(time.monotonic() - start)
            busy_s.append(computed_s(server.pid) - busy)

    watching = threading.Thread(target=watch)
    watching.start()
    yield there
    done.set()
    watching.join()
    print(f"healthz: {max(took_s):.2f} s, of them computing: {max(busy_s):.2f} s")  # noqa: T201
    assert max(busy_s) < LONGEST_BUSY_S
    assert max(took_s) < LONGEST_S
    assert memory_mb(server.pid) - before < MOST_GROWTH_MB
    assert "Traceback" not in server.errors


def computed_s(pid: int) -> float:
    """Processor time of a process, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    (pages,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(pages) / 1024
