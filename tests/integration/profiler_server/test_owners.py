"""An agent's token acts for its own devices, at every endpoint."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netspec.wire import LeaseRelease, LeaseRenewal, LeaseRequest
from profiler_server.auth import repository, service
from profiler_server.auth.scopes import Scope
from profiler_server.jobs import service as jobs
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api

MakeToken = Callable[..., str]


@pytest.fixture
def mine(api: Api, make_token: MakeToken) -> Api:
    return Api(api.http, make_token(Scope.AGENT))


@pytest.fixture
def other(api: Api, make_token: MakeToken) -> Api:
    return Api(api.http, make_token(Scope.AGENT))


def test_another_token_cannot_act_for_a_device(api: Api, mine: Api, other: Api) -> None:
    device = mine.register(farm.registration()).id
    api.file(farm.job(farm.blocks(1), rounds=1))

    def refused(path: str, body: object) -> None:
        # Asked twice: the refusal is not forgotten either.
        for _ in range(2):
            detail = other.problem("POST", path, body, status=403, kind="foreign-device")  # type: ignore[arg-type]
            assert device in detail

    refused("/v1/devices", farm.registration())
    refused("/v1/leases", LeaseRequest(device_id=device))
    lease = mine.claim(device)
    refused(f"/v1/leases/{lease.id}:renew", LeaseRenewal(fence=lease.fence))
    refused(f"/v1/leases/{lease.id}:release", LeaseRelease(fence=lease.fence, outcomes=()))
    batch = farm.visits(lease, device, rounds=1)
    refused("/v1/visits:batch", batch)
    mine.call("POST", f"/v1/leases/{lease.id}:renew", LeaseRenewal(fence=lease.fence))
    assert mine.upload(batch) == ["stored"]
    mine.release(lease)


def test_an_admin_acts_for_every_device(api: Api, mine: Api) -> None:
    device = mine.register(farm.registration()).id
    api.file(farm.job(farm.blocks(1), rounds=1))
    assert api.register(farm.registration()).id == device
    lease = api.claim(device)
    assert api.upload(farm.visits(lease, device, rounds=1)) == ["stored"]
    api.release(lease)
    # It stays its agent's.
    mine.no_work(device)


def test_a_device_goes_over_once_its_token_is_revoked(
    mine: Api, other: Api, database: Database
) -> None:
    device = mine.register(farm.registration()).id
    with database.write() as session:
        owners = repository.owners(session, [device])
        service.revoke(session, owners[device])
    assert other.register(farm.registration()).id == device
    other.no_work(device)


def test_a_device_goes_over_once_its_token_has_expired(
    api: Api, other: Api, make_token: MakeToken, database: Database
) -> None:
    brief = Api(api.http, make_token(Scope.AGENT, days=1.0))
    device = brief.register(farm.registration()).id
    with database.write() as session:
        (row,) = [one for one in repository.everything(session) if one.expires_at is not None]
        row.expires_at = row.created_at
    assert other.register(farm.registration()).id == device


def test_a_job_is_cancelled_and_retried_by_its_owner_or_an_admin(
    api: Api, make_token: MakeToken
) -> None:
    owner, stranger = (Api(api.http, make_token(Scope.JOBS_WRITE)) for _ in range(2))
    api.register(farm.registration())
    job = owner.file(farm.job(farm.blocks(1)))
    assert job.owner is not None
    assert job.owner.name == "test"
    assert stranger.job(job.id).owner == job.owner
    for verb in ("cancel", "retry"):
        path = f"/v1/jobs/{job.id}:{verb}"
        said = stranger.problem("POST", path, status=403, kind="not-the-owner")
        assert job.owner.token_id in said
    owner.call("POST", f"/v1/jobs/{job.id}:retry")
    owner.call("POST", f"/v1/jobs/{job.id}:cancel")
    other = owner.file(farm.job(farm.blocks(1)))
    api.call("POST", f"/v1/jobs/{other.id}:cancel")


def test_a_job_of_the_servers_own_is_an_admins(
    api: Api, make_token: MakeToken, database: Database, settings: Settings
) -> None:
    api.register(farm.registration())
    with database.write() as session:
        job = jobs.create(session, settings, farm.job(farm.blocks(1)), None)
    path = f"/v1/jobs/{job.id}:cancel"
    stranger = Api(api.http, make_token(Scope.JOBS_WRITE))
    assert "no token" in stranger.problem("POST", path, status=403, kind="not-the-owner")
    assert api.job(job.id).owner is None
    api.call("POST", path)


def test_what_nobody_has_registered_is_unknown_rather_than_foreign(mine: Api) -> None:
    request = LeaseRequest(device_id="device_x")
    mine.problem("POST", "/v1/leases", request, status=404, kind="unknown-device")
    renewal = LeaseRenewal(fence=1)
    mine.problem("POST", "/v1/leases/x:renew", renewal, status=404, kind="unknown-lease")
