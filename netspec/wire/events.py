"""What happened, for whoever follows a job or looks after a device, and webhooks that are told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from netspec.protocol import Text
from netspec.wire.jobs import Owner
from netspec.wire.message import ListQuery, Message, Moment


class Event(Message):
    """One line of the log, which is only ever appended to."""

    #: grows from event to event
    id: int
    at: AwareDatetime
    kind: str
    #: what it is about, if it is about one
    job_id: str | None
    device_id: str | None
    #: ids and values, by name
    data: dict[str, str | int]


class EventQuery(ListQuery):
    """Which events, and in which order; `id` is the order in which they were noted."""

    job_id: Annotated[Text | None, Field(description="Only what is about this job")] = None
    device_id: Annotated[Text | None, Field(description="Only what is about this device")] = None
    kind: Annotated[
        tuple[str, ...], Field(max_length=32, description="Of one of these; may be repeated")
    ] = ()
    since: Annotated[Moment | None, Field(description="From this time on")] = None
    until: Annotated[Moment | None, Field(description="Before this time")] = None
    sort: Annotated[Literal["id", "-id"], Field(description="By what; `-`: greatest first")] = "id"


#: of the names of events
EventName = Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]


class WebhookRequest(Message):
    """An address that events are to be sent to, as the Standard Webhooks specification says.

    What is named by several filters must fit all of them.
    """

    #: `https`, or `http` in the networks that the server's settings name
    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    #: for people
    name: Annotated[str, Field(max_length=200)] = ""
    #: of one of these; empty: every kind
    kinds: Annotated[tuple[EventName, ...], Field(max_length=32)] = ()
    #: only what is about this job
    job_id: Text | None = None
    #: only what is about this target, or a job that measures on it
    target_id: Text | None = None


class Webhook(Message):
    """An address that events are sent to; its secret stands in the answer that makes it alone."""

    id: Text
    url: str
    name: str
    kinds: tuple[str, ...]
    job_id: str | None
    target_id: str | None
    #: whether it gets only what is about jobs of its owner: one that is no administrator
    own_jobs_only: bool
    owner: Owner
    created_at: AwareDatetime
    #: until when the secret of before its last rotation signs, too
    previous_until: AwareDatetime | None = None
    #: since when no delivery has succeeded; None: the last one has
    failing_since: AwareDatetime | None = None
    #: it gets nothing since then
    disabled_at: AwareDatetime | None = None
    #: why; empty: it is enabled
    disabled_reason: str = ""


class MadeWebhook(Message):
    """A webhook that was made or rotated: the only answer that its secret stands in."""

    #: `whsec_` and the key in base64
    secret: str
    webhook: Webhook


class WebhookRotation(Message):
    """Gives a webhook another secret."""

    #: for so long (s) the secret of before signs, too
    overlap_s: Annotated[float, Field(ge=0, le=90 * 86_400)] = 86_400.0


class WebhookMessage(Message):
    """What is sent: the body of a delivery, which its signature is made over."""

    #: the event's kind
    type: str
    #: when it happened
    timestamp: AwareDatetime
    data: Event


class WebhookQuery(ListQuery):
    """Which webhooks, and in which order."""

    state: Annotated[
        tuple[Literal["working", "failing", "disabled"], ...],
        Field(max_length=3, description="How it fares; may be repeated"),
    ] = ()
    owner: Annotated[Text | None, Field(description="A token's name or id")] = None
    sort: Annotated[
        Literal["created_at", "-created_at"], Field(description="By what; `-`: greatest first")
    ] = "created_at"


class Delivery(Message):
    """An event that was, or is to be, sent to a webhook."""

    #: grows from delivery to delivery
    id: int
    #: the header `webhook-id`, the same at each attempt
    message_id: str
    event_id: int
    kind: str
    state: Literal["pending", "delivered", "failed"]
    #: that were begun
    attempts: int
    created_at: AwareDatetime
    #: not sent before
    next_at: AwareDatetime
    last_attempt_at: AwareDatetime | None
    #: HTTP status of the last answer; None: there was none
    last_status: int | None
    #: what went wrong
    last_error: str


class DeliveryQuery(ListQuery):
    """Which deliveries of a webhook, and in which order."""

    state: Annotated[
        tuple[Literal["pending", "delivered", "failed"], ...],
        Field(max_length=3, description="What has become of it; may be repeated"),
    ] = ()
    since: Annotated[Moment | None, Field(description="Noted from this time on")] = None
    until: Annotated[Moment | None, Field(description="Noted before this time")] = None
    sort: Annotated[Literal["id", "-id"], Field(description="By what; `-`: greatest first")] = "-id"
