from collections.abc import Callable

import httpx2
import pytest
from pydantic import BaseModel

from netspec.client.http import ProfilerHttp
from netspec.errors import ProfilerRefused, ProfilerUnreachable


class Message(BaseModel):
    text: str


class Server:
    """Answers with the given statuses or errors in turn, and keeps the requests."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def connect(handler: Callable[[httpx2.Request], httpx2.Response]) -> ProfilerHttp:
    return ProfilerHttp(
        "http://farm.example:8600/",
        "secret",
        transport=httpx2.MockTransport(handler),
        retry_pauses_s=(0.0, 0.0),
    )


def problem(status: int, **fields: str) -> httpx2.Response:
    return httpx2.Response(
        status, json=fields, headers={"Content-Type": "application/problem+json"}
    )


def test_a_request_carries_token_path_query_and_message() -> None:
    server = Server(httpx2.Response(200, json={"ok": True}))
    with connect(server) as http:
        answer = http.request("POST", "/jobs", body=Message(text="é"), params={"wait": "1"})
    assert answer.json() == {"ok": True}
    (request,) = server.requests
    assert str(request.url) == "http://farm.example:8600/jobs?wait=1"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["Content-Type"] == "application/json"
    assert Message.model_validate_json(request.content) == Message(text="é")


def test_bytes_are_sent_as_they_are() -> None:
    server = Server(httpx2.Response(201))
    connect(server).request("PUT", "/models/1", body=b"\x00\xff", headers={"If-Match": "x"})
    assert server.requests[0].content == b"\x00\xff"
    assert server.requests[0].headers["Content-Type"] == "application/octet-stream"
    assert server.requests[0].headers["If-Match"] == "x"


def test_not_modified_is_an_answer() -> None:
    server = Server(httpx2.Response(304))
    assert connect(server).request("GET", "/table").status_code == 304


@pytest.mark.parametrize(
    "failure", [httpx2.ConnectError("refused"), httpx2.ReadTimeout("slow"), httpx2.Response(503)]
)
def test_an_idempotent_request_is_sent_again(failure: httpx2.Response | Exception) -> None:
    server = Server(failure, failure, httpx2.Response(200))
    assert connect(server).request("GET", "/table").status_code == 200
    assert len(server.requests) == 3


def test_a_post_is_sent_once_unless_it_is_idempotent() -> None:
    server = Server(httpx2.ConnectError("refused"))
    with pytest.raises(ProfilerUnreachable):
        connect(server).request("POST", "/jobs")
    assert len(server.requests) == 1
    server = Server(httpx2.ConnectError("refused"), httpx2.Response(200))
    connect(server).request("POST", "/visits", idempotent=True)
    assert len(server.requests) == 2


def test_nobody_there_says_what_to_do() -> None:
    server = Server(*[httpx2.ConnectError("connection refused")] * 3)
    with pytest.raises(ProfilerUnreachable) as caught:
        connect(server).request("GET", "/table")
    assert len(server.requests) == 3
    assert str(caught.value) == (
        "no profiler answers at http://farm.example:8600 (connection refused); start one with "
        "`profiler-server serve`, or name another with --profiler-url or PROFILER_URL"
    )


def test_a_problem_becomes_a_refusal_without_another_try() -> None:
    server = Server(problem(404, type="/problems/unknown-target", detail="no target 0123"))
    with pytest.raises(ProfilerRefused) as caught:
        connect(server).request("GET", "/table")
    assert (caught.value.status, caught.value.kind) == (404, "unknown-target")
    assert str(caught.value) == "no target 0123"
    assert len(server.requests) == 1


def test_a_problem_without_detail_shows_its_title() -> None:
    server = Server(problem(409, type="about:blank", title="Conflict"))
    with pytest.raises(ProfilerRefused, match=r"^Conflict$"):
        connect(server).request("PUT", "/visits")


def test_an_answer_that_is_no_problem_shows_its_status() -> None:
    server = Server(*[httpx2.Response(502, text="<html>")] * 3)
    with pytest.raises(ProfilerRefused, match=r"^502 Bad Gateway$") as caught:
        connect(server).request("GET", "/table")
    assert caught.value.kind == "unknown"
    assert len(server.requests) == 3


def test_a_wrong_token_says_what_to_do() -> None:
    server = Server(problem(401, type="/problems/bad-token", detail="unknown token"))
    with pytest.raises(ProfilerRefused) as caught:
        connect(server).request("GET", "/table")
    assert str(caught.value) == (
        "the profiler at http://farm.example:8600 refused the token: unknown token; set "
        "PROFILER_TOKEN to a valid one (`profiler-server token create` prints one)"
    )


@pytest.mark.parametrize("path", ["http://other.example:8600/next", "https://farm.example:8600/"])
def test_the_token_follows_no_link_to_another_server(path: str) -> None:
    server = Server(httpx2.Response(200))
    with pytest.raises(ProfilerUnreachable, match="its token must not go"):
        connect(server).request("GET", path)
    assert server.requests == []


@pytest.mark.parametrize("url", ["http://[::1", "http://farm:port"])
def test_no_url_says_what_is_expected(url: str) -> None:
    with pytest.raises(ProfilerUnreachable, match=r"is no URL: .*; expected http://HOST:PORT"):
        ProfilerHttp(url, "secret")


@pytest.mark.parametrize("url", ["farm", "ftp://farm"])
def test_an_unknown_scheme_is_nobody_there(url: str) -> None:
    with (
        pytest.raises(ProfilerUnreachable, match=f"no profiler answers at {url}"),
        ProfilerHttp(url, "secret", retry_pauses_s=()) as http,
    ):
        http.request("GET", "/table")
