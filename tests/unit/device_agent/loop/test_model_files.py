import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.loop import model_files
from device_agent.loop.model_files import ModelFiles, WrongContent
from netspec.networks import Network
from netspec.tflite import encode
from netspec.wire import ModelSubject, NetworkSubject
from tests.unit.device_agent.messages import subject

MODEL = b"a model"
SHA256 = hashlib.sha256(MODEL).hexdigest()


def no_download(sha256: str) -> bytes:
    raise AssertionError(f"{sha256} was asked for")


def test_an_operator_is_encoded_once(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path / "models", no_download)
    path = files.path(subject())
    assert path.read_bytes() == encode([subject().operator])
    path.write_bytes(b"left alone")
    assert files.path(subject()) == path
    assert path.read_bytes() == b"left alone"
    assert files.path(subject(16)) != path


def test_a_file_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def sync(file: int) -> None:
        assert list(tmp_path.glob("*.tflite")) == []
        synced.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fsync", sync)
    path = ModelFiles(tmp_path, no_download).path(subject())
    assert synced == [path.stat().st_size]


def test_a_network_is_one_file(tmp_path: Path) -> None:
    network = Network(name="two", operators=(subject().operator, subject().operator))
    path = ModelFiles(tmp_path, no_download).path(NetworkSubject(network=network))
    assert path.read_bytes() == encode(network.operators)


def test_a_download_is_checked_and_kept(tmp_path: Path) -> None:
    asked: list[str] = []

    def download(sha256: str) -> bytes:
        asked.append(sha256)
        return MODEL

    files = ModelFiles(tmp_path, download)
    model = ModelSubject(sha256=SHA256, name="mine")
    assert files.path(model).read_bytes() == MODEL
    files.path(model)
    assert asked == [SHA256]


def test_a_damaged_copy_is_downloaded_again(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path, lambda _: MODEL)
    path = files.path(ModelSubject(sha256=SHA256, name="mine"))
    path.write_bytes(MODEL[:3])
    assert files.path(ModelSubject(sha256=SHA256, name="mine")).read_bytes() == MODEL


def test_another_model_than_asked_for_is_refused(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path, lambda _: b"another")
    with pytest.raises(WrongContent, match=f"expected {SHA256}"):
        files.path(ModelSubject(sha256=SHA256, name="mine"))
    assert list(tmp_path.iterdir()) == []


def test_eviction_starts_with_what_was_used_longest_ago(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path, no_download, max_bytes=250)
    paths = [tmp_path / name for name in ("oldest-but-kept", "old", "new", "newest")]
    for age, path in enumerate(paths):
        path.write_bytes(bytes(100))
        os.utime(path, (age, age))
    files.evict(keep={paths[0]})
    assert {path.name for path in tmp_path.iterdir()} == {"oldest-but-kept", "newest"}


def test_what_another_agent_uses_is_left_alone_and_what_it_removed_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ModelFiles(tmp_path, no_download, max_bytes=50)
    used = files.path(subject())
    for name in ("old", "gone"):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (0, 0))
    os.utime(used, (0, 0))
    assert files.path(subject()) == used, "that is a use"
    stats = model_files._stats

    def seen_and_gone(folder: Path) -> Iterator[tuple[os.stat_result, Path]]:
        found = list(stats(folder))
        (tmp_path / "gone").unlink()
        return iter(found)

    monkeypatch.setattr(model_files, "_stats", seen_and_gone)
    files.evict(keep=())
    assert list(tmp_path.iterdir()) == [used]
