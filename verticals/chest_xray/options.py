"""The vertical's own parameters: evidence, disturbances, attacks, the sanity check of heat maps."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class ChestOptions:
    """`chest_xray.options` in params.yaml; saved with the model, so that predict works as the run did.

    num_examples: radiographs with heat maps in the report. evidence_rows: test rows whose heat maps are kept for
    localisation figures. robustness_rows: test rows that are disturbed to see how the model holds. adversarial_rows:
    test rows that are attacked (FGSM, PGD). sanity_rows: test rows whose heat maps are made again with a randomised
    model.
    """

    num_examples: int = Field(default=12, ge=0, le=60)
    evidence_rows: int = Field(default=200, ge=0)
    robustness_rows: int = Field(default=150, ge=0)
    adversarial_rows: int = Field(default=40, ge=0)
    sanity_rows: int = Field(default=4, ge=0)
