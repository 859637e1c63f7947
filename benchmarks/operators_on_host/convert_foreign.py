"""Definitions of timm as `.tflite` files in float32 and int8: run by Python with litert-torch.

    python convert_foreign.py FOLDER [NAME[@SIZE] ...]

Weights are random: they do not change how long a network takes. int8 is by ai-edge-quantizer,
weights and activations, with images of noise to observe ranges on. Files that are there stay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import library

#: ten networks, none with an operator that XNNPACK leaves to others in int8
NAMES = (
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv2_050@192",
    "mobilenetv2_140",
    "mnasnet_100",
    "fbnetc_100",
    "spnasnet_100",
    "efficientnet_lite0",
    "efficientnet_lite1@240",
    "mobilenetv4_conv_small",
)


def import_timm() -> Any:
    """`timm`, also where torchvision has no operators for this torch: only its Python is used."""
    register = library.register_fake

    def skip(name: Any, *given: Any, **named: Any) -> Any:
        if str(name).startswith("torchvision::"):
            return lambda function: function
        return register(name, *given, **named)

    with patch.object(library, "register_fake", skip):
        import timm  # type: ignore[import-not-found]  # noqa: PLC0415
    return timm


def settled(net: torch.nn.Module, size: int) -> torch.nn.Module:
    """The network in evaluation mode, with BatchNorm statistics of images of noise.

    Without them values shrink from layer to layer to denormal ones, which take ten times as long; a
    gain of 0, as some networks begin with, would make the converter leave the branch out.
    """
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            module.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.rand(8, 3, size, size) * 2 - 1)
    return net.eval()


def convert(create: Callable[[str], torch.nn.Module], name: str, folder: Path) -> None:
    """Write both files of one network."""
    import litert_torch  # type: ignore[import-not-found]  # noqa: PLC0415
    from ai_edge_quantizer import (  # type: ignore[import-not-found]  # noqa: PLC0415
        quantizer,
        recipe,
    )

    definition, _, given = name.partition("@")
    size = int(given or 224)
    plain, coded = (
        folder / f"{definition}-{size}.{precision}.tflite" for precision in ("float32", "int8")
    )
    if coded.exists():
        return
    torch.manual_seed(0)
    net = settled(create(definition), size)
    image = torch.rand(1, size, size, 3) * 2 - 1
    edge = litert_torch.convert(litert_torch.to_channel_last_io(net, args=[0]).eval(), (image,))
    edge.export(str(plain))
    rng = np.random.default_rng(0)
    noise = [
        {"args_0": rng.uniform(-1, 1, (1, size, size, 3)).astype(np.float32)} for _ in range(4)
    ]
    quantization = quantizer.Quantizer(str(plain), recipe.static_wi8_ai8())
    observed = quantization.calibrate({"serving_default": noise})
    quantization.quantize(observed).export_model(str(coded))
    sys.stdout.write(f"{plain}\n{coded}\n")


def main() -> None:
    """Write the files."""
    folder, *names = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    timm = import_timm()
    for name in names or NAMES:
        convert(lambda one: timm.create_model(one, pretrained=False), name, Path(folder))


if __name__ == "__main__":
    main()
