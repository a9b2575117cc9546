"""The parameters of a table vertical's own that all of them share: reasons."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class TableOptions:
    """`<vertical>.options` in params.yaml; saved with the scoring model, so that a score keeps its meaning.

    num_reasons: how many reasons a row gets, at most 4. reasons_for: all rows, or only those whose decision is not the
    negative one (faster). currency: replaces a column's unit where domain.yaml says `currency`.
    """

    num_reasons: int = Field(default=4, ge=0, le=4)
    reasons_for: Literal["all", "adverse"] = "all"
    currency: str = ""
