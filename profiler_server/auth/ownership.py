"""A token acts only for devices that it has registered and what it has made; `admin` for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from sqlalchemy.orm import Session

from profiler_server.auth import repository
from profiler_server.auth.scopes import Scope
from profiler_server.auth.service import TRUSTED_S, Principal
from profiler_server.kit.dependencies import of_application
from profiler_server.kit.http.caching import BriefCache
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database, database_now


def own(session: Session, who: Principal, device_id: str) -> None:
    """Makes a device that registers the token's own.

    A device goes to another token once its own is revoked or has expired.

    Args:
        session: a writing transaction that has locked the device's row.
        who: presents the device.
        device_id: of the device.

    Raises:
        Problem: `foreign-device`.
    """
    owner = repository.owner(session, device_id, database_now(session))
    if owner is not None and owner.token_id == who.token_id:
        return
    if owner is not None and owner.is_valid:
        if Scope.ADMIN in who.scopes:
            return
        raise _foreign([device_id])
    repository.set_owner(session, device_id, who.token_id)


def require_owner(who: Principal, token_id: str | None, what: str) -> None:
    """Refuses to change what another token has made.

    Args:
        who: asks.
        token_id: that made it; None: nobody's, which only `admin` may change.
        what: names it, for the problem.

    Raises:
        Problem: `not-the-owner`.
    """
    if Scope.ADMIN not in who.scopes and token_id != who.token_id:
        made = "no token" if token_id is None else f"token {token_id}"
        raise Problem(
            "not-the-owner", f"{what} was made by {made}; use that one, or one with the scope admin"
        )


class DeviceGuard:
    """Checks whose devices a request acts for; a good answer holds as long as a token's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._own: BriefCache[tuple[str, str], bool] = BriefCache(TRUSTED_S)

    def knows(self, who: Principal, name: str) -> bool:
        """Whether the device or lease was found to be the token's a moment ago; never waits."""
        return Scope.ADMIN in who.scopes or self._own.get((who.token_id, name)) is True

    def check_devices(self, who: Principal, device_ids: Collection[str]) -> None:
        """Refuses devices of others; those that nobody has registered are not refused here.

        Raises:
            Problem: `foreign-device`.
        """
        unknown = [one for one in device_ids if not self.knows(who, one)]
        if not unknown:
            return
        with self._database.read() as session:
            owners = repository.owners(session, unknown)
        self.check_owners(who, owners)

    def remember(self, who: Principal, name: str) -> None:
        """Remembers for a moment that the device, or the lease on it, is the token's."""
        self._own.put((who.token_id, name), True)

    def check_owners(self, who: Principal, owners: Mapping[str, str]) -> None:
        """Refuses devices of others, given the token of each.

        Raises:
            Problem: `foreign-device`.
        """
        foreign = sorted(one for one, token_id in owners.items() if token_id != who.token_id)
        if foreign:
            raise _foreign(foreign)
        for device_id in owners:
            self.remember(who, device_id)


def _foreign(device_ids: Collection[str]) -> Problem:
    return Problem(
        "foreign-device",
        f"{', '.join(device_ids)} was registered with another token; use that one, or revoke it "
        "(`profiler-server token revoke`) and register again",
    )


DeviceGuardDep = Annotated[DeviceGuard, of_application("device_guard")]
