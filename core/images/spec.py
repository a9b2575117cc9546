"""How pictures of a domain are brought to one size: told once, used by prepare, training and predict alike."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.errors import BadParamsError
from core.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class ImageSpec:
    """size_px: side of the square that learners see. colour: `grey` keeps one channel, `rgb` three.

    fit: `squash` scales both sides to the square; `pad` keeps the aspect and fills the rest with the border's median;
    `native` is `pad` that never enlarges: a pixel stays a pixel, and only a larger picture is scaled down.
    num_tiles: the picture is fitted to num_tiles * size_px and encoded in so many squares a side, so that a small
    defect of a large picture stays visible.
    crop: `lungs` cuts out the lung fields of a frontal radiograph, in the picture's own aspect, before it is scaled;
    the whole picture where they are not surely found (`core.images.lung_field` tells when, and what that can bias).
    harmonise: `equalise` or `clahe` (contrast limited, tile by tile) of the scaled picture, its padding apart.
    """

    size_px: int = Field(default=320, ge=16, le=4096)
    colour: Literal["grey", "rgb"] = "grey"
    fit: Literal["squash", "pad", "native"] = "squash"
    num_tiles: int = Field(default=1, ge=1, le=16)
    crop: Literal["none", "lungs"] = "none"
    harmonise: Literal["none", "equalise", "clahe"] = "none"

    def __post_init__(self) -> None:
        if self.crop != "none" and self.fit == "native":
            raise BadParamsError(
                f"fit 'native' keeps every pixel and crop '{self.crop}' enlarges a part.", repair="Choose fit 'pad'."
            )

    @property
    def side_px(self) -> int:
        """Side of the stored square."""
        return self.size_px * self.num_tiles
