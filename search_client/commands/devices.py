"""`search-client devices`: what measures, and whether it may."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.wire import Device, DeviceQuery
from search_client.commands.options import ProfilerUrl, TargetOption, console
from search_client.commands.queries import (
    Label,
    OwnerOption,
    Since,
    Sort,
    State,
    Until,
    query_of,
)

app = typer.Typer(help="Look at the profiler's devices, and release them.", no_args_is_help=True)


@app.command("list", epilog="Example: search-client devices list --label rack=2 --state silent")
def list_devices(
    profiler_url: ProfilerUrl = DEFAULT_URL,
    state: State = None,
    agent: Annotated[str | None, typer.Option(help="Only those of this agent.")] = None,
    serial: Annotated[
        str | None, typer.Option(help="Only those with this in their serials.")
    ] = None,
    owner: OwnerOption = None,
    label: Label = None,
    target: TargetOption = None,
    since: Since = None,
    until: Until = None,
    sort: Sort = None,
    as_json: AsJson = False,
) -> None:
    """List devices by agent and serial, and what keeps them from work."""
    query = query_of(
        DeviceQuery,
        state=state,
        agent=agent,
        serial=serial,
        owner=owner,
        label=label,
        since=since,
        until=until,
        sort=sort,
    )
    with ProfilerClient(profiler_url) as client:
        if target:
            query = query.model_copy(update={"target_id": client.target(target).id})
        devices = client.devices(query)
    if as_json:
        print_json(devices)
        return
    table = Table(
        Column("device", no_wrap=True), "agent", "serial", "targets", "last seen", "state"
    )
    for device in devices:
        table.add_row(
            device.id,
            escape(device.agent),
            escape(device.serial),
            "\n".join(device.target_ids),
            f"{device.last_seen:%Y-%m-%d %H:%M} UTC",
            escape(_state(device)),
        )
    console.print(
        table
        if devices
        else "No device was registered yet that is so; `device-agent run` registers devices."
    )


@app.command(epilog="Example: search-client devices release R58M12345AB")
def release(
    device_id: Annotated[
        str,
        typer.Argument(help="The device's serial, its id, or the id's beginning.", metavar="ID"),
    ],
    profiler_url: ProfilerUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """End a device's quarantine, and its rest; needs an administrator's token."""
    with ProfilerClient(profiler_url) as client:
        device = client.release(client.find_device(device_id).id)
    if as_json:
        print_json(device)
        return
    line = f"{device.id} ({device.serial} of {device.agent}) may get work again"
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _state(device: Device) -> str:
    if device.quarantine is not None:
        return f"in quarantine: {device.quarantine.reason}"
    if device.rests_until is not None:
        return f"rests until {device.rests_until:%H:%M} UTC"
    return "may get work"
