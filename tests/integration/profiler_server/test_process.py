from __future__ import annotations

import signal
import socket
import sqlite3
import threading
import time
from pathlib import Path

import httpx2
import pytest

from netspec.client.http import ProfilerHttp
from netspec.console.tokens import load_token, token_path
from netspec.errors import ProfilerRefused, ProfilerUnreachable
from netspec.wire import LeaseRequest, PublishRequest, Snapshot, VisitBatch, VisitReceipts
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.process import Server, command
from tests.integration.profiler_server.service import Api


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder, which this process uses as well."""
    return tmp_path / "data"


def test_the_main_flow_over_http(folder: Path) -> None:
    with Server(folder) as server:
        token = load_token(server.url)
        assert server.about_token.endswith(token)
        assert token_path(server.url).stat().st_mode & 0o777 == 0o600
        with httpx2.Client(base_url=server.url) as client:
            api = Api(client, token)
            assert api.call("GET", "/readyz").json() == {"status": "ok"}
            device = api.register(farm.registration()).id
            job = api.file(farm.job(farm.blocks(4)))
            lease = api.claim(device, wait_s=5)
            assert set(api.upload(farm.visits(lease, device, rounds=2))) == {"stored"}
            api.release(lease)
            assert api.job(job.id).state == "done"
            assert len(api.entries(job.id)) == 4
            path = f"/v1/targets/{lease.target_id}/snapshots"
            api.call("POST", path, PublishRequest(), status=201)
            latest = api.call("GET", f"{path}/latest")
            snapshot = Snapshot.model_validate_json(latest.content)
            tag = {"If-None-Match": latest.headers["ETag"]}
            api.call("GET", f"{path}/latest", headers=tag, status=304)
        assert len(snapshot.entries) == 4
        with ProfilerHttp(server.url, token) as http:
            again = http.request("GET", f"/v1/snapshots/{snapshot.id}")
            assert Snapshot.model_validate_json(again.content) == snapshot
        with (
            ProfilerHttp(server.url, "wrong") as http,
            pytest.raises(ProfilerRefused, match="refused the token"),
        ):
            http.request("GET", "/v1/targets")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_even_while_an_agent_waits(
    folder: Path, number: signal.Signals
) -> None:
    with Server(folder) as server, httpx2.Client(base_url=server.url, timeout=60) as client:
        api = Api(client, load_token(server.url))
        device = api.register(farm.registration()).id
        waiting = threading.Thread(target=api.no_work, args=[device], kwargs={"wait_s": 30.0})
        waiting.start()
        time.sleep(0.5)
        start, said = time.monotonic(), server.errors
        assert server.stop(number) == (0, said)
        assert time.monotonic() - start < 5
        waiting.join()


def test_a_second_start_keeps_database_and_token(folder: Path) -> None:
    with Server(folder) as server:
        token = load_token(server.url)
        assert server.stop(signal.SIGTERM)[0] == 0
    with Server(folder) as server:
        assert load_token(server.url) == token
        assert server.about_token == f"token: the one in {token_path(server.url)}"
        assert server.stop(signal.SIGTERM)[0] == 0


def test_a_taken_port_is_one_line(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = command(folder, "serve", "--port", str(port))
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"port {port}" in result.stderr
    assert "--port" in result.stderr


def test_kill_9_between_uploads_loses_and_doubles_nothing(folder: Path) -> None:
    """An agent repeats each batch until the receipts arrive; the server dies three times."""
    with Server(folder) as server:
        port, token = server.port, load_token(server.url)
        with ProfilerHttp(server.url, token) as http:
            device = http.request("POST", "/v1/devices", body=farm.registration()).json()["id"]
            job = farm.job(farm.blocks(30), rounds=40)
            job_id = http.request("POST", "/v1/jobs", body=job).json()["id"]
            with httpx2.Client(base_url=server.url) as client:
                lease = Api(client, token).claim(device)
            visits = [
                visit for _ in range(2) for visit in farm.visits(lease, device, rounds=20).visits
            ]
        batches = [visits[start : start + 20] for start in range(0, len(visits), 20)]
        done = threading.Event()
        states: list[str] = []

        def agent() -> None:
            with ProfilerHttp(server.url, token, retry_pauses_s=()) as http:
                for batch in batches:
                    states.extend(until_received(http, VisitBatch(visits=tuple(batch))))
            done.set()

        uploading = threading.Thread(target=agent)
        uploading.start()
        time.sleep(0.4)
        server.kill()
    for _ in range(2):
        with Server(folder, port) as server:
            time.sleep(0.4)
            server.kill()
    with Server(folder, port) as server:
        assert done.wait(60)
        uploading.join()
        with ProfilerHttp(server.url, token) as http:
            followed = http.request("GET", f"/v1/jobs/{job_id}").json()
            lost = http.request(
                "POST", "/v1/leases", body=LeaseRequest(device_id=device), idempotent=False
            )
    assert len(states) == 1_200
    assert set(states) <= {"stored", "duplicate"}
    assert (followed["state"], followed["visits_done"]) == ("done", 1_200)
    assert lost.status_code == 204
    with sqlite3.connect(folder / "profiler.db") as connection:
        ids = {row[0] for row in connection.execute("SELECT id FROM visits")}
        (count,) = connection.execute("SELECT count(*) FROM visits").fetchone()
        (entry_visits,) = connection.execute("SELECT sum(visits) FROM entries").fetchone()
    connection.close()
    assert ids == {visit.id.hex for visit in visits}
    assert count == entry_visits == 1_200


def until_received(http: ProfilerHttp, batch: VisitBatch) -> list[str]:
    while True:
        try:
            answer = http.request("POST", "/v1/visits:batch", body=batch)
        except ProfilerUnreachable:
            time.sleep(0.05)
            continue
        receipts = VisitReceipts.model_validate_json(answer.content).receipts
        return [receipt.state for receipt in receipts]
