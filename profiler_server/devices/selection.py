"""Which targets a job means that names their kind and not one of them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from netspec.wire import TargetSelector, TaskMethod
from profiler_server.devices import repository
from profiler_server.kit.problems import Problem

_SHOWN_OFFERS = 5


@dataclass(frozen=True)
class Offer:
    """A target, as one device offers it now."""

    target_id: str
    identity: TargetIdentity
    labels: dict[str, str]
    #: how the device can measure
    methods: tuple[str, ...]
    #: counted runs of each visit, at least
    runs: int
    #: warm-up of each visit, at least, ms
    warmup_ms: float

    def suits(self, selector: TargetSelector, method: TaskMethod) -> bool:
        """Whether the device has the labels and the method, and the target is of the kind."""
        able = method in self.methods and selector.labels.items() <= self.labels.items()
        return able and selector.matches(self.identity, self.runs, self.warmup_ms)

    def __str__(self) -> str:
        """For people: what a selector can name."""
        return (
            f"{self.target_id} ({self.identity.label}, affinity {self.identity.affinity}, "
            f"{self.identity.clock_policy} clock, {self.runs} runs and {self.warmup_ms:g} ms of "
            f"warm-up a visit, {' and '.join(self.methods)})"
        )


def select_targets(session: Session, selector: TargetSelector, method: TaskMethod) -> list[str]:
    """The targets that are selected and can be measured by the method, oldest first.

    Raises:
        Problem: `nothing-selected`, naming what is offered.
    """
    offers = _offers(session)
    selected = dict.fromkeys(offer.target_id for offer in offers if offer.suits(selector, method))
    if not selected:
        raise _nothing(selector, method, offers)
    return list(selected)


def _offers(session: Session) -> list[Offer]:
    offers = []
    for target, device in repository.offers(session):
        protocol = json.loads(device.protocol)
        offers.append(
            Offer(
                target.id,
                TargetIdentity.model_validate_json(target.identity),
                labels=json.loads(device.labels),
                methods=tuple(device.methods.split()),
                runs=protocol["min_runs"],
                warmup_ms=protocol["warmup_ms"],
            )
        )
    return offers


def _nothing(selector: TargetSelector, method: TaskMethod, offers: list[Offer]) -> Problem:
    description = selector.model_dump_json(exclude_none=True, exclude_defaults=True)
    known = list(dict.fromkeys(str(offer) for offer in offers))
    there_is = "no device has registered yet"
    if known:
        more = len(known) - _SHOWN_OFFERS
        shown = "; ".join(known[:_SHOWN_OFFERS]) + (f" and {more} more" if more > 0 else "")
        there_is = f"there are: {shown}"
    return Problem(
        "nothing-selected",
        f"no device with a target matches {description} and can measure {method}; {there_is}. "
        "GET /v1/devices shows the labels; how visits are made is chosen where a device's agent is "
        "started: `device-agent run` with --runs, --warmup-ms, --threads, --delegate or "
        "--protocol makes another target",
    )
