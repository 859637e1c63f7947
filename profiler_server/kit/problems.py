"""Errors over HTTP: RFC 9457, Problem Details for HTTP APIs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from netspec.errors import InvalidSpec
from profiler_server.kit.invalid_requests import describe, invalid_values

#: every kind of problem: its HTTP status and its title
KINDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be read"),
    "invalid-token": (401, "The token is not valid"),
    "missing-scope": (403, "The token does not allow this"),
    "stronger-token": (403, "No token makes one that is stronger than itself"),
    "foreign-device": (403, "The device belongs to another token"),
    "outside-labels": (403, "The token is limited to devices of other labels"),
    "not-the-owner": (403, "It belongs to another token"),
    "not-found": (404, "There is nothing at this address"),
    "unknown-device": (404, "Unknown device"),
    "unknown-target": (404, "Unknown target"),
    "unknown-job": (404, "Unknown job"),
    "unknown-lease": (404, "Unknown lease"),
    "unknown-model": (404, "Unknown model"),
    "unknown-images": (404, "Unknown images"),
    "no-evaluation": (404, "The job evaluates nothing"),
    "not-sustained": (404, "The job runs nothing without pause"),
    "unknown-token": (404, "Unknown token"),
    "unknown-webhook": (404, "Unknown webhook"),
    "unknown-snapshot": (404, "Unknown snapshot"),
    "no-such-visits": (404, "No visits are like that"),
    "missing-entry": (404, "The table lacks this operator"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "device-quarantined": (409, "The device is in quarantine"),
    "lease-lost": (409, "The lease is lost"),
    "job-finished": (409, "The job is finished"),
    "job-not-finished": (409, "The job is not finished"),
    "job-in-use": (409, "Something rests on the job"),
    "target-in-use": (409, "Something is measured on the target"),
    "model-in-use": (409, "The model is to be measured"),
    "too-many-models": (409, "The token has uploaded enough models"),
    "too-many-webhooks": (409, "The token has enough webhooks"),
    "token-ended": (409, "The token is valid no more"),
    "empty-table": (409, "The table has no entries"),
    "not-calibratable": (409, "A network cannot be calibrated on"),
    "not-calibrated": (409, "There is no calibration for this network"),
    "not-transferable": (409, "Too little is measured on both targets"),
    "not-acceptable": (406, "The answer cannot be had in this format"),
    "request-timeout": (408, "The request came too slowly"),
    "body-too-large": (413, "The body is too large"),
    "models-too-large": (413, "The token's models are too large together"),
    "unsupported-media-type": (415, "The body is in a format that is not read here"),
    "invalid-request": (422, "The request is not valid"),
    "visit-without-lease": (422, "A visit names no lease"),
    "outputs-without-lease": (422, "No lease covers the outputs"),
    "outputs-misfit": (422, "The outputs are not those of the images"),
    "unclear-energy": (422, "The windows tell no energy"),
    "idempotency-key-reused": (422, "The Idempotency-Key stands for another request"),
    "job-too-large": (422, "The job has too many tasks"),
    "nothing-selected": (422, "No target is selected"),
    "imported-target": (422, "No device can measure the target"),
    "method-not-supported": (422, "No device of the target measures so"),
    "empty-job": (422, "The job names nothing to measure"),
    "protocol-mismatch": (422, "A target names another protocol"),
    "hash-mismatch": (422, "The body has another hash"),
    "not-a-model": (422, "The body is no .tflite file"),
    "not-images": (422, "The body is no file of images"),
    "rate-limited": (429, "Too many requests"),
    "too-many-streams": (429, "Too many streams are open"),
    "head-too-large": (431, "The request's headers are too large"),
    "internal-error": (500, "The server failed"),
    "not-ready": (503, "The server is not ready"),
    "database-unavailable": (503, "The database does not answer"),
    "store-unavailable": (503, "The model store does not answer"),
    "storage-full": (507, "The database has no room left"),
}

_KIND_OF_STATUS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
}
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
MEDIA_TYPE = "application/problem+json"


class InvalidValue(BaseModel):
    """One thing that is wrong with a request."""

    #: what was wrong, what was expected
    detail: str
    #: where it is in the body, as a fragment (RFC 6901), for instance `#/operators/0/kernel`
    pointer: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    #: name of a parameter of the path or query, or of a header
    parameter: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None


class ProblemBody(BaseModel):
    """What a problem looks like on the wire."""

    #: URI of the kind, which leads to a page about it, for instance `/problems/unknown-target`
    type: str
    title: str
    status: int
    #: what was wrong, what was expected, what to do next
    detail: str
    #: path of the request
    instance: str | None = None
    #: of an `invalid-request`: each value that is wrong, the first 20 of them
    errors: Annotated[tuple[InvalidValue, ...], Field(exclude_if=lambda value: not value)] = ()


class Problem(HTTPException):
    """An answer other than success; `kind` is one of `KINDS`."""

    def __init__(self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.status, self.title = KINDS[kind]
        # What the framework takes for its own passes through where it catches all else.
        super().__init__(self.status, detail, headers)


#: request, problem and headers to an answer
Answer = Callable[[Request, ProblemBody, Mapping[str, str]], Response]


def as_json(_request: Request, body: ProblemBody, headers: Mapping[str, str]) -> Response:
    """The answer that programs read."""
    return Response(
        body.model_dump_json(), body.status, headers=dict(headers), media_type=MEDIA_TYPE
    )


def install(app: FastAPI, answer: Answer = as_json) -> None:
    """Makes every error of the application a problem.

    Args:
        app: the application.
        answer: how it shows problems.
    """
    handlers = _Handlers(answer)
    app.exception_handler(Problem)(handlers.of_domain)
    app.exception_handler(InvalidSpec)(handlers.of_vocabulary)
    app.exception_handler(RequestValidationError)(handlers.of_validation)
    app.exception_handler(HTTPException)(handlers.of_framework)
    app.exception_handler(Exception)(handlers.of_server)


class _Handlers:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def of_domain(self, request: Request, error: Problem) -> Response:
        return self._of_kind(request, error.kind, error.detail, dict(error.headers or {}))

    async def of_vocabulary(self, request: Request, error: InvalidSpec) -> Response:
        return self._of_kind(request, "invalid-request", str(error))

    async def of_validation(self, request: Request, error: RequestValidationError) -> Response:
        body = _body("invalid-request", describe(error, request), request.url.path)
        wrong = tuple(InvalidValue(**one) for one in invalid_values(error, request))
        return self._answer(request, body.model_copy(update={"errors": wrong}), {})

    async def of_framework(self, request: Request, error: HTTPException) -> Response:
        headers, detail = dict(error.headers or {}), str(error.detail)
        kind = _KIND_OF_STATUS.get(error.status_code)
        if kind is None:
            body = ProblemBody(
                type="about:blank",
                title=HTTPStatus(error.status_code).phrase,
                status=error.status_code,
                detail=detail,
                instance=request.url.path,
            )
            return self._answer(request, body, headers)
        if error.status_code == HTTPStatus.NOT_FOUND:
            detail = f"{request.method} {request.url.path}: see /docs for what there is"
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # The framework tells of the first of several endpoints at one address.
            headers["Allow"] = allowed = ", ".join(_allowed(request))
            detail = f"{request.method} {request.url.path}: expected {allowed}; see /docs"
        return self._of_kind(request, kind, detail, headers)

    async def of_server(self, request: Request, _error: Exception) -> Response:
        # The framework raises it again for the server to log.
        return self._of_kind(
            request, "internal-error", "the server's log says why; the request may be sent again"
        )

    def _of_kind(
        self, request: Request, kind: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        return self._answer(request, _body(kind, detail, request.url.path), headers or {})


def body_of(kind: str, detail: str, instance: str | None = None) -> bytes:
    """The JSON of a problem of one of `KINDS`."""
    return _body(kind, detail, instance).model_dump_json().encode()


def _body(kind: str, detail: str, instance: str | None) -> ProblemBody:
    status, title = KINDS[kind]
    return ProblemBody(
        type=f"/problems/{kind}", title=title, status=status, detail=detail, instance=instance
    )


def _allowed(request: Request) -> list[str]:
    def answers(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [method for method in _METHODS if answers(method)]
