"""Contributions for a regressor that has none of its own: what changes when one column becomes typical?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from core.data.samples import Samples
from core.regression.regressor import Regressor


def value_occlusion(regressor: Regressor, samples: Samples, typical: Mapping[str, float | str | None]) -> pd.DataFrame:
    """(N, F) value(x) - value(x with feature j at its typical value), in units of the label.

    Unlike Shapley values these do not add up to the prediction where features act together. Costs F + 1 passes.

    Source: Robnik-Sikonja & Kononenko 2008, "Explaining classifications for individual instances".
    """
    actual = regressor.predict(samples)
    columns = {}
    for feature in samples.schema.features:
        value = typical.get(feature.name)
        if feature.kind == "number":
            replaced = np.full(len(samples), np.nan if value is None else float(value))
        else:
            replaced = np.full(len(samples), value, dtype=object)
        frame = samples.inputs.assign(**{feature.name: replaced})
        columns[feature.name] = actual - regressor.predict(samples.with_inputs(frame, samples.schema))
    return pd.DataFrame(columns)
