"""Stage `evaluate` of a vertical that predicts a number: the test rows, once: values, bands, intervals, slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, write_json, write_table
from core.data.manifest import SLICE_PREFIX
from core.data.prepared import open_prepared, read_manifest
from core.data.samples import Samples
from core.errors import BadInputError
from core.evaluation.intervals import Interval
from core.params import EvaluateParams
from core.regression.band_coverage import band_coverage
from core.regression.errors_by_prediction import errors_by_prediction
from core.regression.intervals import bootstrap_value_interval
from core.regression.metrics import MEAN_ERROR, REGRESSION_METRICS
from core.regression.naive_gain import naive_gain
from core.regression.params import RegressionParams
from core.regression.predicted_rows import PredictedRows
from core.regression.quantity import in_unit
from core.regression.regression_model import RegressionModel
from core.regression.regressors.median import weighted_median
from core.regression.row_groups import row_groups
from core.regression.slice_errors import slice_errors
from core.vertical import Vertical

MAX_EXPLAINED_ROWS = 500  # an occlusion asks the model once for each feature


def value_evaluate(vertical: Vertical, params: RegressionParams, artifacts: Artifacts, *, seed: int) -> None:
    """Predict the test rows with the saved model and write everything that a report or a page shows of it.

    Raises:
        BadInputError: no test row has a label.
    """
    model = RegressionModel.load(artifacts.require("train", "model"))
    opened = open_prepared(vertical, params, artifacts, splits=("train", "valid", "test"))
    predictions = prediction_table(model, opened["test"])
    write_table(artifacts.path("evaluate", "predictions.parquet"), predictions)
    valid_predictions = prediction_table(model, opened["valid"])
    write_table(artifacts.path("evaluate", "valid_predictions.parquet"), valid_predictions)
    is_labelled = opened["test"].is_labelled
    if not is_labelled.any():
        raise BadInputError(
            f"None of the {len(is_labelled)} test rows of '{params.prepare.target_domain}' has a label.",
            repair="Bring their labels by `crossdomain label`, or change prepare.split.",
        )
    test, rows = opened["test"].labelled(), model.labelled_rows(predictions)
    metrics = measure(model, rows, test, opened["train"], params, seed=seed)
    resampling = _resampling(params.evaluate, test, seed)
    attributes = _slice_attributes(opened["test"], artifacts).loc[is_labelled].reset_index(drop=True)
    slices = slice_errors(rows, attributes, min_rows=params.evaluate.min_slice_rows, **resampling)
    by_prediction = errors_by_prediction(rows, num_bins=params.evaluate.num_bins, **resampling)
    write_json(artifacts.path("evaluate", "metrics.json"), metrics)
    write_table(artifacts.path("evaluate", "slices.csv"), slices)
    write_table(artifacts.path("evaluate", "errors_by_prediction.csv"), by_prediction)
    write_table(artifacts.path("evaluate", "contributions.csv"), mean_contributions(model, opened["test"]))
    error = metrics["mae"]
    low, high = in_unit(error["low"], ""), in_unit(error["high"], model.unit)
    told = f"{in_unit(error['value'], model.unit)} [{low}, {high}]"
    print(f"evaluate {vertical.name}: mean absolute error {told} on {len(rows)} test rows", flush=True)


def prediction_table(model: RegressionModel, samples: Samples) -> pd.DataFrame:
    """sample_id, domain, truth (NaN unlabelled), value, low, high (NaN without a band); one row a sample."""
    no_numbers = np.zeros(0)
    value, low, high = model.predict(samples) if len(samples) else (no_numbers, no_numbers, no_numbers)
    columns = {"sample_id": samples.sample_ids, "domain": samples.domains, "truth": samples.labels}
    return pd.DataFrame({**columns, "value": value, "low": low, "high": high})


def measure(
    model: RegressionModel,
    rows: PredictedRows,
    test: Samples,
    train: Samples,
    params: RegressionParams,
    *,
    seed: int,
) -> dict[str, Any]:
    """`{metric: {value, low, high}}` for all that apply, the naive rival, the band's coverage, and what was measured.

    naive and band are None where no target training label, or no band, is there. A metric that these rows leave
    undefined (R squared of equal true values) is left out.
    """
    resampling = _resampling(params.evaluate, test, seed)
    groups = resampling["groups"]
    found = {}
    for metric in (*map(REGRESSION_METRICS.__getitem__, REGRESSION_METRICS), MEAN_ERROR):
        if (metric.needs_band and not rows.has_band) or not np.isfinite(metric.of_rows(rows)):
            continue
        found[metric.name] = _plain(bootstrap_value_interval(metric, rows, **resampling))
    labelled = train.labelled()
    naive = (
        naive_gain(rows, weighted_median(labelled.labels, labelled.weights), **resampling) if len(labelled) else None
    )
    band = None
    if model.band is not None:
        is_symmetric, confidence = params.train.is_band_symmetric, params.evaluate.confidence
        band = band_coverage(rows, model.band, is_symmetric=is_symmetric, groups=groups, confidence=confidence)
    quantiles = np.quantile(rows.truth, [0.0, 0.1, 0.5, 0.9, 1.0])
    return {
        "domain": params.prepare.target_domain,
        "unit": model.unit,
        "rows": len(rows),
        "groups": len(np.unique(groups)) if groups is not None else None,
        "confidence": params.evaluate.confidence,
        "truth": {
            "mean": rows.truth.mean(),
            "deviation": rows.truth.std(),
            **dict(zip(("min", "quantile_10", "median", "quantile_90", "max"), quantiles, strict=True)),
        },
        **found,
        "naive": naive,
        "band": band,
    }


def mean_contributions(model: RegressionModel, samples: Samples) -> pd.DataFrame:
    """feature, meaning, mean_absolute (in the label's unit), largest first, over at most 500 rows evenly chosen."""
    chosen = np.unique(np.linspace(0, len(samples) - 1, min(len(samples), MAX_EXPLAINED_ROWS)).astype(int))
    size = model.contributions(samples.take(chosen)).abs().mean()
    table = pd.DataFrame(
        {
            "feature": list(size.index),
            "meaning": [model.schema[name].meaning for name in size.index],
            "mean_absolute": size.to_numpy(dtype=float),
        }
    )
    return table.sort_values("mean_absolute", ascending=False, kind="stable", ignore_index=True)


def _resampling(params: EvaluateParams, test: Samples, seed: int) -> dict[str, Any]:
    """How intervals are made: whole groups of the labelled test rows where there are groups."""
    told = {"num_bootstrap": params.num_bootstrap, "confidence": params.confidence, "seed": seed}
    return {**told, "groups": row_groups(test)}


def _slice_attributes(test: Samples, artifacts: Artifacts) -> pd.DataFrame:
    """The manifest's slice columns, row by row with `test`."""
    manifest = read_manifest(artifacts)
    names = [name for name in manifest.columns if name.startswith(SLICE_PREFIX)]
    rows = manifest.set_index("sample_id").loc[test.sample_ids, names].reset_index(drop=True)
    return rows.rename(columns=lambda name: name.removeprefix(SLICE_PREFIX))


def _plain(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
