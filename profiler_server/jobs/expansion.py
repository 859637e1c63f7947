"""What a job measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from netspec.covering_networks import covering_networks
from netspec.networks import Network
from netspec.operators import Operator
from netspec.wire import (
    ENERGY,
    EVALUATE,
    SUSTAINED,
    EnergyRequest,
    EnergySubject,
    EvaluationRequest,
    EvaluationSubject,
    JobRequest,
    MeasuredSubject,
    NetworkSubject,
    OperatorSubject,
    Subject,
    TaskMethod,
)

#: of the networks that cover a space: always the same ones, so that fresh visits are reused
_COVER_SEED = 0
#: what devices lack that cannot measure by a method, and what to do
LACKING: Mapping[TaskMethod, str] = MappingProxyType(
    {
        EVALUATE: "can run images: its runner says no outputs, or its agent is older; on phones "
        "that takes TFLite's benchmark_model of TensorFlow 2.10 or later",
        SUSTAINED: "runs anything without pause: its agent is older; update it",
        ENERGY: "counts energy: it has no counter that its agent may read and whose rails are "
        "known; its agent's log says more, and takes --energy and --energy-rail",
    }
)


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
    measured: list[MeasuredSubject] = [
        *(OperatorSubject(operator=operator) for operator in operators),
        *(NetworkSubject(network=network) for network in networks),
        *request.models,
    ]
    everything: list[Subject] = [
        *(_of_energy(measured, request.energy) if request.energy else measured),
        *_pieces(request.evaluation),
        *(() if request.sustained is None else (request.sustained.task_subject(),)),
    ]
    distinct: dict[str, Subject] = {}
    for subject in everything:
        distinct.setdefault(subject.content_hash, subject)
    return list(distinct.values())


def method_of(request: JobRequest) -> TaskMethod:
    """How the tasks of a request are measured."""
    if request.sustained is not None:
        return SUSTAINED
    if request.energy is not None:
        return ENERGY
    return request.method if request.evaluation is None else EVALUATE


def rounds_of(request: JobRequest) -> int:
    """Visits of each subject; of what runs without pause, windows."""
    return request.rounds if request.sustained is None else request.sustained.windows


def _of_energy(
    measured: Iterable[MeasuredSubject], request: EnergyRequest
) -> Iterator[EnergySubject]:
    for subject in measured:
        yield EnergySubject(subject=subject, windows=request.windows, seconds=request.seconds)


def _pieces(evaluation: EvaluationRequest | None) -> Iterator[EvaluationSubject]:
    """The model on each piece of the image set."""
    if evaluation is None:
        return
    first = 0
    for piece in evaluation.pieces:
        yield EvaluationSubject(model=evaluation.model, piece=piece, first=first)
        first += len(piece.labels)
