"""A saved snapshot in the place of a profiler: what it cannot answer is refused by name."""

from __future__ import annotations

from pathlib import Path

import httpx2

from netspec.client.errors import Offline
from netspec.client.latency_table import read_snapshot
from netspec.console.connection import URL_VARIABLE
from netspec.wire import Target


class SavedSnapshot(httpx2.BaseTransport):
    """Answers for the one target that the file is of, and for its table.

    Raises:
        NoSnapshot: there is no such file, or it is no snapshot.
    """

    #: where nobody listens
    url = "http://saved-snapshot.invalid"

    def __init__(self, path: Path) -> None:
        self._path = path
        snapshot = read_snapshot(path)
        target = Target(
            id=snapshot.target_id,
            identity=snapshot.identity,
            entries=len(snapshot.entries),
            devices=0,
        )
        document = snapshot.model_dump_json()
        self._answers = {
            "/v1/targets": f"[{target.model_dump_json()}]",
            f"/v1/targets/{target.id}": target.model_dump_json(),
            f"/v1/targets/{target.id}/snapshots/latest": document,
            f"/v1/snapshots/{snapshot.id}": document,
        }

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer of a profiler that holds this snapshot alone.

        Raises:
            Offline: the file does not hold what was asked for.
        """
        document = self._answers.get(request.url.path) if request.method == "GET" else None
        if document is None:
            raise Offline(
                f"the saved snapshot {self._path} answers no {request.method} {request.url.path}; "
                f"for that name a profiler with --profiler-url or {URL_VARIABLE}"
            )
        return httpx2.Response(200, text=document, request=request)
