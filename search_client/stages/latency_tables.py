"""What a search aims at, and by which tables: newest ones, measured first, or those of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netspec.client import LatencyTable, Offline, ProfilerClient
from netspec.console.units import latency_text
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
    client: ProfilerClient,
    target: Target,
    settings: Recipe,
    needed: Sequence[Operator],
    stages: Stages,
) -> LatencyTables:
    """Take the newest tables; what no choice changes may be missing, as a classifier of 10 classes.

    Raises:
        NoTable: a target has none.
        MissingEntries: the first target's table lacks something that is needed.
    """
    table = _completed(client, _newest(client, target.id), settings, needed, stages)
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


def _completed(
    client: ProfilerClient,
    table: LatencyTable,
    settings: Recipe,
    needed: Sequence[Operator],
    stages: Stages,
) -> LatencyTable:
    """The table with a latency for parts without entry that every network has.

    They move all latencies alike, and no choice depends on them: so they are predicted from the
    other entries, or left out, and that is said.
    """
    lacking = table.lacking(needed)
    if not lacking or not settings.unchanging_operators().issuperset(lacking):
        return table
    target_id = table.snapshot.target_id
    content = distributed.same(lambda: json.dumps(_predictions_ms(client, target_id, lacking)))
    assumed_ms: dict[str, float] = json.loads(content)
    for key, value_ms in assumed_ms.items():
        what = f"what the other entries predict is taken, {latency_text(value_ms)}"
        stages.note(
            f"The table of target {target_id} has no entry for {key}, which every network has: "
            + (what if value_ms else "it is left out of all latencies")
        )
    return LatencyTable(table.snapshot, assumed_ms)


def _predictions_ms(
    client: ProfilerClient, target_id: str, operators: Sequence[Operator]
) -> dict[str, float]:
    """What the profiler predicts for operators without entry, by key; 0 where it cannot."""
    try:
        answer = client.latencies(target_id, operators, allow_predicted=True)
    except Offline:
        return {operator.key: 0.0 for operator in operators}
    return {
        one.key: found.value_ms if (found := one.entry or one.predicted) else 0.0
        for one in answer.latencies
    }


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
