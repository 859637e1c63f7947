"""No message repeats a database's password, however the URL is wrong."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from netspec.errors import UserError
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database

SECRET = "hunter2"  # noqa: S105 - of nobody


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:hunter2@host/name",
        "postgresql://u:hunter2@127.0.0.1:1/name",
        "postgresql+psycopg://u:hunter2@127.0.0.1:1/name",
        "postgresql+psycopg://u:hunter2@127.0.0.1:port/name",
        "postgresql+psycopg://u:hunter2@@127.0.0.1:1/name",
        "postgresql+psycopg://u:hunter2/x@127.0.0.1:1/name",
        "postgresql+psycopg://u:hunter2@[::1/name",
        "postgresql+psycopg://u@127.0.0.1:1/name?password=hunter2",
        "postgresql+psycopg://u@127.0.0.1:1/name?pasword=hunter2",
        "postgresql+psycopg://u:hunter2@127.0.0.1:1/name?sslmode=never",
        "postgresql+psycopg://u:hunter2@127.0.0.1:1/name?connect_timeout=x",
        "postgresql+nothing://u:hunter2@host/name",
        "mysql://u:hunter2@host/name",
        "//u:hunter2@host/name",
        "u:hunter2@host/name",
        "host=127.0.0.1 port=1 user=u password=hunter2",
        "postgresql+psycopg:u:hunter2@host/name",
    ],
)
def test_a_password_stays_out_of_every_message(url: str) -> None:
    with pytest.raises(UserError) as caught:
        Database(url).check()
    said = "".join(traceback.format_exception(caught.value))
    assert SECRET not in str(caught.value)
    assert SECRET not in said
    assert "postgresql+psycopg://" in str(caught.value) or "127.0.0.1" in str(caught.value)


def test_settings_do_not_show_it_either(tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"postgresql+psycopg://u:{SECRET}@host/name", server_key_file=tmp_path / "key"
    )
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_a_new_database_is_its_owners_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'profiler.db'}")
    with database.migration() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        modes = [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()]
    database.close()
    assert len(modes) > 1
    assert set(modes) == {0o600}
