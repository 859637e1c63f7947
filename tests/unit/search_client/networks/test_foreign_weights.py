"""Weights of timm and ProxylessNAS: the same logits, and each tensor accounted for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from netspec.networks import Network, mobilenet_v2
from search_client.networks.foreign_weights import (
    CONVENTIONS,
    classes_of,
    float_network,
    program_of,
)
from search_client.networks.layers import FloatNetwork, norm_eps
from search_client.networks.normalisation import INCEPTION, Renormalise
from search_client.networks.state_dicts import BadWeights, StateDict, read_state_dict
from search_client.quantization.pixels import USUAL
from tests.unit.search_client.networks.other_programs import (
    MOBILENET_V2,
    ProxylessStyle,
    TimmStyle,
    seen,
)

SIZE = 64
IMAGES = torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
NETWORK = mobilenet_v2(SIZE, 0.35, 10)


@torch.no_grad()
def logits(model: nn.Module, images: Tensor = IMAGES) -> Tensor:
    found: Tensor = model(images)
    return found


def alike(ours: FloatNetwork, theirs: nn.Module, images: Tensor = IMAGES) -> bool:
    wanted = logits(theirs, images)
    assert wanted.std(dim=0).mean() > 1e-2  # they depend on the image
    return torch.allclose(logits(ours), wanted, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def timm_v2() -> nn.Module:
    torch.manual_seed(0)
    return seen(TimmStyle(MOBILENET_V2, width=0.35), SIZE)


@pytest.fixture
def tensors(timm_v2: nn.Module) -> StateDict:
    return {name: value.clone() for name, value in timm_v2.state_dict().items()}


imported = partial(float_network, usual=USUAL)


def test_a_mobilenet_v2_of_timm_computes_what_it_computed(
    timm_v2: nn.Module, tensors: StateDict
) -> None:
    assert (program_of(tensors), classes_of(tensors)) == ("timm", 10)
    model = imported(NETWORK, tensors, CONVENTIONS["timm"])
    assert alike(model, timm_v2)
    assert set(norm_eps(model).values()) == {1e-5}
    # The padding is what makes it so: half of its strides would be shifted by a pixel.
    shifted = FloatNetwork(NETWORK)
    shifted.load_state_dict(
        {
            name.replace("depthwise_pad", "depthwise"): value
            for name, value in model.state_dict().items()
        }
    )
    assert not alike(shifted.eval(), timm_v2)


def test_a_variant_from_tensorflow_has_its_padding_epsilon_and_images() -> None:
    torch.manual_seed(1)
    theirs = seen(TimmStyle(MOBILENET_V2, width=0.35, tensorflow=True), SIZE)
    model = imported(NETWORK, theirs.state_dict(), CONVENTIONS["timm-tf"])
    assert model.network == NETWORK
    assert set(norm_eps(model).values()) == {1e-3}
    assert alike(model, theirs, Renormalise(USUAL, INCEPTION)(IMAGES))


def test_a_network_of_proxylessnas_with_blocks_that_were_skipped() -> None:
    torch.manual_seed(2)
    plan = [(3, 1, 16, 1), (5, 3, 24, 2), (3, 3, 24, 1), (7, 6, 40, 2), (7, 3, 40, 1)]
    theirs = seen(ProxylessStyle((32, 128), plan, 5), SIZE)
    # A skipped block keeps its number and has no weights.
    numbers = {"3": "5", "4": "11"}
    tensors = {
        ".".join(numbers.get(part, part) if at == 1 else part for at, part in enumerate(parts)): one
        for parts, one in ((name.split("."), value) for name, value in theirs.state_dict().items())
    }
    assert program_of(tensors) == "proxylessnas"
    network = Network.model_validate(proxyless_network(plan))
    model = imported(network, tensors, CONVENTIONS["proxylessnas"])
    assert alike(model, theirs)


def proxyless_network(plan: list[tuple[int, int, int, int]]) -> dict[str, object]:
    size, channels = SIZE, 32
    shape = {"input_size": size, "in_channels": 3, "out_channels": channels}
    operators: list[dict[str, object]] = [{"kind": "stem", **shape, "stride": 2}]
    size //= 2
    for index, (kernel, expand, wide, stride) in enumerate(plan):
        shape = {"input_size": size, "in_channels": channels, "out_channels": wide}
        fields = {"kernel": kernel, "expand": expand, "stride": stride}
        residual = index > 0 and stride == 1 and channels == wide
        operators.append({"kind": "mbconv", **shape, **fields, "residual": residual})
        size, channels = size // stride, wide
    shape = {"input_size": size, "in_channels": channels, "out_channels": 128}
    operators.append({"kind": "head", **shape})
    end = {"input_size": size, "in_channels": 128, "out_channels": 5}
    return {"name": "tiny proxyless", "operators": [*operators, {"kind": "classifier", **end}]}


def test_batchnorm_and_biases_stand_for_each_other(timm_v2: nn.Module, tensors: StateDict) -> None:
    # A convolution whose BatchNorm was folded into a bias computes the same.
    gain = tensors["bn2.weight"] / torch.sqrt(tensors["bn2.running_var"] + 1e-5)
    tensors["conv_head.bias"] = tensors["bn2.bias"] - tensors["bn2.running_mean"] * gain
    tensors["conv_head.weight"] *= gain.reshape(-1, 1, 1, 1)
    for name in [name for name in tensors if name.startswith("bn2.")]:
        del tensors[name]
    assert alike(imported(NETWORK, tensors, CONVENTIONS["timm"]), timm_v2)


def without(prefix: str) -> Callable[[StateDict], StateDict]:
    return lambda tensors: {k: v for k, v in tensors.items() if not k.startswith(prefix)}


def changed(name: str, value: Tensor) -> Callable[[StateDict], StateDict]:
    return lambda tensors: {**tensors, name: value}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("blocks.1.0.conv_pw.weight"), r"blocks\.1\.0 holds .* no kind of block"),
        (without("blocks.1.0.bn2."), r"blocks\.1\.0 holds"),
        (without("blocks.1.0.bn2.running_var"), r"blocks\.1\.0\.bn2\.running_var is missing"),
        (without("classifier.weight"), r"classifier\.weight is missing"),
        (without("conv_stem.weight"), "no known program names weights like"),
        (without("bn1."), r"conv_stem has neither BatchNorm nor bias"),
        (without("bn2."), r"conv_head has neither BatchNorm nor bias"),
        (without("blocks.6."), r"conv_head has a weight of shape \(1280, 112, 1, 1\), but .* 17"),
        (without("blocks.5.2."), r"blocks\.6\.0\.conv_pwl has .* takes \(56, 336, 1, 1\)"),
        (changed("extra.weight", torch.zeros(3)), r"extra\.weight, of shape \(3,\), belongs to no"),
        (changed("conv_stem.weight", torch.zeros(8, 3, 5, 5)), r"conv_stem has a weight of shape"),
        (
            changed("bn1.bias", torch.zeros(15)),
            r"conv_stem has a BatchNorm bias .*\(15,\).*\(16,\)",
        ),
        (changed("bn1.running_var", torch.full((16,), torch.nan)), "that are not finite"),
        (changed("blocks.7.0.conv.weight", torch.zeros(1)), r"blocks\.7\.0 holds conv, which"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_with_its_place(
    tensors: StateDict, change: Callable[[StateDict], StateDict], says: str
) -> None:
    with pytest.raises(BadWeights, match=says) as caught:
        imported(NETWORK, change(tensors), CONVENTIONS["timm"])
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_name_the_first_layer_that_differs(tensors: StateDict) -> None:
    with pytest.raises(BadWeights, match=r"takes \(32, 3, 3, 3\); name the network"):
        imported(mobilenet_v2(SIZE, 1.0, 10), tensors, CONVENTIONS["timm"])
    with pytest.raises(BadWeights, match=r"classifier has a weight of shape \(10, 1280\), but"):
        imported(mobilenet_v2(SIZE, 0.35, 11), tensors, CONVENTIONS["timm"])


def test_both_kinds_of_files_are_read_and_what_wraps_them(
    tensors: StateDict, tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "net.safetensors")
    torch.save(tensors, tmp_path / "net.pth")
    wrapped = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in tensors.items()}}
    torch.save(wrapped, tmp_path / "wrapped.pth.tar")
    for name in ("net.safetensors", "net.pth", "wrapped.pth.tar"):
        read = read_state_dict(tmp_path / name)
        assert read.keys() == tensors.keys()
        assert all(torch.equal(read[one], tensors[one]) for one in tensors)


def test_what_is_no_state_dict_is_refused_and_code_never_runs(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    torch.save({"a": Runs(marker)}, tmp_path / "code.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"a": "text"}, tmp_path / "text.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"\0" * 20)
    for name, says in {
        "code.pth": "holds no tensors that can be read",
        "list.pth": "holds no state dict",
        "text.pth": "a is no tensor but str",
        "broken.safetensors": "holds no tensors that can be read",
        "lost.pth": "there are no weights",
    }.items():
        with pytest.raises(BadWeights, match=says):
            read_state_dict(tmp_path / name)
    assert not marker.exists()


class Runs:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return (Path.touch, (self.marker,))
