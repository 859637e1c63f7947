"""The file of a trained network keeps all that decides its logits, and older files are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from netspec.errors import UserError
from search_client.data.batches import PlainBatches
from search_client.deployment.trained_network import (
    NoTrainedNetwork,
    Source,
    TrainedNetwork,
    load_trained_network,
    read_trained_network,
    renormalised,
    trained_network_name,
)
from search_client.networks.classes import classifier_of, with_background, with_classes
from search_client.networks.layers import FloatNetwork, norm_eps, set_norm_eps
from search_client.networks.normalisation import INCEPTION
from search_client.quantization.post_training import quantize_post_training
from search_client.stages.train import evaluate_network
from search_client.training.checkpoints import load, save
from tests.unit.search_client.tiny import tiny_images, tiny_space

CLASSES = ("class 0", "class 1", "class 2")
IMAGES = torch.randn(4, 3, 16, 16)


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    """With statistics of some batches, another eps in every BatchNorm, and an int8 form."""
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([0, 6]), 0.2)
    with torch.no_grad():
        classifier_of(model).bias.copy_(torch.arange(3) / 10)
    batches = PlainBatches(tiny_images(48), 16, 16)
    for images, _ in batches:
        model(images)
    set_norm_eps(model, {name: 0.5 / (1 + i) for i, name in enumerate(norm_eps(model))})
    quantized = quantize_post_training(model, batches)
    return TrainedNetwork(CLASSES, Source("a run", "ab", "photos"), model.eval(), quantized.eval())


def logits(trained: TrainedNetwork) -> list[torch.Tensor]:
    models = [trained.model, *([] if trained.quantized is None else [trained.quantized])]
    with torch.no_grad():
        return [model(IMAGES) for model in models]


def same(one: TrainedNetwork, other: TrainedNetwork) -> bool:
    pairs = zip(logits(one), logits(other), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def test_a_file_keeps_eps_statistics_labels_and_source(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    read = read_trained_network(trained.save(tmp_path, "net"))
    assert same(read, trained)
    assert norm_eps(read.model) == norm_eps(trained.model)
    assert (read.classes, read.source) == (trained.classes, trained.source)
    assert read.network == trained.network
    plain = FloatNetwork(trained.network)
    plain.load_state_dict(trained.model.state_dict())
    with torch.no_grad():
        # The eps is what differs: without it the logits would, too.
        assert not torch.allclose(plain.eval()(IMAGES), trained.model(IMAGES), atol=1e-3)


def test_a_file_keeps_another_normalisation_and_padding_through_int8(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    padded = trained.network.with_padding("symmetric")
    model = FloatNetwork(padded, 0.0, renormalised(INCEPTION))
    model.load_state_dict(trained.model.state_dict())
    set_norm_eps(model, norm_eps(trained.model))
    quantized = quantize_post_training(model, PlainBatches(tiny_images(48), 16, 16))
    changed = TrainedNetwork(CLASSES, trained.source, model.eval(), quantized.eval())
    read = read_trained_network(changed.save(tmp_path, "net"))
    assert same(read, changed)
    assert (read.normalisation, read.network) == (INCEPTION, padded)
    assert read.quantized is not None
    assert read.quantized.network == padded.with_precision("int8")
    pairs = list(zip(logits(read), logits(trained), strict=True))
    # Both change what it computes, in both precisions.
    assert all(not torch.allclose(one, other, atol=1e-3) for one, other in pairs)


def test_other_classes_keep_eps(trained: TrainedNetwork) -> None:
    grown, _ = with_background(trained.model, CLASSES, 0)
    fewer = with_classes(trained.model, CLASSES, CLASSES[:2], 0)
    assert norm_eps(grown) == norm_eps(fewer) == norm_eps(trained.model)


def of_format_1(trained: TrainedNetwork) -> dict[str, Any]:
    """What a run kept as NAME.network.pt before format 2."""
    assert trained.quantized is not None
    return {
        "format": 1,
        "network": trained.network.model_dump_json(),
        "dropout": 0.2,
        "classes": list(CLASSES),
        "run": "a run",
        "snapshot": "",
        "data": "photos",
        "float": trained.model.state_dict(),
        "int8_network": trained.quantized.network.model_dump_json(),
        "int8": trained.quantized.state_dict(),
    }


def of_weights(trained: TrainedNetwork) -> dict[str, Any]:
    """What `train` left as float.pt before format 2."""
    return {"network": trained.network.model_dump_json(), "model": trained.model.state_dict()}


def usual(trained: TrainedNetwork) -> TrainedNetwork:
    """The same weights as networks of then had them: with one eps."""
    model = FloatNetwork(trained.network)
    model.load_state_dict(trained.model.state_dict())
    quantized = quantize_post_training(model, PlainBatches(tiny_images(48), 16, 16))
    return TrainedNetwork(CLASSES, Source("a run", None, "photos"), model.eval(), quantized.eval())


def test_files_of_the_version_before_are_read(trained: TrainedNetwork, tmp_path: Path) -> None:
    before = usual(trained)
    save(of_format_1(before), tmp_path / "net.network.pt")
    read = load_trained_network(tmp_path, "net")
    assert same(read, before)
    assert (read.classes, read.source) == (CLASSES, before.source)
    assert evaluate_network(read, tiny_images(12)).keys() == {"float32", "int8"}
    # Written again, it is a file of this version, and the same.
    assert same(read_trained_network(read.save(tmp_path, "again")), before)
    assert load(tmp_path / "again.network.pt")["format"] == 2


def test_weights_of_the_version_before_take_the_labels_of_their_data(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    before, path = usual(trained), tmp_path / "float.pt"
    save(of_weights(before), path)
    read = read_trained_network(path)
    assert (read.classes, trained_network_name(path)) == ((), "float")
    assert torch.equal(logits(read)[0], logits(before)[0])
    images = tiny_images(12)
    assert read.with_labels(images.classes).classes == CLASSES
    assert evaluate_network(read, images)["float32"] == evaluate_network(before, images)["float32"]
    with pytest.raises(UserError, match="tells 3 classes apart, but the data has 4"):
        evaluate_network(read, tiny_images(12, classes=4))


def test_labels_of_a_file_are_no_datas(trained: TrainedNetwork) -> None:
    images = tiny_images(12, classes=2)
    assert trained.with_labels(images.classes) is trained
    swapped = TrainedNetwork(CLASSES[::-1], trained.source, trained.model)
    assert swapped.relabelled(images).labels.tolist() == [2 - label for label in images.labels]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state | {"format": 3}, r"of format 1 or 2 \(but of 3\)"),
        (lambda state: state | {"mean": [0.5, 0.5]}, "no whole trained network"),
        (lambda state: state | {"network": "{}"}, "no whole trained network"),
        (lambda state: state | {"float": {}}, "no whole trained network"),
        (lambda state: {k: v for k, v in state.items() if k != "classes"}, "no whole trained"),
        (lambda _: {"something": 1}, "holds no trained network"),
    ],
)
def test_what_cannot_be_computed_as_it_was_trained_is_refused(
    trained: TrainedNetwork,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    message: str,
) -> None:
    path = trained.save(tmp_path, "net")
    save(change(load(path)), path)
    with pytest.raises(NoTrainedNetwork, match=message):
        read_trained_network(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoTrainedNetwork, match=r"there is no trained network .*lost\.pt"):
        read_trained_network(tmp_path / "lost.pt")
