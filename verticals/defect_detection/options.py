"""The vertical's own parameters: which way to work, evidence, abstention."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from core.params import STRICT
from core.pictures.options import PictureOptions

Way = Literal["auto", "supervised", "adapted", "good_only", "template"]


@dataclass(frozen=True, config=STRICT)
class DefectOptions(PictureOptions):
    """`defect_detection.options` in params.yaml; saved with the model, so that predict works as the run did.

    way: how the line is worked. `auto` keeps what train says and has the report tell what the data would recommend.
    """

    way: Way = "auto"
