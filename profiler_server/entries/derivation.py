"""From visits to entries: extended whenever visits are stored, or all from scratch."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from operator import itemgetter

from sqlalchemy.orm import Session

from profiler_server.devices import repository as devices
from profiler_server.entries import derived_repository as repository
from profiler_server.entries import in_network, isolated
from profiler_server.entries import profile_repository as profiles
from profiler_server.entries.device_samples import Samples
from profiler_server.entries.profiled import ProfileSamples

#: subjects whose visits are held in memory at a time
_CHUNK = 500


def extend(session: Session, target_id: str, new: Samples, profiled: ProfileSamples) -> None:
    """Brings a target's entries up to date with new visits.

    Args:
        session: a writing transaction that holds the target's lock and has stored the visits.
        target_id: what they are true for.
        new: the samples of the new visits alone.
        profiled: those of their profiles.
    """
    isolated.extend(session, target_id, new)
    if profiled:
        in_network.extend(session, target_id, profiled)
    in_network.merge_into_entries(session, target_id)


def rederive(session: Session, target_ids: Collection[str] | None = None) -> int:
    """Derives every entry from scratch: the same visits give the same entries.

    Entries that were imported or filled in from another target stay as they are.

    Args:
        session: a writing transaction.
        target_ids: whose entries; None: those of all targets.

    Returns:
        How many derived entries there are now, of all targets.
    """
    locked = devices.lock_targets(session, target_ids)
    everything = list(repository.measured(session, locked))
    repository.delete_derived(session, locked)
    for target_id, group in groupby(everything, key=itemgetter(0)):
        hashes = [subject_hash for _, subject_hash in group]
        for start in range(0, len(hashes), _CHUNK):
            isolated.derive(session, target_id, hashes[start : start + _CHUNK])
    for target_id in profiles.profiled_targets(session, locked):
        in_network.derive(session, target_id)
        in_network.merge_into_entries(session, target_id)
    return repository.count_derived_entries(session)
