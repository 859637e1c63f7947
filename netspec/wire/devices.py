"""Devices, and the targets that they can measure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from netspec.protocol import Delegate, MeasurementProtocol, TargetId, TargetIdentity, Text
from netspec.wire.message import ListQuery, Message, Moment
from netspec.wire.profiles import ISOLATED, TaskMethod, is_isolated

#: of a device
MAX_LABELS = 32
#: what jobs select devices by, for instance `{"rack": "2", "owner": "vision"}`
Labels = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,62}$")],
        Annotated[str, Field(pattern=r"^[^\x00]{0,200}$")],
    ],
    Field(max_length=MAX_LABELS),
]


#: how tasks can be measured on a device, on every one of its targets
Methods = Annotated[tuple[TaskMethod, ...], Field(min_length=1, max_length=5)]

_Figure = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class DeviceRegistration(Message):
    """An agent presents one device and the targets it can measure."""

    agent: Text
    serial: Text
    targets: Annotated[tuple[TargetIdentity, ...], Field(min_length=1, max_length=16)]
    protocol: MeasurementProtocol
    #: None: those that it has
    labels: Labels | None = None
    #: the device gets no tasks of another method
    methods: Annotated[Methods, Field(exclude_if=is_isolated)] = (ISOLATED,)


class DeviceLabels(Message):
    """The labels that a device shall have from now on, and no others."""

    labels: Labels


class QuarantineRequest(Message):
    """A device shall get no work until it is released."""

    #: for people
    reason: Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]


class Quarantine(Message):
    """Since when, and why, a device gets no work."""

    since: AwareDatetime
    reason: str


class Device(Message):
    """A device as the server knows it."""

    id: Text
    agent: Text
    serial: Text
    target_ids: tuple[TargetId, ...]
    #: when its agent spoke last: it does so every `renew_every_s` seconds or so
    last_seen: AwareDatetime
    labels: Labels = Field(default_factory=dict)
    quarantine: Quarantine | None = None
    #: until when it gets no work after leases that brought no visit
    rests_until: AwareDatetime | None = None
    methods: Methods = (ISOLATED,)


class RegisteredDevice(Message):
    """The answer to a registration, with the intervals that the agent must keep."""

    id: Text
    target_ids: tuple[TargetId, ...]
    lease_ttl_s: float
    renew_every_s: float
    #: tells this server's database from any other; None from a server before 0.2
    server_id: str | None = None


class Target(Message):
    """A target with what its table holds."""

    id: TargetId
    identity: TargetIdentity
    entries: int
    devices: int


#: what keeps a device from work; `ready`: nothing
DeviceStanding = Literal["ready", "resting", "silent", "quarantined"]
#: a label by name, or by name and value
_LABEL = r"^[a-z0-9][a-z0-9._/-]{0,62}(=[^\x00]{0,200})?$"
LabelFilter = Annotated[
    tuple[Annotated[str, Field(pattern=_LABEL)], ...],
    Field(max_length=32, description="`NAME=VALUE`, or `NAME` of any value; all that are given"),
]


class DeviceQuery(ListQuery):
    """Which devices, and in which order; `agent` sorts by serials within each agent."""

    state: Annotated[
        tuple[DeviceStanding, ...],
        Field(max_length=4, description="What keeps it from work; may be repeated"),
    ] = ()
    agent: Annotated[Text | None, Field(description="Its agent")] = None
    serial: Annotated[Text | None, Field(description="Part of the serial, in either case")] = None
    owner: Annotated[Text | None, Field(description="Name or id of its token")] = None
    label: LabelFilter = ()
    target_id: Annotated[TargetId | None, Field(description="A target that it measures")] = None
    since: Annotated[Moment | None, Field(description="Seen from this time on")] = None
    until: Annotated[Moment | None, Field(description="Last seen before this time")] = None
    sort: Annotated[
        Literal["agent", "-agent", "serial", "-serial", "last_seen", "-last_seen"],
        Field(description="By what; `-`: greatest first"),
    ] = "agent"


class TargetQuery(ListQuery):
    """Which targets, and in which order."""

    name: Annotated[
        Text | None, Field(description="Part of the device's model, in either case")
    ] = None
    text: Annotated[
        Text | None,
        Field(
            description="Words that the target has in its device model, SoC, OS build, runtime, "
            "delegate, id or the labels of its devices, in either case"
        ),
    ] = None
    delegate: Annotated[Delegate | None, Field(description="Of its runtime")] = None
    threads: Annotated[int | None, Field(ge=1, le=64, description="That runs use")] = None
    owner: Annotated[
        Text | None, Field(description="Name or id of the token that registered or imported it")
    ] = None
    label: LabelFilter = ()
    since: Annotated[Moment | None, Field(description="Known from this time on")] = None
    until: Annotated[Moment | None, Field(description="Known before this time")] = None
    sort: Annotated[
        Literal["created_at", "-created_at", "entries", "-entries"],
        Field(description="By what; `-`: greatest first"),
    ] = "created_at"


class TargetRepeatability(Message):
    """What a target's devices gave in one job and in the next that measured the same.

    A session is a job's accepted visits of one subject on one device; its value is the estimate of
    an entry. Jobs, not gaps of time, tell sessions apart.
    """

    target_id: TargetId
    #: operators, networks and models of two jobs or more on one device; devices count apart
    subjects: int
    #: of these subjects
    sessions: int
    #: of a session, median; None, as all that follows, where nothing was measured twice
    visits_median: _Figure | None = None
    #: between the first visits of consecutive sessions, median
    hours_median: _Figure | None = None
    #: median over subjects of a subject's coefficient of variation over its sessions, 0 to 1
    entry_cv_median: _Figure | None = None
    #: |next - one| over the mean of both, over all consecutive sessions
    consecutive_median_percent: _Figure | None = None
    consecutive_p90_percent: _Figure | None = None

    @property
    def sentence(self) -> str:
        """The same for people, in a line."""
        if self.consecutive_median_percent is None or self.consecutive_p90_percent is None:
            return "how well latencies repeat is not known: no job has measured anything again"
        return (
            f"consecutive jobs differ by {self.consecutive_median_percent:.2f} % (median) and "
            f"{self.consecutive_p90_percent:.2f} % (90th percentile), over {self.sessions} "
            f"sessions of {self.subjects} subjects"
        )
