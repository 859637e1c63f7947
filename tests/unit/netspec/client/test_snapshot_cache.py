from __future__ import annotations

import logging
import os
from pathlib import Path

import httpx2
import pytest

from netspec.client import SnapshotCache
from netspec.operators import StemConv
from netspec.wire import Snapshot
from tests.unit.netspec.client.service import KINDS, Kind, Service, call
from tests.unit.search_client.tables import IDENTITY, snapshot

STEM = StemConv(input_size=16, in_channels=3, out_channels=8, stride=2)
TARGET = IDENTITY.id
PATH = f"/v1/targets/{TARGET}/snapshots/latest"

both = pytest.mark.parametrize("kind", KINDS)


def numbered(number: int) -> Snapshot:
    return snapshot({STEM: float(number)}).model_copy(update={"id": f"{number:064x}"})


class Tables:
    """Serves the newest snapshot, or says by its ETag that the client has it."""

    def __init__(self, newest: Snapshot, *, tag_ending: str = "") -> None:
        self.newest = newest
        self.tag_ending = tag_ending
        self.statuses: list[int] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        tag = f'"{self.newest.id}{self.tag_ending}"'
        known = f'"{self.newest.id}"' in request.headers.get("If-None-Match", "")
        document = self.newest.model_dump_json()
        answer = httpx2.Response(304) if known else httpx2.Response(200, text=document)
        answer.headers["ETag"] = tag
        self.statuses.append(answer.status_code)
        return answer


@pytest.fixture
def cache(tmp_path: Path) -> SnapshotCache:
    return SnapshotCache(tmp_path / "cache")


def put(cache: SnapshotCache, *numbers: int) -> None:
    for number in numbers:
        one = numbered(number)
        cache.write(one, one.model_dump_json().encode())
        # Written in the same tick of the clock, their order would be lost.
        (path,) = cache.folder.glob(f"*-{one.id}.snapshot")
        os.utime(path, (number, number))


@both
@pytest.mark.parametrize("ending", ["", "-gzip"])
def test_a_table_comes_over_the_wire_once(kind: Kind, ending: str, cache: SnapshotCache) -> None:
    tables = Tables(numbered(1), tag_ending=ending)
    for _ in range(2):
        assert call(kind, tables, "latest_snapshot", TARGET, cache=cache) == numbered(1)
    assert tables.statuses == [200, 304]
    tables.newest = numbered(2)
    for _ in range(2):
        assert call(kind, tables, "latest_snapshot", TARGET, cache=cache) == numbered(2)
    assert tables.statuses == [200, 304, 200, 304]
    # An earlier one may become the newest again: its content was published again.
    tables.newest = numbered(1)
    call(kind, tables, "latest_snapshot", TARGET, cache=cache)
    assert tables.statuses[-1] == 304


@both
@pytest.mark.parametrize("damage", [b"", b"\n", b"0" * 64 + b"\n{}", None])
def test_a_damaged_file_is_dropped_and_fetched_again(
    kind: Kind, damage: bytes | None, cache: SnapshotCache, caplog: pytest.LogCaptureFixture
) -> None:
    tables = Tables(numbered(1))
    call(kind, tables, "latest_snapshot", TARGET, cache=cache)
    (path,) = cache.folder.iterdir()
    # One digit of a latency, which would still be a snapshot.
    whole = path.read_bytes()
    path.write_bytes(
        whole.replace(b'"value_ms":1.0', b'"value_ms":9.0') if damage is None else damage
    )
    assert path.read_bytes() != whole
    with caplog.at_level(logging.WARNING):
        assert call(kind, tables, "latest_snapshot", TARGET, cache=cache) == numbered(1)
    assert f"{path} is not used: it was changed" in caplog.text
    assert tables.statuses == [200, 304, 200]
    assert path.read_bytes() == whole


def test_a_file_of_another_version_is_dropped(cache: SnapshotCache) -> None:
    one = numbered(1)
    cache.write(one, b'{"of": "another version"}')
    assert cache.read(one.id) is None
    assert list(cache.folder.iterdir()) == []


@both
def test_a_snapshot_by_its_id_is_asked_of_nobody_twice(kind: Kind, cache: SnapshotCache) -> None:
    service = Service(httpx2.Response(200, text=numbered(1).model_dump_json()))
    for _ in range(2):
        assert call(kind, service, "snapshot", numbered(1).id, cache=cache) == numbered(1)
    assert service.asked == [f"GET /v1/snapshots/{numbered(1).id}"]


def test_what_was_used_longest_ago_makes_room(cache: SnapshotCache) -> None:
    put(cache, 1, 2, 3)
    size = max(path.stat().st_size for path in cache.folder.iterdir())
    bounded = SnapshotCache(cache.folder, most_bytes=3 * size)
    assert bounded.read(numbered(1).id) == numbered(1)  # used now
    put(bounded, 4)
    assert bounded.read(numbered(2).id) is None
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= 3 * size
    assert set(bounded.known(TARGET)) == {numbered(n).id for n in (1, 3, 4)}


def test_a_server_is_told_of_the_eight_used_last(cache: SnapshotCache) -> None:
    put(cache, *range(1, 11))
    assert cache.known(TARGET) == tuple(numbered(number).id for number in range(10, 2, -1))
    assert cache.known("0" * 16) == ()


def test_what_is_larger_than_everything_is_not_kept(tmp_path: Path) -> None:
    put_nothing = SnapshotCache(tmp_path / "cache", most_bytes=0)
    put_nothing.write(numbered(1), b"{}")
    assert not put_nothing.folder.exists()


def test_where_nothing_can_be_kept_tables_are_still_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cache = SnapshotCache(tmp_path / "file" / "cache")
    tables = Tables(numbered(1))
    assert call("blocking", tables, "latest_snapshot", TARGET, cache=cache) == numbered(1)
    assert "cannot keep snapshots" in caplog.text


def test_what_a_killed_writer_left_is_no_snapshot(cache: SnapshotCache) -> None:
    put(cache, 1)
    (cache.folder / "tmpabc").mkdir()
    (cache.folder / "tmpabc" / "snapshot").touch()
    assert cache.known(TARGET) == (numbered(1).id,)
