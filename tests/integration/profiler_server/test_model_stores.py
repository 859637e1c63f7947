"""Models in the database and in a folder, and how many of them a token may upload."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from netspec.errors import UserError
from profiler_server.auth.scopes import Scope
from profiler_server.kit.sql.database import Database
from profiler_server.uploaded_models.places import model_store
from profiler_server.uploaded_models.rows import ModelRow
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

MB = 2**20


def model(number: int, size: int = 100) -> bytes:
    return b"\x1c\0\0\0TFL3" + number.to_bytes(4, "little") + bytes(size - 12)


def path_of(content: bytes) -> str:
    return f"/v1/models/{hashlib.sha256(content).hexdigest()}"


def put(api: Api, content: bytes, *, status: int = 201) -> str:
    path = path_of(content)
    api.call("PUT", path, content, status=status)
    return path


def test_a_folder_keeps_the_bytes_and_the_database_the_rest(
    make_api: MakeApi, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    api = make_api(model_store=str(folder))
    content = model(1)
    path = put(api, content)
    put(api, content, status=204)
    digest = hashlib.sha256(content).hexdigest()
    (file,) = folder.glob("*/*")
    assert (file.parent.name, file.name) == (digest[:2], f"{digest}.tflite")
    assert api.call("GET", path).content == content
    with database.read() as session:
        assert session.execute(select(ModelRow.content, ModelRow.size)).one() == (None, 100)
    # A lost file is told as missing, and comes back with the next upload.
    file.unlink()
    api.problem("GET", path, status=404, kind="unknown-model")
    put(api, content, status=204)
    assert api.call("GET", path).content == content
    # A damaged one is not served.
    file.write_bytes(content[:-1] + b"x")
    api.problem("GET", path, status=404, kind="unknown-model")


def test_models_stay_where_they_were_when_the_store_changes(
    make_api: MakeApi, tmp_path: Path
) -> None:
    first, second = model(1), model(2)
    put(make_api(), first)
    api = make_api(model_store=str(tmp_path / "models"))
    put(api, second)
    for content in (first, second):
        assert api.call("GET", path_of(content)).content == content
    put(api, first, status=204)
    assert not list((tmp_path / "models").glob(f"*/{hashlib.sha256(first).hexdigest()}*"))


def test_a_token_may_upload_so_many(make_api: MakeApi, make_token: Callable[..., str]) -> None:
    api = make_api(models_per_token=2)
    owner = Api(api.http, make_token(Scope.JOBS_WRITE))
    paths = [put(owner, model(number)) for number in (1, 2)]
    third = model(3)
    said = owner.problem("PUT", path_of(third), third, status=409, kind="too-many-models")
    assert "at most 2" in said
    listed = api.call("GET", "/v1/models").json()
    assert {one["sha256"] for one in listed} == {path.rsplit("/", 1)[1] for path in paths}
    assert {(one["size"], one["owner"]["name"]) for one in listed} == {(100, "test")}
    # What is there needs no room, and another token has its own.
    put(owner, model(1), status=204)
    put(Api(api.http, make_token(Scope.JOBS_WRITE)), third)
    owner.call("DELETE", paths[0], status=204)
    put(owner, model(4))


def test_a_tokens_models_may_have_so_many_bytes(
    make_api: MakeApi, make_token: Callable[..., str]
) -> None:
    api = make_api(models_mb_per_token=1)
    owner = Api(api.http, make_token(Scope.JOBS_WRITE))
    put(owner, model(1, MB - 100))
    small, large = model(2, 100), model(3, 101)
    said = owner.problem("PUT", path_of(large), large, status=413, kind="models-too-large")
    assert "1.0 MiB" in said
    put(owner, small)


def test_a_store_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="absolute path"):
        model_store("models")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserError, match="cannot be written"):
        model_store(str(file))
