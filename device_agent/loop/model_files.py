"""The `.tflite` files of a batch, on disk before measuring starts."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import netspec
from netspec.tflite import encode
from netspec.wire import (
    EnergySubject,
    EvaluationSubject,
    MeasuredSubject,
    ModelSubject,
    NetworkSubject,
    OperatorSubject,
    Subject,
    SustainedSubject,
)

DEFAULT_MAX_BYTES = 2**30
#: longer than any batch takes, s
SPARED_S = 6 * 3600.0


class WrongContent(Exception):
    """A downloaded model is not the one that was asked for."""


class ModelFiles:
    """A folder of models, cached by content hash and kept below a size.

    Args:
        folder: created on demand.
        download: the bytes of an uploaded model, by SHA-256.
        max_bytes: of all files but those used lately; those used longest ago go first.
    """

    def __init__(
        self, folder: Path, download: Callable[[str], bytes], max_bytes: int = DEFAULT_MAX_BYTES
    ) -> None:
        self._folder = folder
        self._download = download
        self._max_bytes = max_bytes

    def path(self, subject: Subject) -> Path:
        """The subject's file, encoded (seed 0) or downloaded when it is not there yet.

        Of an evaluation, its model's; of what runs without pause or is about energy, that one's.

        Raises:
            EncodingError: the operators cannot be written as a file.
            WrongContent: the server sent another model.
            ProfilerRefused: the server does not have the model.
            ProfilerUnreachable: the server is away.
        """
        if isinstance(subject, EvaluationSubject):
            subject = subject.model
        elif isinstance(subject, SustainedSubject | EnergySubject):
            subject = subject.subject
        path = self._folder / _file_name(subject)
        # Before it is looked at: from here on no other agent removes it.
        with suppress(FileNotFoundError):
            os.utime(path)
        if not _is_whole(path, subject):
            content = self._content(subject)
            self._folder.mkdir(parents=True, exist_ok=True)
            # Under its own name only once it is whole, also after a power cut.
            partial = path.with_suffix(f".{os.getpid()}.partial")
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        return path

    def evict(self, keep: Collection[Path]) -> None:
        """Deletes the files used longest ago until the rest fits.

        Never those of `keep`, nor any used lately: the agents of several devices share the folder.
        """
        files = sorted(_stats(self._folder), key=lambda file: file[0].st_mtime)
        size = sum(stat.st_size for stat, _ in files)
        spared_from = time.time() - SPARED_S
        for stat, path in files:
            if size <= self._max_bytes or stat.st_mtime > spared_from:
                return
            if path not in keep:
                path.unlink(missing_ok=True)
                size -= stat.st_size

    def _content(self, subject: MeasuredSubject) -> bytes:
        match subject:
            case OperatorSubject():
                return encode([subject.operator])
            case NetworkSubject():
                return encode(subject.network.operators)
            case ModelSubject():
                content = self._download(subject.sha256)
                digest = hashlib.sha256(content).hexdigest()
                if digest != subject.sha256:
                    raise WrongContent(
                        f"model {subject.name!r} has SHA-256 {digest}, expected {subject.sha256}; "
                        "upload it again"
                    )
                return content


def _stats(folder: Path) -> Iterator[tuple[os.stat_result, Path]]:
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):  # another agent has removed it
            yield path.stat(), path


def _file_name(subject: MeasuredSubject) -> str:
    """Encoded files also bear the encoder's hash: a changed encoder must not meet old files."""
    if isinstance(subject, ModelSubject):
        return f"{subject.sha256}.tflite"
    return f"{subject.content_hash}-{_encoder_hash()}.tflite"


def _is_whole(path: Path, subject: MeasuredSubject) -> bool:
    if not path.exists():
        return False
    if isinstance(subject, ModelSubject):
        return hashlib.sha256(path.read_bytes()).hexdigest() == subject.sha256
    return True


@cache
def _encoder_hash() -> str:
    """First 12 hex digits of the SHA-256 of the vocabulary's source."""
    digest = hashlib.sha256()
    for source in sorted(Path(netspec.__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
