"""A server with little, and one with much to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, get_args

from benchmarks.server_load import tables
from benchmarks.server_load.machine import Service
from netspec.client.http import ProfilerHttp
from netspec.networks import Network
from netspec.operators import Kernel, MBConv, Operator
from netspec.wire import (
    JobRequest,
    Lease,
    LeasedTask,
    NetworkSubject,
    RegisteredDevice,
    Visit,
    VisitBatch,
)

#: devices of one model
_ALIKE = 20
#: every column that there can be
_WIDEST: Final = tuple(
    MBConv(input_size=size, in_channels=8, out_channels=8, kernel=kernel, expand=expand)
    for size, kernel, expand in product(range(20, 0, -1), get_args(Kernel), range(1, 17))
)
#: the greatest has as many operators
_NETWORKS = 16


@dataclass(frozen=True)
class Shown:
    """Addresses of a server's pages, below the dashboard's own, by what they show."""

    #: that the two servers both have
    both: Mapping[str, str]
    #: that only the full one has
    only: Mapping[str, str]


def small(served: Service) -> Shown:
    """One device, and a table without entries."""
    with ProfilerHttp(served.url, served.token) as http:
        first = tables.register(http, 0, "Pixel 1")
    return Shown(_pages(first), {})


def full(served: Service, *, devices: int, entries: int) -> Shown:
    """So many devices of many models, and as many entries on one target.

    And a table of all columns, with a calibration.
    """
    with ProfilerHttp(served.url, served.token) as http:
        first = tables.register(http, 0, "Pixel 1")
        for number in range(1, devices):
            tables.register(http, number, f"Pixel {1 + number // _ALIKE}")
        target_id = first.target_ids[0]
        operators = tables.operators(entries)
        tables.fill(http, first, operators)
        other = tables.register(http, devices, "Pixel wide")
        tables.fill(http, other, _WIDEST)
        _measure_networks(http, other, _WIDEST)
        for one in (first, other):
            tables.publish(http, one.target_ids[0])
    only = {
        "networks with calibration": f"/targets/{other.target_ids[0]}/networks",
        "widest table": f"/targets/{other.target_ids[0]}",
        "an entry": f"/targets/{target_id}/entries/{operators[0].content_hash}",
    }
    return Shown(_pages(first), only)


def _pages(device: RegisteredDevice) -> dict[str, str]:
    table = f"/targets/{device.target_ids[0]}"
    return {
        "overview": "/",
        "a device": f"/devices/{device.id}",
        "jobs": "/jobs",
        "filing a job": "/jobs/new",
        "targets": "/targets",
        "table": table,
        "table, filtered": f"{table}?kernel=3&expand=6",
        "networks": f"{table}/networks",
        "disagreement": f"{table}/disagreement",
        "left out": f"{table}/left-out",
        "by field": f"{table}/fields",
        "comparison": f"/comparison?target={device.target_ids[0]}",
        "ranking": "/ranking",
    }


def _measure_networks(
    http: ProfilerHttp, device: RegisteredDevice, operators: tuple[Operator, ...]
) -> None:
    # The first operators have one shape, which stays: they follow each other in a network.
    networks = tuple(
        Network(name=f"network of {count}", operators=operators[:count])
        for count in range(1, _NETWORKS + 1)
    )
    request = JobRequest(
        name="networks", target_id=device.target_ids[0], networks=networks, rounds=1
    )
    http.request("POST", "/v1/jobs", body=request)
    lease = tables.claim(http, device, len(networks))
    if lease is None:
        raise RuntimeError("networks were filed, and there is no work")
    visits = tuple(_visit(device, lease, task) for task in lease.tasks)
    http.request("POST", "/v1/visits:batch", body=VisitBatch(visits=visits))


def _visit(device: RegisteredDevice, lease: Lease, task: LeasedTask) -> Visit:
    """A visit that takes as long as one of each operator, and a bit more."""
    assert isinstance(task.subject, NetworkSubject)  # noqa: S101 - nothing else was filed
    count = len(task.subject.network.operators)
    made = tables.visit(device, lease, task, count)
    times = made.statistics.model_dump(exclude={"count"})
    longer = {name: (count + 0.3) * us for name, us in times.items()}
    return made.model_copy(update={"statistics": made.statistics.model_copy(update=longer)})
