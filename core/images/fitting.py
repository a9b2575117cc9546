"""Pictures, masks and heat maps between a file's own size and the square that learners see."""

from __future__ import annotations

import numpy as np
from PIL import Image

from core.errors import BadParamsError
from core.images.harmonising import harmonise
from core.images.image import Image as FittedImage
from core.images.lung_field import lung_box
from core.images.spec import ImageSpec

Box = tuple[float, float, float, float]
RANGE_PERCENTILES = (0.1, 99.9)  # of a 16-bit picture; a few hot or dead pixels must not set its scale


def fit(pixels: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """(S, S, C) uint8 of a decoded picture; S is `spec.side_px`, C 1 for grey and 3 for colour.

    Shape: pixels (H, W) or (H, W, 3), uint8 or uint16. 16 bits are scaled by `scale_to_bytes`. A crop has the picture's
    own aspect, so that `placement` of the whole picture tells where it lies in the square, too.

    Raises:
        BadParamsError: the array is no such picture.
    """
    if pixels.ndim not in {2, 3} or (pixels.ndim == 3 and pixels.shape[2] not in {1, 3}) or 0 in pixels.shape:
        raise BadParamsError(f"A picture is (H, W) or (H, W, 3); got {pixels.shape}.")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype != np.uint8:
        pixels = scale_to_bytes(pixels)
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("L" if spec.colour == "grey" else "RGB")
    top, left, height, width = placement(image.height, image.width, spec)
    box = crop_box(np.asarray(image), spec)
    inner = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=4.0))
    inner = harmonise(inner.reshape(height, width, -1), spec.harmonise)
    if (height, width) == (spec.side_px, spec.side_px):
        return inner.copy()
    fitted = np.empty((spec.side_px, spec.side_px, inner.shape[2]), dtype=np.uint8)
    border = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    fitted[:] = np.rint(np.median(border, axis=0)).astype(np.uint8)
    fitted[top : top + height, left : left + width] = inner
    return fitted


def crop_box(pixels: np.ndarray, spec: ImageSpec) -> Box | None:
    """(left, top, right, bottom) in pixels of the part of a decoded picture that is fitted; None: all of it.

    Shape: pixels (H, W) or (H, W, 3) uint8.
    """
    if spec.crop == "none":
        return None
    top, left, bottom, right = lung_box(pixels)
    height, width = pixels.shape[:2]
    return left * width, top * height, right * width, bottom * height


def fit_mask(mask: np.ndarray, spec: ImageSpec, *, box: Box | None = None) -> np.ndarray:
    """(S, S) uint8 0 or 1: the nearest pixel of the mask, 1 where any channel is non-zero.

    Shape: mask (H, W) or (H, W, C). Padding is 0. box: `crop_box` of the mask's picture.

    Raises:
        BadParamsError: the spec crops and no box is told.
    """
    _require_box(box, spec)
    is_marked = (mask.any(axis=2) if mask.ndim == 3 else mask != 0).astype(np.uint8)
    top, left, height, width = placement(*is_marked.shape, spec)
    fitted = np.zeros((spec.side_px, spec.side_px), dtype=np.uint8)
    inner = Image.fromarray(is_marked).resize((width, height), Image.Resampling.NEAREST, box=box)
    fitted[top : top + height, left : left + width] = np.asarray(inner)
    return fitted


def unfit(
    heat_map: np.ndarray, spec: ImageSpec, height_px: int, width_px: int, *, box: Box | None = None
) -> np.ndarray:
    """(H, W) float32: a map of the square brought back to the original's pixels, its padding cut off.

    Shape: heat_map (S, S) of any S, so that a coarse map need not be enlarged first. box: `crop_box` of the picture;
    outside of it the map is 0, since nothing there was looked at.

    Raises:
        BadParamsError: the spec crops and no box is told.
    """
    _require_box(box, spec)
    scale = heat_map.shape[0] / spec.side_px
    top, left, height, width = placement(height_px, width_px, spec)
    inner = tuple(scale * edge for edge in (left, top, left + width, top + height))
    image = Image.fromarray(np.ascontiguousarray(heat_map, dtype=np.float32))
    if box is None:
        return np.asarray(image.resize((width_px, height_px), Image.Resampling.BILINEAR, box=inner)).copy()
    first_column, first_row, last_column, last_row = (round(edge) for edge in box)
    size = (max(1, last_column - first_column), max(1, last_row - first_row))
    whole = np.zeros((height_px, width_px), dtype=np.float32)
    part = np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=inner))
    whole[first_row : first_row + size[1], first_column : first_column + size[0]] = part
    return whole


def placement(height_px: int, width_px: int, spec: ImageSpec) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a picture of this size inside the square, in the square's pixels."""
    side = spec.side_px
    if spec.fit == "squash":
        return 0, 0, side, side
    scale = side / max(height_px, width_px)
    if spec.fit == "native":
        scale = min(1.0, scale)
    height, width = max(1, round(height_px * scale)), max(1, round(width_px * scale))
    return (side - height) // 2, (side - width) // 2, height, width


def inner_box(image: FittedImage, how: str) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the picture inside its square, without the padding that `fit` = `how` gave it."""
    return placement(image.height_px, image.width_px, ImageSpec(size_px=image.pixels.shape[0], fit=how))


def _require_box(box: Box | None, spec: ImageSpec) -> None:
    if box is None and spec.crop != "none":
        raise BadParamsError(
            f"Masks and maps of pictures with crop '{spec.crop}' need the box that was cut out.",
            repair="Give `crop_box` of the picture, or set crop to none for a domain with masks.",
        )


def scale_to_bytes(pixels: np.ndarray) -> np.ndarray:
    """uint8 of wider pixels: the range between its 0.1 and 99.9 percentiles becomes 0 to 255.

    A camera's 10, 12 or 14 bits seldom fill 16, so the picture's own range is used; its absolute brightness is lost.
    """
    low, high = np.percentile(pixels, RANGE_PERCENTILES)
    if high <= low:  # nearly constant: whatever stands out is outside of the percentiles
        low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return np.full(pixels.shape, min(int(low) >> 8, 255), dtype=np.uint8)
    spread = (pixels.astype(np.float32) - low) * (255.0 / (high - low))
    return np.rint(np.clip(spread, 0, 255)).astype(np.uint8)
