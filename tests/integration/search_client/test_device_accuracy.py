"""Accuracy on a target's device: the same as here, or found out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from typer.testing import CliRunner

from device_agent.loop.agent import Agent
from device_agent.loop.bench import Bench
from device_agent.loop.model_files import ModelFiles
from device_agent.loop.server import Link
from device_agent.measuring.spool import Spool
from device_agent.phones.connect import reach
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from device_agent.phones.stretch import PhoneScripts
from device_agent.processes.stop import StopSignal
from netspec.client import ProfilerClient
from netspec.client.http import ProfilerHttp
from netspec.console.connection import TOKEN_VARIABLE
from netspec.console.tokens import server_tokens
from search_client.cli import app
from search_client.deployment import device_outputs
from search_client.deployment.accuracy import evaluate_file
from search_client.deployment.device_accuracy import (
    Origin,
    evaluate_on_device,
    require_agreement,
)
from search_client.deployment.origin import find_origin
from search_client.deployment.parity import ParityFailed
from search_client.progress import Stages
from tests.integration.device_agent.fake_runner import IMAGE_PROGRAM, FakeBenchmarkModel
from tests.integration.device_agent.phone_bench import NO_ANCHOR
from tests.integration.device_agent.processes import Farm
from tests.integration.search_client.exported import command
from tests.phones.fake_phone import FakePhone
from tests.phones.fixtures import fake_phone, fake_phones  # noqa: F401
from tests.unit.device_agent.peer import QuietProgress
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    made = Farm(tmp_path_factory.mktemp("farm") / "data", {"PROFILER_RETRY_BACKOFF_S": "0"})
    made.start_server()
    yield made
    made.close()


def token(farm: Farm) -> str:
    return server_tokens(farm.url, farm.folder)[0]


@pytest.fixture(scope="module")
def host_target(farm: Farm) -> str:
    """This machine's, whose agent goes on."""
    farm.run_agent()
    farm.start_agent()
    with ProfilerClient(farm.url, token(farm)) as client:
        return client.target().id


@pytest.mark.parametrize("form", ["int8", "uint8", "float32"])
def test_this_machines_device_gives_what_evaluate_gives(
    farm: Farm,
    host_target: str,
    run: Path,
    data: Path,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token(farm))
    model = run / f"searched.{form}.tflite"
    here = evaluate_file(model, data, 1)
    place = ["--on-device", "--profiler-url", farm.url, "--target", host_target, "--rounds", "2"]
    told = json.loads(command("evaluate", model, "--data", data, *place, "--run", run, "--json"))
    assert (told["images"], told["top1"], told["top5"]) == (here.images, here.top1, here.top5)
    assert told["host"]["max_difference"] == 0
    assert told["host"]["top1_agreement"] == 1
    assert (told["host"]["top1"], told["host"]["top5"]) == (here.top1, here.top5)
    assert told["torch"]["tied_agreement"] >= 0.995
    assert told["first_difference"] is None
    assert told["latency_ms"] > 0
    assert told["load_ms"] > 0
    assert told["peak_memory_mib"] >= 0
    shown = command("evaluate", model, "--data", data, *place)
    assert f"top-1 {here.top1:.2%}" in shown
    assert "every output is the same" in shown
    assert "a run" in shown


def test_a_run_is_compared_with_on_a_device(run: Path, data: Path) -> None:
    arguments = ["evaluate", run / "searched.int8.tflite", "--data", data, "--run", run]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code != 0
    assert "--on-device" in str(result.exception)


@contextmanager
def phone_at_work(fake: FakePhone, farm: Farm, folder: Path) -> Iterator[Phone]:
    """A phone's agent that goes on."""
    transport = reach(fake.address, "tcp", folder)
    stop = StopSignal()
    with (
        closing(transport),
        Spool(folder / "spool.db") as spool,
        ProfilerHttp(farm.url, token(farm)) as http,
    ):
        scripts = PhoneScripts(transport, 5.0, poll_s=0.01)
        device = Phone(transport, Choice(IMAGE_PROGRAM), NO_ANCHOR, scripts)
        device.learn_methods()
        link = Link(http)
        bench = Bench(
            device=device,
            protocol=NO_ANCHOR,
            link=link,
            spool=spool,
            models=ModelFiles(folder / "models", link.model),
            stop=stop,
            progress=QuietProgress(),
        )
        at_work = Thread(target=Agent(bench, long_poll_s=0.5).run)
        at_work.start()
        try:
            yield device
        finally:
            stop.requested = True
            at_work.join()


def test_what_a_target_has_run_before_is_taken(
    farm: Farm,
    host_target: str,
    run: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_outputs, "PIECE", 25)
    model, other = run / "searched.int8.tflite", tmp_path / "data"
    shutil.copytree(data / "test", other / "test")
    with ProfilerClient(farm.url, token(farm)) as client:
        target = client.target(host_target)
        filed = len(client.jobs())
        first = evaluate_on_device(client, target, model, data, Stages(quiet=True))
        again = evaluate_on_device(client, target, model, data, Stages(quiet=True), resume=True)
        assert again == first
        assert len(client.jobs()) == filed + 1
        # The images of the last piece are others now.
        changed = max((other / "test").rglob("*.png"))
        Image.new("RGB", (24, 24), "teal").save(changed)
        mixed = evaluate_on_device(client, target, model, other, Stages(quiet=True), resume=True)
        assert first.job_ids[0] in mixed.job_ids
        (newest,) = set(mixed.job_ids) - set(first.job_ids)
        assert client.evaluation(newest).images == 10
    here = evaluate_file(model, other, 1)
    assert (mixed.images, mixed.top1, mixed.host.max_difference) == (here.images, here.top1, 0)


def test_only_images_on_a_device_can_be_gone_on_with(run: Path, data: Path) -> None:
    arguments = ["evaluate", run / "searched.int8.tflite", "--data", data, "--resume"]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code != 0
    assert "--resume are of --on-device" in str(result.exception)


#: from this layer on the wrong phone turns all numbers round
_WRONG_FROM = "2.depthwise"


def outputs_on_phone(content: bytes, model: bytes, *, wrong: bool) -> bytes:
    """What LiteRT gives for an image, or what a delegate with a fault would."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]
    image = np.frombuffer(content, given["dtype"]).reshape(given["shape"])
    interpreter.set_tensor(given["index"], image)
    interpreter.invoke()
    details = interpreter.get_output_details()
    values = [interpreter.get_tensor(one["index"]) for one in details]
    names = [one["name"] for one in details]
    start = names.index(_WRONG_FROM) if _WRONG_FROM in names else 0
    for index in range(start if wrong else len(values), len(values)):
        values[index] = np.flip(values[index])
    return b"".join(one.tobytes() for one in values)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_phone_that_answers_wrongly_is_found_out(
    fake_phone: FakePhone,  # noqa: F811
    farm: Farm,
    run: Path,
    data: Path,
    tmp_path: Path,
    *,
    wrong: bool,
) -> None:
    model = run / "searched.int8.tflite"
    outputs = partial(outputs_on_phone, wrong=wrong)
    FakeBenchmarkModel(outputs=outputs).install(fake_phone)
    with (
        phone_at_work(fake_phone, farm, tmp_path) as phone,
        ProfilerClient(farm.url, token(farm)) as client,
    ):
        wait_for(lambda: any(one.id == phone.identity.id for one in client.targets()))
        target = client.target(phone.identity.id)
        origin = Origin(*find_origin(model.read_bytes(), run))
        found = evaluate_on_device(client, target, model, data, Stages(quiet=True), origin=origin)
    assert (found.load_ms, found.peak_memory_mib) == (0.9, 2.5)
    assert found.first_difference is None
    here = evaluate_file(model, data, 1)
    assert found.host.top1 == here.top1
    if not wrong:
        assert (found.top1, found.host.max_difference) == (here.top1, 0)
        require_agreement(found)
        return
    assert found.top1 < here.top1
    assert found.first_on_device is not None
    assert found.first_on_device.layer == _WRONG_FROM
    told = f"layer {_WRONG_FROM} is the first that the device computes otherwise"
    with pytest.raises(ParityFailed, match=told) as said:
        require_agreement(found)
    assert found.host.worst_image in str(said.value)
