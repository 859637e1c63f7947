"""Networks as other programs write them in torch, with their names, padding and epsilon.

Written from the naming rules of timm's `efficientnet` and `mobilenetv3` and of ProxylessNAS's
released code, which do not import here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

Act = Callable[[], nn.Module]

MOBILENET_V2 = (
    "ds_k3_c16 ir_r2_k3_s2_e6_c24 ir_r3_k3_s2_e6_c32 ir_r4_k3_s2_e6_c64 ir_r3_k3_e6_c96 "
    "ir_r3_k3_s2_e6_c160 ir_k3_e6_c320"
)
EFFICIENTNET_LITE0 = (
    "ds_k3_c16 ir_r2_k3_s2_e6_c24 ir_r2_k5_s2_e6_c40 ir_r3_k3_s2_e6_c80 "
    "ir_r3_k5_e6_c112 ir_r4_k5_s2_e6_c192 ir_k3_e6_c320"
)
MNASNET_A1 = (
    "ds_k3_c16_noskip ir_r2_k3_s2_e6_c24 ir_r3_k5_s2_e3_c40_se ir_r4_k3_s2_e6_c80 "
    "ir_r2_k3_e6_c112_se ir_r3_k5_s2_e6_c160_se ir_k3_e6_c320"
)
#: a comma separates the rows of one stage
MOBILENET_V3_LARGE = (
    "ds_k3_c16_nre ir_k3_s2_e4_c24_nre,ir_k3_e3_c24_nre ir_r3_k5_s2_e3_c40_se_nre "
    "ir_k3_s2_e6_c80,ir_k3_e2.5_c80,ir_r2_k3_e2.3_c80 ir_r2_k3_e6_c112_se ir_r3_k5_s2_e6_c160_se "
    "cn_k1_c960"
)
MOBILENET_V3_SMALL = (
    "ds_k3_s2_c16_se_nre ir_k3_s2_e4.5_c24_nre,ir_k3_e3.67_c24_nre "
    "ir_k5_s2_e4_c40_se,ir_r2_k5_e6_c40_se ir_r2_k5_e3_c48_se ir_r3_k5_s2_e6_c96_se cn_k1_c576"
)


def eighths(channels: float) -> int:
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class SameConv(nn.Conv2d):
    """Pads as TensorFlow does."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)
        first, last = total // 2, total - total // 2
        padded = functional.pad(x, (first, last, first, last))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


class Squeeze(nn.Module):
    def __init__(self, channels: int, reduced: int, gate: Act) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.conv_expand = nn.Conv2d(reduced, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        means = functional.relu(self.conv_reduce(x.mean((2, 3), keepdim=True)))
        gated: Tensor = x * self.gate(self.conv_expand(means))
        return gated


class TimmStyle(nn.Module):
    """Of `efficientnet.py`; of `mobilenetv3.py` where it has an efficient head."""

    def __init__(
        self,
        rows: str,
        *,
        width: float = 1.0,
        classes: int = 10,
        act: Act = nn.ReLU6,
        gate: Act = nn.Sigmoid,
        tensorflow: bool = False,
        efficient_head: int = 0,
        stem: int = 32,
    ) -> None:
        super().__init__()
        self.tensorflow, self.act, self.gate, self.width = tensorflow, act, gate, width
        self.squeezes_middle = bool(efficient_head)
        channels = eighths(stem * width)
        self.conv_stem = self.conv(3, channels, 3, 2)
        self.bn1 = self.norm(channels)
        self.blocks = nn.Sequential()
        for stage in rows.split():
            blocks = nn.Sequential()
            for row in stage.split(","):
                for block in self.row(row, channels):
                    blocks.append(block)
                channels = eighths(self.number(row, "c", 0) * width)
            self.blocks.append(blocks)
        wide = efficient_head or eighths(1280 * max(1.0, width))
        self.conv_head = nn.Conv2d(channels, wide, 1, bias=bool(efficient_head))
        if not efficient_head:
            self.bn2 = self.norm(wide)
        self.classifier = nn.Linear(wide, classes)

    @staticmethod
    def number(row: str, letter: str, usual: float) -> float:
        found = re.search(rf"_{letter}([\d.]+)", row)
        return float(found.group(1)) if found else usual

    def conv(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> nn.Conv2d:
        if self.tensorflow:
            return SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False)
        return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)

    def norm(self, channels: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(channels, eps=1e-3 if self.tensorflow else 1e-5)

    def row(self, row: str, inputs: int) -> list[nn.Module]:
        outputs = eighths(self.number(row, "c", 0) * self.width)
        blocks = []
        for index in range(int(self.number(row, "r", 1))):
            stride = int(self.number(row, "s", 1)) if index == 0 else 1
            blocks.append(Block(self, row, inputs if index == 0 else outputs, outputs, stride))
        return list(blocks)

    def forward(self, x: Tensor) -> Tensor:
        act = self.act()
        x = self.blocks(act(self.bn1(self.conv_stem(x))))
        if self.squeezes_middle:
            x = act(self.conv_head(x.mean((2, 3), keepdim=True))).flatten(1)
        else:
            x = act(self.bn2(self.conv_head(x))).mean((2, 3))
        logits: Tensor = self.classifier(x)
        return logits


class Block(nn.Module):
    """`DepthwiseSeparableConv`, `InvertedResidual` or `ConvBnAct`, as its row says."""

    def __init__(self, net: TimmStyle, row: str, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        kernel = int(net.number(row, "k", 3))
        self.kind = row[:2]
        self.act = nn.ReLU() if "_nre" in row else net.act()
        self.skip = stride == 1 and inputs == outputs and "noskip" not in row and self.kind != "cn"
        if self.kind == "cn":
            self.conv, self.bn1 = net.conv(inputs, outputs, kernel, stride), net.norm(outputs)
            return
        middle = eighths(inputs * net.number(row, "e", 1)) if self.kind == "ir" else inputs
        filtering = net.conv(middle, middle, kernel, stride, groups=middle)
        if self.kind == "ir":
            self.conv_pw, self.bn1 = net.conv(inputs, middle, 1), net.norm(middle)
            self.conv_dw, self.bn2 = filtering, net.norm(middle)
        else:
            self.conv_dw, self.bn1 = filtering, net.norm(middle)
        if "_se" in row:
            reduced = eighths(middle / 4) if net.squeezes_middle else round(inputs / 4)
            self.se = Squeeze(middle, reduced, net.gate)
        if self.kind == "ir":
            self.conv_pwl, self.bn3 = net.conv(middle, outputs, 1), net.norm(outputs)
        else:
            self.conv_pw, self.bn2 = net.conv(middle, outputs, 1), net.norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "cn":
            activated: Tensor = self.act(self.bn1(self.conv(x)))
            return activated
        if self.kind == "ir":
            y = self.act(self.bn2(self.conv_dw(self.act(self.bn1(self.conv_pw(x))))))
        else:
            y = self.act(self.bn1(self.conv_dw(x)))
        y = self.se(y) if hasattr(self, "se") else y
        y = self.bn3(self.conv_pwl(y)) if self.kind == "ir" else self.bn2(self.conv_pw(y))
        summed: Tensor = y + x if self.skip else y
        return summed


class ProxylessStyle(nn.Module):
    """A network of ProxylessNAS's released code."""

    def __init__(
        self, channels: Sequence[int], blocks: Sequence[tuple[int, int, int, int]], classes: int
    ) -> None:
        """Args are the channels of stem and head, and kernel, ratio, channels, stride of blocks."""
        super().__init__()
        stem, head = channels
        self.first_conv = self.unit(3, stem, 3, 2)
        self.blocks = nn.ModuleList()
        outputs = [stem, *(block[2] for block in blocks)]
        for (inputs, wide), (kernel, ratio, _, stride) in zip(
            pairwise(outputs), blocks, strict=True
        ):
            middle = inputs * ratio
            inner = nn.Module()
            if ratio > 1:
                inner.inverted_bottleneck = self.unit(inputs, middle, 1)
            inner.depth_conv = self.unit(middle, middle, kernel, stride, groups=middle)
            inner.point_linear = self.unit(middle, wide, 1)
            outer = nn.Module()
            outer.mobile_inverted_conv = inner
            self.blocks.append(outer)
        self.skips = [
            index > 0 and block[3] == 1 and inputs == wide
            for index, (block, (inputs, wide)) in enumerate(
                zip(blocks, pairwise(outputs), strict=True)
            )
        ]
        self.feature_mix_layer = self.unit(outputs[-1], head, 1)
        self.classifier = nn.Module()
        self.classifier.linear = nn.Linear(head, classes)

    @staticmethod
    def unit(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
        unit = nn.Module()
        unit.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        unit.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        return unit

    @staticmethod
    def run(unit: nn.Module, x: Tensor, *, linear: bool = False) -> Tensor:
        y: Tensor = unit.bn(unit.conv(x))  # type: ignore[operator]
        return y if linear else functional.relu6(y)

    def forward(self, x: Tensor) -> Tensor:
        x = self.run(self.first_conv, x)
        for outer, skip in zip(self.blocks, self.skips, strict=True):
            inner: nn.Module = outer.mobile_inverted_conv  # type: ignore[assignment]
            y = x
            if hasattr(inner, "inverted_bottleneck"):
                y = self.run(inner.inverted_bottleneck, y)  # type: ignore[arg-type]
            y = self.run(inner.depth_conv, y)  # type: ignore[arg-type]
            y = self.run(inner.point_linear, y, linear=True)  # type: ignore[arg-type]
            x = x + y if skip else y
        logits: Tensor = self.classifier.linear(self.run(self.feature_mix_layer, x).mean((2, 3)))  # type: ignore[operator]
        return logits


def seen(model: nn.Module, size: int, seed: int = 0) -> nn.Module:
    """The same, with BatchNorms whose numbers are none of a fresh one."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # the mean over all batches: else what is evaluated fades from layer to layer
            module.momentum = None
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(module.bias, -0.5, 0.5, generator=generator)
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.1, generator=generator)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(8, 3, size, size, generator=generator))
    return model.eval()
