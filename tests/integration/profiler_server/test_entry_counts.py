"""A target's row keeps how many entries it has: the number is never another than that of rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from netspec.wire import VisitBatch
from profiler_server.devices.rows import TargetRow
from profiler_server.entries import derivation
from profiler_server.entries.rows import EntryRow
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm, grids
from tests.integration.profiler_server.service import Api

BLOCKS = farm.blocks(8)


def checked(database: Database) -> int:
    """The kept number of the only target, which is that of its rows."""
    with database.read() as session:
        kept = session.scalars(select(TargetRow.entries)).one()
        assert kept == session.scalar(select(func.count()).select_from(EntryRow))
    return kept


def batch(api: Api) -> VisitBatch:
    device = api.register(farm.registration()).id
    api.file(farm.job(BLOCKS, rounds=2))
    return farm.visits(api.claim(device), device, rounds=2)


def test_new_entries_are_counted_once(api: Api, database: Database) -> None:
    visits = batch(api).visits
    assert checked(database) == 0
    for part, entries in ((visits[:3], 3), (visits[:5], 5), (visits, len(BLOCKS))):
        api.upload(VisitBatch(visits=part))
        assert checked(database) == entries


def test_uploads_at_the_same_time_are_all_counted(api: Api, database: Database) -> None:
    parts = [VisitBatch(visits=(visit,)) for visit in batch(api).visits]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(api.upload, parts)) == [["stored"]] * len(parts)
    assert checked(database) == len(BLOCKS)


def test_deriving_again_and_migrating_keep_the_number(api: Api, database: Database) -> None:
    grids.put(database, dict.fromkeys(BLOCKS[:2], 1.0))
    assert checked(database) == 2
    grids.put(database, dict.fromkeys(BLOCKS[1:3], 2.0))
    assert checked(database) == 3
    api.upload(batch(api))
    assert checked(database) == len(BLOCKS)
    with database.write() as session:
        derivation.rederive(session)
    assert checked(database) == len(BLOCKS)
    schema.downgrade(database, "0009")
    schema.upgrade(database)
    assert checked(database) == len(BLOCKS)
