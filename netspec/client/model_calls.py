"""How long a `.tflite` file takes: upload, job, wait and result in one call."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from netspec.client.calls import Calls
from netspec.client.errors import InvalidModel, NoAgent
from netspec.client.model_latency import ModelLatency, model_latency
from netspec.client.model_prediction import ModelPieces, ModelPrediction, grouped, pieces_of
from netspec.errors import DevicesDisagree
from netspec.wire import (
    ISOLATED,
    MAX_LOOKED_UP,
    MAX_MODEL_BYTES,
    MODEL_IDENTIFIER,
    Device,
    Job,
    JobRequest,
    ModelSubject,
    Target,
)

#: visits of a model, unless another number is given
ROUNDS = 20
#: an agent that has not spoken for so long is not waited for; as on the server
_LATELY = timedelta(minutes=10)
#: one that falls silent while it is waited for counts as gone after so long (s): the server notes
#: to the minute when an agent speaks
SILENT_S = 180.0
#: how often (s) to look who still speaks
LOOK_EVERY_S = 15.0


class ModelCalls(Calls):
    """`Calls`, with what takes several of them."""

    async def measure(
        self,
        path: Path | str,
        target: str | None = None,
        *,
        rounds: int = ROUNDS,
        on_progress: Callable[[Job], None] = lambda _: None,
    ) -> ModelLatency:
        """The latency of a `.tflite` file on a target, measured unless it was lately.

        On Ctrl-C, or a cancelled await, the job is cancelled.

        Args:
            path: of the file.
            target: beginning of the target's id; None: the only one there is.
            rounds: accepted visits to wait for.
            on_progress: called with the job as it goes on.

        Raises:
            InvalidModel: there is no such file, or it is no `.tflite` file.
            UnknownId: none or several fit.
            NoAgent: no agent serves the target, or none does any more, and not all was measured
                before.
            JobFailed: the model could not be measured; the message has the reason.
            DevicesDisagree: about the model's latency.
        """
        file = Path(path)
        content = read_model(file)
        chosen = await self.target(target)
        model = await self.upload_model(content, file.name)
        devices = await self._devices_of(chosen)
        job = await self.create_job(_request(model, chosen, devices, rounds))
        on_progress(job)
        if job.tasks and not any(_serves(device, job) for device in devices):
            await self._cancel_unless_finished(job.id)
            raise NoAgent(_no_agent(chosen, devices))
        if job.tasks:
            await self.wait(job, on_progress, self._while_agents_speak(chosen))
        entry = (await self.entry(chosen.id, model.sha256)).entry
        if entry.held_back:
            raise DevicesDisagree(chosen.id, [model.name])
        visits = await self.visits(chosen.id, model.sha256)
        return model_latency(model.name, chosen, entry, visits, reused=not job.tasks)

    async def model_pieces(self, path: Path | str, target: str | None = None) -> ModelPieces:
        """The operators that make up a `.tflite` file, as a target's table knows them best.

        Whole blocks where the table has them, single layers otherwise. Nothing is uploaded.

        Args:
            path: of the file.
            target: beginning of the target's id; None: the only one there is.

        Raises:
            UnreadableModel: the file is damaged, or has an operator that is no layer.
            InvalidSpec: a layer is like no operator; the message names it.
            UnknownId: none or several targets fit.
        """
        found = grouped(Path(path))
        chosen = await self.target(target)
        latencies = {}
        for start in range(0, len(found.operators), MAX_LOOKED_UP):
            part = found.operators[start : start + MAX_LOOKED_UP]
            answer = await self.latencies(chosen.id, part, allow_predicted=True)
            latencies.update({one.key: one for one in answer.latencies})
        return pieces_of(found, chosen, latencies)

    async def predict_model(self, path: Path | str, target: str | None = None) -> ModelPrediction:
        """The latency of a `.tflite` file on a target, from the target's table alone.

        Args:
            path: of the file, from anywhere.
            target: beginning of the target's id; None: the only one there is.

        Raises:
            NoPrediction: the table has nothing like some of the file's operators.
            UnreadableModel: the file is damaged, or has an operator that is no layer.
            InvalidSpec: a layer is like no operator; the message names it.
            UnknownId: none or several targets fit.
        """
        pieces = await self.model_pieces(path, target)
        assembly = pieces.assembly()
        predicted = await self.predict(pieces.target.id, assembly, allow_predicted=True)
        return ModelPrediction(predicted, pieces)

    async def _devices_of(self, target: Target) -> list[Device]:
        return [one for one in await self.devices() if target.id in one.target_ids]

    def _while_agents_speak(self, target: Target) -> Callable[[Job], Awaitable[None]]:
        """What raises `NoAgent` once no device of a target may work, or none is heard of."""
        signs: object = None
        spoke = looked = time.monotonic()

        async def check(job: Job) -> None:
            nonlocal signs, spoke, looked
            now = time.monotonic()
            if now - looked < LOOK_EVERY_S:
                return
            looked = now
            devices = await self._devices_of(target)
            latest = job.visits_done, job.tasks_failed, [device.last_seen for device in devices]
            if latest != signs:
                signs, spoke = latest, now
            if now - spoke >= SILENT_S or all(one.quarantine is not None for one in devices):
                raise NoAgent(_no_agent(target, devices))

        return check


def read_model(path: Path) -> bytes:
    """The bytes of a `.tflite` file.

    Raises:
        InvalidModel: there is no such file, it is no `.tflite` file, or too large to upload.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidModel(
            f"cannot read the model {path}: {error.strerror}; give a .tflite file"
        ) from error
    if content[4:8] != MODEL_IDENTIFIER:
        raise InvalidModel(
            f"{path} is no .tflite file: bytes 4 to 8 are {content[4:8]!r}, expected "
            f"{MODEL_IDENTIFIER!r}; convert the model to LiteRT first"
        )
    if len(content) > MAX_MODEL_BYTES:
        raise InvalidModel(
            f"{path} has {len(content)} bytes, a profiler takes at most {MAX_MODEL_BYTES}; "
            "make it smaller, for instance by quantization"
        )
    return content


def _request(
    model: ModelSubject, target: Target, devices: Sequence[Device], rounds: int
) -> JobRequest:
    """A job with profiles, where a device makes them: those tell what each kernel takes."""
    profiled = any("in_network" in device.methods for device in devices)
    return JobRequest(
        name=f"latency of {model.name}",
        target_id=target.id,
        models=(model,),
        rounds=rounds,
        method="in_network" if profiled else ISOLATED,
    )


def _serves(device: Device, job: Job) -> bool:
    """Whether a device may get work, and its agent has spoken lately; by the server's clock."""
    return device.quarantine is None and device.last_seen > job.created_at - _LATELY


def _no_agent(target: Target, devices: Sequence[Device]) -> str:
    where = f"target {target.id} ({target.identity.label})"
    if not devices:
        return f"no device has {where} any more; start `device-agent run` where it is"
    latest = max(devices, key=lambda device: device.last_seen)
    if all(device.quarantine is not None for device in devices):
        reason = next(device.quarantine.reason for device in devices if device.quarantine)
        return (
            f"every device of {where} is in quarantine: {reason}; when it is fit again, release "
            f"it with `search-client devices release {latest.id}`"
        )
    return (
        f"no agent serves {where}: {latest.serial} was last seen {latest.last_seen:%Y-%m-%d %H:%M} "
        f"UTC; start `device-agent run` on {latest.agent}"
    )
