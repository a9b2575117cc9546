"""Stage `export` of a vertical that predicts a number: the model's plain files, with their parity and latency."""

from __future__ import annotations

import shutil
import time

import numpy as np

from core.artifacts import Artifacts, replacing_folder, write_json
from core.data.prepared import open_prepared
from core.data.samples import Samples
from core.regression.params import RegressionParams
from core.regression.regression_model import REGRESSOR_FOLDER, RegressionModel
from core.regression.regressor import REGRESSORS
from core.vertical import Vertical

NUM_SINGLE_ROWS = 30


def value_export(vertical: Vertical, params: RegressionParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `files/` (the model as JSON, and UBJ of trees, with its checksums) and `export_metrics.json`.

    Parity: values and bands of all test rows in one batch, and the values of 30 of them one by one, from the copied
    files alone. Labels of test rows are not handed on.
    """
    folder = artifacts.require("train", "model")
    model = RegressionModel.load(folder)
    test = open_prepared(vertical, params, artifacts, splits=("test",))["test"]
    inputs = test.with_labels(np.full(len(test), np.nan))
    with replacing_folder(artifacts.path("export", "files")) as files:
        shutil.copytree(folder, files, dirs_exist_ok=True)
    again = RegressionModel.load(artifacts.path("export", "files"))
    wanted, found = (np.concatenate(each.predict(inputs)) for each in (model, again))
    few = inputs.take(np.arange(min(NUM_SINGLE_ROWS, len(inputs))))
    singly = np.array([again.regressor.predict(few.take([row]))[0] for row in range(len(few))])
    difference = max(relative_difference(wanted, found), relative_difference(wanted[: len(few)], singly))
    suffixes = {path.suffix.removeprefix(".") for path in (folder / REGRESSOR_FOLDER).rglob("*") if path.is_file()}
    metrics = {
        "format": ", ".join(sorted(suffixes)),
        "regressor": REGRESSORS.name_of(type(model.regressor)),
        "unit": model.unit,
        "rows_compared": len(inputs),
        "rows_compared_one_by_one": len(few),
        "largest_relative_difference": difference,
        "tolerance": params.export.parity_tolerance,
        "is_equal": bool(difference <= params.export.parity_tolerance),
        **value_latency(again, inputs, num_rows=params.export.num_latency_rows),
    }
    write_json(artifacts.path("export", "export_metrics.json"), metrics)
    print(f"export {vertical.name}: {metrics['format']}, largest relative difference {difference:.1e}", flush=True)


def relative_difference(wanted: np.ndarray, found: np.ndarray) -> float:
    """Largest |found - wanted| over |wanted| (N,), or over the median |wanted| where that is larger.

    A value near zero is as exact as the others. NaN in both (no band) is equal, in one of them infinitely different.
    """
    is_missing = np.isnan(wanted)
    if (is_missing != np.isnan(found)).any():
        return float("inf")
    wanted, found = wanted[~is_missing], found[~is_missing]
    if len(wanted) == 0 or np.array_equal(wanted, found):
        return 0.0
    size = np.maximum(np.abs(wanted), np.median(np.abs(wanted)))
    return float(np.max(np.abs(found - wanted) / np.maximum(size, np.finfo(float).tiny)))


def value_latency(model: RegressionModel, samples: Samples, *, num_rows: int) -> dict[str, float]:
    """Milliseconds for one row (median of 30, warm) and rows a second in one batch of `num_rows`."""
    one = samples.take([0])
    batch = samples.take(np.arange(num_rows) % len(samples))
    model.predict(one)
    times = []
    for _ in range(30):
        started = time.perf_counter()
        model.predict(one)
        times.append(time.perf_counter() - started)
    started = time.perf_counter()
    model.predict(batch)
    seconds = time.perf_counter() - started
    return {"one_row_ms": round(1000 * float(np.median(times)), 2), "rows_per_second": round(num_rows / seconds)}
