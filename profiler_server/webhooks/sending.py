"""One attempt at a delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus

import httpx2

from profiler_server.kit.networks import Network
from profiler_server.webhooks.addresses import ForbiddenAddress, resolved

#: how long (s) an attempt takes at most, the look-up of the name included
ATTEMPT_S = 10.0
_GONE = 410


@dataclass(frozen=True)
class SendResult:
    """How an attempt ended."""

    #: HTTP status of the answer; None: there was none
    status: int | None
    #: what went wrong, for people; empty: nothing
    error: str

    @property
    def is_refused_for_ever(self) -> bool:
        """Whether the receiver says that it wants nothing any more."""
        return self.status == _GONE


class Sender:
    """Sends what is signed; asks for one answer, whose body it does not read.

    Args:
        allowed: networks that the settings name.
    """

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self._allowed = allowed

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        # Made when there is something to send: to read the authorities' certificates takes longer
        # than all else at a server's start.
        return httpx2.AsyncClient(
            # Not through a proxy of the environment, which would look names up by itself.
            trust_env=False,
            verify=httpx2.create_ssl_context(trust_env=True),
            follow_redirects=False,
            timeout=ATTEMPT_S,
            # A connection belongs to a name, and the pool knows addresses alone.
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Closes the connections."""
        if "_client" in vars(self):
            await self._client.aclose()

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> SendResult:
        """Sends a body to an address once."""
        try:
            async with asyncio.timeout(ATTEMPT_S):
                status = await self._status(httpx2.URL(url), body, headers)
        except TimeoutError:
            return SendResult(None, f"no answer within {ATTEMPT_S:g} s")
        except ForbiddenAddress as error:
            return SendResult(None, f"not sent: {error}")
        except (OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            return SendResult(None, f"{type(error).__name__}: {error}")
        if HTTPStatus(200) <= status < HTTPStatus(300):
            return SendResult(status, "")
        also = "; redirects are not followed" if HTTPStatus(300) <= status < HTTPStatus(400) else ""
        return SendResult(status, f"it answered with status {status}, expected 2xx{also}")

    async def _status(self, url: httpx2.URL, body: bytes, headers: Mapping[str, str]) -> int:
        host = url.netloc.decode()
        for address in (addresses := await resolved(url, self._allowed)):
            request = self._client.build_request(
                "POST",
                url.copy_with(host=str(address)),
                content=body,
                headers={**headers, "Host": host},
                extensions={"sni_hostname": url.raw_host.decode()},
            )
            try:
                answer = await self._client.send(request, stream=True)
            except httpx2.ConnectError:
                if address == addresses[-1]:
                    raise
                continue
            await answer.aclose()
            return answer.status_code
        raise OSError(f"{url.host} has no address")
