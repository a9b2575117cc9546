"""Rows to score get the same features as rows to train on, dates and ratios included."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.data.domain import ColumnSpec, DomainSpec
from core.data.scoring_rows import columns_needed, samples_for_scoring
from core.data.table_dataset import open_table_dataset
from core.data.table_schema import Feature, TableSchema
from core.data.typing_rows import type_rows
from core.errors import VerificationError

DATE_COLUMNS = (
    ColumnSpec("amount", kind="number"),
    ColumnSpec("income", kind="number"),
    ColumnSpec("burden", kind="number", ratio=("amount", "income")),
    ColumnSpec("first_credit", kind="date"),
    ColumnSpec("grade", kind="category"),
    ColumnSpec("outcome", kind="category", use="label"),
)
RAW = pd.DataFrame(
    {
        "amount": ["100", "30", None],
        "income": ["50", "0", "7"],
        "first_credit": ["2010-01-01", None, "2000-06-15"],
        "grade": ["A", "B", None],
        "issued": ["2012-01-01", "2012-02-01", "2012-03-01"],
        "outcome": ["bad", "good", "good"],
    }
).astype(object)


@pytest.mark.parametrize("has_time", [True, False])
@pytest.mark.parametrize("dropped", [(), ("amount", "grade")])
def test_samples_for_scoring_have_the_features_of_open_dataset(has_time, dropped):
    times = (ColumnSpec("issued", kind="date", use="time"),) if has_time else ()
    spec = DomainSpec("lender", "credit_risk", DATE_COLUMNS + times, positive=("bad",), negative=("good",))
    typed = type_rows(RAW.drop(columns=[] if has_time else ["issued"]), spec).frame
    manifest = pd.DataFrame(
        {
            "sample_id": ["a", "b", "c"],
            "domain": "lender",
            "label": [1.0, 0.0, 0.0],
            "group": ["a", "b", "c"],
            "time": typed["issued"] if has_time else pd.NaT,
            "split": "train",
        }
    )
    trained = open_table_dataset(manifest, {"lender": typed}, {"lender": spec}, "lender", drop_columns=dropped)
    needed = columns_needed(spec, trained.schema)
    assert ("issued" in needed) == has_time
    assert {"amount", "income", "first_credit"} <= set(needed)
    assert "outcome" not in needed
    bare = type_rows(RAW[list(needed)], spec, required=needed).frame
    scored = samples_for_scoring(bare, spec, trained.schema)
    pd.testing.assert_frame_equal(scored.inputs, trained.inputs)
    assert np.isnan(scored.labels).all()
    assert list(scored.inputs.columns) == trained.schema.names()


def test_samples_for_scoring_of_another_domain_are_refused():
    spec = DomainSpec("lender", "credit_risk", DATE_COLUMNS)
    with pytest.raises(VerificationError, match="shoe_size"):
        columns_needed(spec, TableSchema((Feature("shoe_size", "number"),)))
