"""A domain folder read for one vertical, which refuses the domains of another."""

from __future__ import annotations

from pathlib import Path

from core.data.domain_rows import DomainRows
from core.data.table_dataset import read_table_domain
from core.errors import BadInputError


def read_vertical_domain(folder: Path, vertical: str, *, needs_picture: bool = False) -> DomainRows:
    """The domain's rows; see `read_table_domain`.

    A picture is a column like any other; what it holds is decoded by prepare and read by the learners.

    Raises:
        BadInputError: the domain belongs to another vertical, or has no picture where one is needed.
    """
    rows = read_table_domain(folder)
    if rows.spec.vertical != vertical:
        raise BadInputError(
            f"Domain '{rows.spec.name}' is of vertical '{rows.spec.vertical}', not {vertical}.",
            repair="Correct `vertical` in its domain.yaml, or move the folder.",
        )
    if needs_picture and rows.spec.image_column is None:
        raise BadInputError(
            f"Domain '{rows.spec.name}' has no column of pictures.",
            repair="Set `kind: image` and `use: feature` for one column of its domain.yaml.",
        )
    return rows
