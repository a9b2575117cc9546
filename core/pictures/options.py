"""The parameters of a picture vertical's own that all of them share: how much evidence is gathered."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class PictureOptions:
    """`<vertical>.options` in params.yaml.

    num_examples: pictures with heat maps in the report. evidence_rows: test rows whose heat maps are kept for
    localisation figures. robustness_rows: test rows that are disturbed to see how the model holds.
    """

    num_examples: int = Field(default=12, ge=0, le=60)
    evidence_rows: int = Field(default=200, ge=0)
    robustness_rows: int = Field(default=150, ge=0)
