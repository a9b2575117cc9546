"""A section of a report: words, tables and figures. A vertical adds its own in the same form."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


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
        if value == int(value) and abs(value) >= 1:
            return f"{int(value):,}"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
