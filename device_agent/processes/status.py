"""What an agent's processes are doing, for people and for Prometheus.

Every process keeps one small file; whoever was asked to listen answers from all of them, so one
port tells of all phones. Format: Prometheus text exposition 0.0.4.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import structlog

from device_agent.errors import PortTaken
from device_agent.processes.lock import file_name

State = Literal["starting", "idle", "measuring", "waiting", "quarantined"]

_STATES: tuple[State, ...] = ("starting", "idle", "measuring", "waiting", "quarantined")
_PREFIX = "device_agent"
_log = structlog.get_logger()


@dataclass(frozen=True)
class DeviceStatus:
    """One device, as its process last saw it."""

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
    pid: int = field(default_factory=os.getpid)
    changed_at: float = field(default_factory=time.time)


_FIELDS = {field.name for field in fields(DeviceStatus)}


class StatusFile:
    """Keeps one device's status on disk while its process lives.

    Args:
        folder: of the status files.
        device: its serial number.
    """

    def __init__(self, folder: Path, device: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{file_name(device)}.json"
        self._status = DeviceStatus(device)
        self._lock = threading.Lock()
        self._write()

    def change(self, **changes: Any) -> None:
        """Sets fields of the status."""
        with self._lock:
            self._status = replace(self._status, changed_at=time.time(), **changes)
            self._write()

    def count(self, *, rejected: bool = False, failed: bool = False) -> None:
        """One more visit; its place on disk is taken at the next change."""
        with self._lock:
            status = self._status
            self._status = replace(
                status,
                visits=status.visits + (not failed),
                rejected=status.rejected + rejected,
                failed=status.failed + failed,
            )

    def close(self) -> None:
        """The device is no longer looked after."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self._status)), encoding="utf-8")
        partial.replace(self._path)


def read_statuses(folder: Path) -> list[DeviceStatus]:
    """The devices whose processes live, by name."""
    found: list[DeviceStatus] = []
    for path in sorted(folder.glob("*.json")):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            continue  # its process has just ended, or a power cut left the file empty
        # An agent of another version may say more, or less.
        status = DeviceStatus(**{name: said[name] for name in _FIELDS & said.keys()})
        if _lives(status.pid):
            found.append(status)
    return found


def metrics(statuses: list[DeviceStatus]) -> str:
    """The statuses as Prometheus reads them."""
    lines: list[str] = []
    for name, kind, text in (
        ("visits", "counter", "Visits made."),
        ("rejected", "counter", "Visits that must not enter an estimate."),
        ("failed", "counter", "Visits that gave no number."),
        ("waiting_visits", "gauge", "Visits in the spool."),
    ):
        metric = f"{_PREFIX}_{name}" + ("_total" if kind == "counter" else "")
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}"]
        lines += [f"{metric}{_labels(status)} {getattr(status, name)}" for status in statuses]
    metric = f"{_PREFIX}_state"
    lines += [f"# HELP {metric} 1 for the state that the device is in.", f"# TYPE {metric} gauge"]
    lines += [
        f"{metric}{_labels(status, state=state)} {int(status.state == state)}"
        for status in statuses
        for state in _STATES
    ]
    return "\n".join(lines) + "\n"


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
            body = {"devices": [asdict(status) for status in statuses]}
            self._answer(HTTPStatus.OK, json.dumps(body), "application/json")
        elif self.path == "/metrics":
            self._answer(HTTPStatus.OK, metrics(statuses), "text/plain; version=0.0.4")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "there are /healthz and /metrics\n", "text/plain")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        """Questions are not logged."""

    def _answer(self, status: HTTPStatus, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _labels(one: DeviceStatus, **more: str) -> str:
    pairs = {"device": one.device, "target": one.target, **more}
    escaped = (
        f'{name}="{value}"'
        for name, value in (
            (name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
            for name, value in pairs.items()
        )
    )
    return "{" + ",".join(escaped) + "}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
