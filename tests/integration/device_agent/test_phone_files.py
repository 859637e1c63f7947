"""Models and runners on a phone: pushed once, evicted when they are many."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_agent.benchmark_model.program import Program
from device_agent.errors import DeviceFull
from device_agent.phones.files import DEFAULT_MAX_BYTES, PhoneFiles
from device_agent.transports import transport_to
from device_agent.transports.base import Transport
from tests.phones.agent_files import MODELS
from tests.phones.fake_phone import FakePhone

_SIZE = 1000


@pytest.fixture
def transport(fake_phone: FakePhone, tmp_path: Path) -> Iterator[Transport]:
    made = transport_to(fake_phone.address, "tcp", tmp_path)
    made.reconnect()
    yield made
    made.close()


def files_on(transport: Transport, max_bytes: int = DEFAULT_MAX_BYTES) -> PhoneFiles:
    files = PhoneFiles(transport, max_bytes)
    files.make_folders()
    return files


def models(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(path.name[:1].encode() * _SIZE)
    return paths


def on_phone(phone: FakePhone) -> list[str]:
    return phone.files.names(str(MODELS))


def pushes(phone: FakePhone) -> int:
    return len([call for call in phone.calls if call[:1] == ["mv"]])


def test_the_same_content_is_pushed_once(
    transport: Transport, fake_phone: FakePhone, tmp_path: Path
) -> None:
    files = files_on(transport)
    names = files.push_models(models(tmp_path, "a1", "a2", "b"))
    assert len(set(names.values())) == len(on_phone(fake_phone)) == 2
    pushed = pushes(fake_phone)
    assert files.push_models(models(tmp_path, "a1", "b")).items() <= names.items()
    assert pushes(fake_phone) == pushed


def test_models_are_in_memory_one_at_a_time(
    transport: Transport, fake_phone: FakePhone, tmp_path: Path
) -> None:
    files = files_on(transport)
    large = [tmp_path / str(number) for number in range(8)]
    for path in large:
        path.write_bytes(path.name.encode() * 2**20)
    files.push_models(large)
    tracemalloc.start()
    try:
        files.push_models(large)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(on_phone(fake_phone)) == 8
    assert peak < 3 * 2**20


def test_old_models_make_room_but_never_those_wanted(
    transport: Transport, fake_phone: FakePhone, tmp_path: Path
) -> None:
    files = files_on(transport, 2 * _SIZE)
    files.push_models(models(tmp_path, "a", "b"))
    names = files.push_models(models(tmp_path, "b", "c"))
    assert set(on_phone(fake_phone)) == set(names.values())
    files.push_models(models(tmp_path, "d", "e", "f"))
    assert len(on_phone(fake_phone)) == 3


def test_models_used_longest_ago_go_first_not_those_pushed_first(
    transport: Transport, fake_phone: FakePhone, tmp_path: Path
) -> None:
    files = files_on(transport, 2 * _SIZE)
    for name in ("a", "b", "a", "c"):
        files.push_models(models(tmp_path, name))
    left = files.push_models(models(tmp_path, "a", "c"))
    assert set(on_phone(fake_phone)) == set(left.values())
    assert pushes(fake_phone) == 3


def test_a_full_phone_is_cleared_before_it_is_given_up(
    transport: Transport, fake_phone: FakePhone, tmp_path: Path
) -> None:
    files = files_on(transport)
    files.push_models(models(tmp_path, "a", "b"))
    fake_phone.fill_disk(free=_SIZE // 2)
    files.push_models(models(tmp_path, "c"))
    assert len(on_phone(fake_phone)) == 1
    fake_phone.fill_disk()
    with pytest.raises(DeviceFull):
        files.push_models(models(tmp_path, "d", "e", "c"))


def test_a_runner_is_pushed_once_and_can_be_run(
    transport: Transport, fake_phone: FakePhone
) -> None:
    files = files_on(transport)
    program = Program(b"#!/bin/sh\necho it runs\n", "tflite", "1")
    path = files.push_runner(program)
    assert files.push_runner(program) == path
    assert transport.shell(str(path), timeout_s=5).output.strip() == "it runs"
    assert pushes(fake_phone) == 1
    other = files.push_runner(replace(program, libraries={"liba.so": b"a", "libb.so": b"b"}))
    assert fake_phone.files.names(str(other.parent)) == ["benchmark_model", "liba.so", "libb.so"]
    assert fake_phone.files.find(str(path)) is None
