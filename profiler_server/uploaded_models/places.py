"""Which store the setting `PROFILER_MODEL_STORE` names."""

from __future__ import annotations

from pathlib import Path

from netspec.errors import UserError
from profiler_server.uploaded_models import s3
from profiler_server.uploaded_models.stores import DatabaseStore, FolderStore, ModelStore

#: what the setting is for models in the database
IN_DATABASE = "database"


def model_store(setting: str) -> ModelStore:
    """The store that a setting names.

    Args:
        setting: `database`, an absolute path of a folder, or `s3://BUCKET/PREFIX`.

    Raises:
        UserError: it names none, or one that cannot be used.
    """
    if setting == IN_DATABASE:
        return DatabaseStore()
    if setting.startswith(s3.SCHEME):
        return s3.s3_files(setting)
    folder = Path(setting)
    if not folder.is_absolute():
        raise UserError(
            f"PROFILER_MODEL_STORE is {setting!r}, expected {IN_DATABASE!r}, the absolute path of "
            f"a folder, or {s3.SCHEME}BUCKET/PREFIX"
        )
    return FolderStore(folder)
