"""What a job measures."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.covering_networks import covering_networks
from netspec.networks import Network
from netspec.operators import Operator
from netspec.wire import (
    EvaluationRequest,
    EvaluationSubject,
    JobRequest,
    NetworkSubject,
    OperatorSubject,
    Subject,
)

#: of the networks that cover a space: always the same ones, so that fresh visits are reused
_COVER_SEED = 0


def subjects_of(request: JobRequest) -> list[Subject]:
    """Every subject of a request once, in order: spaces' operators, operators, networks, models.

    With the method `in_network`, networks that cover the spaces come in place of their operators.
    """
    operators: list[Operator] = []
    networks: list[Network] = []
    for space in request.spaces:
        if request.method == "in_network":
            networks += covering_networks(space, request.appearances, _COVER_SEED)
        else:
            operators += space.operators()
    operators += request.operators
    networks += request.networks
    if request.precisions:
        operators = [
            operator.with_precision(p) for p in request.precisions for operator in operators
        ]
        networks = [network.with_precision(p) for p in request.precisions for network in networks]
    everything: list[Subject] = [
        *(OperatorSubject(operator=operator) for operator in operators),
        *(NetworkSubject(network=network) for network in networks),
        *request.models,
        *_pieces(request.evaluation),
        *(() if request.sustained is None else (request.sustained.task_subject(),)),
    ]
    distinct: dict[str, Subject] = {}
    for subject in everything:
        distinct.setdefault(subject.content_hash, subject)
    return list(distinct.values())


def _pieces(evaluation: EvaluationRequest | None) -> Iterator[EvaluationSubject]:
    """The model on each piece of the image set."""
    if evaluation is None:
        return
    first = 0
    for piece in evaluation.pieces:
        yield EvaluationSubject(model=evaluation.model, piece=piece, first=first)
        first += len(piece.labels)
