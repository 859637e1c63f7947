from collections.abc import Sequence

import numpy as np
import pytest

from netspec.errors import UnreadableModel
from netspec.networks import mobilenet_v2
from netspec.tflite import FileOptions, encode
from netspec.tflite.classifier_metadata import (
    BUFFER,
    ClassifierText,
    classifier_metadata,
    with_labels,
)
from netspec.tflite.foreign_metadata import ToldInput, packed_labels, told_input

LABELS = ("tench", "goldfish", "great white shark")


def metadata(mean: Sequence[float] = (127.5,), std: Sequence[float] = (127.5,)) -> bytes:
    return classifier_metadata(ClassifierText("net", "a net", LABELS, 32, mean, std))


def file(content: bytes | None, labels: Sequence[str] | None = LABELS) -> bytes:
    held = {} if content is None else {BUFFER: content}
    stem = mobilenet_v2(32, 0.1).operators[:1]
    plain = encode(stem, options=FileOptions(metadata=held))
    return plain if labels is None else with_labels(plain, labels)


def test_normalisation_and_labels_are_read_back() -> None:
    assert told_input(file(metadata())) == ToldInput((127.5,) * 3, (127.5,) * 3)
    by_channel = file(metadata((1, 2, 3), (4, 5, 6)))
    assert told_input(by_channel) == ToldInput((1, 2, 3), (4, 5, 6))
    assert packed_labels(by_channel) == LABELS


def test_a_file_without_metadata_says_nothing() -> None:
    assert told_input(file(None)) is None
    assert packed_labels(file(None)) is None


@pytest.mark.parametrize(("mean", "std"), [((1, 2), (1,)), ((1,), (0,)), ((), (1,)), ((1,), ())])
def test_numbers_that_normalise_no_image_are_refused(
    mean: Sequence[float], std: Sequence[float]
) -> None:
    with pytest.raises(UnreadableModel, match="expected one number or three of each"):
        told_input(file(metadata(mean, std)))


def test_labels_that_are_not_packed_are_missed() -> None:
    with pytest.raises(UnreadableModel, match=f"{BUFFER} cannot be read"):
        packed_labels(file(metadata(), labels=None))


@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 99)], ids=["encrypted", "compression"])
def test_an_archive_of_labels_that_cannot_be_opened_ends_in_a_sentence(
    place: int, value: int
) -> None:
    """Flags and method stand in the archive's directory. Source: APPNOTE.TXT, section 4.3.12."""
    content = bytearray(file(metadata()))
    content[content.rindex(b"PK\x01\x02") + place] = value
    with pytest.raises(UnreadableModel, match=f"{BUFFER} cannot be read"):
        packed_labels(bytes(content))


def test_damaged_metadata_end_in_a_sentence() -> None:
    """Cut short, and with bytes changed: each is read somehow, or refused as unreadable."""
    whole, chance = metadata(), np.random.default_rng(0)
    damaged = [whole[:length] for length in range(0, len(whole), 7)]
    for _ in range(300):
        changed = bytearray(whole)
        for place in chance.integers(len(changed), size=chance.integers(1, 5)):
            changed[place] = chance.integers(256)
        damaged.append(bytes(changed))
    refused = 0
    for content in damaged:
        for read in (told_input, packed_labels):
            try:
                read(file(content))
            except UnreadableModel:
                refused += 1
    assert refused > len(damaged) / 4
