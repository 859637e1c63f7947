"""The server's settings, from the environment."""

from __future__ import annotations

import difflib
import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError

from netspec.console.connection import CONSOLE_VARIABLES, data_dir
from netspec.errors import UserError
from netspec.suggestions import did_you_mean
from netspec.validation import FrozenModel, described
from profiler_server.kit.networks import Networks

_PREFIX = "PROFILER_"
#: ratio of `difflib` from which a variable counts as a misspelt setting
_NEARLY = 0.9


class Settings(FrozenModel):
    """What can be set, each field by `PROFILER_<FIELD>`."""

    #: `sqlite:///FILE` or `postgresql+psycopg://...`; may hold a password
    database_url: Annotated[str, Field(min_length=1, repr=False)]
    #: holds the key of the token hashes; replicas share it
    server_key_file: Path
    #: visits younger than this many days are not made again
    fresh_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    #: a lease that is not renewed for so many seconds is lost
    lease_ttl_s: Annotated[float, Field(gt=0, le=3_600)] = 60.0
    #: how often (s) agents renew, and hear of cancelled jobs; less than a lease's time to live
    renew_every_s: Annotated[float, Field(gt=0, le=3_600)] = 8.0
    #: how long (s) a task rests after its first failure; doubled at each further one
    retry_backoff_s: Annotated[float, Field(ge=0, le=900)] = 10.0
    #: requests a second that one token may make of one process in the long run; 0: any number
    rate_limit_per_s: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    #: requests that a token may make at once after a rest
    rate_limit_burst: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    #: MiB of rendered snapshots that a process keeps
    cache_mb: Annotated[int, Field(ge=0, le=65_536)] = 64
    #: where the bytes of uploaded models lie: `database`, the absolute path of a folder that every
    #: replica sees, or `s3://BUCKET/PREFIX` of a store that speaks S3 (the extra `s3`)
    model_store: Annotated[str, Field(min_length=1)] = "database"
    #: models that one token may upload; 0: any number
    models_per_token: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    #: MiB of the models of one token together; 0: any
    models_mb_per_token: Annotated[int, Field(ge=0, le=100_000_000)] = 4_096
    #: addresses and networks, with commas between them (`127.0.0.1, 10.0.0.0/8`), that webhooks may
    #: be sent to although they are private, also by plain http; by default only to public ones
    webhook_networks: Networks = ()
    #: addresses and networks, with commas between them, of the proxies whose `X-Forwarded-For` or
    #: `Forwarded` is believed; by default nobody's: who come through a proxy share its address
    trusted_proxies: Networks = ()
    #: seconds between SIGTERM, when `/readyz` begins to fail, and the end of listening
    drain_s: Annotated[float, Field(ge=0, le=600)] = 0.0

    @property
    def silent_after(self) -> timedelta:
        """How long after it has spoken an agent is silent: it has missed two renewals."""
        return timedelta(seconds=2 * self.renew_every_s)

    @classmethod
    def from_environment(cls, database_url: str | None = None) -> Self:
        """Settings of this process.

        Args:
            database_url: wins over the environment; by default an SQLite file in `data_dir()`.

        Raises:
            UserError: a variable holds what its field does not allow, is misspelt, or leases would
                expire before they are renewed.
        """
        _refuse_misspelt({_PREFIX + name.upper() for name in cls.model_fields})
        folder = data_dir()
        values: dict[str, str | Path] = {
            "database_url": f"sqlite:///{folder / 'profiler.db'}",
            "server_key_file": folder / "server.key",
        }
        for name in cls.model_fields:
            if value := os.environ.get(_PREFIX + name.upper(), ""):
                values[name] = value
        if database_url:
            values["database_url"] = database_url
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = _PREFIX + str(first["loc"][0]).upper()
            raise UserError(f"{name}: {described({**first, 'loc': ()})}") from error
        if settings.renew_every_s >= settings.lease_ttl_s:
            raise UserError(
                f"PROFILER_RENEW_EVERY_S is {settings.renew_every_s:g}, expected less than "
                f"PROFILER_LEASE_TTL_S, {settings.lease_ttl_s:g}; with a third of it two renewals "
                "may get lost"
            )
        return settings


def _refuse_misspelt(settings: set[str]) -> None:
    """Say it of a variable that is nearly a setting: a setting that has no effect is missed late.

    Others with this prefix are none of the server's business: a deployment has its own.

    Raises:
        UserError: there is such a variable.
    """
    known = {*settings, *CONSOLE_VARIABLES}
    for name in sorted(name for name in os.environ if name.startswith(_PREFIX)):
        if name not in known and difflib.get_close_matches(name, settings, n=1, cutoff=_NEARLY):
            raise UserError(f"there is no setting {name}; {did_you_mean(name, settings)}")
