"""The usual range of every feature in the training rows: what a form offers and a counterfactual stays within."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.data.samples import Samples
from core.data.table_schema import Feature
from core.errors import BadInputError
from core.learners.table_encoding import read_numbers

QUANTILE_FRACTIONS = np.linspace(0.05, 0.95, 19)


def feature_ranges(train: Samples) -> dict[str, Any]:
    """`{rows, quantile_fractions, features: {name: {kind, meaning, unit, is_protected, ...}}}`, JSON-ready.

    A number adds quantiles (19, values that training rows have), min, max and missing_fraction; of a column that is
    missing in every row these are empty or None. A category adds categories (from low to high where is_ordered), the
    words known. Texts and pictures have no range and are left out.
    """
    features = train.schema.features if train.schema is not None else ()
    return {
        "rows": len(train),
        "quantile_fractions": QUANTILE_FRACTIONS.round(2).tolist(),
        "features": {
            feature.name: _range_of(train, feature) for feature in features if feature.kind in ("number", "category")
        },
    }


def quantiles_of(ranges: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Number -> (19,) quantiles, of what `feature_ranges` gave; numbers without a known value are left out.

    Raises:
        BadInputError: these are no feature ranges.
    """
    if "features" not in ranges:
        raise BadInputError(
            f"Feature ranges have the keys {sorted(ranges)}, expected 'features'.",
            repair="Run `dvc repro train` again.",
        )
    return {
        name: np.array(told["quantiles"], dtype=float)
        for name, told in ranges["features"].items()
        if told.get("quantiles")
    }


def _range_of(train: Samples, feature: Feature) -> dict[str, Any]:
    """One feature's range."""
    told: dict[str, Any] = {
        "kind": feature.kind,
        "meaning": feature.meaning,
        "unit": feature.unit,
        "is_protected": feature.is_protected,
    }
    if feature.kind == "category":
        return {**told, "is_ordered": feature.is_ordered, "categories": list(feature.categories)}
    values = read_numbers(train.inputs, feature.name)
    known = values[~np.isnan(values)]
    has_any = len(known) > 0
    # Values that rows have: nobody is asked for 2.35 children.
    quantiles = np.quantile(known, QUANTILE_FRACTIONS, method="inverted_cdf") if has_any else np.array([])
    return {
        **told,
        "quantiles": quantiles.tolist(),
        "min": float(known.min()) if has_any else None,
        "max": float(known.max()) if has_any else None,
        "missing_fraction": 1 - len(known) / max(len(values), 1),
    }
