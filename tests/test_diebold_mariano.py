"""The Diebold-Mariano test against plain loops, statsmodels, its sources' formulas, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from core.errors import BadInputError, BadParamsError
from core.forecasting.diebold_mariano import diebold_mariano, long_run_variance, num_lags, small_sample_factor


def moving_sums(num_rows: int, horizon: int, rng: np.random.Generator) -> np.ndarray:
    """Differences that overlap as those of targets of `horizon` days do: MA(h - 1) with equal weights, mean 0."""
    steps = rng.standard_t(5, num_rows + horizon - 1)
    return np.convolve(steps, np.ones(horizon), mode="valid")


@pytest.mark.parametrize(("num_rows", "horizon"), [(40, 1), (60, 5), (120, 22)])
def test_diebold_mariano_equals_plain_loops(num_rows, horizon):
    rng = np.random.default_rng(horizon)
    loss, other = rng.gamma(2, 1, num_rows), rng.gamma(2, 1.1, num_rows)
    gap = [a - b for a, b in zip(loss, other, strict=True)]
    mean = sum(gap) / num_rows
    lags = max(4 * (horizon - 1), math.floor(1.3 * math.sqrt(num_rows)))
    variance = hidden = 0.0
    for lag in range(-lags, lags + 1):
        weight = 1 - abs(lag) / (lags + 1)
        pairs = [(gap[row] - mean) * (gap[row - abs(lag)] - mean) for row in range(abs(lag), num_rows)]
        variance += weight * sum(pairs) / num_rows
        hidden += weight * (1 - abs(lag) / num_rows) / num_rows
    error = math.sqrt(variance / num_rows) / math.sqrt(1 - hidden)
    degrees = 1.5 * num_rows / (lags + 1)

    result = diebold_mariano(loss, other, horizon=horizon, confidence=0.9)
    assert (result.mean_difference, result.num_rows) == (pytest.approx(mean), num_rows)
    assert result.statistic == pytest.approx(mean / error)
    assert result.p_value == pytest.approx(2 * student_t.cdf(-abs(mean) / error, degrees))
    assert result.low == pytest.approx(mean - student_t.ppf(0.95, degrees) * error)
    assert result.high == pytest.approx(mean + student_t.ppf(0.95, degrees) * error)


@pytest.mark.parametrize("horizon", [1, 5, 22])
def test_long_run_variance_equals_hac_error_of_a_constant_in_statsmodels(horizon):
    api = pytest.importorskip("statsmodels.api", reason="statsmodels comes with the extra `market`")
    values = moving_sums(300, horizon, np.random.default_rng(horizon)) + 0.2
    lags = num_lags(300, horizon)
    fit = api.OLS(values, np.ones(300)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    assert math.sqrt(long_run_variance(values, lags) / 300) == pytest.approx(fit.bse[0])
    result = diebold_mariano(values, np.zeros(300), horizon=horizon)
    factor = small_sample_factor(300, 1 - np.arange(lags + 1) / (lags + 1))
    assert result.statistic == pytest.approx(fit.tvalues[0] * factor)


@pytest.mark.parametrize(("num_rows", "horizon"), [(30, 1), (30, 4), (500, 22)])
def test_small_sample_factor_of_equal_weights_is_that_of_harvey_leybourne_newbold(num_rows, horizon):
    published = math.sqrt((num_rows + 1 - 2 * horizon + horizon * (horizon - 1) / num_rows) / num_rows)
    assert small_sample_factor(num_rows, np.ones(horizon)) == pytest.approx(published)


def test_num_lags_reach_over_the_overlap_and_grow_with_the_rows():
    assert [num_lags(100, 1), num_lags(10_000, 1), num_lags(100, 22), num_lags(10_000, 22)] == [13, 130, 84, 130]


@pytest.mark.parametrize(("num_rows", "horizon"), [(250, 1), (500, 5), (1000, 22)])
def test_diebold_mariano_keeps_its_level_when_targets_overlap(num_rows, horizon):
    rng = np.random.default_rng(100 + horizon)
    draws = [
        diebold_mariano(moving_sums(num_rows, horizon, rng), np.zeros(num_rows), horizon=horizon) for _ in range(1000)
    ]
    called = np.mean([draw.p_value < 0.05 for draw in draws])
    # 1,000 draws of 5 % give 3.2 to 6.9 %. h - 1 lags would give 11 % at 22 days, lags forgotten altogether 60 %.
    assert 0.03 < called < 0.09
    missed = np.mean([not draw.low <= 0 <= draw.high for draw in draws])
    assert missed == pytest.approx(called)


def test_diebold_mariano_finds_the_better_method_and_its_sign():
    rng = np.random.default_rng(3)
    loss = rng.gamma(2, 1, 800)
    worse = loss + rng.normal(0.3, 1, 800)
    result, swapped = diebold_mariano(loss, worse, horizon=1), diebold_mariano(worse, loss, horizon=1)
    assert result.p_value < 0.001 and result.high < 0
    assert (swapped.statistic, swapped.low) == pytest.approx((-result.statistic, -result.high))
    assert swapped.p_value == pytest.approx(result.p_value)


def test_diebold_mariano_of_equal_losses_sees_no_difference():
    loss = np.random.default_rng(4).gamma(2, 1, 100)
    result = diebold_mariano(loss, loss.copy(), horizon=5)
    assert (result.mean_difference, result.statistic, result.p_value, result.low, result.high) == (0, 0, 1, 0, 0)


def test_diebold_mariano_of_a_constant_gap_leaves_no_doubt():
    loss = np.arange(50.0)
    result = diebold_mariano(loss, loss + 2, horizon=5)
    assert (result.statistic, result.p_value, result.low, result.high) == (-math.inf, 0, -2, -2)


@pytest.mark.parametrize(("num_rows", "horizon"), [(9, 1), (87, 22)])
def test_diebold_mariano_of_too_few_rows_is_refused(num_rows, horizon):
    with pytest.raises(BadInputError, match=f"{num_rows} rows"):
        diebold_mariano(np.arange(num_rows), np.ones(num_rows), horizon=horizon)
    diebold_mariano(np.arange(num_rows + 1), np.ones(num_rows + 1), horizon=horizon)


def test_diebold_mariano_of_bad_input_names_it():
    with pytest.raises(BadInputError, match="other_loss of row 3"):
        diebold_mariano(np.ones(20), np.where(np.arange(20) == 3, np.nan, 1), horizon=1)
    with pytest.raises(BadParamsError, match="horizon"):
        diebold_mariano(np.ones(20), np.ones(20), horizon=0)
    with pytest.raises(BadParamsError, match="confidence"):
        diebold_mariano(np.ones(20), np.ones(20), horizon=1, confidence=95)
