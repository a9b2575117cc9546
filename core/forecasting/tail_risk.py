"""Value at risk and expected shortfall against what came: tick loss, coverage, independence, size of the exceedances.

Both are returns in percent, negative: expected shortfall <= value at risk < 0. A day exceeds where its return is below
the value at risk. `level` is the share of days that should, for example 0.01.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import xlogy
from scipy.stats import binom, chi2

from core.errors import BadInputError, BadParamsError
from core.forecasting.checked_rows import finite_rows, require_count, require_fraction, require_rows

# Cumulative chance of so many exceedances or fewer, from which on a zone begins.
YELLOW_FROM, RED_FROM = 0.95, 0.9999


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood ratio statistic, 0 or more, and its chi-square p-value."""

    statistic: float
    p_value: float


@dataclass(frozen=True)
class Christoffersen:
    """independence: exceedances do not follow one another. conditional_coverage: nor are they too many or too few."""

    independence: LikelihoodRatio
    conditional_coverage: LikelihoodRatio


@dataclass(frozen=True)
class ShortfallTest:
    """statistic: 0 expected, negative where losses are worse than told. p_value: one-sided, small where they are.

    Both are NaN where there is nothing to judge by; see each test.
    """

    statistic: float
    p_value: float
    num_exceeded: int


def quantile_loss(return_: np.ndarray, value_at_risk: np.ndarray, level: float) -> np.ndarray:
    """(level - 1[r < q]) (r - q) of each row, in percent, 0 or more; the true quantile has the lowest mean.

    Shape: (N,), (N,) -> (N,)

    Source: Koenker & Bassett 1978, the check function.

    Raises:
        BadInputError: lengths differ, a value is missing or infinite, or a value at risk is not below 0.
        BadParamsError: level is not between 0 and 1.
    """
    return_, value_at_risk = _checked(level, return_=return_, value_at_risk=value_at_risk)
    return (level - (return_ < value_at_risk)) * (return_ - value_at_risk)


def kupiec(is_exceeded: np.ndarray, level: float) -> LikelihoodRatio:
    """Is the share of days (N,) that exceeded `level`? LR = 2 (log L(share) - log L(level)), chi-square of 1.

    L(p) = p^n1 (1 - p)^n0 with n1 days exceeded and n0 not; 0 log 0 is 0, so that no exceedance is an answer too.

    Source: Kupiec 1995, test of the proportion of failures.

    Raises:
        BadInputError: is_exceeded is not (N,) of Booleans.
        BadParamsError: level is not between 0 and 1.
    """
    is_exceeded = _booleans(is_exceeded, at_least=1)
    require_fraction(level, "level")
    exceeded, others = int(is_exceeded.sum()), int((~is_exceeded).sum())
    return _likelihood_ratio(
        _log_likelihood(exceeded, others, level), _log_likelihood(exceeded, others, exceeded / len(is_exceeded)), 1
    )


def christoffersen(is_exceeded: np.ndarray, level: float) -> Christoffersen:
    """Does an exceedance among days (N,) change the chance of one on the next? Chi-square of 1, with the share of 2.

    Of the N - 1 days with a day before: two rates, after an exceedance and after none, against one (independence), and
    against `level` (conditional coverage). The latter is `kupiec` of these days plus the former.

    Source: Christoffersen 1998, sections 3.2 and 3.3, with the first day given.

    Raises:
        BadInputError: is_exceeded is not (N,) of at least two Booleans.
        BadParamsError: level is not between 0 and 1.
    """
    is_exceeded = _booleans(is_exceeded, at_least=2)
    require_fraction(level, "level")
    before, after = is_exceeded[:-1], is_exceeded[1:]
    counts = [(int((after & group).sum()), int((~after & group).sum())) for group in (~before, before)]
    two_rates = sum(_log_likelihood(hits, misses, hits / max(hits + misses, 1)) for hits, misses in counts)
    hits, misses = int(after.sum()), int((~after).sum())
    return Christoffersen(
        _likelihood_ratio(_log_likelihood(hits, misses, hits / len(after)), two_rates, 1),
        _likelihood_ratio(_log_likelihood(hits, misses, level), two_rates, 2),
    )


def basel_zone(num_exceeded: int, *, num_days: int = 250, level: float = 0.01) -> Literal["green", "yellow", "red"]:
    """The supervisor's traffic light for the exceedances of the last `num_days` days.

    Yellow from where so many or fewer have a chance of 95 %, red from 99.99 %, by the binomial: 5 and 10 of 250 days.

    Source: Basel Committee 1996, Supervisory framework for the use of backtesting, table 2.

    Raises:
        BadParamsError: counts that cannot be, or level not between 0 and 1.
    """
    require_count(num_days, "num_days", at_least=1)
    require_count(num_exceeded, "num_exceeded", at_least=0)
    require_fraction(level, "level")
    if num_exceeded > num_days:
        raise BadParamsError(f"num_exceeded is {num_exceeded}, expected at most num_days, {num_days}.")
    chance = binom.cdf(num_exceeded, num_days, level)
    return "red" if chance >= RED_FROM else "yellow" if chance >= YELLOW_FROM else "green"


def acerbi_szekely(
    returns: np.ndarray,
    value_at_risk: np.ndarray,
    expected_shortfall: np.ndarray,
    level: float,
    *,
    num_bootstrap: int = 2000,
    seed: int,
) -> ShortfallTest:
    """Are exceedances as many and as deep as told? Z2 = 1 - sum over exceeded days of r / ES, over N level.

    The p-value is ours and needs no model: under the forecasts the number of exceedances is binomial(N, level) and the
    mean of r / ES over them is 1. So each draw takes a binomial number of the ratios seen, divided by their mean, and
    the p-value is the share of draws with a Z2 as low. Simulated from Student's t it called 3 to 6 % of right
    forecasts wrong at 5 %. Without an exceedance Z2 is 1 and so is the p-value.

    Shape: (N,), (N,), (N,) -> scalars

    Source: Acerbi & Szekely 2014, test 2 (Z2), with their positive ES written as -ES.

    Raises:
        BadInputError: lengths differ, a value is missing or infinite, or not expected shortfall <= value at risk < 0.
        BadParamsError: level is not between 0 and 1, or num_bootstrap is below 1.
    """
    ratios = _exceedance_ratios(returns, value_at_risk, expected_shortfall, level)
    require_count(num_bootstrap, "num_bootstrap", at_least=1)
    expected = len(returns) * level
    statistic = float(1 - ratios.sum() / expected)
    if len(ratios) == 0:
        return ShortfallTest(statistic, 1.0, 0)
    rng = np.random.default_rng(seed)
    drawn = rng.binomial(len(returns), level, size=num_bootstrap)
    picked = rng.choice(ratios / ratios.mean(), size=(num_bootstrap, int(drawn.max())))
    is_drawn = np.arange(picked.shape[1]) < drawn[:, None]
    return ShortfallTest(statistic, _lower_tail(1 - (picked * is_drawn).sum(axis=1) / expected, statistic), len(ratios))


def mcneil_frey(
    returns: np.ndarray,
    value_at_risk: np.ndarray,
    expected_shortfall: np.ndarray,
    level: float,
    *,
    num_bootstrap: int = 2000,
    seed: int,
) -> ShortfallTest:
    """Are exceedances as deep as told, however many? The mean over exceeded days of the residual (r - ES) / |ES|.

    One-sided bootstrap of the t statistic, residuals centred at 0. The residuals are scaled by the shortfall where the
    source scales by the volatility; the mean is then Acerbi and Szekely's Z1. Cautious: with 10 exceedances it called
    3 % of right forecasts wrong at 5 %, with 6 about 2 %. The p-value is NaN with fewer than two, or all alike.

    Shape: (N,), (N,), (N,) -> scalars

    Source: McNeil & Frey 2000, test of the exceedance residuals; bootstrap: Efron & Tibshirani 1993, section 16.4.

    Raises:
        BadInputError, BadParamsError: as `acerbi_szekely`.
    """
    residuals = 1 - _exceedance_ratios(returns, value_at_risk, expected_shortfall, level)
    require_count(num_bootstrap, "num_bootstrap", at_least=1)
    if len(residuals) < 2 or np.ptp(residuals) == 0:
        return ShortfallTest(float(residuals.mean()) if len(residuals) else np.nan, np.nan, len(residuals))
    centred = residuals - residuals.mean()
    drawn = np.random.default_rng(seed).choice(centred, size=(num_bootstrap, len(residuals)))
    p_value = _lower_tail(_t_statistics(drawn), _t_statistics(residuals[None])[0])
    return ShortfallTest(float(residuals.mean()), p_value, len(residuals))


def _checked(level: float, **columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """The columns, finite and as long as each other, with every value at risk below 0."""
    require_fraction(level, "level")
    checked = dict(zip(columns, finite_rows(**columns), strict=True))
    require_rows(checked["value_at_risk"] < 0, checked["value_at_risk"], "value_at_risk", "a return below 0")
    return tuple(checked.values())


def _exceedance_ratios(
    returns: np.ndarray, value_at_risk: np.ndarray, expected_shortfall: np.ndarray, level: float
) -> np.ndarray:
    """r / ES of the days that exceeded, above 0; 1 on average where the shortfall is right."""
    returns, value_at_risk, expected_shortfall = _checked(
        level, returns=returns, value_at_risk=value_at_risk, expected_shortfall=expected_shortfall
    )
    require_rows(
        expected_shortfall <= value_at_risk, expected_shortfall, "expected_shortfall", "at most the value at risk"
    )
    is_exceeded = returns < value_at_risk
    return returns[is_exceeded] / expected_shortfall[is_exceeded]


def _booleans(is_exceeded: np.ndarray, *, at_least: int) -> np.ndarray:
    """(N,) Booleans."""
    is_exceeded = np.asarray(is_exceeded)
    if is_exceeded.dtype != bool or is_exceeded.ndim != 1 or len(is_exceeded) < at_least:
        raise BadInputError(
            f"is_exceeded is {is_exceeded.dtype} of shape {is_exceeded.shape}, expected (N,) Booleans,"
            f" at least {at_least}.",
            repair="Give `returns < value_at_risk`.",
        )
    return is_exceeded


def _log_likelihood(hits: int, misses: int, rate: float) -> float:
    """log(rate^hits (1 - rate)^misses), with 0 log 0 = 0."""
    return float(xlogy(hits, rate) + xlogy(misses, 1 - rate))


def _likelihood_ratio(of_null: float, of_free: float, degrees: int) -> LikelihoodRatio:
    """Twice the gap of two log-likelihoods; rounding cannot take it below 0."""
    statistic = max(0.0, 2 * (of_free - of_null))
    return LikelihoodRatio(statistic, float(chi2.sf(statistic, degrees)))


def _t_statistics(draws: np.ndarray) -> np.ndarray:
    """Mean over its standard error, of draws (B, N); infinite where a draw is all alike, 0 where all zero."""
    mean, deviation = draws.mean(axis=1), draws.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(mean / (deviation / np.sqrt(draws.shape[1])), posinf=np.inf, neginf=-np.inf)


def _lower_tail(draws: np.ndarray, value: float) -> float:
    """Share of draws (B,) at or below the value, itself counted as one more draw.

    Source: Davison & Hinkley 1997, section 4.2.
    """
    return float((1 + (draws <= value).sum()) / (1 + len(draws)))
