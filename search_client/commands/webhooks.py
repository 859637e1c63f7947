"""`search-client webhooks`: events sent to addresses that ask for them."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.errors import UserError
from netspec.wire import (
    Delivery,
    DeliveryQuery,
    MadeWebhook,
    Webhook,
    WebhookQuery,
    WebhookRequest,
)
from search_client.commands.options import ProfilerUrl, TargetOption, console
from search_client.commands.queries import Limit, OwnerOption, State, query_of

app = typer.Typer(
    help="Have the profiler send what happens to other services.", no_args_is_help=True
)

WebhookId = Annotated[
    str,
    typer.Argument(
        help="The webhook's id, or its beginning, with or without `webhook_`.", metavar="ID"
    ),
]
#: how long (s) the answer to a test is waited for, and how often (s) it is asked for
_TEST_S, _LOOK_EVERY_S = 15.0, 0.5


@app.command(
    epilog="Example: search-client webhooks create https://chat.example.org/hook --kind task_failed"
)
def create(
    url: Annotated[str, typer.Argument(help="Where events are sent to, by POST.", metavar="URL")],
    profiler_url: ProfilerUrl = DEFAULT_URL,
    name: Annotated[str, typer.Option(help="For people: what it is for.")] = "",
    kind: Annotated[
        list[str] | None, typer.Option(help="Only events of this kind; may be repeated.")
    ] = None,
    job: Annotated[
        str | None, typer.Option(help="Only what is about this job; its id's beginning.")
    ] = None,
    target: TargetOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a webhook, and print its secret, this once."""
    with ProfilerClient(profiler_url) as client:
        request = WebhookRequest(
            url=url,
            name=name,
            kinds=tuple(kind or ()),
            job_id=client.find_job(job).id if job else None,
            target_id=client.target(target).id if target else None,
        )
        _print_made(client.create_webhook(request), as_json=as_json)


@app.command("list", epilog="Example: search-client webhooks list --state failing --state disabled")
def list_webhooks(
    profiler_url: ProfilerUrl = DEFAULT_URL,
    state: State = None,
    owner: OwnerOption = None,
    as_json: AsJson = False,
) -> None:
    """List one's webhooks; an administrator's token lists everybody's."""
    query = query_of(WebhookQuery, state=state, owner=owner)
    with ProfilerClient(profiler_url) as client:
        webhooks = client.webhooks(query)
    if as_json:
        print_json(webhooks)
        return
    table = Table(Column("webhook", no_wrap=True), "name", "to", "gets", "by", "state")
    for one in webhooks:
        table.add_row(
            one.id,
            escape(one.name),
            escape(one.url),
            _wanted(one),
            escape(one.owner.name),
            escape(_state(one)),
        )
    console.print(table if webhooks else "There is no webhook that is so.")


@app.command(epilog="Example: search-client webhooks show 5f0c")
def show(
    webhook_id: WebhookId,
    profiler_url: ProfilerUrl = DEFAULT_URL,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Show a webhook and its latest deliveries."""
    with ProfilerClient(profiler_url) as client:
        webhook = client.find_webhook(webhook_id)
        deliveries = client.deliveries(webhook.id, DeliveryQuery(), most=limit)
    if as_json:
        print_json({"webhook": webhook, "deliveries": deliveries})
        return
    _say(f"{webhook.id} to {webhook.url}: {_state(webhook)}; gets {_wanted(webhook)}")
    for delivery in deliveries:
        _say(f"  {delivery.created_at:%Y-%m-%d %H:%M} UTC {_about(delivery)}")


@app.command(epilog="Example: search-client webhooks delete 5f0c")
def delete(webhook_id: WebhookId, profiler_url: ProfilerUrl = DEFAULT_URL) -> None:
    """Delete a webhook; what it has not got yet is not sent any more."""
    with ProfilerClient(profiler_url) as client:
        webhook = client.find_webhook(webhook_id)
        client.delete_webhook(webhook.id)
    _say(f"{webhook.id} to {webhook.url} is deleted")


@app.command(epilog="Example: search-client webhooks rotate 5f0c --overlap-hours 1")
def rotate(
    webhook_id: WebhookId,
    profiler_url: ProfilerUrl = DEFAULT_URL,
    overlap_hours: Annotated[
        float,
        typer.Option(min=0.0, max=2_160.0, help="For so long the secret of before signs, too."),
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Give a webhook another secret, and print it, this once."""
    with ProfilerClient(profiler_url) as client:
        made = client.rotate_webhook(client.find_webhook(webhook_id).id, overlap_hours * 3_600)
    _print_made(made, as_json=as_json)


@app.command(epilog="Example: search-client webhooks enable 5f0c")
def enable(
    webhook_id: WebhookId, profiler_url: ProfilerUrl = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Let a webhook that was disabled get events again, from now on."""
    with ProfilerClient(profiler_url) as client:
        webhook = client.enable_webhook(client.find_webhook(webhook_id).id)
    if as_json:
        print_json(webhook)
        return
    _say(f"{webhook.id} to {webhook.url} gets {_wanted(webhook)} again")


@app.command("test", epilog="Example: search-client webhooks test 5f0c")
def send_test(
    webhook_id: WebhookId, profiler_url: ProfilerUrl = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Have an event sent to a webhook, and say how its receiver answers."""
    with ProfilerClient(profiler_url) as client:
        webhook = client.find_webhook(webhook_id)
        delivery = client.test_webhook(webhook.id)
        end = time.monotonic() + _TEST_S
        while delivery.last_status is None and not delivery.last_error:
            if time.monotonic() >= end:
                raise UserError(
                    f"{webhook.url} has not answered within {_TEST_S:g} s; "
                    f"`search-client webhooks show {webhook.id}` tells how it goes on"
                )
            time.sleep(_LOOK_EVERY_S)
            found = client.deliveries(webhook.id, most=200)
            delivery = next((one for one in found if one.id == delivery.id), delivery)
    if as_json:
        print_json(delivery)
    else:
        _say(f"{webhook.url}: {_about(delivery)}")
    if delivery.state != "delivered":
        raise UserError(f"{webhook.url} did not take it: {delivery.last_error}")


def _print_made(made: MadeWebhook, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    _say(made.secret)
    webhook = made.webhook
    typer.echo(
        f"{webhook.id} sends {_wanted(webhook)} to {webhook.url}; the secret above verifies what "
        "comes, and is shown this once",
        err=True,
    )


def _wanted(webhook: Webhook) -> str:
    kinds = ", ".join(webhook.kinds) or "every event"
    job = f" of {webhook.job_id}" if webhook.job_id else ""
    target = f" on {webhook.target_id}" if webhook.target_id else ""
    return f"{kinds}{job}{target}{' of own jobs' if webhook.own_jobs_only else ''}"


def _state(webhook: Webhook) -> str:
    if webhook.disabled_at is not None:
        return f"disabled: {webhook.disabled_reason}"
    if webhook.failing_since is not None:
        return f"failing since {webhook.failing_since:%Y-%m-%d %H:%M} UTC"
    return "working"


def _about(delivery: Delivery) -> str:
    status = f", status {delivery.last_status}" if delivery.last_status is not None else ""
    error = f": {delivery.last_error}" if delivery.last_error else ""
    attempts = f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
    return f"{delivery.kind} {delivery.state}, {attempts}{status}{error}"


def _say(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
