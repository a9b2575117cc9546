"""The vertical's own options in params.yaml."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class MarketRiskOptions:
    """None yet: what a forecast needs stands in the stages' own sections."""
