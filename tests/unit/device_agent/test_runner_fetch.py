import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from device_agent.benchmark_model.elf import check_abi, program_abis
from device_agent.benchmark_model.fetch import RunnerStore, address
from device_agent.benchmark_model.flags import Kind
from device_agent.benchmark_model.program import read_program
from device_agent.errors import DownloadFailed, RunnerMissing, RunnerRefused

#: words of TFLite's tool; both tools have these flags
TFLITE = b"use_xnnpack require_full_delegation Inference timings in us: "
LITERT = TFLITE + b"litert/tools/benchmark_litert_model.cc"


def elf(machine: int = 183, text: bytes = TFLITE) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(11) + struct.pack("<H", machine) + bytes(40) + text


PROGRAM = elf()
SHA256 = hashlib.sha256(PROGRAM).hexdigest()


def store(folder: Path, answer: Callable[[], httpx2.Response]) -> RunnerStore:
    transport = httpx2.MockTransport(lambda _: answer())
    return RunnerStore(folder, folder / "lock.json", httpx2.Client(transport=transport))


def test_the_first_fetch_is_recorded_and_kept(tmp_path: Path) -> None:
    path = store(tmp_path, lambda: httpx2.Response(200, content=PROGRAM)).fetch(
        "tflite", "nightly", "arm64-v8a"
    )
    assert path.read_bytes() == PROGRAM
    lock = json.loads((tmp_path / "lock.json").read_text())
    assert lock["tflite/nightly/arm64-v8a"]["sha256"] == SHA256
    fetched = RunnerStore(tmp_path, tmp_path / "lock.json").fetched(("arm64-v8a", "armeabi-v7a"))
    assert (fetched.kind, fetched.version) == ("tflite", f"nightly-{SHA256[:8]}")


def test_the_newest_litert_is_taken_before_older_ones_and_tflite(tmp_path: Path) -> None:
    def fetch(kind: Kind, version: str, text: bytes) -> None:
        program = elf(text=text)
        source = store(tmp_path, lambda: httpx2.Response(200, content=program))
        source.fetch(kind, version, "arm64-v8a")

    fetch("tflite", "nightly", TFLITE)
    for version in ("2.9.0", "2.10.0", "2.2.0"):
        fetch("litert", version, LITERT + version.encode())
    fetched = RunnerStore(tmp_path, tmp_path / "lock.json").fetched(("arm64-v8a",))
    assert (fetched.kind, fetched.version) == ("litert", "2.10.0")
    assert RunnerStore(tmp_path, tmp_path / "lock.json").fetched(("arm64-v8a",), "gpu") == fetched
    other = RunnerStore(tmp_path, tmp_path / "lock.json").fetched(("arm64-v8a",), "nnapi")
    assert other.kind == "tflite", "the one that offers it"


@pytest.mark.parametrize("text", ["{", '{"litert": {"url": "u", "sha256": "s"}}', '{"a/b/c": 1}'])
def test_a_lock_file_that_is_none_is_one_line(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "lock.json"
    lock.write_text(text)
    with pytest.raises(DownloadFailed, match=r"cannot be read .*; restore it, or remove it"):
        RunnerStore(tmp_path, lock).fetched(("arm64-v8a",))


def test_another_program_under_the_same_address_is_refused(tmp_path: Path) -> None:
    store(tmp_path, lambda: httpx2.Response(200, content=PROGRAM)).fetch(
        "litert", "2.1.0", "arm64-v8a"
    )
    other = store(tmp_path, lambda: httpx2.Response(200, content=PROGRAM + b"!"))
    with pytest.raises(DownloadFailed, match="the lock file .* says " + SHA256):
        other.fetch("litert", "2.1.0", "arm64-v8a")
    assert len(list(tmp_path.glob("benchmark_model-*"))) == 1


def test_the_users_sha256_decides(tmp_path: Path) -> None:
    answer = lambda: httpx2.Response(200, content=PROGRAM)  # noqa: E731
    with pytest.raises(DownloadFailed, match="--sha256 says ab"):
        store(tmp_path, answer).fetch("litert", "2.1.0", "arm64-v8a", "ab" * 32)
    assert not (tmp_path / "lock.json").exists()
    assert store(tmp_path, answer).fetch("litert", "2.1.0", "arm64-v8a", SHA256.upper()).exists()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx2.Response(404), "pass its path with --runner"),
        (httpx2.Response(200, content=b"<html>"), "is not a program or library"),
        (httpx2.Response(200, content=elf(40)), "for armeabi-v7a, not arm64-v8a"),
    ],
)
def test_what_is_no_such_program_is_not_kept(
    tmp_path: Path, answer: httpx2.Response, says: str
) -> None:
    with pytest.raises((DownloadFailed, RunnerRefused), match=says):
        store(tmp_path, lambda: answer).fetch("litert", "2.1.0", "arm64-v8a")
    assert not (tmp_path / "lock.json").exists()


@pytest.mark.parametrize(
    ("kind", "version", "abi"),
    [("litert", "nightly", "arm64-v8a"), ("litert", "2.1.0", "x86"), ("tflite", "2", "arm64-v8a")],
)
def test_what_is_not_published_is_said(kind: str, version: str, abi: str) -> None:
    with pytest.raises(DownloadFailed):
        address(kind, version, abi)  # type: ignore[arg-type]


def test_without_a_fetch_there_is_no_runner(tmp_path: Path) -> None:
    with pytest.raises(RunnerMissing, match="runner fetch"):
        RunnerStore(tmp_path, tmp_path / "lock.json").fetched(("arm64-v8a",))


def test_a_program_says_which_of_the_two_it_is(tmp_path: Path) -> None:
    path = tmp_path / "benchmark_model"
    path.write_bytes(elf(text=LITERT))
    assert read_program(path).kind == "litert"
    path.write_bytes(elf(text=TFLITE))
    assert read_program(path).kind == "tflite"
    path.write_bytes(elf(text=b"Average inference timings in us: Warmup: "))
    assert read_program(path).kind == "tflite"
    path.write_bytes(elf(text=b"hello use_xnnpack"))
    with pytest.raises(RunnerRefused, match="no benchmark_model"):
        read_program(path)
    with pytest.raises(RunnerMissing, match="runner fetch"):
        read_program(tmp_path / "absent")


def test_the_wrong_abi_is_refused_in_one_line() -> None:
    assert check_abi(PROGRAM, "mine", ("arm64-v8a",)) == "arm64-v8a"
    with pytest.raises(RunnerRefused, match="built for arm64-v8a, but the device runs x86_64"):
        check_abi(PROGRAM, "mine", ("x86_64",))
    with pytest.raises(RunnerRefused, match="no ELF header"):
        program_abis(b"#!/bin/sh", "mine")
    with pytest.raises(RunnerRefused, match="machine 243"):
        program_abis(elf(243), "mine")


def test_a_boards_program_is_one_of_linux() -> None:
    assert check_abi(PROGRAM, "mine", ("linux_aarch64",)) == "linux_aarch64"
    assert check_abi(elf(40), "mine", ("linux_armv7l",)) == "linux_armv7l"
    with pytest.raises(
        RunnerRefused, match="built for arm64-v8a, but the device runs linux_armv6l"
    ):
        check_abi(PROGRAM, "mine", ("linux_armv6l",))
    of_android = elf(text=b"/system/bin/linker64" + TFLITE)
    assert check_abi(of_android, "mine", ("arm64-v8a",)) == "arm64-v8a"
    with pytest.raises(RunnerRefused, match=r"built for Android; give one for Linux \(linux_aarch"):
        check_abi(of_android, "mine", ("linux_aarch64",))


@pytest.mark.parametrize(
    ("kind", "abi", "machine"),
    [
        ("tflite", "linux_x86_64", 62),
        ("tflite", "linux_aarch64", 183),
        ("tflite", "linux_armv7l", 40),
        ("litert", "linux_aarch64", 183),
    ],
)
def test_a_boards_program_is_fetched_beside_a_phones(
    tmp_path: Path, kind: Kind, abi: str, machine: int
) -> None:
    version = "2.1.0" if kind == "litert" else "nightly"
    content = elf(machine, LITERT if kind == "litert" else TFLITE)
    fetching = store(tmp_path, lambda: httpx2.Response(200, content=content))
    fetching.fetch(kind, version, abi)
    assert fetching.fetched((abi,)).content == content
    with pytest.raises(RunnerMissing, match="no benchmark_model for arm64-v8a was fetched"):
        fetching.fetched(("arm64-v8a",))
    with pytest.raises(DownloadFailed, match=f"not {abi}"):
        store(tmp_path, lambda: httpx2.Response(200, content=elf(3))).fetch(
            kind, "2.2.0" if kind == "litert" else version, abi, hashlib.sha256(elf(3)).hexdigest()
        )
