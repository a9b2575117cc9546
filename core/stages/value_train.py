"""Stage `train` of a vertical that predicts a number: prepared samples -> a regressor with its conformal band."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import core.regression.regressors
import core.regression.transfers  # noqa: F401 - both register all
from core.artifacts import Artifacts, read_json, write_json, write_table
from core.data.prepared import open_prepared, read_specs
from core.data.samples import Samples
from core.explain.feature_ranges import feature_ranges
from core.learners.learned_groups import LearnedGroups
from core.regression.choices import check_regression_choices
from core.regression.conformal_band import ConformalBand
from core.regression.metrics import MEAN_ERROR, REGRESSION_METRICS
from core.regression.params import RegressionParams, RegressionTrainParams
from core.regression.predicted_rows import PredictedRows
from core.regression.quantity import in_unit, label_unit
from core.regression.regression_model import RegressionModel
from core.regression.regressor import REGRESSORS, Regressor
from core.regression.row_groups import row_groups
from core.regression.transfer import REGRESSION_TRANSFERS, RegressionTask, RegressionTransfer
from core.vertical import Vertical

LEARNED = ("source_train", "source_valid", "train", "valid")
VERSIONS_OF = ("crossdomain", "numpy", "scikit-learn", "xgboost")


def value_train(vertical: Vertical, params: RegressionParams, artifacts: Artifacts, *, seed: int) -> None:
    """Fit the chosen transfer on target (and source) training rows, and its band on labelled validation rows.

    Validation rows serve the band alone: were the regressor to stop early on them, its promise would not hold. Test
    rows are not opened. Writes `model/`, `feature_ranges.json`, `train_metrics.json` and `learning_curve.csv`.
    """
    check_regression_choices(vertical, params)
    opened = open_prepared(vertical, params, artifacts, splits=LEARNED)
    started = time.perf_counter()
    regressor = fit_regression_transfer(params.train, opened["source_train"], opened["train"], seed=seed)
    fit_seconds = time.perf_counter() - started
    valid = opened["valid"].labelled()
    band, band_note = fit_band(regressor, valid, params.train)
    specs = read_specs(artifacts)
    spec = specs[params.prepare.target_domain]
    model = RegressionModel(regressor, band, opened["train"].schema, unit=label_unit(spec)).with_context(
        spec=spec,
        train=opened["train"],
        options=dict(params.options),
        provenance={
            "vertical": vertical.name,
            "source_domains": list(params.prepare.source_domains),
            "target_domain": params.prepare.target_domain,
            "params": asdict(params),
            "data": read_json(artifacts.require("prepare", "data_report.json")).get("data_sha256"),
            "versions": {name: importlib.metadata.version(name) for name in VERSIONS_OF},
        },
    )
    labelled = [samples.groups[samples.is_labelled] for samples in opened.values()]
    model = replace(model, learned=LearnedGroups.of(np.concatenate(labelled)))
    model.save(artifacts.path("train", "model"))
    write_json(artifacts.path("train", "feature_ranges.json"), feature_ranges(opened["train"]))
    metrics = {
        "transfer": params.train.transfer,
        "regressor": params.train.regressor,
        "selection": regressor.selection_,
        "rows": {key: {"rows": len(samples), "labelled": samples.num_labelled} for key, samples in opened.items()},
        "label_units": {name: label_unit(found) for name, found in specs.items()},
        "band": band.to_dict() if band is not None else None,
        "band_note": band_note,
        "fit_seconds": round(fit_seconds, 2),
        "validation": validation_metrics(regressor, valid),
    }
    write_json(artifacts.path("train", "train_metrics.json"), metrics)
    curve = pd.DataFrame(getattr(regressor, "history_", None) or [{"step": 0, "loss": np.nan}])
    write_table(artifacts.path("train", "learning_curve.csv"), curve)
    print(f"train {vertical.name}: {params.train.transfer}, {fit_seconds:.1f} s; {band_note}", flush=True)
    if metrics["validation"]:
        error = in_unit(metrics["validation"]["mae"], model.unit)
        print(f"train {vertical.name}: mean absolute error {error} on {len(valid)} validation rows", flush=True)


def fit_regression_transfer(params: RegressionTrainParams, source: Samples, target: Samples, *, seed: int) -> Regressor:
    """The regressor that the chosen transfer makes of source and target rows."""
    make_regressor = regressor_maker(params, params.regressor, seed=seed)
    task = RegressionTask(source=source, target=target, valid=None, make_regressor=make_regressor, seed=seed)
    return make_regression_transfer(params, params.transfer).fit(task)


def regressor_maker(params: RegressionTrainParams, name: str, *, seed: int) -> Callable[[], Regressor]:
    """Makes fresh regressors of one kind with their own options."""
    return partial(REGRESSORS[name], params.regressor_options.get(name, {}), seed=seed)


def make_regression_transfer(params: RegressionTrainParams, name: str) -> RegressionTransfer:
    """A transfer by name with its `transfer_options`; `auto` gets the candidates and the options of all."""
    options = dict(params.transfer_options.get(name, {}))
    if name == "auto":
        others = {other: told for other, told in params.transfer_options.items() if other != "auto"}
        options |= {"candidates": params.candidates, "transfer_options": others}
    return REGRESSION_TRANSFERS[name](options)


def fit_band(regressor: Regressor, valid: Samples, params: RegressionTrainParams) -> tuple[ConformalBand | None, str]:
    """The band of labelled validation rows, whole groups where there are groups, and a sentence of what it rests on.

    None where they are too few for a band with two ends.
    """
    groups = row_groups(valid)
    num_units = len(valid) if groups is None else len(np.unique(groups))
    units = "rows" if groups is None else "groups"
    error_rate = params.band_error_rate
    if num_units:
        band = ConformalBand.fit(
            valid.labels,
            regressor.predict(valid),
            error_rate=error_rate,
            groups=groups,
            is_symmetric=params.is_band_symmetric,
        )
        if np.isfinite([band.below, band.above]).all():
            return band, f"{100 * (1 - error_rate):.4g} % band from {num_units} labelled validation {units}"
    needed = int(np.ceil((1 if params.is_band_symmetric else 2) / error_rate - 1e-9)) - 1
    found = f"{num_units} labelled validation {units}"
    return None, f"no band: {found}, and a band of error rate {error_rate:g} needs {needed}"


def validation_metrics(regressor: Regressor, valid: Samples) -> dict[str, Any]:
    """The metrics of labelled validation rows that need no band; empty without such rows."""
    if len(valid) == 0:
        return {}
    rows = PredictedRows.checked(valid.labels, regressor.predict(valid))
    metrics = [metric for metric in map(REGRESSION_METRICS.__getitem__, REGRESSION_METRICS) if not metric.needs_band]
    return {metric.name: metric.of_rows(rows) for metric in (*metrics, MEAN_ERROR)}
