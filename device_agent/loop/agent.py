"""The measuring loop: register, lease, attempt, again, whatever the server does meanwhile."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import structlog

from device_agent.errors import DeviceNotReady, DeviceQuarantined, WrongTarget
from device_agent.loop.attempt import Attempt
from device_agent.loop.bench import Bench
from device_agent.loop.lease_keeper import LeaseLost
from device_agent.loop.server import NoWork
from device_agent.loop.uploader import Uploader
from device_agent.measuring.device import MeasuringDevice
from device_agent.processes.status import State
from device_agent.processes.stop import StopRequested
from device_agent.text import one_line
from netspec.errors import ProfilerRefused, ProfilerUnreachable
from netspec.protocol import MeasurementProtocol
from netspec.wire import DeviceRegistration, Lease, LeaseRequest, RegisteredDevice

#: how long the server may hold a question for work, s
LONG_POLL_S = 20.0
#: work may be filed while tasks rest: so often (s) at least the server is asked
ASK_EVERY_S = 30.0
#: pauses (s) after one, two, ... failures in a row
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
#: how long a device is left alone whose anchor stays slow
QUARANTINE_S = 1800.0

_log = structlog.get_logger()


@dataclass
class Agent:
    """One agent for one device, from registration to the last upload."""

    bench: Bench
    long_poll_s: float = LONG_POLL_S
    backoff_s: tuple[float, ...] = BACKOFF_S
    quarantine_s: float = QUARANTINE_S
    #: the last one, while its device is away
    _broken_off: Attempt | None = None

    def run(self, *, until_idle: bool = False) -> None:
        """Measures until asked to stop; with `until_idle`, until the server has no work left.

        Work that rests after a failure, or that another device holds, is waited for: that device
        may hand it back, or never come back.
        A server that is away at the start is an error; later it is waited for.

        Raises:
            ProfilerUnreachable: nobody answers at the start.
            ProfilerRefused: the server refuses the agent at the start.
            WrongTarget: the server means another target than the one measured here.
        """
        stop = self.bench.stop
        registered: RegisteredDevice | None = self._register()
        failures = 0
        asleep = False
        while not stop.requested:
            try:
                if asleep:
                    self._wake()
                    asleep = False
                registered = registered or self._register()
                idle = self._work(registered, wait=not until_idle)
            except StopRequested:
                return
            except DeviceQuarantined as error:
                self._quarantine(registered, str(error))
                registered, asleep = None, True
            except (ProfilerUnreachable, ProfilerRefused, LeaseLost, DeviceNotReady) as error:
                refusal = error.kind if isinstance(error, ProfilerRefused) else ""
                if until_idle and refusal == "device-quarantined":
                    _log.error("in quarantine", why=str(error))
                    return
                registered = None
                asleep = asleep or isinstance(error, DeviceNotReady)
                self._back_off(failures, error)
                failures += 1
            else:
                failures = 0
                if until_idle and idle is not None and not self._rests(idle):
                    return

    def _back_off(self, failures: int, error: Exception) -> None:
        """Waits after so many failures in a row, before this one."""
        pause_s = self.backoff_s[min(failures, len(self.backoff_s) - 1)]
        why = one_line(error)
        self._say("waiting", why)
        _log.warning("waiting", s=pause_s, spooled=self.bench.spool.waiting(), why=why)
        self.bench.stop.wait(pause_s)

    def _rests(self, idle: NoWork) -> bool:
        """Waits for what rests after a failure, or is another's; False where nothing is left."""
        if idle.retry_after_s is None:
            return False
        why = "what is left to measure rests after a failure, or another device is at it"
        self._say("waiting", why)
        _log.info("waiting", s=idle.retry_after_s, why=why)
        self.bench.stop.wait(min(idle.retry_after_s, ASK_EVERY_S))
        return True

    def _quarantine(self, registered: RegisteredDevice | None, why: str) -> None:
        """Has the server give the device no more work until a person releases it.

        A server that does not take that is spared the device for a while.
        """
        self._say("quarantined", why)
        try:
            if registered is not None:
                self.bench.link.quarantine(registered.id, why)
        except (ProfilerUnreachable, ProfilerRefused) as error:
            _log.error("quarantine", s=self.quarantine_s, why=why, server=str(error))
            self.bench.stop.wait(self.quarantine_s)
        else:
            _log.error("quarantine until released", why=why)

    def _say(self, state: State, why: str = "") -> None:
        if self.bench.status is not None:
            self.bench.status.change(
                state=state,
                why=why,
                target=self.bench.device.identity.id,
                waiting_visits=self.bench.spool.waiting(),
            )

    def _work(self, registered: RegisteredDevice, *, wait: bool) -> NoWork | None:
        """Uploads what an earlier attempt left, and attempts one lease if there is one."""
        Uploader(self.bench.spool, self.bench.link).upload()
        self._say("idle")
        lease = self._lease(registered, self.long_poll_s if wait else 0.0)
        if isinstance(lease, NoWork):
            return lease
        self._broken_off = Attempt(self.bench, registered, lease)
        self._broken_off.run()
        self._broken_off = None
        return None

    def _wake(self) -> None:
        """Reaches the device again, and keeps what it made before it went away."""
        self.bench.device.wake()
        if self._broken_off is not None:
            self._broken_off.keep_late()
            self._broken_off = None

    def _register(self) -> RegisteredDevice:
        device = self.bench.device
        registered = self.bench.link.register(registration(device, self.bench.protocol))
        self._check_target(*registered.target_ids)
        _log.info(
            "registered",
            device=registered.id,
            target=device.identity.id,
            name=device.identity.label,
        )
        return registered

    def _lease(self, registered: RegisteredDevice, wait_s: float) -> Lease | NoWork:
        request = LeaseRequest(device_id=registered.id, wait_s=wait_s)
        with self.bench.stop.interruptible():
            lease = self.bench.link.lease(request)
        if isinstance(lease, Lease):
            self._check_target(lease.target_id)
        return lease

    def _check_target(self, *meant: str) -> None:
        measured = self.bench.device.identity.id
        if measured not in meant:
            raise WrongTarget(
                f"the profiler means target {', '.join(meant)}, but this agent measures "
                f"{measured}: install the same version of both"
            )


def registration(device: MeasuringDevice, protocol: MeasurementProtocol) -> DeviceRegistration:
    """How the agent presents a device."""
    return DeviceRegistration(
        agent=socket.gethostname(),
        serial=device.serial,
        targets=(device.identity,),
        protocol=protocol,
        methods=device.methods,
    )
