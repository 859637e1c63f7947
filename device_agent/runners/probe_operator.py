"""The operator that anchors and checks of runners measure."""

from __future__ import annotations

from netspec.operators import MBConv

#: a few tenths of a ms on a computer, about one on a phone; both convolutions and a depthwise one
ANCHOR_OPERATOR = MBConv(input_size=28, in_channels=40, out_channels=40, expand=3, residual=True)
