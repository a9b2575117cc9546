"""An image backbone of four small stages with batch norm, as fast as tests need it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from core.learners.image_classifier import ImageClassifier


class Block(nn.Module):
    """A strided depthwise convolution and a pointwise one, each normalised."""

    def __init__(self, width_in, width_out):
        super().__init__()
        self.depthwise = nn.Conv2d(width_in, width_in, 3, stride=2, padding=1, groups=width_in, bias=False)
        self.norm_in = nn.BatchNorm2d(width_in)
        self.pointwise = nn.Conv2d(width_in, width_out, 1, bias=True)
        self.norm_out = nn.BatchNorm2d(width_out)

    def forward(self, maps):
        maps = torch.relu(self.norm_in(self.depthwise(maps)))
        return self.norm_out(torch.relu(self.pointwise(maps)))  # a bias right before a norm would never move


class TinyImageBackbone(nn.Module):
    """The surface of core.backbones.image.ImageBackbone."""

    feature_dim = 16
    model_name = "tiny"

    def __init__(self, seed=0):
        super().__init__()
        self.weights_id = f"random-{seed}"
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
            self.layers = nn.ModuleList([stem, Block(8, 8), Block(8, 16), Block(16, 16)])
            self.train()
            for _ in range(30):  # statistics as of pretrained weights
                with torch.no_grad():
                    self(torch.randn(16, 3, 16, 16))
        self.eval()

    def stages(self):
        return list(self.layers)

    def normalise(self, pixels):
        pixels = torch.as_tensor(pixels).permute(0, 3, 1, 2).float()
        return (pixels.expand(-1, 3, -1, -1) - 127.0) / 64.0

    def run(self, x, start=0, stop=None):
        for stage in list(self.layers)[start:stop]:
            x = stage(x)
        return x

    def maps(self, x, after):
        return [self.run(x, 0, stop) for stop in after]

    def pool(self, maps):
        return maps.mean(dim=(2, 3))

    def forward(self, x):
        return self.pool(self.run(x))

    @torch.no_grad()
    def features(self, pixels):
        return self(self.normalise(np.asarray(pixels))).numpy()


def use_tiny_backbone(monkeypatch):
    """Image classifiers load the tiny backbone, and write nothing about it."""
    monkeypatch.setattr(ImageClassifier, "_load_backbone", lambda self, name: TinyImageBackbone())
    monkeypatch.setattr(ImageClassifier, "_save_backbone", lambda self, folder: None)
    monkeypatch.setattr(ImageClassifier, "_load_saved_backbone", lambda self, folder: TinyImageBackbone())
