"""What is predicted, in words and with its unit, as reports and gates say it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from core.data.domain import DomainSpec

WITHOUT_UNIT = ("r2", "coverage")  # metrics that are shares


def label_unit(spec: DomainSpec) -> str:
    """Unit of the domain's label, such as EUR; empty where it has none or the domain has no label column."""
    return spec.column(spec.label_column).unit if spec.label_column is not None else ""


def label_words(spec: DomainSpec) -> str:
    """What the label means, or else its column's name."""
    if spec.label_column is None:
        return "value"
    return spec.column(spec.label_column).meaning or spec.label_column.replace("_", " ")


def with_unit(words: str, unit: str) -> str:
    """`amount (EUR)`; the words alone where there is no unit."""
    return f"{words} ({unit})" if unit else words


def number_text(value: float | None, *, sign: bool = False) -> str:
    """`12,345`, `120.0`, `0.01235`: four digits, or all before the point; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    plus = "+" if sign else ""
    return f"{value:{plus},.0f}" if abs(value) >= 999.95 else f"{value:{plus}#.4g}"


def range_text(told: Mapping[str, Any], prefix: str = "", *, sign: bool = False) -> str:
    """`[12.30, 45.60]` of the keys low and high, or of `<prefix>low` and `<prefix>high`."""
    low, high = (number_text(told[f"{prefix}{end}"], sign=sign) for end in ("low", "high"))
    return f"[{low}, {high}]"


def in_unit(value: float | None, unit: str, *, sign: bool = False) -> str:
    """`12,345 EUR`."""
    return f"{number_text(value, sign=sign)} {unit}".strip()


def metric_text(name: str, value: float | None, unit: str) -> str:
    """The value of a metric by name: in the label's unit, as percent (coverage), or plain (R squared)."""
    if name == "coverage" and value is not None:
        return f"{value:.1%}"
    if name in WITHOUT_UNIT:
        return "–" if value is None else f"{value:.3f}"
    return in_unit(value, unit)
