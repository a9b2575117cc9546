"""A copy of a frozen backbone whose batch norms are folded into the convolutions before them: the same maps, sooner."""

from __future__ import annotations

import copy
import weakref
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.backbones.image import CHECKED_SIZE_PX, ImageBackbone

MAX_RELATIVE_ERROR = 1e-3  # rounding is below; a batch norm that does not follow its convolution is far above
_copies: weakref.WeakKeyDictionary[ImageBackbone, tuple[tuple, ImageBackbone | None]] = weakref.WeakKeyDictionary()


def fused_copy(backbone: ImageBackbone) -> ImageBackbone | None:
    """The folded copy, kept until the backbone's tensors change; None where its maps are not the backbone's.

    Source: Jacob et al. 2018, "Quantization and training of neural networks for integer-arithmetic-only inference",
    equation 14 (w / sqrt(v + e) * g, and the bias accordingly).
    """
    stamp = tuple((id(tensor), tensor._version) for tensor in (*backbone.parameters(), *backbone.buffers()))
    known = _copies.get(backbone)
    if known is None or known[0] != stamp:
        known = (stamp, _fuse(backbone))
        _copies[backbone] = known
    return known[1]


@torch.no_grad()
def _fuse(backbone: ImageBackbone) -> ImageBackbone | None:
    """A checked copy."""
    fused = copy.deepcopy(backbone).eval().requires_grad_(False)
    for parent in list(fused.model.modules()):
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
                continue
            if norm.num_features != conv.out_channels or norm.running_mean is None:
                continue
            setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(parent, norm_name, nn.Sequential(*norm.children()))  # timm's norms carry the activation
    size = (2, 3, CHECKED_SIZE_PX, CHECKED_SIZE_PX)
    x = torch.rand(size, generator=torch.Generator().manual_seed(0)).to(backbone.mean.device)
    was_training = backbone.training
    expected, found = backbone.eval().run(x), fused.run(x)
    backbone.train(was_training)
    return fused if float((found - expected).norm()) <= MAX_RELATIVE_ERROR * float(expected.norm()) else None
