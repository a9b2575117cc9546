"""The vertical's own parameters: which way to work, evidence, abstention."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT

Way = Literal["auto", "supervised", "adapted", "good_only", "template"]


@dataclass(frozen=True, config=STRICT)
class DefectOptions:
    """`defect_detection.options` in params.yaml; saved with the model, so that predict works as the run did.

    way: how the line is worked. `auto` keeps what train says and has the report tell what the data would recommend.
    num_examples: pictures with heat maps in the report. evidence_rows: test rows whose heat maps are kept for
    localisation figures. robustness_rows: test rows that are disturbed to see how the model holds.
    """

    way: Way = "auto"
    num_examples: int = Field(default=12, ge=0, le=60)
    evidence_rows: int = Field(default=200, ge=0)
    robustness_rows: int = Field(default=150, ge=0)
