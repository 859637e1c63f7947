"""What routes have in common: who may ask comes first, then the query, then a bounded body."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor

from profiler_server.kit.http.body_limit import bounded
from profiler_server.kit.http.json_bodies import JsonRequest, read_message
from profiler_server.kit.problems import Problem

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

#: bytes of a body, where an address does not say more
_MOST_BYTES = 65_536
_PARAMETER = re.compile(r"\{(\w+)\}")


class _IdConvertor(Convertor[str]):
    """A part of a path that ends where a verb begins, as in `/jobs/ID:cancel`."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _IdConvertor())


def operation_id(route: APIRoute) -> str:
    """The endpoint's name, which is its function's: clients are generated from it."""
    return route.name


class HeaderCheck(ABC):
    """A dependency that needs no more than headers; asked before anything else is looked at."""

    @abstractmethod
    async def __call__(self, request: Request) -> Any:
        """What endpoints get; raises a problem for whom it refuses."""

    async def check_message(  # noqa: B027 - most look at headers alone
        self, request: Request, message: BaseModel
    ) -> None:
        """Looks at the body, too, as soon as that is read; raises a problem if it is refused."""


class Route(APIRoute):
    """A route that looks at nothing before its header checks let a request in.

    Then it refuses query parameters which it does not have: the framework ignores them, and a
    filter with a typing error would filter nothing. The body comes last.

    Args:
        path: of the address; its parameters hold no colon.
        endpoint: answers.
        max_body_size: bytes of a body.
        options: the framework's.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        max_body_size: int | None = None,
        **options: Any,
    ) -> None:
        # Not left to the framework, whose limit answers in plain text, and before a gate does.
        self._most_bytes = max_body_size or _MOST_BYTES
        options["generate_unique_id_function"] = operation_id
        super().__init__(_PARAMETER.sub(r"{\1:id}", path), endpoint, **options)

    def get_route_handler(self) -> Handler:
        """What the framework calls with each request."""
        handler = self.around(super().get_route_handler())
        checks = tuple(_header_checks(self.dependant))
        known = _query_parameters(self.dependant)
        has_body = not (self.methods or set()) <= {"GET", "HEAD"}
        message: Any = self.body_field.field_info.annotation if self.body_field else None

        async def answer(request: Request) -> Response:
            for check in checks:
                await check(request)
            if request.scope["query_string"]:
                _refuse_unknown(request, known)
            if has_body:
                receive = bounded(request.scope, request.receive, self._most_bytes)
                request = JsonRequest(request.scope, receive)
                if message is not None and await read_message(request, message):
                    for check in checks:
                        await check.check_message(request, request.message)
            return await handler(request)

        return answer

    def around(self, by_endpoint: Handler) -> Handler:
        """What a kind of routes does before the endpoint, or instead of it."""
        return by_endpoint


def _header_checks(dependant: Dependant) -> Iterator[HeaderCheck]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, HeaderCheck):
            yield inner.call
        yield from _header_checks(inner)


def _query_parameters(dependant: Dependant) -> tuple[str, ...]:
    """Names, in the order of the signatures; a model's fields are parameters."""
    names: list[str] = []
    for parameter in dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += [field.alias or name for name, field in kind.model_fields.items()]
        else:
            names.append(parameter.alias)
    for inner in dependant.dependencies:
        names += _query_parameters(inner)
    return tuple(dict.fromkeys(names))


def _refuse_unknown(request: Request, known: tuple[str, ...]) -> None:
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        there_is = f"there are: {', '.join(known)}" if known else "this address takes none"
        raise Problem(
            "invalid-request", f"query: no parameter {', '.join(map(repr, unknown))}; {there_is}"
        )
