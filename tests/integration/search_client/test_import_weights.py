"""`import-weights`: published networks with weights by the names of other programs, to the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from netspec.errors import UserError
from netspec.networks import (
    SHIPPED_NETWORKS,
    mobilenet_v2,
    proxylessnas_mobile,
)
from search_client.data.batches import CentralCrops
from search_client.deployment.export import export, model_file
from search_client.deployment.litert import TFLiteClassifier
from search_client.deployment.logits import to_pixels, torch_logits
from search_client.deployment.trained_network import load_trained_network
from search_client.networks.normalisation import INCEPTION, Renormalise
from search_client.networks.state_dicts import BadWeights
from search_client.quantization.pixels import USUAL
from search_client.quantization.post_training import quantize_post_training
from tests.integration.search_client.exported import command
from tests.unit.search_client.networks.other_programs import (
    EFFICIENTNET_LITE0,
    MNASNET_A1,
    MOBILENET_V2,
    MOBILENET_V3_LARGE,
    MOBILENET_V3_SMALL,
    Act,
    ProxylessStyle,
    TimmStyle,
    seen,
)

SIZE = 64


def timm(rows: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return seen(TimmStyle(rows, **options), SIZE)  # type: ignore[arg-type]


def proxyless() -> nn.Module:
    torch.manual_seed(0)
    network = proxylessnas_mobile(SIZE)
    plan = [
        (one.kernel, one.expand, one.out_channels, one.stride)  # type: ignore[attr-defined]
        for one in network.operators[1:-2]
    ]
    return seen(ProxylessStyle((32, 1280), plan, 10), SIZE)


RELU: Act = nn.ReLU
V3 = {"act": nn.Hardswish, "gate": nn.Hardsigmoid, "stem": 16}
PUBLISHED = {
    "mobilenet_v2": lambda: timm(MOBILENET_V2),
    "efficientnet_lite0": lambda: timm(EFFICIENTNET_LITE0),
    "mnasnet_a1": lambda: timm(MNASNET_A1, act=RELU),
    "mobilenet_v3_large": lambda: timm(MOBILENET_V3_LARGE, efficient_head=1280, **V3),
    "mobilenet_v3_small": lambda: timm(MOBILENET_V3_SMALL, efficient_head=1024, **V3),
    "proxylessnas_mobile": proxyless,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_computes_what_its_program_does(name: str, tmp_path: Path) -> None:
    theirs = PUBLISHED[name]()
    save_file(theirs.state_dict(), tmp_path / "net.safetensors")
    said = command(
        *("import-weights", tmp_path / "net.safetensors", "--network", name),
        *("--input-size", str(SIZE), "--run", tmp_path),
    )
    assert "10 classes" in said
    assert "symmetric padding" in said
    trained = load_trained_network(tmp_path, name)
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        wanted, found = theirs(images), trained.model(images)
    assert wanted.std(dim=0).mean() > 1e-3
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


def test_what_was_imported_is_quantized_and_exported(tmp_path: Path) -> None:
    theirs = timm(MOBILENET_V2, width=0.35, tensorflow=True)
    torch.save(theirs.state_dict(), tmp_path / "tf.pth")
    (tmp_path / "names.txt").write_text("".join(f"class {one}\n" for one in range(10)))
    arguments = ("--network", "mobilenet_v2", "--width", "0.35", "--input-size", str(SIZE))
    command(
        *("import-weights", tmp_path / "tf.pth", *arguments, "--program", "timm-tf"),
        *("--run", tmp_path, "--as", "tf", "--labels", tmp_path / "names.txt"),
    )
    trained = load_trained_network(tmp_path, "tf")
    assert trained.normalisation == INCEPTION
    assert trained.network == mobilenet_v2(SIZE, 0.35, 10)
    assert trained.classes[3] == "class 3"
    pixels = torch.randint(0, 256, (24, 3, SIZE, SIZE), dtype=torch.uint8)
    images = (pixels.float() / 255 - torch.tensor(USUAL.mean).reshape(1, 3, 1, 1)) / torch.tensor(
        USUAL.std
    ).reshape(1, 3, 1, 1)
    with torch.no_grad():
        wanted = theirs(Renormalise(USUAL, INCEPTION)(images))
        assert torch.allclose(trained.model(images), wanted, rtol=1e-3, atol=1e-3)
    quantized = quantize_post_training(trained.model, [(images, torch.zeros(24))])
    int8 = type(trained)(trained.classes, trained.source, trained.model, quantized.eval())
    # Compared with torch on every kernel set before it is returned.
    assert export(int8, "float32", CentralCrops.of(pixels, torch.zeros(24).long())).content
    # Classes of noise are near to ties, so that steps are counted and not choices.
    file = TFLiteClassifier(model_file(int8, "int8"))
    assert file.output_scale is not None
    steps = (file.logits(to_pixels(pixels)) - torch_logits(quantized, pixels)) / file.output_scale
    assert np.abs(steps).mean() < 2
    assert np.abs(torch_logits(quantized, pixels)).max() > 50 * file.output_scale


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    torch.save(TimmStyle(MOBILENET_V2, width=0.35).state_dict(), file)
    base = ("import-weights", file, "--run", tmp_path, "--network")
    with pytest.raises(BadWeights, match=r"conv_stem has a weight of shape .* takes \(32, 3, 3, 3"):
        command(*base, "mobilenet_v2")
    with pytest.raises(UserError, match="no shipped network 'mobilenet_v9' and no such file; did"):
        command(*base, "mobilenet_v9")
    with pytest.raises(UserError, match="efficientnet_lite0 has one width; leave --width out"):
        command(*base, "efficientnet_lite0", "--width", "0.5")
    (tmp_path / "names.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match=r"names\.txt has 2 lines, but the weights tell 10 classes"):
        command(*base, "mobilenet_v2", "--width", "0.35", "--labels", tmp_path / "names.txt")
    assert not list(tmp_path.glob("*.network.pt"))


def test_every_shipped_network_is_built_for_the_classes_of_its_weights() -> None:
    built = {name: build(input_size=32, classes=7) for name, build in SHIPPED_NETWORKS.items()}
    assert {one.classes for one in built.values()} == {7}
