"""The network: a small U-Net of local operators only, so that it can be run tile by tile without a difference."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["STRIDE", "WIDTHS", "UNet", "reach"]

WIDTHS = (16, 32, 64, 96, 128)
STRIDE = 2 ** (len(WIDTHS) - 1)


def convolutions(inputs: int, outputs: int, count: int) -> nn.Sequential:
    """*count* 3x3 convolutions, each with batch normalisation (folded into it on export) and ReLU."""
    layers: list[nn.Module] = []
    for i in range(count):
        layers += [
            nn.Conv2d(inputs if i == 0 else outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """One grey channel in, *maps* channels of logits out, at the same resolution.

    Y and X must be multiples of `STRIDE`. The deepest level has one convolution and the way up one a level but the
    last: that keeps the receptive field, and with it the halo of a tile, near 80 pixels.
    """

    def __init__(self, maps: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        deepest = len(widths) - 1
        self.down = nn.ModuleList(
            convolutions(1 if i == 0 else widths[i - 1], width, 1 if i == deepest else 2)
            for i, width in enumerate(widths)
        )
        self.up = nn.ModuleList(
            convolutions(widths[i + 1] + widths[i], widths[i], 2 if i == 0 else 1) for i in range(deepest)
        )
        self.head = nn.Conv2d(widths[0], maps, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the maps."""
        skips = []
        for i, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if i else x)
            skips.append(x)
        for i in reversed(range(len(self.up))):
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.up[i](torch.cat([x, skips[i]], dim=1))
        return self.head(x)


def reach(levels: int = len(WIDTHS)) -> int:
    """How many pixels away an output may depend on the input.

    A 3x3 convolution at level i reaches 2**i pixels further; the deepest level sees cells of `STRIDE` pixels, at whose
    far side an output may lie.
    """
    deepest = levels - 1
    convolutions = sum((4 if i == 0 else 3) * 2**i for i in range(deepest)) + 2**deepest
    return convolutions + 2**deepest - 1
