import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from device_agent.errors import SpoolUnusable
from device_agent.measuring.spool import Spool, adopt_spool, spool_path
from tests.unit.device_agent.messages import visit


def test_visits_wait_in_order_until_they_are_forgotten(tmp_path: Path) -> None:
    visits = [visit() for _ in range(5)]
    with Spool(tmp_path / "spool.db") as spool:
        for one in visits:
            spool.append(one)
        assert spool.oldest(3) == visits[:3]
        spool.forget([one.id for one in visits[:3]])
        assert spool.oldest(10) == visits[3:]
        assert spool.waiting() == 2


def test_a_refused_visit_leaves_the_queue_and_stays_on_disk(tmp_path: Path) -> None:
    refused, other = visit(), visit()
    with Spool(tmp_path / "spool.db") as spool:
        spool.append(refused)
        spool.append(other)
        spool.set_aside(refused.id, "another under this id")
    with Spool(tmp_path / "spool.db") as spool:
        assert spool.oldest(10) == [other]
        assert spool.refused() == [(refused.id, "another under this id")]


def test_the_same_id_twice_is_an_error(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        one = visit()
        spool.append(one)
        with pytest.raises(sqlite3.IntegrityError):
            spool.append(one)


def test_an_appended_visit_survives_a_killed_process(tmp_path: Path) -> None:
    body = visit(UUID(int=5)).model_dump_json()
    script = """
import os, signal, sys
from pathlib import Path
from device_agent.errors import SpoolUnusable
from device_agent.measuring.spool import Spool
from netspec.wire import Visit
spool = Spool(Path(sys.argv[1]))
spool.append(Visit.model_validate_json(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "spool.db"), body], check=False
    )
    assert ended.returncode == -9
    with Spool(tmp_path / "spool.db") as spool:
        assert [one.id for one in spool.oldest(10)] == [UUID(int=5)]


def test_a_visit_is_on_disk_also_after_a_deletion_that_failed(tmp_path: Path) -> None:
    path, stays, goes, later = tmp_path / "spool.db", visit(), visit(), visit()
    with Spool(path) as spool, closing(sqlite3.connect(path)) as other:
        spool.append(goes)
        spool.append(stays)
        other.execute(
            "CREATE TRIGGER full BEFORE DELETE ON visits "
            f"WHEN old.id = '{stays.id}' BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        with pytest.raises(sqlite3.IntegrityError, match="disk is full"):
            spool.forget([goes.id, stays.id])
        spool.append(later)
        rows = other.execute("SELECT id FROM visits ORDER BY number").fetchall()
    assert [UUID(row[0]) for row in rows] == [goes.id, stays.id, later.id]


def test_a_full_disk_is_one_line_and_loses_no_visit_before_it(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        spool._database.execute("PRAGMA max_page_count = 20")
        spool.append(visit(raw="x" * 10_000))
        with pytest.raises(SpoolUnusable, match=r"spool\.db cannot be written \(.*disk is full\)"):
            spool.append(visit(raw="x" * 65_000))
        assert spool.waiting() == 1


def test_a_spool_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"no database" * 100)
    with pytest.raises(SpoolUnusable, match="not a database"):
        Spool(tmp_path / "spool.db")


def test_each_profiler_and_device_has_its_own_file(tmp_path: Path) -> None:
    one = spool_path(tmp_path, "http://a:1", "host-x")
    assert one == spool_path(tmp_path, "http://a:1", "host-x")
    assert one != spool_path(tmp_path, "http://b:1", "host-x")
    assert one != spool_path(tmp_path, "http://a:1", "host-y")
    assert one.parent == tmp_path


def test_held_visits_are_not_uploaded_before_their_verdict(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        good, bad, free = visit(), visit(), visit()
        for one in (good, bad):
            spool.append(one, held=True)
        spool.append(free)
        assert spool.oldest(10) == [free]
        assert spool.waiting() == 3
        spool.release([good.id])
        spool.release([bad.id], 'the anchor was "slow"')
        released = spool.oldest(10)
    assert [one.rejected for one in released] == ["", 'the anchor was "slow"', ""]
    assert released[1] == bad.model_copy(update={"rejected": 'the anchor was "slow"'})


def test_a_dead_agents_held_visits_are_let_go(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        spool.append(visit(), held=True)
    with Spool(tmp_path / "spool.db") as spool:
        assert len(spool.oldest(10)) == 1


def test_a_spool_of_an_older_agent_is_read(tmp_path: Path) -> None:
    old = visit()
    with closing(sqlite3.connect(tmp_path / "spool.db")) as database, database:
        database.execute(
            "CREATE TABLE visits (number INTEGER PRIMARY KEY AUTOINCREMENT, "
            "id TEXT NOT NULL UNIQUE, body TEXT NOT NULL, refused TEXT)"
        )
        database.execute(
            "INSERT INTO visits (id, body) VALUES (?, ?)", (str(old.id), old.model_dump_json())
        )
    with Spool(tmp_path / "spool.db") as spool:
        assert spool.oldest(10) == [old]


def test_a_spool_is_taken_over_under_its_servers_name(tmp_path: Path) -> None:
    old = spool_path(tmp_path, "http://one", "a")
    new = spool_path(tmp_path, "server-id", "a")
    one = visit()
    with Spool(old) as spool:
        spool.append(one)
    adopt_spool(old, new)
    assert not old.exists()
    with Spool(new) as spool:
        assert spool.oldest(10) == [one]
        adopt_spool(old, new)  # there is nothing to take over
        assert spool.waiting() == 1


def test_a_visit_that_cannot_be_read_is_set_aside_and_holds_up_no_other(tmp_path: Path) -> None:
    unreadable, other = visit(), visit()
    with Spool(tmp_path / "spool.db") as spool:
        spool.append(unreadable)
        spool.append(other)
        with closing(sqlite3.connect(tmp_path / "spool.db")) as database, database:
            database.execute(
                "UPDATE visits SET body = json_remove(body, '$.statistics') WHERE id = ?",
                (str(unreadable.id),),
            )
        assert spool.oldest(1) == [other]
        ((refused, why),) = spool.refused()
        spool.forget([other.id])
        assert spool.oldest(1) == []
    assert refused == unreadable.id
    assert "cannot read it" in why
    assert "statistics" in why
