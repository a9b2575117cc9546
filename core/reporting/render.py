"""Templates to text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.reporting.sections import format_cell


def render(template: str, context: dict[str, Any]) -> str:
    """One of this folder's templates with everything it shows; HTML is escaped, a missing name is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=False,
    )
    environment.filters["cell"] = format_cell
    environment.filters["title_case"] = lambda name: str(name).replace("_", " ")
    environment.globals["numeric"] = _numeric_columns
    return environment.get_template(template).render(**context)


def _numeric_columns(table: pd.DataFrame) -> set[str]:
    """Columns to align right."""
    return set(table.select_dtypes("number").columns)
