"""The vertical's own parameters: points scale, bands, referral and reasons."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from core.params import STRICT
from core.tables.options import TableOptions

BAND_LETTERS = "ABCDEFG"


@dataclass(frozen=True, config=STRICT)
class CreditOptions(TableOptions):
    """`credit_risk.options` in params.yaml; saved with the scoring model, so that a score keeps its meaning.

    base_points: the score of an applicant whose odds good : bad are `base_odds`.
    points_to_double_odds: points that double the odds good : bad.
    min_points, max_points: scores are clipped to this range (300..900 as bureau scores are, so that a
    calibrated probability of exactly 0 or 1 has a score as well; at the default scale 300 is a default
    probability above 99.8 % and 900 one below one in a million).
    bands: how many letters (A best), equally wide in points between 2 % and 50 % default probability; or the
    edges themselves as rising default probabilities, e.g. [0.02, 0.05, 0.1, 0.2]. A probability on an edge is
    in the riskier band.
    referral_points: a score less than this many points from the cut-off is referred to a person; 0 = nobody
    is.
    num_reasons: at most 4, the number beyond which Regulation B's commentary (12 CFR 1002.9(b)(2)-1) holds
    reasons to be no help to the applicant.
    reasons_for: all rows, or only those that are not approved (faster).
    currency: replaces a column's unit where domain.yaml says `currency`.
    """

    base_points: float = 600.0
    base_odds: float = Field(default=50.0, gt=0.0)
    points_to_double_odds: float = Field(default=20.0, gt=0.0)
    min_points: float = 300.0
    max_points: float = 900.0
    bands: (
        Annotated[int, Field(ge=1, le=len(BAND_LETTERS))]
        | Annotated[tuple[float, ...], Field(min_length=1, max_length=len(BAND_LETTERS) - 1)]
    ) = 7
    referral_points: float = Field(default=0.0, ge=0.0)

    @model_validator(mode="after")
    def _check_scale(self) -> CreditOptions:
        """A scale on which every score would be clipped, or edges that do not rise, are refused."""
        if not self.min_points < self.base_points < self.max_points:
            raise ValueError(
                f"base_points {self.base_points:g} must lie between min_points {self.min_points:g} "
                f"and max_points {self.max_points:g}"
            )
        if isinstance(self.bands, tuple):
            edges = (0.0, *self.bands, 1.0)
            if any(low >= high for low, high in pairwise(edges)):
                raise ValueError(f"bands {list(self.bands)} must be probabilities that rise strictly between 0 and 1")
        return self
