"""SQL of targets and devices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Exists,
    Integer,
    and_,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from netspec.wire import DeviceQuery, DeviceRegistration, TargetQuery, TaskMethod
from profiler_server.auth.repository import owned_by
from profiler_server.auth.rows import DeviceOwnerRow
from profiler_server.devices.rows import DeviceRow, DeviceTargetRow, ServerRow, TargetRow
from profiler_server.kit.ids import new_id
from profiler_server.kit.sql.bulk import insert_absent
from profiler_server.kit.sql.json_text import JsonText
from profiler_server.kit.sql.lists import Listing, equal, part_of, since, states, until
from profiler_server.kit.sql.many_values import is_in
from profiler_server.kit.sql.pages import Page
from profiler_server.kit.sql.reach import is_within, narrowed
from profiler_server.reach.conditions import of_devices, of_targets

#: controlled variables in which a text is looked for
_NAMING = ("device_model", "soc", "os_build", "runtime", "delegate", "clock_policy")
#: so short a word is looked for at the beginning of words
_SHORT = 2
#: an agent that has registered, or was told that there is no work, speaks again within this time
BETWEEN_QUESTIONS = timedelta(minutes=1)
#: what no other device may measure is given up only when the others have not spoken for so long
_LATELY = timedelta(minutes=10)


def ensure_targets(
    session: Session, targets: Iterable[TargetIdentity], token_id: str | None, now: datetime
) -> None:
    """Inserts the targets that are not there yet; they are the token's, if one is given."""
    rows = [
        {
            "id": target.id,
            "identity": target.model_dump_json(),
            "token_id": token_id,
            "created_at": now,
        }
        for target in sorted(targets, key=lambda one: one.id)
    ]
    insert_absent(session, TargetRow, rows)


def ensure_device(session: Session, registration: DeviceRegistration, now: datetime) -> str:
    """The id of the agent's device, which is seen now; inserted if it is new."""
    agent, serial = registration.agent, registration.serial
    row = {
        "id": new_id("device"),
        "agent": agent,
        "serial": serial,
        "protocol": registration.protocol.model_dump_json(),
        "methods": " ".join(dict.fromkeys(registration.methods)),
        "registered_at": now,
        "last_seen": now,
        "heard_until": now + BETWEEN_QUESTIONS,
    }
    insert_absent(session, DeviceRow, [row])
    changed = {name: row[name] for name in row if name not in ("id", "agent", "serial")}
    return session.execute(
        update(DeviceRow)
        .where(DeviceRow.agent == agent, DeviceRow.serial == serial)
        .values(changed)
        .returning(DeviceRow.id)
    ).scalar_one()


def set_device_targets(session: Session, device_id: str, target_ids: Sequence[str]) -> None:
    """Replaces what the device can measure."""
    session.execute(delete(DeviceTargetRow).where(DeviceTargetRow.device_id == device_id))
    session.execute(
        insert(DeviceTargetRow),
        [
            {"device_id": device_id, "target_id": target_id, "position": position}
            for position, target_id in enumerate(target_ids)
        ],
    )


def devices(session: Session, query: DeviceQuery, now: datetime) -> Page[DeviceRow]:
    """The devices that a query asks for."""
    quarantined = DeviceRow.quarantined_at.is_not(None)
    silent = ~is_heard(now)
    rests = DeviceRow.rests_until.is_not(None) & (DeviceRow.rests_until > now)
    listing = Listing(
        DeviceQuery,
        {
            "state": states(
                {
                    "quarantined": quarantined,
                    "silent": ~quarantined & silent,
                    "resting": ~quarantined & ~silent & rests,
                    "ready": ~quarantined & ~silent & ~rests,
                }
            ),
            "agent": equal(DeviceRow.agent),
            "serial": part_of(DeviceRow.serial),
            "owner": _belongs_to,
            "label": _has_labels,
            "target_id": _measures,
            "since": since(DeviceRow.last_seen),
            "until": until(DeviceRow.last_seen),
        },
        {
            "agent": (DeviceRow.agent, DeviceRow.serial),
            "serial": (DeviceRow.serial, DeviceRow.id),
            "last_seen": (DeviceRow.last_seen, DeviceRow.id),
        },
        of_devices(DeviceRow.id),
    )
    page = listing.page(session, select(DeviceRow), query)
    return page.with_items([row[0] for row in page.items])


def _belongs_to(owner: str) -> ColumnElement[bool]:
    of_device = DeviceOwnerRow.device_id == DeviceRow.id
    return exists().where(of_device, owned_by(DeviceOwnerRow.token_id)(owner))


def _has_labels(wanted: Collection[str]) -> ColumnElement[bool]:
    """The device has all of the labels, `NAME` or `NAME=VALUE`."""
    conditions = []
    for label in wanted:
        name, equals, value = label.partition("=")
        found = JsonText(DeviceRow.labels, name)
        conditions.append(found == value if equals else found.is_not(None))
    return and_(*conditions)


def _measures(target_id: str) -> ColumnElement[bool]:
    return exists().where(
        DeviceTargetRow.device_id == DeviceRow.id, DeviceTargetRow.target_id == target_id
    )


def _is_measured_by_labelled(wanted: Collection[str]) -> ColumnElement[bool]:
    return exists().where(
        DeviceTargetRow.target_id == TargetRow.id,
        DeviceTargetRow.device_id == DeviceRow.id,
        _has_labels(wanted),
    )


def _has_words(text: str) -> ColumnElement[bool]:
    """Each of the text's words is somewhere in what people call a target by."""
    columns = [JsonText(TargetRow.identity, name) for name in _NAMING]

    def contains(column: ColumnElement[str], word: str) -> ColumnElement[bool]:
        if len(word) > _SHORT:
            return column.icontains(word, autoescape=True)
        # The 8 of a Pixel 8 is not that of an MSM8996.
        return or_(
            column.istartswith(word, autoescape=True),
            column.icontains(f" {word}", autoescape=True),
        )

    def has(word: str) -> ColumnElement[bool]:
        is_labelled = exists().where(
            DeviceTargetRow.target_id == TargetRow.id,
            DeviceTargetRow.device_id == DeviceRow.id,
            DeviceRow.labels.icontains(word, autoescape=True),
        )
        in_columns = [contains(column, word) for column in columns]
        if len(word) > _SHORT:
            in_columns.append(TargetRow.id.startswith(word.lower(), autoescape=True))
        return or_(*in_columns, is_labelled)

    return and_(*map(has, text.split()))


def device(session: Session, device_id: str) -> DeviceRow | None:
    """One device."""
    return session.get(DeviceRow, device_id)


def server_id(session: Session) -> str:
    """What tells this database from any other."""
    return session.execute(select(ServerRow.id)).scalar_one()


def lock_server(session: Session) -> None:
    """Makes other processes that do so wait for this transaction."""
    session.execute(select(ServerRow.id).with_for_update())


def offers(session: Session) -> Sequence[tuple[TargetRow, DeviceRow]]:
    """The targets with each device that can measure them and who asks sees, oldest first."""
    offered = (
        select(TargetRow, DeviceRow)
        .join(DeviceTargetRow, DeviceTargetRow.target_id == TargetRow.id)
        .join(DeviceRow, DeviceRow.id == DeviceTargetRow.device_id)
        .order_by(TargetRow.created_at, TargetRow.id, DeviceRow.id)
    )
    rows = session.execute(narrowed(session, offered, of_devices(DeviceRow.id)))
    return [(row[0], row[1]) for row in rows]


def measures(session: Session, target_id: str, method: TaskMethod) -> bool:
    """Whether some device can measure the target by the method."""
    able = exists().where(
        DeviceTargetRow.target_id == target_id,
        DeviceTargetRow.device_id == DeviceRow.id,
        DeviceRow.methods.contains(method),
    )
    return bool(session.scalar(select(able)))


def lock_device(session: Session, device_id: str) -> DeviceRow | None:
    """The device, kept from other claims until this transaction ends."""
    # Not its key: visits of the device may be stored meanwhile.
    one = select(DeviceRow).where(DeviceRow.id == device_id).with_for_update(key_share=True)
    return session.scalar(one)


def hear_devices(
    session: Session, which: ColumnElement[bool], now: datetime, until: datetime
) -> None:
    """Notes that the agents of devices have spoken, and by when they speak again."""
    # A device that is locked is noted by whoever has locked it; waiting for that one could be
    # mutual.
    free = (
        select(DeviceRow.id)
        .where(which)
        .order_by(DeviceRow.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    session.execute(
        update(DeviceRow)
        .where(DeviceRow.id.in_(free))
        .values(last_seen=now, heard_until=until)
        .execution_options(synchronize_session=False)
    )


def is_heard(now: datetime) -> ColumnElement[bool]:
    """Whether a device's agent has spoken when it was due."""
    return DeviceRow.heard_until.is_not(None) & (DeviceRow.heard_until > now)


def is_usable(now: datetime) -> ColumnElement[bool]:
    """Whether a device may get work, and its agent has spoken lately, so that it may come back."""
    return DeviceRow.quarantined_at.is_(None) & (DeviceRow.last_seen > now - _LATELY)


def others_usable(
    target_id: str | ColumnElement[str],
    method: str | ColumnElement[str],
    device_id: str,
    now: datetime,
) -> Exists:
    """Whether another usable device can measure the target by the method."""
    return exists().where(
        DeviceRow.methods.contains(method),
        DeviceTargetRow.target_id == target_id,
        DeviceTargetRow.device_id == DeviceRow.id,
        DeviceRow.id != device_id,
        is_usable(now),
    )


def has_others(
    session: Session, target_id: str, method: str, device_id: str, now: datetime
) -> bool:
    """Whether another usable device can measure the target by the method."""
    return bool(session.scalar(select(others_usable(target_id, method, device_id, now))))


def target_ids(session: Session, device_id: str) -> list[str]:
    """What the device can measure, in the agent's order."""
    of_device = select(DeviceTargetRow.target_id).where(DeviceTargetRow.device_id == device_id)
    return list(session.scalars(of_device.order_by(DeviceTargetRow.position)))


def protocols(session: Session, device_ids: Iterable[str]) -> dict[str, str]:
    """The protocol, as JSON, of those of the ids that are devices."""
    rows = session.execute(
        select(DeviceRow.id, DeviceRow.protocol).where(is_in(session, DeviceRow.id, device_ids))
    )
    return dict(rows.all())


def served(session: Session, target_ids: Collection[str], now: datetime) -> set[str]:
    """Those of the targets that a device measures which is heard and not in quarantine."""
    query = select(DeviceTargetRow.target_id).join(
        DeviceRow, DeviceRow.id == DeviceTargetRow.device_id
    )
    of_targets = DeviceTargetRow.target_id.in_(target_ids)
    works = DeviceRow.quarantined_at.is_(None) & is_heard(now)
    return set(session.scalars(query.where(of_targets, works)))


def lock_targets(session: Session, target_ids: Collection[str] | None = None) -> set[str]:
    """Makes others that store visits of these targets wait for this transaction.

    Args:
        session: a writing transaction.
        target_ids: what to lock; None: every target.

    Returns:
        Those of the ids that are targets.
    """
    # Always in the same order, so that two transactions cannot wait for each other.
    query = select(TargetRow.id).order_by(TargetRow.id).with_for_update(key_share=True)
    if target_ids is not None:
        query = query.where(TargetRow.id.in_(target_ids))
    return set(session.scalars(query))


def target_ids_of(session: Session, device_ids: Collection[str]) -> dict[str, list[str]]:
    """The targets of the devices, in the agent's order."""
    found: dict[str, list[str]] = {}
    for device_id, target_id in session.execute(
        select(DeviceTargetRow.device_id, DeviceTargetRow.target_id)
        .where(DeviceTargetRow.device_id.in_(device_ids))
        .order_by(DeviceTargetRow.position)
    ):
        found.setdefault(device_id, []).append(target_id)
    return found


def targets(session: Session) -> Sequence[TargetRow]:
    """All targets that who asks sees, oldest first."""
    seen = narrowed(session, select(TargetRow), of_targets(TargetRow.id))
    return session.scalars(seen.order_by(TargetRow.created_at, TargetRow.id)).all()


def known_targets(session: Session, target_ids: Collection[str]) -> set[str]:
    """Those of the ids that are targets."""
    return set(session.scalars(select(TargetRow.id).where(TargetRow.id.in_(target_ids))))


def page_of_targets(session: Session, query: TargetQuery) -> Page[TargetRow]:
    """The targets that a query asks for."""
    page = _TARGETS.page(session, select(TargetRow), query)
    return page.with_items([row[0] for row in page.items])


_TARGETS = Listing(
    TargetQuery,
    {
        "name": part_of(JsonText(TargetRow.identity, "device_model")),
        "text": _has_words,
        "delegate": equal(JsonText(TargetRow.identity, "delegate")),
        "threads": equal(cast(JsonText(TargetRow.identity, "threads"), Integer)),
        "owner": owned_by(TargetRow.token_id),
        "label": _is_measured_by_labelled,
        "since": since(TargetRow.created_at),
        "until": until(TargetRow.created_at),
    },
    {
        "created_at": (TargetRow.created_at, TargetRow.id),
        "entries": (TargetRow.entries, TargetRow.id),
    },
    of_targets(TargetRow.id),
)


def target(session: Session, target_id: str) -> TargetRow | None:
    """One target, if who asks sees it."""
    seen = is_within(session, of_targets(literal(target_id)))
    return session.get(TargetRow, target_id) if seen else None


def counts_by_target(session: Session, target_ids: Collection[str]) -> dict[str, tuple[int, int]]:
    """Entries and devices of those of the ids that are targets."""
    entries = session.execute(
        select(TargetRow.id, TargetRow.entries).where(TargetRow.id.in_(target_ids))
    )
    devices_ = session.execute(
        select(DeviceTargetRow.target_id, func.count())
        .where(DeviceTargetRow.target_id.in_(target_ids))
        .group_by(DeviceTargetRow.target_id)
    )
    entry_counts, device_counts = dict(entries.all()), dict(devices_.all())
    return {
        target_id: (entry_counts[target_id], device_counts.get(target_id, 0))
        for target_id in entry_counts
    }
