"""A file's bytes as pixels; whatever is no sound still picture is refused with its reason."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import BadInputError

MAX_PIXELS = 100_000_000
MIN_SIDE_PX = 8
# Named, so that no reader runs that starts another program (EPS) or is seldom tested.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
BROKEN_FILE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
)
REPAIR = "Export it again as PNG or JPEG, or leave it out."


class BadImage(BadInputError):  # noqa: N818 - reads as what it is: a bad image, set aside with its reason
    """A file that is no sound still picture; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The picture cannot be used: {reason}.", repair=REPAIR)
        self.reason = reason


@dataclass(frozen=True)
class Decoded:
    """pixels: (H, W) or (H, W, 3), uint8 or uint16. notes: how they were converted on the way."""

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


def decode(raw: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 or uint16 pixels of a picture file, turned as its EXIF says.

    Raises:
        BadImage: as `decode_with_notes`.
    """
    return decode_with_notes(raw, max_pixels=max_pixels).pixels


def decode_with_notes(raw: bytes, *, max_pixels: int = MAX_PIXELS) -> Decoded:
    """The pixels, and what was converted: palette, alpha, CMYK, 32 bits.

    Raises:
        BadImage: empty, no picture, truncated, animated, a side under 8 px, or more than `max_pixels` (told by the
            header, before anything is decoded).
    """
    if not raw:
        raise BadImage("the file is empty (0 bytes)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is checked here, and odd metadata does not touch the pixels
        try:
            with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
                notes = _check_header(image, max_pixels)
                image.load()
                pixels, more_notes = _pixels(ImageOps.exif_transpose(image))
        except BadImage:
            raise
        except UnidentifiedImageError:
            raise BadImage("no picture that can be read (PNG, JPEG, TIFF, BMP, GIF, WebP, PNM)") from None
        except Image.DecompressionBombError:
            raise BadImage(f"more than the allowed {max_pixels:,} pixels") from None
        except BROKEN_FILE_ERRORS as error:
            raise BadImage(f"truncated or damaged ({str(error)[:80]})") from None
    return Decoded(pixels, (*notes, *more_notes))


def _check_header(image: Image.Image, max_pixels: int) -> list[str]:
    """Notes on what the header tells.

    Raises:
        BadImage: too large, too small, or several pictures in one file.
    """
    width, height = image.size
    if width * height > max_pixels:
        raise BadImage(f"{width:,} x {height:,} px are more than the allowed {max_pixels:,} pixels")
    if min(width, height) < MIN_SIDE_PX:
        raise BadImage(f"{width} x {height} px is too small (a side needs {MIN_SIDE_PX} px)")
    notes = []
    num_frames = getattr(image, "n_frames", 1)
    if num_frames > 1 and image.format == "MPO":  # a phone's picture with its preview or depth behind it
        notes.append("several pictures in one JPEG: the first is taken")
    elif num_frames > 1:
        raise BadImage(f"animated or of several pages ({num_frames} pictures in one file)")
    tiles = getattr(image, "tile", [])
    if tiles and "16" in str(tiles[0][3]) and image.mode in {"RGB", "RGBA"}:
        notes.append("16-bit colour read as 8-bit")
    return notes


def _pixels(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    """Grey or colour pixels of a loaded picture of any mode, and notes on the conversion."""
    mode = image.mode
    if mode in {"L", "RGB"} and "transparency" not in image.info:
        return np.asarray(image).copy(), []
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16), []
    if mode in {"I", "F"}:
        return _from_wide_numbers(np.asarray(image))
    if mode == "1":
        return np.asarray(image.convert("L")).copy(), ["black and white read as grey"]
    if mode in {"LA", "La", "RGBA", "RGBa", "PA"} or "transparency" in image.info:
        return _without_alpha(image)
    what = {"P": "palette", "CMYK": "CMYK"}.get(mode, f"colour mode {mode}")
    return np.asarray(image.convert("RGB")).copy(), [f"{what} converted to RGB"]


def _without_alpha(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    """Pixels over black; an opaque alpha channel is only dropped."""
    is_grey = image.mode in {"L", "LA", "La"}
    layers = image.convert("RGBA")
    black = Image.new("RGBA", layers.size, (0, 0, 0, 255))
    is_opaque = layers.getextrema()[3][0] == 255
    flat = Image.alpha_composite(black, layers).convert("L" if is_grey else "RGB")
    return np.asarray(flat).copy(), ["alpha channel dropped" if is_opaque else "transparent parts made black"]


def _from_wide_numbers(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """32-bit numbers as uint16: as they are where they fit, else spread over the range."""
    if not np.isfinite(values).all():
        raise BadImage("its pixels are not all finite numbers")
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return values.astype(np.uint16), []
    spread = (values.astype(np.float64) - low) / max(high - low, np.finfo(float).tiny) * 65535
    return np.rint(spread).astype(np.uint16), ["32-bit pixels spread over 16 bits by the picture's own range"]
