"""From another target's table and a few measurements to a table of a target's own."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.client import ProfilerClient
from netspec.wire import Job, JobRequest, SiblingTransfer, Snapshot, Target
from search_client.progress import Stages
from search_client.stages.measure import measure, wording


@dataclass(frozen=True)
class TransferredTable:
    """A published table with how it came about."""

    snapshot: Snapshot
    #: says how far a network's sum is expected to be off
    job: Job

    @property
    def fitted(self) -> int:
        """Entries that come from another target."""
        return sum(entry.method == "fitted" for entry in self.snapshot.entries)


def transfer_table(
    client: ProfilerClient,
    target: Target,
    request: SiblingTransfer,
    stages: Stages,
    *,
    rounds: int,
) -> TransferredTable:
    """Measures what the server chooses, has it fill in the rest, and publishes.

    Args:
        client: of the profiler.
        target: that gets a table.
        request: from where, and how much may be measured.
        stages: shows the progress.
        rounds: visits of each operator and network.

    Raises:
        JobFailed: something could not be measured.
        ProfilerRefused: the other target has no table, or this one has measured all of it.
    """
    job = measure(
        client,
        JobRequest(
            name=f"table out of that of {request.source_target_id}",
            target_id=target.id,
            rounds=rounds,
            transfer=request,
        ),
        "operators and networks",
        stages,
    )
    snapshot = client.publish(target.id)
    for calibration in snapshot.calibrations:
        stages.note(wording(calibration))
    return TransferredTable(snapshot, job)
