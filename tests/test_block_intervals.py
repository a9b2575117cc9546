"""Intervals of a mean over days that hang together: the bootstrap's own variance formula, and what they hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from core.errors import BadInputError, BadParamsError
from core.forecasting.block_intervals import mean_interval, optimal_block_length

bootstrap = pytest.importorskip("arch.bootstrap", reason="the extra `market` is not installed")


def autoregression(num_rows: int, memory: float, seed: int) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(size=num_rows + 100)
    return lfilter([1], [1, -memory], steps)[100:]


@pytest.mark.parametrize("block_length", [1, 5, 20])
def test_mean_interval_has_the_width_that_politis_and_romano_derive(block_length):
    values = autoregression(150, 0.6, 0)
    num_rows, centred = len(values), values - values.mean()
    variance = sum(centred**2) / num_rows
    for lag in range(1, num_rows):
        covariance = sum(centred[row] * centred[row - lag] for row in range(lag, num_rows)) / num_rows
        goes_on = 1 - 1 / block_length
        weight = (1 - lag / num_rows) * goes_on**lag + lag / num_rows * goes_on ** (num_rows - lag)
        variance += 2 * weight * covariance
    told = mean_interval(values, block_length=block_length, confidence=0.6826895, num_bootstrap=6000, seed=1)
    assert (told.high - told.low) / 2 == pytest.approx(math.sqrt(variance / num_rows), rel=0.06)
    assert told.value == pytest.approx(values.mean())


def test_mean_interval_holds_the_truth_as_often_as_it_says_with_blocks_only():
    held = {1: 0, 20: 0}
    for seed in range(200):
        values = autoregression(1000, 0.6, seed)
        for block_length in held:
            told = mean_interval(values, block_length=block_length, num_bootstrap=300, seed=seed)
            held[block_length] += told.low <= 0 <= told.high
    assert 0.87 < held[20] / 200 < 0.98
    assert held[1] / 200 < 0.78


def test_mean_interval_repeats_by_seed():
    values = autoregression(80, 0.3, 2)
    first, again, other = (mean_interval(values, block_length=4, seed=seed) for seed in (5, 5, 6))
    assert first == again and first != other


def test_optimal_block_length_is_that_of_arch_and_at_least_the_horizon():
    values = autoregression(500, 0.7, 3)
    told = bootstrap.optimal_block_length(values)["stationary"].iloc[0]
    assert told > 5
    assert optimal_block_length(values, horizon=1) == math.ceil(told)
    assert optimal_block_length(values, horizon=60) == 60


@pytest.mark.parametrize(("values", "expected"), [(np.ones(27), 3), (np.arange(8.0), 2), (np.array([1.0]), 1)])
def test_optimal_block_length_that_cannot_be_estimated_is_the_cube_root(values, expected):
    assert optimal_block_length(values, horizon=1) == expected
    assert optimal_block_length(values, horizon=100) == len(values)


def test_block_intervals_of_bad_input_name_it():
    with pytest.raises(BadInputError, match="values of row 1"):
        mean_interval(np.array([1.0, np.nan]), block_length=1, seed=0)
    for bad in ({"block_length": 0}, {"num_bootstrap": 0}, {"confidence": 1.0}):
        with pytest.raises(BadParamsError, match=next(iter(bad))):
            mean_interval(np.ones(5), **({"block_length": 1, "seed": 0} | bad))
    with pytest.raises(BadParamsError, match="horizon"):
        optimal_block_length(np.ones(5), horizon=0)
