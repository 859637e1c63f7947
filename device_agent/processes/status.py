"""What an agent's processes are doing, for people and for Prometheus.

Every process keeps one small file; whoever was asked to listen answers from all of them, so one
port tells of all phones.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, get_args

import structlog
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device_agent.errors import PortTaken
from device_agent.processes.lock import file_name

State = Literal["starting", "idle", "measuring", "waiting", "quarantined"]

_log = structlog.get_logger()


class DeviceStatus(BaseModel):
    """One device, as its process last saw it."""

    # An agent of another version may say more.
    model_config = ConfigDict(frozen=True, extra="ignore")

    device: str
    target: str = ""
    state: State = "starting"
    #: why it waits, empty where it does not
    why: str = ""
    visits: int = 0
    rejected: int = 0
    failed: int = 0
    #: in the spool
    waiting_visits: int = 0
    pid: int = Field(default_factory=os.getpid)
    changed_at: float = Field(default_factory=time.time)


class StatusFile:
    """Keeps one device's status on disk while its process lives.

    Args:
        folder: of the status files.
        device: its serial number.
    """

    def __init__(self, folder: Path, device: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{file_name(device)}.json"
        self._status = DeviceStatus(device=device)
        self._lock = threading.Lock()
        self._write()

    def change(self, **changes: Any) -> None:
        """Sets fields of the status."""
        with self._lock:
            self._status = self._status.model_copy(update={"changed_at": time.time(), **changes})
            self._write()

    def count(self, *, rejected: bool = False, failed: bool = False) -> None:
        """One more visit; its place on disk is taken at the next change."""
        with self._lock:
            status = self._status
            counts = {
                "visits": status.visits + (not failed),
                "rejected": status.rejected + rejected,
                "failed": status.failed + failed,
            }
            self._status = status.model_copy(update=counts)

    def close(self) -> None:
        """The device is no longer looked after."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(self._status.model_dump_json(), encoding="utf-8")
        partial.replace(self._path)


def read_statuses(folder: Path) -> list[DeviceStatus]:
    """The devices whose processes live, by name."""
    statuses: list[DeviceStatus] = []
    for path in sorted(folder.glob("*.json")):
        try:
            status = DeviceStatus.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            continue  # its process has just ended, or a power cut left the file empty
        if _lives(status.pid):
            statuses.append(status)
    return statuses


@dataclass(frozen=True)
class _Figures(Collector):
    statuses: Sequence[DeviceStatus]

    def collect(self) -> Iterator[Metric]:
        """One family a figure."""
        for family, figure, text in (
            (CounterMetricFamily, "visits", "Visits made."),
            (CounterMetricFamily, "rejected", "Visits that must not enter an estimate."),
            (CounterMetricFamily, "failed", "Visits that gave no number."),
            (GaugeMetricFamily, "waiting_visits", "Visits in the spool."),
        ):
            metric = family(f"device_agent_{figure}", text, labels=["device", "target"])
            for status in self.statuses:
                metric.add_metric([status.device, status.target], getattr(status, figure))
            yield metric
        text = "1 for the state that the device is in."
        states = GaugeMetricFamily("device_agent_state", text, labels=["device", "target", "state"])
        for status in self.statuses:
            for state in get_args(State):
                states.add_metric([status.device, status.target, state], status.state == state)
        yield states


@contextmanager
def served(folder: Path, port: int | None) -> Iterator[int | None]:
    """Answers `/healthz` and `/metrics` on 127.0.0.1 meanwhile; yields the port.

    Args:
        folder: of the status files.
        port: 0 for any free one, None for none at all.

    Raises:
        PortTaken: another program listens there, or this user may not.
    """
    if port is None:
        yield None
        return

    class Handler(_Handler):
        status_folder = folder

    try:
        listening = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise PortTaken(
            f"nothing can listen at 127.0.0.1:{port} ({error.strerror}); choose another "
            "--status-port, or 0 for a free one"
        ) from error
    with listening as server:
        thread = threading.Thread(target=server.serve_forever, name="status", daemon=True)
        thread.start()
        _log.info("status", at=f"http://127.0.0.1:{server.server_port}/healthz")
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    status_folder: Path

    def do_GET(self) -> None:
        """Answers one question."""
        statuses = read_statuses(self.status_folder)
        if self.path == "/healthz":
            body = json.dumps({"devices": [status.model_dump() for status in statuses]})
            self._answer(HTTPStatus.OK, body.encode(), "application/json")
        elif self.path == "/metrics":
            figures = generate_latest(_Figures(statuses))
            self._answer(HTTPStatus.OK, figures, CONTENT_TYPE_PLAIN_0_0_4)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there are /healthz and /metrics\n", "text/plain")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        """Questions are not logged."""

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
