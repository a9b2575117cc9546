"""The sample ids of a domain's rows, made in one place: by the key column, else by batch and position."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from core.data.domain import DomainSpec
from core.data.table_features import as_texts


def sample_ids_of(raw: pd.DataFrame, spec: DomainSpec, batch: str) -> pd.Series:
    """(N,) ids of a batch's raw rows: `<domain>/<key>`, or `<domain>/<batch>/<row>` where there is no key."""
    by_place = pd.Series([f"{spec.name}/{batch}/{row}" for row in range(len(raw))], dtype=object)
    key = text_of_use(raw, spec, "key")
    return (f"{spec.name}/" + key).where(key.notna(), by_place)


def text_of_use(raw: pd.DataFrame, spec: DomainSpec, use: str) -> pd.Series:
    """(N,) trimmed texts of the first column of that use; all missing where there is none."""
    columns = [column.name for column in spec.with_use(use) if column.name in raw]
    if not columns:
        return pd.Series(None, index=range(len(raw)), dtype=object)
    texts = as_texts(raw[columns[0]])
    return texts.map(lambda text: text.strip() or None, na_action="ignore").astype(object)


def domain_label_texts(folder: Path, spec: DomainSpec) -> pd.Series:
    """sample id -> the label's text as the rows came with it, missing where they have none; no other column is read."""
    wanted = [column.name for use in ("key", "label") for column in spec.with_use(use)]
    parts = []
    for path in sorted((Path(folder) / "rows").glob("[!.]*.parquet")):
        present = [name for name in wanted if name in pq.read_schema(path).names]
        raw = pq.read_table(path, columns=present).to_pandas()
        raw = raw.reindex(range(pq.read_metadata(path).num_rows))
        raw = raw.astype(object).where(raw.notna(), None)
        texts = text_of_use(raw, spec, "label")
        parts.append(pd.Series(texts.to_numpy(dtype=object), index=sample_ids_of(raw, spec, path.stem)))
    return pd.concat(parts) if parts else pd.Series(dtype=object)
