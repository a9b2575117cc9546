"""A section of a report: words, tables and figures. A vertical adds its own in the same form."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

LONG_TABLE = 25


@dataclass(frozen=True)
class Section:
    """tables: (caption, DataFrame). figures: (caption, matplotlib Figure)."""

    title: str
    text: str = ""
    tables: tuple[tuple[str, pd.DataFrame], ...] = field(default_factory=tuple)
    figures: tuple[tuple[str, Any], ...] = field(default_factory=tuple)

    @property
    def anchor(self) -> str:
        """The section's id in the page."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())

    @property
    def images(self) -> list[tuple[str, str]]:
        """(caption, PNG as a data address), so that the page is one file."""
        return [(caption, png_address(figure)) for caption, figure in self.figures]

    @property
    def shown_tables(self) -> list[tuple[str, pd.DataFrame, bool]]:
        """(caption, table with whole numbers as such, is it long enough to be folded)."""
        return [(caption, _whole_numbers(table), len(table) > LONG_TABLE) for caption, table in self.tables]


def _whole_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of floats that hold whole numbers only, beyond 0 and 1, become integers."""
    shown = table.copy()
    for name in shown.select_dtypes("float").columns:
        known = shown[name].dropna()
        if len(known) and (known == known.round()).all() and known.abs().max() > 1:
            shown[name] = shown[name].astype("Int64")
    return shown


def png_address(figure: Any) -> str:
    """A matplotlib figure as `data:image/png;base64,...`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png", bbox_inches="tight")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def format_cell(value: Any) -> str:
    """A table cell as text: whole numbers plain, others with three to four significant digits, missing as a dash."""
    if value is None or (not isinstance(value, str) and pd.api.types.is_scalar(value) and pd.isna(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
