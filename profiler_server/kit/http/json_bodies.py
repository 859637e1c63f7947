"""Large JSON bodies, parsed and checked in one step.

The framework makes Python objects of the JSON, in the event loop, and messages of those.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError

from profiler_server.kit.http.routes import Handler, Route


def parsed_at_once(message: type[BaseModel]) -> type[Route]:
    """The class of a router whose bodies, where there are any, are these messages."""

    class ParsedRequest(Request):
        async def json(self) -> Any:
            try:
                return await run_in_threadpool(message.model_validate_json, await self.body())
            except ValidationError:
                # The framework finds the same again, and says it as it says all others.
                return await super().json()

    class ParsingRoute(Route):
        def around(self, by_endpoint: Handler) -> Handler:
            async def answer(request: Request) -> Response:
                return await by_endpoint(ParsedRequest(request.scope, request.receive))

            return answer

    return ParsingRoute
