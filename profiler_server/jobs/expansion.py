"""What a job measures."""

from __future__ import annotations

from netspec.wire import JobRequest, NetworkSubject, OperatorSubject, Subject


def subjects_of(request: JobRequest) -> list[Subject]:
    """Every subject of a request once, in order: spaces' operators, operators, networks, models."""
    operators = [operator for space in request.spaces for operator in space.operators()]
    everything: list[Subject] = [
        *(OperatorSubject(operator=operator) for operator in (*operators, *request.operators)),
        *(NetworkSubject(network=network) for network in request.networks),
        *request.models,
    ]
    distinct: dict[str, Subject] = {}
    for subject in everything:
        distinct.setdefault(subject.content_hash, subject)
    return list(distinct.values())
