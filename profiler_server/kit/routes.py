"""What routes have in common: ids, and answers before FastAPI solves dependencies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

#: an answer, or None where the endpoint must give it; never waits for the database
AtOnce = Callable[[Request], Awaitable[Response | None]]


def operation_id(route: APIRoute) -> str:
    """The endpoint's name, which is its function's: clients are generated from it."""
    return route.name


def answers_at_once(at_once: AtOnce) -> type[APIRoute]:
    """The class of a router whose endpoints are asked only what `at_once` cannot answer.

    `at_once` checks the token itself.
    """

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            by_endpoint = super().get_route_handler()

            async def answer(request: Request) -> Response:
                return await at_once(request) or await by_endpoint(request)

            return answer

    return Route
