"""What a job measures."""

from __future__ import annotations

from netspec.networks import Network
from netspec.operators import Operator
from netspec.wire import JobRequest, NetworkSubject, OperatorSubject, Subject


def subjects_of(request: JobRequest) -> list[Subject]:
    """Every subject of a request once, in order: spaces' operators, operators, networks, models."""
    operators: list[Operator] = [
        *(operator for space in request.spaces for operator in space.operators()),
        *request.operators,
    ]
    networks: list[Network] = list(request.networks)
    if request.precisions:
        operators = [one.with_precision(p) for p in request.precisions for one in operators]
        networks = [one.with_precision(p) for p in request.precisions for one in networks]
    everything: list[Subject] = [
        *(OperatorSubject(operator=operator) for operator in operators),
        *(NetworkSubject(network=network) for network in networks),
        *request.models,
    ]
    distinct: dict[str, Subject] = {}
    for subject in everything:
        distinct.setdefault(subject.content_hash, subject)
    return list(distinct.values())
