"""What reading a domain's folder gives: its manifest rows, its typed columns, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from core.data.domain import DomainSpec


@dataclass(frozen=True)
class DomainRows:
    """N rows of one domain, typed by its domain.yaml.

    manifest: N rows of sample_id, domain, label (1.0 positive, 0.0 negative, NaN none), group, time (NaT unknown).
    columns: N rows of the raw columns, typed, in the manifest's order.
    problems: one row a value that became missing - batch, row (0-based within its batch), column, value, reason.
    """

    spec: DomainSpec
    manifest: pd.DataFrame
    columns: pd.DataFrame
    problems: pd.DataFrame

    def __post_init__(self) -> None:
        if len(self.manifest) != len(self.columns):
            raise ValueError(f"manifest has {len(self.manifest)} rows, columns {len(self.columns)}")

    def __len__(self) -> int:
        return len(self.manifest)
