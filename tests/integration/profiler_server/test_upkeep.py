"""Raw output goes into files and is read back; the doctor says what grows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from netspec.errors import UserError
from netspec.wire import StoredVisit
from profiler_server import cli
from profiler_server.auth.rows import TokenRow
from profiler_server.entries.rows import RawArchiveRow, VisitRow
from profiler_server.kit.months import Month
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.upkeep import archive as archiving
from profiler_server.upkeep import diagnosis, raw_file, raw_repository
from profiler_server.uploaded_models.rows import ModelRow
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api

Aged = Callable[[str, int], None]


@pytest.fixture
def months(database: Database) -> list[Month]:
    """The last four months and the present one, oldest first."""
    with database.read() as session:
        present = Month.of(database_now(session))
    return [present.plus(-before) for before in (4, 3, 2, 1, 0)]


@pytest.fixture
def stored(api: Api, database: Database, months: list[Month]) -> dict[str, str]:
    """Ids of visits, 3 in each month, with the months that they were stored in."""
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(3), rounds=5))
    batch = farm.visits(api.claim(device), device, rounds=5)
    api.upload(batch)
    when: dict[str, str] = {}
    with database.write() as session:
        for number, visit in enumerate(batch.visits):
            month = months[number // 3]
            # Its first moment is as much in a month as any other.
            at = month.start if number % 3 else month.start.replace(day=27, hour=23)
            session.execute(
                update(VisitRow)
                .where(VisitRow.id == visit.id)
                .values(stored_at=at, raw=f"{visit.id}\n\N{SNOWMAN} {number}")
            )
            when[str(visit.id)] = str(month)
    return when


def raw_in_database(database: Database) -> dict[str, str]:
    with database.read() as session:
        rows = session.execute(select(VisitRow.id, VisitRow.raw)).all()
    return {str(visit_id): raw for visit_id, raw in rows}


def printed(*arguments: str) -> str:
    """What the command prints; its error is raised."""
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def run(database: Database, folder: Path, keep_months: int) -> list[archiving.Archived]:
    return archiving.archive(database, folder, keep_months)


def test_old_months_go_into_files_and_are_read_back(
    api: Api,
    database: Database,
    stored: dict[str, str],
    months: list[Month],
    tmp_path: Path,
) -> None:
    before = raw_in_database(database)
    target_id = farm.identity().id
    subject = farm.blocks(1)[0].content_hash
    page = f"/v1/targets/{target_id}/entries/{subject}"
    entry = api.call("GET", page).json()
    done = run(database, tmp_path, 2)
    old = {str(month) for month in months[:2]}
    assert [str(one.month) for one in done] == sorted(old)
    assert {one.visits for one in done} == {3}
    after = raw_in_database(database)
    for visit_id, month in stored.items():
        assert after[visit_id] == ("" if month in old else before[visit_id])
    # What the files have, as any program reads it, and as the command prints it.
    table = pq.read_table(done[0].file)
    assert set(table["raw"].to_pylist()) == {
        before[one] for one, month in stored.items() if month == str(months[0])
    }
    wanted = next(one for one, month in stored.items() if month == str(months[1]))
    (line,) = printed("archived", str(done[1].file), "--visit", wanted).splitlines()
    assert json.loads(line)["raw"] == before[wanted]
    # Nothing else has changed, and a visit says where to look.
    assert api.call("GET", page).json() == entry
    visits = [StoredVisit.model_validate(one) for one in api.call("GET", f"{page}/visits").json()]
    for visit in visits:
        archived = stored[str(visit.visit.id)] in old
        assert visit.raw_archive == (
            f"raw-{stored[str(visit.visit.id)]}.parquet" if archived else None
        )
    (event, _) = api.call("GET", "/v1/events?kind=raw_archived").json()
    assert event["data"] == {"month": str(months[0]), "visits": 3}
    # The same visit again is still known.
    assert run(database, tmp_path, 2) == []
    assert [str(one.month) for one in run(database, tmp_path, 1)] == [str(months[2])]


def test_the_present_month_is_never_archived(
    database: Database, stored: dict[str, str], months: list[Month], tmp_path: Path
) -> None:
    present = str(months[-1])
    with pytest.raises(ValueError, match="at least"):
        run(database, tmp_path, -1)
    done = run(database, tmp_path, 0)
    assert present not in {str(one.month) for one in done}
    left = {stored[visit_id] for visit_id, raw in raw_in_database(database).items() if raw}
    assert left == {present}


@pytest.mark.usefixtures("stored")
def test_what_was_interrupted_goes_on(
    database: Database,
    months: list[Month],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = raw_in_database(database)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    # After the file, before the database knows of it.
    with monkeypatch.context() as broken:
        broken.setattr(raw_file, "sha256_of", fail)
        with pytest.raises(KeyboardInterrupt):
            run(database, tmp_path, 3)
    assert raw_in_database(database) == before
    # After the database knows of it, before anything has left.
    with monkeypatch.context() as broken:
        broken.setattr(raw_repository, "clear", fail)
        with pytest.raises(KeyboardInterrupt):
            run(database, tmp_path, 3)
    assert raw_in_database(database) == before
    with database.read() as session:
        said = diagnosis.diagnose(session, is_sqlite=database.is_sqlite).advice
    assert any(f"archiving {months[0]} was interrupted" in line for line in said)
    (done,) = run(database, tmp_path, 3)
    assert done.visits == 3
    assert sum(not raw for raw in raw_in_database(database).values()) == 3
    with database.read() as session:
        assert session.scalars(select(RawArchiveRow.cleared_at)).one() is not None


@pytest.mark.usefixtures("stored")
def test_a_damaged_file_keeps_everything_in_the_database(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = raw_in_database(database)
    read = raw_file.read

    def lose_one(file: Path) -> object:
        rows = list(read(file))
        return iter(rows[1:])

    monkeypatch.setattr(raw_file, "read", lose_one)
    with pytest.raises(UserError, match="not read back as it was written"):
        run(database, tmp_path, 2)
    assert raw_in_database(database) == before
    assert list(tmp_path.glob("raw-*")) == []


@pytest.mark.usefixtures("stored")
def test_a_file_of_another_database_is_refused(
    database: Database, months: list[Month], tmp_path: Path
) -> None:
    (done,) = run(database, tmp_path, 3)
    with database.write() as session:
        session.execute(update(RawArchiveRow).values(month=str(months[0].plus(-1))))
    with database.write() as session:
        session.execute(
            update(VisitRow).where(VisitRow.stored_at < months[0].end).values(raw="other")
        )
    with pytest.raises(UserError, match="is not what this database has"):
        run(database, tmp_path, 3)
    assert done.file.is_file()


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_bytes(b"PAR1 no PAR1")
    with pytest.raises(UserError, match="cannot read the archive"):
        printed("archived", str(file))


def test_the_doctor_says_what_grows(
    database: Database, stored: dict[str, str], api: Api, settings: Settings
) -> None:
    del api
    with database.read() as session:
        found = diagnosis.diagnose(session, is_sqlite=database.is_sqlite)
    by_name = {one.name: one for one in found.tables}
    visits = by_name["visits"]
    assert visits.rows == len(stored)
    # Three in the present month, and what of the last is younger than 30 days.
    assert 3 <= (visits.new_rows or 0) <= 6
    assert visits.size is None or visits.size > 0
    assert {"events", "tasks", "models", "snapshots", "tokens"} <= by_name.keys()
    assert not any("archive FOLDER" in line for line in found.advice)
    told = json.loads(printed("doctor", "--json", "--database-url", settings.database_url))
    assert {one["name"]: one["rows"] for one in told["tables"]}["visits"] == len(stored)
    shown = printed("doctor", "--database-url", settings.database_url)
    assert "visits" in shown
    assert "nothing needs to be done" in shown


def test_the_doctor_says_what_to_do(
    database: Database, stored: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "_MUCH", 10)
    long_ago = datetime(2020, 5, 6, tzinfo=UTC)
    some = [UUID(one) for one in list(stored)[:2]]
    with database.write() as session:
        session.execute(update(VisitRow).where(VisitRow.id.in_(some)).values(stored_at=long_ago))
        token_id = session.scalars(select(TokenRow.id).limit(1)).one()
        session.execute(update(TokenRow).values(created_at=long_ago, last_used_at=None))
        session.add(
            ModelRow(
                sha256="0" * 64, created_at=long_ago, token_id=token_id, size=1_000, content=b"x"
            )
        )
    with database.read() as session:
        advice = "\n".join(diagnosis.diagnose(session, is_sqlite=database.is_sqlite).advice)
        assert session.scalar(select(func.count()).select_from(ModelRow)) == 1
    assert "profiler-server archive FOLDER" in advice
    assert "1 models of token 'test'" in advice
    assert "not used for 180 days" in advice
