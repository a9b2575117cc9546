"""Radiographs of hospitals: the core's table functions, for domains that say they are chest radiographs."""

from __future__ import annotations

from pathlib import Path

from core.data.domain_rows import DomainRows
from core.data.table_dataset import open_table_dataset, read_table_domain
from core.errors import BadInputError

VERTICAL_NAME = "chest_xray"

# A radiograph is a column like any other; what it holds is decoded by prepare and read by the learners.
open_dataset = open_table_dataset


def read_domain(folder: Path) -> DomainRows:
    """One hospital's rows; see `read_table_domain`.

    Raises:
        BadInputError: the domain belongs to another vertical, or has no radiograph.
    """
    rows = read_table_domain(folder)
    if rows.spec.vertical != VERTICAL_NAME:
        raise BadInputError(
            f"Domain '{rows.spec.name}' is of vertical '{rows.spec.vertical}', not {VERTICAL_NAME}.",
            repair="Correct `vertical` in its domain.yaml, or move the folder.",
        )
    if rows.spec.image_column is None:
        raise BadInputError(
            f"Domain '{rows.spec.name}' has no column of radiographs.",
            repair="Set `kind: image` and `use: feature` for one column of its domain.yaml.",
        )
    return rows
