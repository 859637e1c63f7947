"""Networks whose numbers XNNPACK would not take over are kept within what it takes, or named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from netspec.networks import mobilenet_v3_small
from netspec.tflite import encode
from search_client.data.batches import CentralCrops, normalise
from search_client.deployment.delegates import NotDelegated, delegated
from search_client.deployment.export import model_file
from search_client.deployment.logits import torch_logits
from search_client.deployment.parity import verify
from search_client.deployment.trained_network import TrainedNetwork
from search_client.networks.layers import ConvLayer, FloatNetwork, OperatorModule
from search_client.quantization import post_training
from search_client.quantization.delegable import keep_delegable
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.post_training import PtqConfig, quantize_post_training
from search_client.stages import quantize as stage
from search_client.stages.quantize import QuantizeOptions, refuse_undelegated
from tests.integration.search_client.exported import CLASSES, command
from tests.unit.search_client.tiny import tiny_images, tiny_space

#: the second block has a residual
NETWORK = tiny_space().network([0, 3])
IMAGES = tiny_images(40).images[:, :, :16, :16].contiguous()
LABELS = torch.arange(40) % 3
#: equalised channels would make strange networks ordinary
AS_IT_IS = PtqConfig(equalise=False)
BATCH = (normalise(IMAGES), LABELS)


def conv(model: FloatNetwork, name: str) -> ConvLayer:
    """A convolution of the last block with a residual."""
    blocks = (cast("OperatorModule", one) for one in model.operators)
    *_, block = (one for one in blocks if "add" in {layer.name for layer in one.graph})
    found = block.chain[name]
    assert isinstance(found, ConvLayer)
    return found


def weak_branch(model: FloatNetwork) -> None:
    norm = conv(model, "project").norm
    norm.weight.mul_(1e-5)
    norm.bias.mul_(1e-5)


def dead_branch(model: FloatNetwork) -> None:
    norm = conv(model, "project").norm
    norm.weight.zero_()
    norm.bias.zero_()


def dead_layer(model: FloatNetwork) -> None:
    norm = conv(model, "depthwise").norm
    norm.weight.zero_()
    norm.bias.fill_(-1)


def large_gains(model: FloatNetwork) -> None:
    conv(model, "depthwise").norm.weight.mul_(1e5)


def overflowing_bias(model: FloatNetwork) -> None:
    norm = conv(model, "project").norm
    norm.weight[0] = 1e-12
    norm.bias[0] = 60.0


KINDS = (weak_branch, dead_branch, dead_layer, large_gains, overflowing_bias)


@torch.no_grad()
def float_network(change: Callable[[FloatNetwork], None]) -> FloatNetwork:
    torch.manual_seed(0)
    model = FloatNetwork(NETWORK).train()
    # A fresh branch says nothing.
    conv(model, "project").norm.weight.fill_(1)
    for _ in range(20):  # running statistics
        model(BATCH[0])
    change(model)
    # An untrained classifier's logits are hardly above 0.
    next(one for one in model.modules() if isinstance(one, nn.Linear)).weight.mul_(50)
    return model.eval()


def file_of(quantized: QuantizedNetwork) -> bytes:
    return encode(quantized.network.operators, quantized.eval().parameters_for_export())


@pytest.mark.parametrize("change", KINDS)
def test_a_strange_network_is_delegated_whole_and_computes_what_torch_computes(
    change: Callable[[FloatNetwork], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = float_network(change)
    quantized = quantize_post_training(model, [BATCH], config=AS_IT_IS)
    file = file_of(quantized)
    assert delegated(file).left == ()
    found = verify(file, quantized, CentralCrops.of(IMAGES, LABELS))
    assert found.worst.tied_agreement >= 0.975
    assert (found.worst.max_steps or 0) <= 4
    assert keep_delegable(quantized) == ()
    # What the widening cost, in steps of the output.
    monkeypatch.setattr(post_training, "keep_delegable", lambda _: ())
    free = quantize_post_training(model, [BATCH], config=AS_IT_IS).eval()
    *_, held = quantized.parameters_for_export().ranges.values()
    step = (held.high - held.low) / 255
    cost = np.abs(torch_logits(quantized, IMAGES) - torch_logits(free, IMAGES)).max() / step
    assert cost <= (2 if change is weak_branch else 60), cost


def test_a_dead_hard_swish_is_delegated() -> None:
    torch.manual_seed(0)
    model = FloatNetwork(mobilenet_v3_small(32, classes=3))
    with torch.no_grad():
        for operator in list(model.operators)[4:6]:
            for layer in cast("OperatorModule", operator).chain.values():
                if isinstance(layer, ConvLayer):
                    layer.norm.weight.zero_()
                    layer.norm.bias.zero_()
    images = normalise(tiny_images(8).images.repeat(1, 1, 2, 2)[:, :, :32, :32])
    quantized = quantize_post_training(model.eval(), [(images, LABELS[:8])], config=AS_IT_IS)
    assert any(one.layer.kind == "hard_swish" for one in quantized.layers())
    assert delegated(file_of(quantized)).left == ()


def test_finetuning_ends_within_the_limits() -> None:
    model = float_network(weak_branch)

    class Batches:
        def __len__(self) -> int:
            return 2

        def epoch(self, _number: int, start: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
            return [BATCH] * (2 - start)

        def __iter__(self) -> object:
            return iter(self.epoch(0))

    config = QatConfig(epochs=2, norm_epochs=1, frozen_epochs=1, learning_rate=1e-5)
    quantized, _ = finetune_int8(model, Batches(), config, lambda _: None)  # type: ignore[arg-type]
    assert delegated(file_of(quantized)).left == ()


def narrowed(trained: TrainedNetwork) -> tuple[TrainedNetwork, str]:
    """A network whose sum is far below what is added, and the sum's name; ours would be widened."""
    quantized = quantize_post_training(
        float_network(lambda _: None), [BATCH], config=AS_IT_IS
    ).eval()
    layer = next(one for one in quantized.layers() if one.layer.kind == "add")
    layer.own_range().low.mul_(1e-3)
    layer.own_range().high.mul_(1e-3)
    model = float_network(lambda _: None)
    return replace(trained, classes=CLASSES, model=model, quantized=quantized), "add"


def test_export_and_verify_tell_what_is_left_to_the_runtime(
    trained: TrainedNetwork, data: Path, tmp_path: Path
) -> None:
    other, name = narrowed(trained)
    other.save(tmp_path, "net")
    options = ("--run", tmp_path, "--network", "net", "--data", data, "--images", "20")
    with pytest.raises(NotDelegated, match=rf"leaves 1 of \d+ operators .*ADD of \d\.{name}; .*"):
        command("export", *options)
    assert not list(tmp_path.glob("*.tflite"))
    said = " ".join(command("export", *options, "--allow-partial").split())
    assert "XNNPACK leaves 1 of" in said
    file = tmp_path / "net.int8.tflite"
    told = json.loads(
        command("verify", file, "--run", tmp_path, "--data", data, "--images", "20", "--json")
    )
    assert [one["kind"] for one in told["delegated"]["left"]] == ["ADD"]
    for form in ("int8", "uint8", "float32", "float16"):
        assert delegated(model_file(trained, form)).left == (), form
    said = " ".join(
        command("verify", file, "--run", tmp_path, "--data", data, "--images", "20").split()
    )
    assert "XNNPACK leaves 1 of" in said


def test_what_is_left_is_told_before_a_finetuning(
    trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_undelegated(trained, QuantizeOptions(None))
    partial = delegated(model_file(narrowed(trained)[0], "int8"))
    monkeypatch.setattr(stage, "delegated", lambda _file: partial)
    with pytest.raises(NotDelegated, match="write it with --allow-partial"):
        refuse_undelegated(trained, QuantizeOptions(None))
