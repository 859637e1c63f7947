"""What a search aims at, and by which tables: newest ones, measured first, or those of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netspec.client import LatencyTable, ProfilerClient
from netspec.errors import UserError
from netspec.operators import Operator
from netspec.wire import Snapshot, Target
from search_client.latency.prediction import predicted_ms
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.runs.record import read_record, read_tables
from search_client.stages.measure import measure_space
from search_client.training import distributed


@dataclass(frozen=True)
class LatencyTables:
    """The tables of every target and what the search aims at on each, the first target first."""

    by_target: tuple[LatencyTable, ...]
    #: R, ms
    references_ms: tuple[float, ...]
    #: operators and networks of the first table that were not measured for this run
    reused: int


def target_of(client: ProfilerClient, name: str | None) -> Target:
    """`ProfilerClient.target`; of several processes one asks."""
    content = distributed.same(lambda: client.target(name).model_dump_json())
    return Target.model_validate_json(content)


def measured(
    client: ProfilerClient, target: Target, settings: Recipe, stages: Stages
) -> LatencyTables:
    """Measure and publish what the table of a run lacks.

    Raises:
        JobFailed: something could not be measured.
        UserError: several processes search together, or a further target has no table.
    """
    if distributed.world() > 1:
        raise UserError(
            "several processes cannot wait for measurements; run `search-client profile` first, "
            "then search without --profile-missing"
        )
    with stages.stage("profile", f"Profile the space on {target.identity.label}"):
        space = measure_space(client, target, settings, stages)
    return _with_further(client, settings, space.table, space.reused)


def published(
    client: ProfilerClient, target: Target, settings: Recipe, needed: Sequence[Operator]
) -> LatencyTables:
    """Take the newest tables.

    Raises:
        NoTable: a target has none.
        MissingEntries: the first target's table lacks something that is needed.
    """
    table = _newest(client, target.id)
    table.values_ms(needed)
    return _with_further(client, settings, table, len(needed))


def recorded(folder: Path, needed: Sequence[Operator]) -> LatencyTables:
    """Read the tables by which the search in a folder began: it goes on as it was.

    Raises:
        BadRun: there is no such search.
    """
    record = read_record(folder)
    references_ms = tuple(target.reference_ms for target in record.targets)
    return LatencyTables(tuple(read_tables(record, folder)), references_ms, len(needed))


def _with_further(
    client: ProfilerClient, settings: Recipe, table: LatencyTable, reused: int
) -> LatencyTables:
    """The first target's table with those of the further targets."""
    further = settings.further_targets
    tables = [_newest(client, target_of(client, aim.target).id) for aim in further]
    reference_ms = settings.latency_ref_ms
    if reference_ms is None:
        reference_ms = predicted_ms(table, settings.baseline(settings.precision))
    references_ms = (reference_ms, *(aim.latency_ref_ms for aim in further))
    return LatencyTables((table, *tables), references_ms, reused)


def _newest(client: ProfilerClient, target_id: str) -> LatencyTable:
    content = distributed.same(lambda: client.latest_snapshot(target_id).model_dump_json())
    return LatencyTable(Snapshot.model_validate_json(content))
