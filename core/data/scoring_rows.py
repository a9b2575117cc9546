"""Typed rows of the target domain as Samples in the schema that a model was fitted with; no label is needed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec, DomainSpec
from core.data.samples import Samples
from core.data.table_features import feature_columns, feature_frame, feature_schema, has_time_column
from core.data.table_schema import TableSchema
from core.errors import VerificationError


def scoring_columns(spec: DomainSpec, schema: TableSchema) -> tuple[ColumnSpec, ...]:
    """The raw columns behind the schema's features, in the schema's order.

    Raises:
        VerificationError: a feature has no column, so model and domain.yaml do not belong together.
    """
    has_time = has_time_column(spec)
    by_feature = {
        feature_schema([column], has_time=has_time).features[0].name: column for column in feature_columns(spec)
    }
    absent = [name for name in schema.names() if name not in by_feature]
    if absent:
        raise VerificationError(
            f"Domain '{spec.name}' has no column for the model's feature {', '.join(map(repr, absent))}.",
            repair="Score with the domain.yaml that the model was trained with, or train it again.",
        )
    return tuple(by_feature[name] for name in schema.names())


def columns_needed(spec: DomainSpec, schema: TableSchema) -> tuple[str, ...]:
    """Names of the file's columns that scoring reads: the features', a ratio's two parts, and the time where dates
    become ages.
    """
    chosen = scoring_columns(spec, schema)
    times = spec.with_use("time")[:1] if any(column.kind == "date" for column in chosen) else ()
    names = [name for column in (*chosen, *times) for name in column.ratio or (column.name,)]
    return tuple(dict.fromkeys(names))


def samples_for_scoring(typed: pd.DataFrame, spec: DomainSpec, schema: TableSchema) -> Samples:
    """Unlabelled samples of `typed` (see `type_rows`), made of the same features as `open_dataset` makes.

    Sample ids are `<domain>/<row>`, counted from 0 within `typed`.

    Raises:
        VerificationError: a feature of the schema has no column in the domain.
    """
    num_rows = len(typed)
    times = spec.with_use("time")
    if times and times[0].name in typed:
        time = pd.to_datetime(typed[times[0].name], errors="coerce")
    else:
        time = pd.Series(pd.NaT, index=range(num_rows))
    inputs = feature_frame(typed, scoring_columns(spec, schema), time, has_time=has_time_column(spec))
    sample_ids = np.array([f"{spec.name}/{row}" for row in range(num_rows)], dtype=object)
    return Samples(
        inputs=inputs,
        labels=np.full(num_rows, np.nan),
        sample_ids=sample_ids,
        domains=np.full(num_rows, spec.name, dtype=object),
        weights=np.ones(num_rows),
        groups=sample_ids,
        schema=schema,
    )
