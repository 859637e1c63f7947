"""The proxy hangs up on whoever sends a head or a body too slowly; times are those of a test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.integration.deployment.test_processes import ADDRESS, free_ports
from tests.waiting import wait_for

CADDYFILE = Path(__file__).parents[3] / "deploy" / "Caddyfile"
#: what the file says, and the test's own
TIMES = {"read_header 10s": "read_header 1s", "read_body 10m": "read_body 2s"}
#: s; on a busy machine
LONGEST_S = 15.0


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[int]:
    """The port of a proxy whose replica takes everything and answers nothing."""
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("Caddy has no wheel for this platform")
    text = CADDYFILE.read_text(encoding="utf-8")
    for stated, shorter in TIMES.items():
        assert stated in text
        text = text.replace(stated, shorter)
    config = tmp_path / "Caddyfile"
    config.write_text(text, encoding="utf-8")
    port, health = free_ports(2)
    with closing(socket.create_server((ADDRESS, 0))) as replica:
        variables = {
            "PROFILER_SITE": f"http://{ADDRESS}:{port}",
            "PROFILER_REPLICAS": f"to {ADDRESS}:{replica.getsockname()[1]}",
            "PROFILER_PROXY_HEALTH_PORT": str(health),
            "HOME": str(tmp_path),
        }
        command = [caddy, "run", "--adapter", "caddyfile", "--config", str(config)]
        with subprocess.Popen(
            command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            try:
                wait_for(lambda: listens(port))
                yield port
            finally:
                running.kill()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((ADDRESS, port), timeout=1):
        return True
    return False


def hung_up_after_s(port: int, first: bytes, drop: bytes) -> float:
    """Sends the first bytes, then a drop every 0.2 s; how long the proxy had patience."""
    start = time.monotonic()
    with socket.create_connection((ADDRESS, port), timeout=0.2) as connection:
        connection.sendall(first)
        while time.monotonic() - start < LONGEST_S:
            try:
                connection.sendall(drop)
                if not connection.recv(65_536):
                    return time.monotonic() - start
            except TimeoutError:
                continue
            except ConnectionError:
                return time.monotonic() - start
    return LONGEST_S


def test_a_slow_head_and_a_slow_body_are_not_waited_for(proxy: int) -> None:
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"
    assert 0.9 < hung_up_after_s(proxy, head, b"X-Drop: 1\r\n") < LONGEST_S
    body = head + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    assert 1.5 < hung_up_after_s(proxy, body, b" ") < LONGEST_S
