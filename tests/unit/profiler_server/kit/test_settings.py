from __future__ import annotations

from pathlib import Path

import pytest

from netspec.errors import UserError
from profiler_server.kit.settings import Settings


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILER_DATA_DIR", str(tmp_path))
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PROFILER_{name.upper()}", raising=False)


def test_by_default_everything_is_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings.from_environment()
    assert settings.database_url == f"sqlite:///{tmp_path / 'profiler.db'}"
    assert settings.server_key_file == tmp_path / "server.key"
    assert (settings.fresh_days, settings.lease_ttl_s, settings.renew_every_s) == (30, 60, 8)


def test_the_environment_sets_and_the_option_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILER_DATABASE_URL", "sqlite:////a.db")
    monkeypatch.setenv("PROFILER_FRESH_DAYS", "0.5")
    assert Settings.from_environment().database_url == "sqlite:////a.db"
    assert Settings.from_environment("sqlite:////b.db").database_url == "sqlite:////b.db"
    assert Settings.from_environment().fresh_days == 0.5


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILER_LEASE_TTL_S", "soon")
    with pytest.raises(UserError, match=r"^PROFILER_LEASE_TTL_S: expected a number, got 'soon'$"):
        Settings.from_environment()


@pytest.mark.parametrize("name", ["PROFILER_FRESHDAYS", "PROFILER_LEASE_TTL"])
def test_a_misspelt_variable_is_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(UserError, match=f"no setting {name}; did you mean 'PROFILER_"):
        Settings.from_environment()


def test_variables_of_a_deployment_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROFILER_PORT", "PROFILER_DB_PASSWORD", "PROFILER_CACHE_DIR"):
        monkeypatch.setenv(name, "1")
    assert Settings.from_environment().fresh_days == 30


def test_a_lease_that_would_end_before_its_renewal_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROFILER_LEASE_TTL_S", "8")
    with pytest.raises(UserError, match=r"PROFILER_RENEW_EVERY_S is 8.*less than.*LEASE_TTL_S, 8"):
        Settings.from_environment()
    monkeypatch.setenv("PROFILER_RENEW_EVERY_S", "2.5")
    assert Settings.from_environment().renew_every_s == 2.5
