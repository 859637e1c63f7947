"""What a model gives for test images on a target, image by image."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Base64Bytes, Field

from netspec.protocol import Sha256, TargetId, Text
from netspec.wire.message import ListQuery, Message
from netspec.wire.subjects import ImagePiece, ModelSubject

#: of the packed images of one piece
MAX_IMAGES_BYTES = 16 * 2**20
#: of the logits of one piece
MAX_LOGITS_BYTES = 8 * 2**20
#: greatest values that are told of each image
TOP = 5


class EvaluationRequest(Message):
    """Run an uploaded model on test images, and keep what it gives for each."""

    model: ModelSubject
    #: the image set, in order
    pieces: Annotated[tuple[ImagePiece, ...], Field(min_length=1, max_length=5_000)]


class PieceOutputs(Message):
    """What a model gave for the images of a piece, as its agent sends it."""

    #: under which it was run
    lease_id: Text
    #: numbers of each image
    classes: Annotated[int, Field(ge=1, le=MAX_LOGITS_BYTES // 4)]
    #: float32, little-endian, [images, classes]: real values, also of a quantized output
    logits: Annotated[Base64Bytes, Field(max_length=MAX_LOGITS_BYTES)]
    #: time to load the model, ms; None where the runner does not say
    load_ms: Annotated[float | None, Field(ge=0)] = None
    #: of the process that ran it, or what it took beyond the tool that ran it, MiB; None where the
    #: runner does not say
    peak_memory_mib: Annotated[float | None, Field(ge=0)] = None


class ClassValue(Message):
    """One of an image's greatest logits."""

    #: which of the model's outputs
    output: int
    value: float


class EvaluatedPiece(Message):
    """What a model gave for the images of a piece."""

    #: which piece of the set, counted from 0
    piece: int
    #: position of its first image in the set
    first: int
    images: Sha256
    labels: tuple[int, ...]
    device_id: Text
    stored_at: AwareDatetime
    load_ms: float | None
    peak_memory_mib: float | None
    classes: int
    #: of each image the `TOP` greatest values, the greatest first; of equals the first output
    top: tuple[tuple[ClassValue, ...], ...]


class OutputsQuery(ListQuery):
    """Which outputs of an evaluation, in the order of its images."""

    limit: Annotated[int, Field(ge=1, le=16, description="Pieces on a page")] = 16
    sort: Annotated[
        Literal["first", "-first"], Field(description="By what; `-`: greatest first")
    ] = "first"


class Evaluation(Message):
    """How good a model is on a target, as far as its images are run."""

    job_id: Text
    target_id: TargetId
    model: ModelSubject
    images: int
    images_done: int
    #: fractions of the images done; None before the first
    top1: float | None
    top5: float | None
    #: median of the pieces; None where the runner does not say
    load_ms: float | None
    #: the greatest of the pieces; None where the runner does not say
    peak_memory_mib: float | None
