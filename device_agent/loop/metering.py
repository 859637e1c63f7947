"""Subjects of a lease whose energy is measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from device_agent.errors import VisitFailed
from device_agent.loop.model_files import WrongContent
from device_agent.loop.one_by_one import OneByOne
from device_agent.measuring.energy import NoEnergy, upload_of
from device_agent.measuring.fitness import Fitness
from netspec.wire import EnergyEstimate, EnergySubject, EnergyUnclear, LeasedTask, ModelSubject


class Metering(OneByOne):
    """Counts the energy of one subject after the other, each on a device that is fit."""

    stage = "counting energy"

    def do(self, task: LeasedTask) -> Callable[[], None] | None:
        """The windows of one subject."""
        subject = task.subject
        if not isinstance(subject, EnergySubject):
            raise WrongContent(f"{subject.name} is not about energy; update the agent")
        device, wanted = self.bench.device, partial(self.wanted, task)
        model = self.bench.models.path(subject)
        device.prepare({model})
        try:
            Fitness(device, self.bench.protocol, wanted).wait(None)
            found = device.count_energy(
                model, subject, wanted, allow_partial=isinstance(subject.subject, ModelSubject)
            )
            status = None if found is None else device.observe().thermal_status
        finally:
            device.rest()
        self.bench.progress.advance()
        if found is None or not wanted():
            return None
        if (status or 0) > self.bench.protocol.gate.max_thermal_status:
            raise VisitFailed(
                f"the device throttled while energy was counted: thermal status {status}; let it "
                "cool down, or ask for fewer or shorter windows"
            )
        upload = upload_of(self.lease_id, *found)
        try:
            # Before anybody has it: why there is none belongs to the task.
            EnergyEstimate.of(upload.rounds, upload.last_idle)
        except EnergyUnclear as error:
            raise NoEnergy.because(error) from error
        return partial(self.bench.link.send_energy, task.task_id, upload)
