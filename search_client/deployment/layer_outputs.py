"""What every layer of a network gives, under the names that it has in a `.tflite` file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from netspec.layers import Float32Array, layer_name
from search_client.networks.layers import FloatNetwork, OperatorModule
from search_client.quantization.network import QuantizedNetwork, QuantizedOperator


@torch.no_grad()
def layer_outputs(model: nn.Module, images: Tensor) -> dict[str, Float32Array]:
    """Layers in order of execution, images as NHWC.

    Args:
        model: a `FloatNetwork` or a `QuantizedNetwork`; is left in evaluation mode.
        images: normalised [N, 3, H, W].
    """
    outputs: dict[str, Float32Array] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _given: object, output: Any) -> None:
            y: Tensor = output[0] if isinstance(output, tuple) else output
            shown = y.permute(0, 2, 3, 1) if y.ndim == 4 else y  # noqa: PLR2004 - an image
            outputs[name] = shown.cpu().numpy().copy()

        return hook

    hooks = [
        module.register_forward_hook(keep(name)) for name, module in _named_modules(model.eval())
    ]
    try:
        model(images.to(next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def _named_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if not isinstance(model, FloatNetwork | QuantizedNetwork):
        raise TypeError(f"expected a float or quantized network, got {type(model).__name__}")
    for index, operator in enumerate(model.operators):
        held = cast("OperatorModule | QuantizedOperator", operator)
        modules = held.chain if isinstance(held, OperatorModule) else held.layers
        for layer in held.graph:
            yield layer_name(index, layer), modules[layer.name]
