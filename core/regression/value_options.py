"""The parameters of a vertical's own that all verticals with a predicted number share: reasons."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class ValueOptions:
    """`<vertical>.options` in params.yaml; saved with the model, so that a prediction keeps its meaning.

    num_reasons: how many reasons a row gets, at most 8; they go up and down, so that there are more than of a risk.
    currency: replaces a column's unit where domain.yaml says `currency`.
    """

    num_reasons: int = Field(default=4, ge=0, le=8)
    currency: str = ""
