"""Models in an S3 store: the same code on obstore's own store, and by night on a server of S3."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from obstore.store import LocalStore
from sqlalchemy import select

from netspec.errors import UserError
from profiler_server.app import create_app
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from profiler_server.uploaded_models import s3
from profiler_server.uploaded_models.places import model_store
from profiler_server.uploaded_models.rows import ModelRow
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.test_model_stores import model, path_of, put
from tests.waiting import wait_for

S3RVER = "s3rver@3.7.1"
KEY = "S3RVER"


def flow(make_api: MakeApi, database: Database, url: str) -> None:
    """Models in a bucket, through the API."""
    earlier = model(9)
    put(make_api(), earlier)
    api = make_api(model_store=url)
    content = model(1, 6 * 2**20)
    path = put(api, content)
    put(api, content, status=204)
    assert api.call("GET", path).content == content
    with database.read() as session:
        of_bucket = select(ModelRow.content).where(ModelRow.size == len(content))
        assert session.scalar(of_bucket) is None
    assert api.call("GET", path_of(earlier)).content == earlier
    # Another replica sees it, too.
    assert make_api(model_store=url).call("GET", path).content == content
    api.call("DELETE", path, status=204)
    api.problem("GET", path, status=404, kind="unknown-model")


def test_objects_are_models(
    make_api: MakeApi, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    files = s3.ObjectFiles(LocalStore(bucket))
    monkeypatch.setattr(s3, "s3_files", lambda _: files)
    flow(make_api, database, "s3://models/farm")
    api = make_api(model_store="s3://models/farm")
    content = model(2)
    path = put(api, content)
    (file,) = bucket.glob("*/*.tflite")
    # What is lost is told as missing, and comes back with the next upload.
    file.unlink()
    api.problem("GET", path, status=404, kind="unknown-model")
    put(api, content, status=204)
    assert file.read_bytes() == content
    file.unlink()
    api.call("DELETE", path, status=204)


def test_a_store_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_MOST_RETRIES", 0)
    for name, value in variables("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="AWS_ENDPOINT_URL") as told:
        model_store("s3://models")
    assert KEY not in str(told.value)


def variables(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture
def s3_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A server of S3 that knows one key, with a bucket `models`; out of npm's registry."""
    folder = tmp_path / "s3rver"
    folder.mkdir()
    install = ("npm", "install", "--silent", "--no-audit", "--no-fund", S3RVER)
    subprocess.run(install, cwd=folder, check=True, timeout=300)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = (
        *("node_modules/.bin/s3rver", "--directory", "data", "--address", "127.0.0.1"),
        *("--port", str(port), "--configure-bucket", "models", "--silent"),
    )
    (folder / "data").mkdir()
    url = f"http://127.0.0.1:{port}"
    for name, value in variables(url).items():
        monkeypatch.setenv(name, value)
    with subprocess.Popen(words, cwd=folder, env=os.environ) as server:

        def answers() -> bool:
            assert server.poll() is None
            try:
                return bool(httpx2.get(url).status_code)
            except httpx2.TransportError:
                return False

        try:
            wait_for(answers)
            yield server
        finally:
            server.kill()


@pytest.mark.nightly
def test_a_server_of_s3(
    make_api: MakeApi,
    database: Database,
    settings: Settings,
    s3_server: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow(make_api, database, "s3://models/farm")
    with pytest.raises(UserError, match="cannot be written"):
        create_app(settings.model_copy(update={"model_store": "s3://nobodys"}))
    api = make_api(model_store="s3://models")
    path = put(api, model(3))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NOBODYS")
    with pytest.raises(UserError, match="AWS_ACCESS_KEY_ID"):
        create_app(settings.model_copy(update={"model_store": "s3://models"}))
    s3_server.send_signal(signal.SIGKILL)
    s3_server.wait(10)
    api.problem("GET", path, status=503, kind="store-unavailable")
    api.problem("PUT", path_of(model(4)), model(4), status=503, kind="store-unavailable")
    assert [one["size"] for one in api.call("GET", "/v1/models").json()] == [100, 100]
