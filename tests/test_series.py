import math

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInputError
from core.forecasting.series import (
    GAP,
    NO_DATE,
    NO_LEVEL,
    RANGE_MISSING,
    RANGE_WRONG,
    Series,
    series_from_prices,
)
from core.forecasting.session_variance import garman_klass_variance, has_sound_range


def prices(num_days=40, seed=0):
    """Sound sessions on weekdays: open, high, low, close."""
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.02 * generator.standard_normal(num_days)))
    open_ = close * np.exp(0.01 * generator.standard_normal(num_days))
    highest, lowest = np.maximum(open_, close), np.minimum(open_, close)
    return pd.DataFrame(
        {
            "date": pd.bdate_range("2001-01-01", periods=num_days),
            "open": open_,
            "high": highest * (1 + 0.01 * generator.random(num_days)),
            "low": lowest * (1 - 0.01 * generator.random(num_days)),
            "close": close,
        }
    )


def looped_variance(frame, day):
    """The day's variance in percent^2 by the textbook, one day at a time."""
    row, before = frame.iloc[day], frame.iloc[day - 1]
    overnight = math.log(row.open / before.close)
    range_term = 0.5 * math.log(row.high / row.low) ** 2
    drift_term = (2 * math.log(2) - 1) * math.log(row.close / row.open) ** 2
    return 1e4 * (overnight**2 + range_term - drift_term)


def test_series_of_open_high_low_close_equals_loops():
    frame = prices()
    series, problems = series_from_prices(frame, "market")
    assert (series.name, len(series), len(problems), series.has_range) == ("market", 39, 0, True)
    assert series.dates.dtype == np.dtype("datetime64[D]")
    for day in range(1, 40):
        assert series.dates[day - 1] == np.datetime64(frame["date"][day], "D")
        expected = 100 * math.log(frame["close"][day] / frame["close"][day - 1])
        assert series.returns[day - 1] == pytest.approx(expected, rel=1e-12)
        assert series.day_variance[day - 1] == pytest.approx(looped_variance(frame, day), rel=1e-10)


def test_garman_klass_of_a_random_walk_is_its_variance():
    generator = np.random.default_rng(3)
    steps = np.cumsum(0.0005 * generator.standard_normal((4000, 400)), axis=1)
    path = np.exp(np.column_stack([np.zeros(4000), steps]))
    estimate = garman_klass_variance(path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1])
    true_variance = 1e4 * 400 * 0.0005**2
    # seen at 400 moments only, the range is a little too small
    assert 0.88 * true_variance < estimate.mean() < true_variance
    squared = (100 * np.log(path[:, -1])) ** 2
    assert estimate.var() < squared.var() / 5


def test_garman_klass_of_a_session_that_runs_from_low_to_high_is_not_negative():
    one = np.array([100.0])
    assert garman_klass_variance(one, one * 1.1, one, one * 1.1)[0] > 0
    assert garman_klass_variance(one, one, one, one)[0] == 0


@pytest.mark.parametrize(
    ("quote", "is_sound"),
    [
        ((10, 12, 9, 11), True),
        ((10, 10, 10, 10), True),
        ((10, 9, 12, 11), False),  # high below low
        ((10, 12, 9, 13), False),  # close above high
        ((10, 12, 9, 8), False),  # close below low
        ((13, 12, 9, 11), False),  # open above high
        ((10, np.nan, 9, 11), False),
        ((0, 12, 0, 11), False),
        ((10, 12, -9, 11), False),
    ],
)
def test_sound_range_is_told_quote_by_quote(quote, is_sound):
    assert has_sound_range(*(np.array([float(price)]) for price in quote))[0] == is_sound


def test_wrong_and_missing_ranges_fall_back_to_the_squared_return_and_are_counted():
    frame = prices()
    frame.loc[5, ["high", "low"]] = frame.loc[5, ["low", "high"]].to_numpy()
    frame.loc[9, "close"] = frame.loc[9, "high"] * 1.1
    frame.loc[12, "low"] = np.nan
    series, problems = series_from_prices(frame, "market")
    assert problems[["row", "reason"]].values.tolist() == [[12, RANGE_MISSING], [5, RANGE_WRONG], [9, RANGE_WRONG]]
    for day in (5, 9, 12):
        assert series.day_variance[day - 1] == series.returns[day - 1] ** 2
    for day in set(range(1, 40)) - {5, 9, 12}:
        assert series.day_variance[day - 1] == pytest.approx(looped_variance(frame, day), rel=1e-10)


def test_series_of_closes_only_has_squared_returns_and_no_range():
    frame = prices()
    series, problems = series_from_prices(frame[["date", "close"]], "market")
    np.testing.assert_array_equal(series.day_variance, series.returns**2)
    assert not series.has_range and len(problems) == 0


def test_series_whose_range_is_mostly_wrong_has_no_range():
    frame = prices()
    frame.loc[:30, "high"] = 1.0
    assert not series_from_prices(frame, "market")[0].has_range


def test_order_of_rows_does_not_matter():
    frame = prices()
    series, _ = series_from_prices(frame, "market")
    shuffled, _ = series_from_prices(frame.sample(frac=1, random_state=1), "market")
    np.testing.assert_array_equal(series.dates, shuffled.dates)
    np.testing.assert_array_equal(series.day_variance, shuffled.day_variance)


def test_adjusted_close_gives_the_returns_and_scales_the_range():
    frame = prices()
    plain, _ = series_from_prices(frame, "market")
    before_split = np.arange(40) < 20
    raw = frame.copy()
    raw.loc[before_split, ["open", "high", "low", "close"]] *= 2.0  # a 2:1 split on day 20
    raw["adj_close"] = frame["close"]
    series, problems = series_from_prices(raw, "market")
    assert len(problems) == 0
    np.testing.assert_allclose(series.returns, plain.returns, rtol=1e-10)
    np.testing.assert_allclose(series.day_variance, plain.day_variance, rtol=1e-8)
    unadjusted, _ = series_from_prices(raw.drop(columns="adj_close"), "market")
    assert unadjusted.returns.min() == pytest.approx(plain.returns[19] - 100 * math.log(2))


def test_days_without_a_price_are_left_out_and_the_next_return_spans_both():
    frame = prices()
    frame.loc[7, "close"] = np.nan
    frame.loc[9, "close"] = 0.0
    frame.loc[11, "close"] = -5.0
    frame.loc[13, "date"] = pd.NaT
    series, problems = series_from_prices(frame, "market")
    assert len(series) == 35
    assert problems[["row", "reason"]].values.tolist() == [[13, NO_DATE], [7, NO_LEVEL], [9, NO_LEVEL], [11, NO_LEVEL]]
    spanning = series.returns[series.dates == np.datetime64(frame["date"][8], "D")][0]
    assert spanning == pytest.approx(100 * math.log(frame["close"][8] / frame["close"][6]))


@pytest.mark.parametrize(("gap", "is_left_out"), [(10, False), (11, True)])
def test_return_across_a_gap_of_more_than_ten_days_is_left_out(gap, is_left_out):
    frame = prices(20)
    frame["date"] = pd.date_range("2001-01-01", periods=20)
    frame.loc[10:, "date"] += pd.Timedelta(days=gap - 1)
    series, problems = series_from_prices(frame, "market")
    assert len(series) == 19 - is_left_out
    assert problems["reason"].tolist() == [GAP] * is_left_out
    assert (np.datetime64(frame["date"][10], "D") in series.dates) == (not is_left_out)


def test_log_returns_are_taken_as_they_are_with_the_first_day():
    frame = pd.DataFrame({"date": pd.bdate_range("2001-01-01", periods=5), "log_return": [1.0, -2.0, np.nan, 0.0, 3.0]})
    series, problems = series_from_prices(frame, "market")
    assert series.returns.tolist() == [1.0, -2.0, 0.0, 3.0]
    assert series.day_variance.tolist() == [1.0, 4.0, 0.0, 9.0]
    assert problems[["row", "column", "reason"]].values.tolist() == [[2, "log_return", NO_LEVEL]]


def test_between_takes_the_first_day_and_leaves_the_last():
    series, _ = series_from_prices(prices(), "market")
    part = series.between("2001-01-10", "2001-01-15")
    assert [str(day) for day in part.dates] == ["2001-01-10", "2001-01-11", "2001-01-12"]
    assert (part.name, part.has_range) == ("market", True)
    np.testing.assert_array_equal(part.returns, series.returns[6:9])
    assert len(series.until("2001-01-10")) == 6 and len(series.until(pd.Timestamp("1999-01-01").date())) == 0


REFUSED = {
    "a day twice": (lambda frame: pd.concat([frame, frame.iloc[[4]]]), "2001-01-05"),
    "no price": (lambda frame: frame[["date", "open"]], "neither prices nor returns"),
    "one day": (lambda frame: frame.iloc[:1], "no return"),
    "no day": (lambda frame: frame.iloc[:0], "no return"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_table_that_gives_no_series_is_refused(case):
    change, told = REFUSED[case]
    with pytest.raises(BadInputError, match=told):
        series_from_prices(change(prices()), "market")


DAYS = np.array(["2001-01-01", "2001-01-02"], dtype="datetime64[D]")


@pytest.mark.parametrize(
    ("dates", "returns", "variance", "told"),
    [
        (DAYS[::-1], [1, 2], [1, 4], "rise"),
        (DAYS[[0, 0]], [1, 2], [1, 4], "rise"),
        (DAYS, [1, np.nan], [1, 4], "missing"),
        (DAYS, [1, 2], [1, np.inf], "infinite"),
        (DAYS, [1, 2], [1, -4], "negative"),
        (DAYS, [1], [1, 4], "length"),
    ],
)
def test_series_that_breaks_its_contract_cannot_be_made(dates, returns, variance, told):
    with pytest.raises(ValueError, match=told):
        Series("market", dates, np.array(returns, dtype=float), np.array(variance, dtype=float), has_range=False)
