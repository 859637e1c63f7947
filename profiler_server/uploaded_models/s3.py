"""Models in a store that speaks S3: Amazon's, MinIO, Ceph, Garage, Cloudflare's R2 and others.

Credentials, region and endpoint are the `AWS_...` variables that such stores' tools have in
common; obstore, the extra `s3`, reads them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from secrets import token_hex
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from netspec.errors import UserError
from profiler_server.kit.problems import Problem
from profiler_server.uploaded_models.stores import ModelStore

if TYPE_CHECKING:
    from obstore.store import ObjectStore

#: how a setting begins that means such a store
SCHEME = "s3://"
#: for so long a request may take, and a store that fails is tried again: files are written within
#: a transaction, and have 64 MiB at most
_REQUEST, _RETRIED = timedelta(seconds=30), timedelta(seconds=10)
_CONNECT = timedelta(seconds=5)
_MOST_RETRIES = 3


class ObjectFiles(ModelStore):
    """Files as objects of a store.

    Args:
        store: of obstore.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, session: Session, sha256: str, content: bytes) -> None:
        """Stores a file: the whole object or none."""
        del session
        with _told():
            self._store.put(_key(sha256), content)

    def get(self, session: Session, sha256: str) -> bytes | None:
        """A file's bytes."""
        del session
        try:
            with _told():
                return bytes(self._store.get(_key(sha256)).bytes())
        except FileNotFoundError:
            return None

    def has(self, session: Session, sha256: str) -> bool:
        """Whether there is such an object."""
        del session
        try:
            with _told():
                self._store.head(_key(sha256))
        except FileNotFoundError:
            return False
        return True

    def remove(self, session: Session, sha256: str) -> None:
        """Removes a file."""
        del session
        try:
            with _told():
                self._store.delete(_key(sha256))
        except FileNotFoundError:
            pass


def s3_files(url: str) -> ObjectFiles:
    """The files of `s3://BUCKET` or `s3://BUCKET/PREFIX`, which is written to and read once.

    Raises:
        UserError: obstore is missing, or the bucket cannot be used.
    """
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415
        from obstore.store import S3Store  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UserError(
            f"PROFILER_MODEL_STORE is {url!r}, which needs the package {error.name}; install the "
            "extra: pip install 'proxyless-farm[server,s3]'"
        ) from error
    try:
        store = S3Store.from_url(
            url,
            client_options={
                "timeout": _REQUEST,
                "connect_timeout": _CONNECT,
                # Any option of ours hides this variable from obstore.
                "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true",
            },
            retry_config={"max_retries": _MOST_RETRIES, "retry_timeout": _RETRIED},
        )
        probe = f"probe-{token_hex(8)}"
        store.put(probe, b"")
        store.delete(probe)
    except (BaseError, OSError, ValueError) as error:
        raise UserError(
            f"the bucket of PROFILER_MODEL_STORE={url} cannot be written: {_in_short(error)}; "
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL (of "
            "plain http also AWS_ALLOW_HTTP=true)"
        ) from error
    return ObjectFiles(store)


@contextmanager
def _told() -> Iterator[None]:
    """Makes a problem of a store that fails; that there is no such object is none.

    Raises:
        Problem: `store-unavailable`.
    """
    from obstore.exceptions import BaseError  # noqa: PLC0415

    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise Problem(
            "store-unavailable",
            f"the model store does not answer as it should: {_in_short(error)}; try again",
            headers={"Retry-After": "10"},
        ) from error


def _in_short(error: Exception) -> str:
    """What went wrong: the lines of obstore's text before it shows the error's inside."""
    text = str(error).partition("Debug source:")[0] or type(error).__name__
    return " ".join(text.split())[:300]


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}.tflite"
