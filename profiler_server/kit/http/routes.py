"""What routes have in common: ids, and query parameters that are known."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from profiler_server.kit.problems import Problem

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def operation_id(route: APIRoute) -> str:
    """The endpoint's name, which is its function's: clients are generated from it."""
    return route.name


class Route(APIRoute):
    """A route that refuses query parameters which it does not have.

    The framework ignores them: a filter with a typing error would filter nothing.
    """

    def get_route_handler(self) -> Handler:
        """What the framework calls with each request."""
        handler = self.around(super().get_route_handler())
        known = _query_parameters(self.dependant)

        async def answer(request: Request) -> Response:
            if request.scope["query_string"]:
                _refuse_unknown(request, known)
            return await handler(request)

        return answer

    def around(self, by_endpoint: Handler) -> Handler:
        """What a kind of routes does before the endpoint, or instead of it."""
        return by_endpoint


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
