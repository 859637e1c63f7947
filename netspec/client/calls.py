"""What can be asked of a profiler, each once; `clients.py` offers it to both kinds of callers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlencode

from netspec.client.errors import NoTable
from netspec.client.evaluation_calls import EvaluationCalls
from netspec.client.event_stream import EventReader
from netspec.client.latency_table import LatencyTable
from netspec.client.retries import PASSING
from netspec.console.short_ids import the_only
from netspec.errors import ProfilerRefused, ProfilerUnreachable, UnknownId
from netspec.networks import Network
from netspec.operators import Operator
from netspec.wire import (
    Assembly,
    Device,
    DeviceQuery,
    EnergyEntry,
    EnergyQuery,
    EntryDetail,
    Event,
    EventQuery,
    LatencyLookup,
    LookedUpLatencies,
    Prediction,
    PredictRequest,
    PublishRequest,
    Snapshot,
    StoredVisit,
    Target,
    TargetQuery,
    TargetRepeatability,
    VisitQuery,
)

_NOT_MODIFIED = 304
#: times in a row that a stream may break
_MOST_BREAKS = 30


class Calls(EvaluationCalls):
    """Typed calls to one profiler.

    Every call raises `netspec.errors.ProfilerUnreachable` when nobody answers and
    `netspec.errors.ProfilerRefused` when the profiler answers with a problem.
    """

    async def targets(
        self, query: TargetQuery | None = None, *, most: int | None = None
    ) -> list[Target]:
        """The first `most` targets that a query asks for; without one all, oldest first."""
        return await self._all(Target, "/v1/targets", query, most)

    async def target(self, name: str | None = None) -> Target:
        """The target whose id begins with `name`; None: the only one there is.

        Raises:
            UnknownId: none or several fit; the message lists what exists.
        """
        targets = await self.targets()
        if not targets:
            raise UnknownId(
                f"the profiler at {self._http.url} has no targets yet; start `device-agent run` "
                "on the machine with the devices"
            )
        if name is not None:
            return the_only(
                "target",
                targets,
                name,
                "search-client targets",
                names=lambda target: [target.id],
                label=lambda target: target.identity.label,
            )
        if len(targets) > 1:
            listed = "; ".join(f"{t.id} ({t.identity.label})" for t in targets)
            raise UnknownId(f"the profiler has several targets; choose by --target: {listed}")
        return targets[0]

    async def devices(
        self, query: DeviceQuery | None = None, *, most: int | None = None
    ) -> list[Device]:
        """The first `most` devices that a query asks for; without one all, by agent and serial."""
        return await self._all(Device, "/v1/devices", query, most)

    async def find_device(self, beginning: str) -> Device:
        """The device whose id begins so, with or without `device_`, or whose serial does.

        Raises:
            UnknownId: none or several fit.
        """
        return the_only(
            "device",
            await self.devices(),
            beginning,
            "search-client devices list",
            names=lambda device: [device.id, device.serial],
            label=lambda device: f"{device.serial} of {device.agent}",
        )

    async def release(self, device_id: str) -> Device:
        """Ends a device's quarantine, and its rest; needs an administrator's token."""
        answer = await self._http.ask("POST", f"/v1/devices/{device_id}:release", idempotent=True)
        return Device.model_validate_json(answer.content)

    async def latest_snapshot(self, target_id: str) -> Snapshot:
        """The target's newest published table; from disk where it is kept and still the newest.

        Raises:
            NoTable: none was published.
        """
        path = f"/v1/targets/{target_id}/snapshots/latest"
        known = self._cache.known(target_id)
        try:
            answer = await self._http.ask("GET", path, headers=_if_none_of(known))
            if answer.status_code == _NOT_MODIFIED:
                named = answer.headers.get("ETag", "").removeprefix("W/").strip('"')
                kept = self._cache.read(named.partition("-")[0])
                if kept is not None:
                    return kept
                answer = await self._http.ask("GET", path)
        except ProfilerRefused as error:
            if error.kind != "unknown-snapshot":
                raise
            raise NoTable(
                f"the profiler at {self._http.url} has published no table of target {target_id} "
                "yet; make one with `search-client profile`, or search with --profile-missing"
            ) from error
        return self._kept(answer.content)

    async def snapshot(self, snapshot_id: str) -> Snapshot:
        """A published table by its id; one that is kept on disk is asked of nobody.

        Raises:
            NoTable: there is none.
        """
        kept = self._cache.read(snapshot_id)
        if kept is not None:
            return kept
        try:
            answer = await self._http.ask("GET", f"/v1/snapshots/{snapshot_id}")
        except ProfilerRefused as error:
            if error.kind != "unknown-snapshot":
                raise
            raise NoTable(str(error)) from error
        return self._kept(answer.content)

    async def table(self, name: str | None = None) -> LatencyTable:
        """The newest table of the target whose id begins with `name`; None: of the only one.

        Raises:
            UnknownId: none or several fit.
            NoTable: none was published.
        """
        found = await self.target(name)
        return LatencyTable(await self.latest_snapshot(found.id))

    async def publish(self, target_id: str, calibrate_on: Sequence[str] | None = None) -> Snapshot:
        """Freezes the target's table, calibrated on networks by content hash (None: all)."""
        chosen = None if calibrate_on is None else tuple(calibrate_on)
        request = PublishRequest(calibrate_on=chosen)
        path = f"/v1/targets/{target_id}/snapshots"
        # The same content is the same snapshot.
        answer = await self._http.ask("POST", path, body=request, idempotent=True)
        return self._kept(answer.content)

    async def latencies(
        self, target_id: str, operators: Sequence[Operator], *, allow_predicted: bool = False
    ) -> LookedUpLatencies:
        """What the table has of each operator now: a hit, stale, predicted or missing.

        Args:
            target_id: of the target.
            operators: at most `netspec.wire.MAX_LOOKED_UP`.
            allow_predicted: predict operators without entry from the others.
        """
        question = LatencyLookup(target_id=target_id, operators=tuple(operators))
        answer = await self._http.ask(
            "POST",
            "/v1/latencies:lookup",
            body=question,
            params=_where(allow_predicted=allow_predicted),
            idempotent=True,
        )
        return LookedUpLatencies.model_validate_json(answer.content)

    async def predict(
        self, target_id: str, network: Network | Assembly, *, allow_predicted: bool = False
    ) -> Prediction:
        """A whole network's latency: the calibrated sum of its operators' entries as of now."""
        question = (
            PredictRequest(network=network)
            if isinstance(network, Network)
            else PredictRequest(assembly=network)
        )
        answer = await self._http.ask(
            "POST",
            f"/v1/targets/{target_id}:predict",
            body=question,
            params=_where(allow_predicted=allow_predicted),
            idempotent=True,
        )
        return Prediction.model_validate_json(answer.content)

    async def entry(self, target_id: str, subject_hash: str) -> EntryDetail:
        """One entry with what each device says."""
        path = f"/v1/targets/{target_id}/entries/{subject_hash}"
        return EntryDetail.model_validate_json((await self._http.ask("GET", path)).content)

    async def repeatability(self, target_id: str) -> TargetRepeatability:
        """How far the latencies of consecutive jobs differ on a target."""
        answer = await self._http.ask("GET", f"/v1/targets/{target_id}/repeatability")
        return TargetRepeatability.model_validate_json(answer.content)

    async def energies(
        self, target_id: str, query: EnergyQuery | None = None, *, most: int | None = None
    ) -> list[EnergyEntry]:
        """The first `most` energies measured on a target that a query asks for, by each meter."""
        return await self._all(EnergyEntry, f"/v1/targets/{target_id}/energy", query, most)

    async def visits(
        self,
        target_id: str,
        subject_hash: str,
        query: VisitQuery | None = None,
        *,
        most: int | None = None,
    ) -> list[StoredVisit]:
        """The first `most` visits of a subject on a target that a query asks for.

        Without one every visit, those that were left out too, in the order stored.
        """
        path = f"/v1/targets/{target_id}/entries/{subject_hash}/visits"
        return await self._all(StoredVisit, path, query, most)

    async def events(
        self, query: EventQuery | None = None, *, most: int | None = None
    ) -> list[Event]:
        """The first `most` events that a query asks for; without one every event, oldest first."""
        return await self._all(Event, "/v1/events", query, most)

    async def follow_events(
        self, query: EventQuery | None = None, *, after: int | None = None
    ) -> AsyncIterator[Event]:
        """What happens from now on, each event as it is noted; a connection that is lost is mended.

        Args:
            query: `kind`, `job_id`, `device_id`; `since` begins in the past.
            after: begin after the event with this id instead.

        Raises:
            ProfilerUnreachable: the profiler did not answer several times in a row.
        """
        reader = EventReader(after)
        path = "/v1/events?" + urlencode(query.parameters() if query else [])
        failures = 0
        while True:
            try:
                async for line in self._http.lines(path, reader.headers):
                    failures = 0
                    event = reader.read(line)
                    if event is not None:
                        yield event
            except ProfilerUnreachable:
                failures += 1
                if failures > _MOST_BREAKS:
                    raise
            except ProfilerRefused as error:
                failures += 1
                if error.status not in PASSING or failures > _MOST_BREAKS:
                    raise
            reader.break_off()
            await self._http.pause(reader.retry_s)

    def _kept(self, document: bytes) -> Snapshot:
        snapshot = Snapshot.model_validate_json(document)
        self._cache.write(snapshot, document)
        return snapshot


def _if_none_of(snapshot_ids: Sequence[str]) -> dict[str, str]:
    return {"If-None-Match": ", ".join(f'"{one}"' for one in snapshot_ids)} if snapshot_ids else {}


def _where(**parameters: Any) -> dict[str, str]:
    """Query parameters; those that are not given, or False, are left out."""
    said = {True: "true"}
    return {name: said.get(value, value) for name, value in parameters.items() if value}
