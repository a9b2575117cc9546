"""Rows of both sides as points in one space for the joint tests: embeddings, or the columns of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema
from core.evaluation.feature_map import MAX_COMPONENTS, PrincipalAxes
from core.learners.table_encoding import LinearEncoding
from core.lifecycle.monitor.column_tests import is_number_column, number_values


def principal_places(features: np.ndarray) -> np.ndarray:
    """(N, K) coordinates of pooled rows (N, P) on at most 50 principal axes of their own; K is at least 1.

    The axes are of both sides together, so that which row is whose plays no part.
    """
    return PrincipalAxes.fit(features, MAX_COMPONENTS).place(features)


def table_design(inputs: pd.DataFrame) -> np.ndarray:
    """(N, P) design of pooled rows: normal scores of numbers, 0/1 of categories, flags of what is missing."""
    columns, features = {}, []
    for name in inputs.columns:
        values = inputs[name]
        if is_number_column(values):
            columns[str(name)] = number_values(values)
            features.append(Feature(str(name), "number"))
        else:
            words = values.astype(object).map(str, na_action="ignore")
            columns[str(name)] = words.where(words.notna(), None)
            features.append(Feature(str(name), "category", tuple(sorted(words.dropna().unique()))))
    num_rows = len(inputs)
    ids = np.arange(num_rows).astype(str)
    samples = Samples(
        inputs=pd.DataFrame(columns, index=range(num_rows)),
        labels=np.full(num_rows, np.nan),
        sample_ids=ids,
        domains=np.full(num_rows, ""),
        weights=np.ones(num_rows),
        groups=ids,
        schema=TableSchema(tuple(features)),
    )
    return LinearEncoding.fit(samples, numbers="quantile").transform(samples)
