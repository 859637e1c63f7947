"""What the shell offers for an option's value. Where nothing can be known, it offers nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from netspec.client import ProfilerClient
from netspec.errors import UserError
from netspec.networks import SHIPPED_NETWORKS
from search_client.recipes import shipped_recipes

#: a shell waits so long (s) for a profiler's targets
_PATIENCE_S = 1.0
_SUFFIX = ".network.pt"


def complete_recipe(incomplete: str) -> list[str]:
    """Shipped recipes, and TOML files whose beginning is typed."""
    return _names_and_files(shipped_recipes(), ".toml", incomplete)


def complete_network(incomplete: str) -> list[str]:
    """Shipped networks, and JSON files whose beginning is typed."""
    return _names_and_files(SHIPPED_NETWORKS, ".json", incomplete)


def _names_and_files(known: Iterable[str], suffix: str, incomplete: str) -> list[str]:
    names = [name for name in known if name.startswith(incomplete)]
    if not incomplete:
        return names
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    files = sorted(str(path) for path in folder.glob(f"*{suffix}"))
    return names + [path for path in files if path.startswith(incomplete)]


def complete_target(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of the profiler's targets, each with what its latencies are of."""
    url = context.params.get("profiler_url")
    try:
        with ProfilerClient(url, timeout_s=_PATIENCE_S, retry_pauses_s=()) as client:
            found = client.targets()
    except UserError:
        return []
    return [(one.id, one.identity.label) for one in found if one.id.startswith(incomplete)]


def complete_trained_network(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the networks in the run's folder."""
    run = context.params.get("run")
    if run is None:
        return []
    names = (path.name.removesuffix(_SUFFIX) for path in Path(run).glob(f"*{_SUFFIX}"))
    return sorted(name for name in names if name.startswith(incomplete))
