"""Credit tables: the core's table functions, for domains that say they are credit risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from core.data.domain import DomainSpec
from core.data.domain_rows import DomainRows
from core.data.samples import Samples
from core.data.table_dataset import open_table_dataset, read_table_domain
from core.errors import BadInputError

VERTICAL_NAME = "credit_risk"


def read_domain(folder: Path) -> DomainRows:
    """One lender's rows; see `read_table_domain`.

    Raises:
        BadInputError: the domain belongs to another vertical.
    """
    rows = read_table_domain(folder)
    if rows.spec.vertical != VERTICAL_NAME:
        raise BadInputError(
            f"Domain '{rows.spec.name}' is of vertical '{rows.spec.vertical}', not {VERTICAL_NAME}.",
            repair="Correct `vertical` in its domain.yaml, or move the folder.",
        )
    return rows


def open_dataset(
    manifest: pd.DataFrame,
    columns_by_domain: Mapping[str, pd.DataFrame],
    specs: Mapping[str, DomainSpec],
    target_domain: str,
    *,
    use_protected: bool = True,
    drop_columns: Sequence[str] = (),
) -> Samples:
    """Loans of one or several lenders in the target lender's columns; see `open_table_dataset`."""
    return open_table_dataset(
        manifest,
        columns_by_domain,
        specs,
        target_domain,
        use_protected=use_protected,
        drop_columns=drop_columns,
    )
