"""A file's pixels as the model saw them in training: 8 bits, one size, padded with the border's median.

It does what the project's `core.images.decoding` and `core.images.fitting` do; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from PIL import Image, ImageOps

RANGE_PERCENTILES = (0.1, 99.9)


def as_eight_bits(image: Image.Image) -> Image.Image:
    """Grey or RGB of 8 bits, turned as its EXIF says; 16 bits are spread over the picture's own range.

    For `PILReader(converter=as_eight_bits, reverse_indexing=False)`.

    Raises:
        ValueError: several pictures in one file.
    """
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise ValueError(f"{getattr(image, 'filename', 'the file')} holds several pictures; one is expected.")
    told = image.format
    turned = ImageOps.exif_transpose(image)
    if turned.mode not in {"L", "RGB"} or "transparency" in turned.info:
        turned = _converted(turned)
    plain = Image.fromarray(np.asarray(turned))
    plain.format = told or "PNG"
    return plain


def _converted(image: Image.Image) -> Image.Image:
    """Of any other mode."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(_scaled(np.asarray(image).astype(np.uint16)))
    if image.mode in {"I", "F"}:
        return Image.fromarray(_scaled(_sixteen_bits(np.asarray(image))))
    if image.mode == "1":
        return image.convert("L")
    if image.mode in {"LA", "La", "RGBA", "RGBa", "PA"} or "transparency" in image.info:
        layers = image.convert("RGBA")
        black = Image.new("RGBA", layers.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layers).convert("L" if image.mode in {"L", "LA", "La"} else "RGB")
    return image.convert("RGB")


def _sixteen_bits(values: np.ndarray) -> np.ndarray:
    """32-bit numbers as uint16: as they are where they fit, else spread over the range."""
    if not np.isfinite(values).all():
        raise ValueError("The pixels are not all finite numbers.")
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return values.astype(np.uint16)
    spread = (values.astype(np.float64) - low) / max(high - low, np.finfo(float).tiny) * 65535
    return np.rint(spread).astype(np.uint16)


def _scaled(pixels: np.ndarray) -> np.ndarray:
    """uint8 of wider pixels: the range between the percentiles becomes 0 to 255."""
    low, high = np.percentile(pixels, RANGE_PERCENTILES)
    if high <= low:
        low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return np.full(pixels.shape, min(int(low) >> 8, 255), dtype=np.uint8)
    spread = (pixels.astype(np.float32) - low) * (255.0 / (high - low))
    return np.rint(np.clip(spread, 0, 255)).astype(np.uint8)


def fit_pixels(pixels: np.ndarray, size_px: int, colour: str, fit: str) -> np.ndarray:
    """(S, S, C) uint8 of (H, W) or (H, W, 3) uint8; `fit` is squash, pad or native."""
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("L" if colour == "grey" else "RGB")
    height, width = size_px, size_px
    if fit != "squash":
        scale = size_px / max(image.height, image.width)
        scale = min(1.0, scale) if fit == "native" else scale
        height, width = max(1, round(image.height * scale)), max(1, round(image.width * scale))
    inner = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=4.0))
    inner = inner.reshape(height, width, -1)
    border = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    fitted = np.empty((size_px, size_px, inner.shape[2]), dtype=np.uint8)
    fitted[:] = np.rint(np.median(border, axis=0)).astype(np.uint8)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    fitted[top : top + height, left : left + width] = inner
    return fitted


class FitPixelsd(MapTransform):
    """(C, S, S) float32 of 0..255, of (1 or 3, H, W) pixels of 0..255 as `LoadImaged`, `EnsureChannelFirstd` give them.

    The resampling is Pillow's: bilinear with antialias, as in training; MONAI's `Resized` would differ by some levels.
    """

    def __init__(self, keys: KeysCollection, size_px: int, colour: str = "grey", fit: str = "squash") -> None:
        super().__init__(keys)
        self.size_px, self.colour, self.fit = int(size_px), colour, fit

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Fit each key; the record of where it came from is kept."""
        found = dict(data)
        for key in self.key_iterator(found):
            image = found[key]
            planes = np.asarray(torch.as_tensor(image)).astype(np.uint8)
            pixels = planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)
            fitted = fit_pixels(pixels, self.size_px, self.colour, self.fit)
            tensor = torch.from_numpy(np.moveaxis(fitted, -1, 0).astype(np.float32))
            found[key] = type(image)(tensor, meta=image.meta) if hasattr(image, "meta") else tensor
        return found
