"""Backtests of value at risk and expected shortfall against plain loops and scipy's likelihoods, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bernoulli, binom, chi2, ttest_1samp
from scipy.stats import t as student_t

from core.errors import BadInputError, BadParamsError
from core.forecasting.tail_risk import acerbi_szekely, basel_zone, christoffersen, kupiec, mcneil_frey, quantile_loss

CLUSTERED = np.isin(np.arange(120), [10, 11, 12, 40, 41, 80])
SHORTFALL_TESTS = [acerbi_szekely, mcneil_frey]


def student_risk(level: float, degrees: float = 5) -> tuple[float, float]:
    """True value at risk and expected shortfall of Student's t, in its own unit."""
    quantile = student_t.ppf(level, degrees)
    tail_mean = -student_t.pdf(quantile, degrees) * (degrees + quantile**2) / ((degrees - 1) * level)
    return quantile, tail_mean


def log_likelihood(is_exceeded: list[bool], rates: list[float]) -> float:
    return sum(bernoulli.logpmf(int(hit), rate) for hit, rate in zip(is_exceeded, rates, strict=True))


def test_quantile_loss_equals_plain_loop():
    rng = np.random.default_rng(0)
    returns, risk = rng.normal(0, 2, 50), -rng.gamma(4, 0.5, 50)
    expected = [(r - q) * (0.05 - 1) if r < q else (r - q) * 0.05 for r, q in zip(returns, risk, strict=True)]
    assert quantile_loss(returns, risk, 0.05) == pytest.approx(expected)
    assert min(expected) >= 0


def test_quantile_loss_is_least_at_the_true_quantile():
    returns = student_t.rvs(5, size=100_000, random_state=1)
    quantile, _ = student_risk(0.05)
    means = [quantile_loss(returns, np.full_like(returns, quantile * scale), 0.05).mean() for scale in (0.7, 1, 1.4)]
    assert np.argmin(means) == 1


@pytest.mark.parametrize("num_exceeded", [1, 3, 12, 250])
def test_kupiec_equals_direct_likelihoods(num_exceeded):
    is_exceeded = np.arange(250) < num_exceeded
    share = num_exceeded / 250
    expected = 2 * (binom.logpmf(num_exceeded, 250, share) - binom.logpmf(num_exceeded, 250, 0.01))
    told = kupiec(is_exceeded, 0.01)
    assert told.statistic == pytest.approx(expected)
    assert told.p_value == pytest.approx(chi2.sf(expected, 1))


def test_kupiec_without_exceedances_is_the_chance_of_none():
    told = kupiec(np.zeros(250, dtype=bool), 0.01)
    assert told.statistic == pytest.approx(-2 * 250 * math.log(0.99))
    assert kupiec(np.arange(100) < 1, 0.01).statistic == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("is_exceeded", [CLUSTERED, CLUSTERED[10:], CLUSTERED[:12]])
def test_christoffersen_equals_direct_likelihoods(is_exceeded):
    before, after = is_exceeded[:-1].tolist(), is_exceeded[1:].tolist()
    rate_after = {
        state: np.mean([hit for past, hit in zip(before, after, strict=True) if past == state])
        for state in (False, True)
    }
    of_two = log_likelihood(after, [rate_after[past] for past in before])
    of_one, of_level = (log_likelihood(after, [rate] * len(after)) for rate in (np.mean(after), 0.025))
    told = christoffersen(is_exceeded, 0.025)
    assert told.independence.statistic == pytest.approx(2 * (of_two - of_one))
    assert told.independence.p_value == pytest.approx(chi2.sf(2 * (of_two - of_one), 1))
    assert told.conditional_coverage.statistic == pytest.approx(2 * (of_two - of_level))
    assert told.conditional_coverage.p_value == pytest.approx(chi2.sf(2 * (of_two - of_level), 2))


def test_christoffersen_conditional_coverage_is_the_sum_of_its_parts():
    told = christoffersen(CLUSTERED, 0.01)
    parts = told.independence.statistic + kupiec(CLUSTERED[1:], 0.01).statistic
    assert told.conditional_coverage.statistic == pytest.approx(parts)


def test_christoffersen_sees_clusters_that_kupiec_does_not():
    clustered = np.isin(np.arange(200), [50, 51, 52, 53, 54])
    spread = np.isin(np.arange(200), [10, 50, 90, 130, 170])
    assert kupiec(clustered, 0.025) == kupiec(spread, 0.025)
    assert christoffersen(clustered, 0.025).independence.p_value < 1e-4
    assert christoffersen(spread, 0.025).independence.p_value > 0.4


@pytest.mark.parametrize("exceeded", [[], [99], [0]])
def test_christoffersen_with_no_pair_to_judge_by_has_no_complaint(exceeded):
    told = christoffersen(np.isin(np.arange(100), exceeded), 0.01)
    assert told.independence.statistic == pytest.approx(0, abs=0.03)
    assert all(np.isfinite([told.conditional_coverage.statistic, told.conditional_coverage.p_value]))


def test_christoffersen_without_exceedances_leaves_only_their_number():
    told = christoffersen(np.zeros(251, dtype=bool), 0.01)
    assert (told.independence.statistic, told.independence.p_value) == (0, 1)
    assert told.conditional_coverage.statistic == pytest.approx(-2 * 250 * math.log(0.99))


def test_coverage_tests_keep_their_level():
    rng = np.random.default_rng(2)
    draws = rng.random((2000, 1000)) < 0.05
    called = np.mean([kupiec(draw, 0.05).p_value < 0.05 for draw in draws])
    joint = np.mean([christoffersen(draw, 0.05).conditional_coverage.p_value < 0.05 for draw in draws])
    assert 0.03 < called < 0.08 and 0.03 < joint < 0.09


def test_basel_zone_of_250_days_is_the_published_table():
    zones = [basel_zone(num) for num in range(13)]
    assert zones == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 3


def test_basel_zone_of_other_days_follows_the_binomial():
    for num in range(40):
        chance = sum(math.comb(500, k) * 0.025**k * 0.975 ** (500 - k) for k in range(num + 1))
        expected = "red" if chance >= 0.9999 else "yellow" if chance >= 0.95 else "green"
        assert basel_zone(num, num_days=500, level=0.025) == expected


def test_acerbi_szekely_statistic_equals_plain_loop():
    rng = np.random.default_rng(3)
    risk = -rng.gamma(9, 0.2, 300)
    shortfall, returns = risk * 1.3, rng.normal(0, 1.5, 300)
    total = num = 0
    for r, q, e in zip(returns, risk, shortfall, strict=True):
        if r < q:
            total, num = total + r / e, num + 1
    told = acerbi_szekely(returns, risk, shortfall, 0.05, seed=0)
    assert told.statistic == pytest.approx(1 - total / (300 * 0.05))
    assert told.num_exceeded == num > 0


def test_acerbi_szekely_p_value_equals_draws_by_loops():
    returns = student_t.rvs(5, size=500, random_state=4) * 1.25
    quantile, tail_mean = student_risk(0.025)
    told = acerbi_szekely(returns, np.full(500, quantile), np.full(500, tail_mean), 0.025, num_bootstrap=20_000, seed=5)
    ratios = [r / tail_mean for r in returns if r < quantile]
    rng, lower = np.random.default_rng(6), 0
    for _ in range(20_000):
        exceeded = rng.binomial(500, 0.025)
        total = sum(rng.choice(ratios, exceeded)) / np.mean(ratios)
        lower += 1 - total / 12.5 <= told.statistic
    assert 0.01 < told.p_value < 0.6
    assert told.p_value == pytest.approx(lower / 20_000, abs=0.015)


def test_mcneil_frey_equals_t_statistics_by_loops():
    returns = student_t.rvs(5, size=800, random_state=7) * 1.2
    quantile, tail_mean = student_risk(0.025)
    told = mcneil_frey(returns, np.full(800, quantile), np.full(800, tail_mean), 0.025, num_bootstrap=4000, seed=8)
    residuals = np.array([(r - tail_mean) / abs(tail_mean) for r in returns if r < quantile])
    assert told.statistic == pytest.approx(residuals.mean()) and told.num_exceeded == len(residuals)
    rng, seen = np.random.default_rng(9), ttest_1samp(residuals, 0).statistic
    drawn = [ttest_1samp(rng.choice(residuals, len(residuals)), residuals.mean()).statistic for _ in range(4000)]
    assert 0.01 < told.p_value < 0.9
    assert told.p_value == pytest.approx(np.mean(np.array(drawn) <= seen), abs=0.03)


@pytest.mark.parametrize("test", SHORTFALL_TESTS)
def test_shortfall_tests_keep_their_level_and_find_deep_losses(test):
    quantile, tail_mean = student_risk(0.025)
    risk, shortfall = np.full(1000, quantile), np.full(1000, tail_mean)
    called = {1.0: 0, 3.0: 0}
    for seed in range(300):
        returns = student_t.rvs(5, size=1000, random_state=seed)
        for scale in called:
            # Only days that exceed are deeper, or not: their number is right, so that both tests can see it.
            scaled = np.where(returns < quantile, quantile + (returns - quantile) * scale, returns)
            told = test(scaled, risk, shortfall, 0.025, num_bootstrap=300, seed=seed)
            called[scale] += told.p_value < 0.05
    assert called[1.0] / 300 < 0.1
    assert called[3.0] / 300 > 0.5


def test_acerbi_szekely_keeps_its_level_from_below_too():
    quantile, tail_mean = student_risk(0.025)
    risk, shortfall = np.full(500, quantile), np.full(500, tail_mean)
    p_values = [
        acerbi_szekely(
            student_t.rvs(5, size=500, random_state=seed), risk, shortfall, 0.025, num_bootstrap=300, seed=seed
        ).p_value
        for seed in range(400)
    ]
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.09
    assert 0.4 < np.mean(np.array(p_values) < 0.5) < 0.6


def test_shortfall_tests_without_exceedances_do_not_complain():
    quiet, risk, shortfall = np.zeros(50), np.full(50, -1.0), np.full(50, -1.5)
    told = acerbi_szekely(quiet, risk, shortfall, 0.01, seed=0)
    assert (told.statistic, told.p_value, told.num_exceeded) == (1, 1, 0)
    told = mcneil_frey(quiet, risk, shortfall, 0.01, seed=0)
    assert math.isnan(told.statistic) and math.isnan(told.p_value) and told.num_exceeded == 0


def test_mcneil_frey_with_one_exceedance_tells_its_depth_only():
    told = mcneil_frey(np.array([0.0, -3.0]), np.full(2, -1.0), np.full(2, -2.0), 0.01, seed=0)
    assert told.statistic == pytest.approx(-0.5) and math.isnan(told.p_value)


@pytest.mark.parametrize("test", SHORTFALL_TESTS)
def test_shortfall_tests_repeat_by_seed(test):
    returns = student_t.rvs(5, size=400, random_state=10)
    told = [test(returns, np.full(400, -2.0), np.full(400, -2.9), 0.05, seed=seed) for seed in (1, 1, 2)]
    assert told[0] == told[1] and told[0].p_value != told[2].p_value


@pytest.mark.parametrize("test", SHORTFALL_TESTS)
def test_shortfall_tests_of_positive_or_crossed_forecasts_name_the_row(test):
    returns = np.zeros(3)
    with pytest.raises(BadInputError, match="value_at_risk of row 1"):
        test(returns, np.array([-1, 1.0, -1]), np.full(3, -2.0), 0.01, seed=0)
    with pytest.raises(BadInputError, match="expected_shortfall of row 2"):
        test(returns, np.full(3, -1.0), np.array([-2, -2, -0.5]), 0.01, seed=0)
    with pytest.raises(BadParamsError, match="level"):
        test(returns, np.full(3, -1.0), np.full(3, -2.0), 99, seed=0)


def test_coverage_tests_of_bad_input_name_it():
    for test in (kupiec, christoffersen):
        with pytest.raises(BadInputError, match="Booleans"):
            test(np.array([0, 1, 0]), 0.01)
        with pytest.raises(BadParamsError, match="level"):
            test(np.array([False, True]), 0)
    with pytest.raises(BadInputError, match="at least 2"):
        christoffersen(np.array([True]), 0.01)
    with pytest.raises(BadParamsError, match="at most num_days"):
        basel_zone(6, num_days=5)
