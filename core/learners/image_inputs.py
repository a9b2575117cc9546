"""What an image model is fed: pixels that are augmented anew each time, or what frozen stages gave out once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from core.backbones.image import ImageBackbone
from core.data.feature_cache import FeatureCache
from core.images.image import Image, stack_pixels
from core.images.views import VIEWS, apply_view, num_views
from core.learners.activation_cache import ActivationCache
from core.learners.image_augmentation import jitter, random_views
from core.learners.image_model import POOLED
from core.learners.image_tuning_options import JitterOptions

COMPUTE_BATCH_SIZE = 32


class ImageInputs(Protocol):
    """The inputs of N pictures for a model that starts at stage `start` (or at POOLED features)."""

    start: int
    num_views: int

    def __len__(self) -> int: ...

    def draw(self, rows: Sequence[int], generator: torch.Generator) -> Tensor:
        """The rows as training sees them: a random view each."""

    def view(self, rows: Sequence[int], index: int) -> Tensor:
        """The rows in one view, without anything random."""


class PixelInputs:
    """Normalised pixels."""

    start = 0

    def __init__(self, images: Sequence[Image], backbone: ImageBackbone, views: str, options: JitterOptions) -> None:
        self.images, self.backbone, self.views, self.options = images, backbone, views, options
        self.num_views = num_views(views)

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, rows: Sequence[int], generator: torch.Generator) -> Tensor:
        """A random view, then brightness, contrast and erasing."""
        pixels = torch.from_numpy(stack_pixels([self.images[row] for row in rows]))
        return self.backbone.normalise(jitter(random_views(pixels, self.views, generator), self.options, generator))

    def view(self, rows: Sequence[int], index: int) -> Tensor:
        """The rows in one view."""
        return _normalised([self.images[row] for row in rows], self.backbone, self.views, index)


class KeptInputs:
    """Rows of kept activations or features, one array-like a view."""

    def __init__(self, of_view: Sequence, start: int) -> None:
        self.of_view, self.start, self.num_views = of_view, start, len(of_view)

    def __len__(self) -> int:
        return len(self.of_view[0])

    def draw(self, rows: Sequence[int], generator: torch.Generator) -> Tensor:
        """Each row in a view drawn at random."""
        rows = np.asarray(rows)
        chosen = torch.randint(self.num_views, (len(rows),), generator=generator).numpy()
        result = torch.empty((len(rows), *self.of_view[0].shape[1:]))
        for index in np.unique(chosen):
            places = np.flatnonzero(chosen == index)
            result[torch.from_numpy(places)] = torch.from_numpy(self.of_view[index][rows[places]])
        return result

    def view(self, rows: Sequence[int], index: int) -> Tensor:
        """The rows in one view."""
        return torch.from_numpy(self.of_view[index][np.asarray(rows)])


def kept_features(images: Sequence[Image], backbone: ImageBackbone, views: str) -> KeptInputs:
    """Pooled features of a frozen backbone, computed once for each picture and view."""
    by_digest = {image.digest: image for image in images}
    digests = [image.digest for image in images]

    def compute(missing: list[str], index: int) -> np.ndarray:
        chosen = [by_digest[digest] for digest in missing]
        return _run(chosen, backbone, views, index, stop=None)

    return KeptInputs(
        [
            FeatureCache().get(
                backbone.weights_id,
                _transform(backbone, "pooled", views, index),
                digests,
                lambda missing, index=index: compute(missing, index),
            )
            for index in range(num_views(views))
        ],
        POOLED,
    )


def kept_activations(
    images: Sequence[Image], backbone: ImageBackbone, views: str, cut: int, cache: ActivationCache
) -> KeptInputs | None:
    """Activations after the first `cut` stages, as float16; None where they are more than the cache may hold."""
    one = _run(images[:1], backbone, views, 0, stop=cut)
    if not cache.has_room(2 * one[0].size * len(images) * num_views(views)):
        return None
    digests = [image.digest for image in images]
    return KeptInputs(
        [
            cache.get(
                backbone.weights_id,
                _transform(backbone, f"after {cut} stages", views, index),
                digests,
                lambda rows, index=index: _run([images[row] for row in rows], backbone, views, index, stop=cut),
                batch_size=COMPUTE_BATCH_SIZE,
            )
            for index in range(num_views(views))
        ],
        cut,
    )


def _transform(backbone: ImageBackbone, what: str, views: str, index: int) -> str:
    """All that decides a kept row besides the weights and the picture; rules share their views."""
    turns, is_mirrored = VIEWS[views][index]
    return f"image {getattr(backbone, 'model_name', '')} {what}, turns={turns} mirrored={is_mirrored}, float32"


@torch.no_grad()
def _run(images: Sequence[Image], backbone: ImageBackbone, views: str, index: int, *, stop: int | None) -> np.ndarray:
    """Activations after `stop` stages, or pooled features for None; in inference mode."""
    was_training = backbone.training
    backbone.eval()
    runner = _fused(backbone)
    found = []
    for start in range(0, len(images), COMPUTE_BATCH_SIZE):
        inputs = _normalised(images[start : start + COMPUTE_BATCH_SIZE], backbone, views, index)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        output = runner(inputs) if stop is None else runner.run(inputs, 0, stop)
        found.append(output.float().cpu().numpy())
    backbone.train(was_training)
    return np.concatenate(found) if found else np.zeros((0, backbone.feature_dim), dtype=np.float32)


def _fused(backbone: nn.Module) -> nn.Module:
    """The backbone with its batch norms folded away, which gives the same maps in about half the time, where it can."""
    from core.backbones.fused import fused_copy
    from core.backbones.image import ImageBackbone

    fused = fused_copy(backbone) if isinstance(backbone, ImageBackbone) else None
    return backbone if fused is None else fused.to(memory_format=torch.channels_last)


def _normalised(images: Sequence[Image], backbone: ImageBackbone, views: str, index: int) -> Tensor:
    """(N, 3, S, S) of one view."""
    return backbone.normalise(np.ascontiguousarray(apply_view(stack_pixels(images), views, index)))
