from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's data folder, which does not exist yet; no URL and no token are set."""
    monkeypatch.delenv("PROFILER_TOKEN", raising=False)
    monkeypatch.delenv("PROFILER_URL", raising=False)
    monkeypatch.setenv("PROFILER_DATA_DIR", str(tmp_path / "deep" / "data"))
    return tmp_path / "deep" / "data"
