"""Small mixed tables whose label is a number, for tests of regressors and their transfers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from small_tables import LEVELS, make_table

from core.data.samples import Samples, concatenate
from core.regression.regressors.ridge import Ridge
from core.regression.transfer import RegressionTask


def signal_of(samples: Samples) -> np.ndarray:
    """(N,) what the columns say of the label; a missing amount counts as 0."""
    frame = samples.inputs
    rank = frame["level"].map(LEVELS.index).to_numpy(dtype=float)
    is_holiday = (frame["purpose"] == "holiday").to_numpy(dtype=float)
    amount = frame["amount"].fillna(0.0).to_numpy()
    return 3.0 * amount + 0.1 * (frame["months"].to_numpy() - 30) + 2.0 * is_holiday - rank


def make_values(
    num_rows: int = 200,
    *,
    seed: int = 0,
    domain: str = "target",
    offset: float = 0.0,
    slope: float = 1.0,
    noise: float = 0.5,
) -> Samples:
    """Rows with label offset + slope * (signal + noise)."""
    table = make_table(num_rows, seed=seed, domain=domain)
    drawn = np.random.default_rng(seed + 10_000).normal(0.0, noise, num_rows)
    return replace(table, labels=offset + slope * (signal_of(table) + drawn))


def make_value_task(
    num_labels: int = 40, *, source_slope: float = 1.0, source_noise: float = 0.5, make_regressor=Ridge, seed: int = 0
) -> RegressionTask:
    """Two source domains of 350 rows together, and 150 target rows of which `num_labels` are labelled."""
    sources = [
        make_values(rows, seed=seed + k, domain=f"lender_{k}", slope=source_slope, noise=source_noise)
        for k, rows in ((1, 200), (2, 150))
    ]
    target = make_values(150, seed=seed + 3)
    labels = np.where(np.arange(len(target)) < num_labels, target.labels, np.nan)
    return RegressionTask(concatenate(sources), target.with_labels(labels), None, make_regressor, seed=0)


def rmse(samples: Samples, value: np.ndarray) -> float:
    """Root mean squared error in units of the label."""
    return float(np.sqrt(np.mean((samples.labels - value) ** 2)))
