"""Strongly changed copies of a picture that still show the same thing: cut out, mirrored, darker, blurred, erased."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from core.images.image import Image
from core.images.views import Views
from core.learners.image_augmentation import jitter, random_views
from core.learners.image_tuning_options import JitterOptions
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class StrongOptions:
    """smallest_area: of the square that is cut out, as a share of the picture. blur_probability: of a 3 x 3 mean.

    views: mirrored and turned copies that keep the meaning. jitter: brightness, contrast and erasing.
    """

    smallest_area: float = Field(default=0.4, gt=0.0, le=1.0)
    blur_probability: float = Field(default=0.3, ge=0.0, le=1.0)
    views: Views = "flip_horizontal"
    jitter: JitterOptions = Field(
        default_factory=lambda: JitterOptions(
            brightness=0.2, contrast=0.5, erased_probability=0.5, erased_fraction=0.15
        )
    )


def strong_images(images: Sequence[Image], options: StrongOptions, *, number: int, seed: int) -> list[Image]:
    """Strong copy `number` of each picture; what is drawn depends on the picture, the number and the seed alone."""
    return [
        Image.of_pixels(
            strong_view(torch.from_numpy(image.pixels.copy()), options, _generator(image, number, seed)).numpy()
        )
        for image in images
    ]


def strong_view(pixels: Tensor, options: StrongOptions, generator: torch.Generator) -> Tensor:
    """(S, S, C) uint8 of one picture (S, S, C) uint8.

    Source: the parts of Chen et al. 2020, "A simple framework for contrastive learning", appendix A, that fit grey
    pictures, with the erasing of Sohn et al. 2020, "FixMatch", section 2.3.
    """
    side = pixels.shape[0]
    planes = pixels.permute(2, 0, 1)[None].float()
    area, across, down, blur = torch.rand(4, generator=generator).tolist()
    cut = max(1, round(side * (options.smallest_area + (1.0 - options.smallest_area) * area) ** 0.5))
    top, left = int(down * (side - cut + 1)), int(across * (side - cut + 1))
    planes = interpolate(planes[:, :, top : top + cut, left : left + cut], size=(side, side), mode="bilinear")
    if blur < options.blur_probability:
        planes = avg_pool2d(planes, 3, stride=1, padding=1, count_include_pad=False)
    batch = planes.permute(0, 2, 3, 1).round().clamp(0, 255).to(torch.uint8)
    return jitter(random_views(batch, options.views, generator), options.jitter, generator)[0].contiguous()


def _generator(image: Image, number: int, seed: int) -> torch.Generator:
    digest = hashlib.sha256(f"{image.digest} {number} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
