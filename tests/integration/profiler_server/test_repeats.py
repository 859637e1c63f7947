from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from profiler_server.auth.scopes import Scope
from profiler_server.idempotency import service
from profiler_server.idempotency.rows import RepeatRow
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


@pytest.fixture
def api(api: Api) -> Api:
    api.register(farm.registration())
    return api


def jobs(api: Api) -> list[str]:
    return [job["id"] for job in api.call("GET", "/v1/jobs").json()]


def test_a_repeated_request_is_answered_and_not_acted_upon(api: Api) -> None:
    request = farm.job(farm.blocks(2))
    first = api.call("POST", "/v1/jobs", request, status=201, headers=KEY)
    again = api.call("POST", "/v1/jobs", request, status=201, headers=KEY)
    assert again.content == first.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert jobs(api) == [first.json()["id"]]


def test_another_body_under_the_key_is_refused(api: Api) -> None:
    api.call("POST", "/v1/jobs", farm.job(farm.blocks(2)), status=201, headers=KEY)
    request = farm.job(farm.blocks(3))
    detail = api.problem(
        "POST", "/v1/jobs", request, status=422, kind="idempotency-key-reused", headers=KEY
    )
    assert KEY["Idempotency-Key"] in detail
    assert len(jobs(api)) == 1


def test_without_a_key_every_request_is_a_new_one(api: Api) -> None:
    assert len({api.file(farm.job(farm.blocks(1))).id for _ in range(2)}) == 2


def test_tokens_do_not_share_keys(api: Api, make_token: Callable[..., str]) -> None:
    other = Api(api.http, make_token(Scope.JOBS_WRITE))
    for one in (api, other):
        one.call("POST", "/v1/jobs", farm.job(farm.blocks(1)), status=201, headers=KEY)
    assert len(jobs(api)) == 2


def test_a_refused_request_leaves_the_key_free(api: Api) -> None:
    api.problem("POST", "/v1/jobs", farm.job(), status=422, kind="empty-job", headers=KEY)
    api.call("POST", "/v1/jobs", farm.job(farm.blocks(1)), status=201, headers=KEY)


def test_a_key_is_free_again_after_a_day(api: Api, database: Database) -> None:
    api.call("POST", "/v1/jobs", farm.job(farm.blocks(1)), status=201, headers=KEY)
    with database.write() as session:
        (row,) = session.query(RepeatRow).all()
        row.created_at -= service.KEPT
    api.call("POST", "/v1/jobs", farm.job(farm.blocks(2)), status=201, headers=KEY)
    assert len(jobs(api)) == 2


def test_duplicates_at_once_on_two_replicas_make_one_job(api: Api, make_api: MakeApi) -> None:
    replicas, request = [api, make_api()], farm.job(farm.blocks(3))

    def file(number: int) -> bytes:
        replica = replicas[number % 2]
        return replica.call("POST", "/v1/jobs", request, status=201, headers=headers).content

    # The same token on both: keys are a token's.
    headers = {**KEY, **api.headers}
    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(file, range(12)))
    assert len(answers) == 1
    assert len(jobs(api)) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 201])
def test_a_key_has_a_form(api: Api, key: str) -> None:
    headers = {"Idempotency-Key": key}
    request = farm.job(farm.blocks(1))
    detail = api.problem(
        "POST", "/v1/jobs", request, status=422, kind="invalid-request", headers=headers
    )
    assert "idempotency-key" in detail
