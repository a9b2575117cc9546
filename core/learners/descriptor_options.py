"""What is read from a backbone's maps to describe a picture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.errors import BadParamsError
from core.images.views import Views
from core.params import STRICT

Statistic = Literal["mean", "max", "std", "top", "bottom", "skew"]


@dataclass(frozen=True, config=STRICT)
class DescriptorOptions:
    """stages: after how many stages of the backbone a map is read. statistics: of each channel of a map, over its area.

    `top`, `bottom`: mean of the largest, the smallest `top_fraction` of the values. skew: cube root of the third
    central moment. use_signed_root: sign(x) sqrt(|x|) of each, which draws in the long tails of activations.
    views: a statistic is averaged over the views' maps. num_tiles: a picture is cut into so many squares a side, each
    encoded by itself; the statistics are of all of them.
    """

    stages: tuple[int, ...] = (3, 5, 7)
    statistics: tuple[Statistic, ...] = ("mean", "max", "std")
    views: Views = "flips"
    num_tiles: int = Field(default=1, ge=1, le=16)
    use_signed_root: bool = False
    top_fraction: float = Field(default=0.05, gt=0.0, le=1.0)

    def __post_init__(self) -> None:
        for name in ("stages", "statistics"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise BadParamsError(f"{name}: {list(values)}, expected one or more, each once.")
