"""What a route looks at, and in which order."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel, field_validator

from netspec.wire import Message
from profiler_server.kit import problems
from profiler_server.kit.http import json_bodies
from profiler_server.kit.http.routes import HeaderCheck, Route
from profiler_server.kit.problems import Problem
from tests.unit.profiler_server.kit.http.asked import Answer, ask, once

JSON = {"Content-Type": "application/json"}
IN = {**JSON, "Authorization": "in"}
MOST = 20_000


class Door(HeaderCheck):
    async def __call__(self, request: Request) -> str:
        if request.headers.get("Authorization") != "in":
            raise Problem("invalid-token", "outside")
        return "visitor"


class Item(Message):
    number: int
    flag: bool = False
    side: Literal[1, 3] = 1
    share: float = 1.0
    since: datetime | None = None


class Parcel(Message):
    items: tuple[Item, ...] = ()
    text: str = ""

    @field_validator("text")
    @classmethod
    def _notes_the_thread(cls, text: str) -> str:
        parsed_in.append(threading.current_thread().name)
        return text


parsed_in: list[str] = []


Inside = Annotated[str, Depends(Door())]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    router = APIRouter(route_class=Route)

    @router.post("/parcels", max_body_size=MOST)
    def send(parcel: Parcel, _: Inside) -> int:
        return len(parcel.items)

    @router.post("/parcels/{parcel_id}")
    def change(parcel_id: str, parcel: Parcel, _: Inside) -> str:
        return f"{parcel_id}: {len(parcel.items)}"

    @router.post("/parcels/{parcel_id}:open")
    def unpack(parcel_id: str, _: Inside) -> str:
        return parcel_id

    @router.put("/raw", max_body_size=MOST)
    async def store(request: Request, _: Inside) -> int:
        return len(await request.body())

    made = FastAPI()
    problems.install(made)
    made.include_router(router)
    return made


def post(app: FastAPI, content: bytes, path: str = "/parcels") -> Answer:
    return ask(app, "POST", path, once(content), IN)


def test_a_gate_comes_before_the_query_and_the_body(app: FastAPI) -> None:
    for path in ("/parcels", "/raw"):
        method = "PUT" if path == "/raw" else "POST"
        answer = ask(app, method, path, headers={**JSON, "Content-Length": "1"}, query="unknown=1")
        assert (answer.status, answer.detail) == (401, "outside")


def test_a_query_comes_before_the_body(app: FastAPI) -> None:
    answer = ask(app, "POST", "/parcels", headers=IN, query="unknown=1")
    assert answer.status == 422
    assert "'unknown'" in answer.detail


def test_a_body_that_says_it_is_too_long_is_not_read(app: FastAPI) -> None:
    for method, path in (("POST", "/parcels"), ("PUT", "/raw")):
        answer = ask(app, method, path, headers={**IN, "Content-Length": str(MOST + 1)})
        assert answer.status == 413
        assert str(MOST) in answer.detail


def test_a_body_that_turns_out_too_long_is_read_no_further(app: FastAPI) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1_000)

    for method, path in (("POST", "/parcels"), ("PUT", "/raw")):
        # A length that is wrong is found out, too.
        for headers in (IN, {**IN, "Content-Length": "10"}):
            answer = ask(app, method, path, endless(), headers)
            assert answer.status == 413
            assert answer.taken == MOST + 1_000


def test_a_body_that_just_fits_is_taken(app: FastAPI) -> None:
    head, tail = b'{"text": "', b'"}'
    for path, most in (("/parcels", MOST), ("/parcels/a", 65_536)):
        for more, status in ((0, 200), (1, 413)):
            content = head + bytes(b"x" * (most - len(head + tail) + more)) + tail
            assert post(app, content, path).status == status


def test_a_connection_that_ends_within_a_body_is_no_failure_of_the_server(app: FastAPI) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b'{"text":'

    async def ended() -> Any:
        return {"type": "http.disconnect"}

    asked: list[Any] = []

    async def closing(scope: Any, receive: Any, send: Any) -> None:
        async def first_a_part() -> Any:
            asked.append(None)
            return await (receive() if len(asked) == 1 else ended())

        await app(scope, first_a_part, send)

    answer = ask(closing, "POST", "/parcels", broken(), IN)
    assert answer.status == 400
    assert "before the body was complete" in answer.detail


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "body: is missing"),
        (b'{"text": ,}', "body: no JSON in UTF-8: expected value at line 1 column 10"),
        (b"\xff\xfe{", "body: no JSON in UTF-8: expected value at line 1 column 1"),
        (b"[" * 9_000, "body: no JSON in UTF-8: recursion limit exceeded"),
        (b'{"items": [{"number": true}]}', "body.items.0.number: expected a whole number"),
        (b'{"items": [{"number": "1"}]}', "body.items.0.number: expected a whole number"),
        (b'{"items": [{"number": 1.0}]}', "body.items.0.number: expected a whole number"),
        (b'{"items": [{"number": 1, "flag": 1}]}', "body.items.0.flag: expected true or false"),
        (
            b'{"items": [{"number": 1, "flag": "true"}]}',
            "body.items.0.flag: expected true or false",
        ),
        (b'{"items": [{"number": 1, "side": true}]}', "body.items.0.side: expected a whole num"),
        (b'{"items": [{"number": 1, "side": 3.0}]}', "body.items.0.side: expected a whole num"),
        (b'{"items": [{"number": 1, "share": "1"}]}', "body.items.0.share: expected a number"),
        (b'{"items": [{"number": 1, "share": NaN}]}', "body.items.0.share: expected a finite"),
        (b'{"items": [{"number": 1, "share": 1e999}]}', "body.items.0.share: expected a finite"),
        (b'{"items": [{"number": 1, "since": 5}]}', "body.items.0.since: expected a valid date"),
        (rb'{"text": "a\u0000b"}', "body.text: has a NUL character"),
        (b'{"' + b"k" * 9_000 + b'": 1}', f"body.{'k' * 40}...: there is no such value"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(app: FastAPI, content: bytes, said: str) -> None:
    answer = post(app, content)
    assert answer.status == 422
    assert answer.detail.startswith(said)
    assert len(answer.content) < 500


def test_of_many_errors_a_few_are_told(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = b",".join(b'"%d": 1' % number for number in range(1_000))
    answer = post(app, b"{" + unknown + b"}")
    assert answer.status == 422
    assert answer.detail.endswith("; and 980 more")
    monkeypatch.setattr(json_bodies, "_MOST_ERRORS", 999)
    assert "1000 values in it are wrong" in post(app, b"{" + unknown + b"}").detail


def test_the_first_wrong_item_of_a_list_ends_the_search(app: FastAPI) -> None:
    answer = post(app, b'{"items": [' + b",".join([b'{"x": 1}'] * 1_000) + b"]}")
    assert answer.status == 422
    assert answer.detail == (
        "body.items.0.number: is missing; body.items.0.x: there is no such value; "
        "expected one of: flag, number, share, side, since"
    )


def test_text_may_hold_what_a_body_may_not(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_bodies, "_MOST_CONTAINERS", 10)
    text = b'{"text": "' + rb"[{,\":" * 100 + b'", "items": ['
    item = b'{"number": 1}'
    fits = text + b",".join([item] * 8) + b"]}"
    assert post(app, fits).status == 200
    for more in (b",".join([item] * 9) + b"]}", b"[" * 9, b"{" * 9):
        answer = post(app, text + more)
        assert answer.status == 413
        assert "at most 10 arrays and objects" in answer.detail
    monkeypatch.setattr(json_bodies, "_MOST_VALUES", 4)
    assert ", 4 values" in post(app, b'{"items": [1,2,3,4,5,6]}').detail
    monkeypatch.setattr(json_bodies, "_FEW_COLONS", 3)
    monkeypatch.setattr(json_bodies, "_MOST_NAMES", 2)
    assert post(app, b'{"items": [{"number": 1}, {"number": 2}], "text": ":"}').status == 200
    assert "and 2 of them in an object" in post(app, b'{"a": 1, "b" : 2, "c": 3, "d": 4}').detail


def test_large_bodies_are_parsed_off_the_event_loop(app: FastAPI) -> None:
    parsed_in.clear()
    for length in (10, 10_000):
        assert post(app, b'{"text": "' + b"x" * length + b'"}').status == 200
    small, large = parsed_in
    assert small == threading.main_thread().name
    assert large.startswith("parser")


def test_only_json_as_it_is_is_parsed(app: FastAPI) -> None:
    for headers, said in (
        ({"Content-Encoding": "gzip", **IN}, "with a Content-Encoding"),
        ({**IN, "Content-Type": "text/plain"}, "got text/plain"),
        ({"Authorization": "in"}, "got none"),
    ):
        answer = ask(app, "POST", "/parcels", once(b"{}"), headers)
        assert answer.status == 415
        assert said in answer.detail


def test_a_verb_is_no_part_of_an_id(app: FastAPI) -> None:
    for method, path, allowed in (
        ("GET", "/parcels/a:open", "POST"),
        ("GET", "/parcels/a", "POST"),
        ("PATCH", "/parcels/a:open", "POST"),
        ("DELETE", "/raw", "PUT"),
    ):
        answer = ask(app, method, path, headers=IN)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert ask(app, "POST", "/parcels/a:shut", once(b"{}"), IN).status == 404
    assert post(app, b"", "/parcels/a:open").content == b'"a"'


def test_the_message_is_made_once(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[BaseModel] = []
    parsed = json_bodies._parsed

    def counted(kind: type[BaseModel], body: bytes) -> BaseModel:
        made.append(parsed(kind, body))
        return made[-1]

    monkeypatch.setattr(json_bodies, "_parsed", counted)
    parsed_in.clear()
    assert post(app, b'{"items": [{"number": 1}], "text": "x"}').content == b"1"
    assert len(made) == len(parsed_in) == 1
