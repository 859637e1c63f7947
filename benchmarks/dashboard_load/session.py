"""A browser's session, for requests that are made without one."""

from __future__ import annotations

import re

import httpx2

from benchmarks.server_load.machine import Service

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def cookie(served: Service) -> str:
    """The `Cookie` header of somebody who has signed in with the service's token."""
    with httpx2.Client(base_url=f"{served.url}/dashboard") as http:
        hidden = dict(_HIDDEN.findall(http.get("/login").text))
        answer = http.post("/login", data={**hidden, "token": served.token})
        if not answer.is_redirect:
            raise RuntimeError(f"the server has not let us in: {answer.status_code} {answer.text}")
        return "; ".join(f"{name}={value}" for name, value in http.cookies.items())
