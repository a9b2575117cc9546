"""What judges a delivery, a champion and a refit of forecasts: each number by plain loops, and no look ahead."""

import numpy as np
import pandas as pd
import pytest
from forecasting_data import HORIZONS, made_series, with_other_future

from core.errors import BadInputError, BadParamsError
from core.evaluation.multiple_testing import holm
from core.forecasting.diebold_mariano import diebold_mariano
from core.forecasting.forecaster import FORECASTERS, ForecastTask
from core.forecasting.losses import qlike
from core.forecasting.panel import Panel
from core.forecasting.params import SeriesParams, SeriesTrainParams
from core.forecasting.retrain.delivery_doubts import delivery_doubts, longest_run
from core.forecasting.retrain.refitting import compare_refitted, refitted_forecast
from core.forecasting.retrain.saved_forecaster import SavedForecaster
from core.forecasting.retrain.series_gates import newest_forecast_gate, refitting_gates, tails_gate
from core.forecasting.retrain.series_judging import judge_forecaster
from core.forecasting.retrain.series_retrain_params import (
    DeliveryLimits,
    SeriesGateLimits,
    WatchLimits,
    series_retrain_params,
)
from core.forecasting.retrain.series_watching import watch_forecasts
from core.forecasting.retrain.usual_losses import excess_losses, stretch_test, usual_losses, yardstick_forecast
from core.forecasting.series import Series
from core.forecasting.tail_risk import kupiec

LAST_ROW = 599
TAIL = {"value_at_risk": [-2.5, -1.6], "shortfall": [-3.0, -2.0]}


def saved(series, *, method="har", factor=1.0, last_row=LAST_ROW):
    """A forecaster of the days up to `last_row`, as train would leave it."""
    fitted = FORECASTERS[method]({}).fit(ForecastTask(series.rows(slice(0, last_row + 1)), (), HORIZONS))
    tails = {"tails": {str(days): TAIL for days in HORIZONS}, "levels": [0.01, 0.05], "whole_day_factor": factor}
    tails |= {"target_domain": series.name, "last_day": str(series.dates[last_row])}
    return SavedForecaster(fitted, tails)


def other(series, **changed):
    return Series(**{**vars(series), **changed})


def test_stretch_test_counts_the_stretches_that_were_as_bad():
    random = np.random.default_rng(0)
    usual, new = random.normal(size=300), random.normal(0.4, size=12)
    count, stretches = 0, 0
    for begin in range(300 - 12 + 1):
        stretches += 1
        count += sum(usual[begin : begin + 12]) / 12 >= sum(new) / 12
    found = stretch_test(new, usual)
    assert found.p_value == pytest.approx((1 + count) / (1 + stretches)) and found.num_stretches == stretches
    assert found.mean == pytest.approx(sum(new) / 12) and found.usual == pytest.approx(sum(usual) / 300)
    assert stretch_test(np.full(12, 9.0), usual).p_value == 1 / (1 + stretches)
    assert stretch_test(np.full(12, -9.0), usual).p_value == 1.0


def test_stretch_test_calls_usual_days_worse_as_often_as_asked():
    """Days that hang together, as overlapping targets make them."""
    random, alarms = np.random.default_rng(1), []
    for _ in range(300):
        losses = np.convolve(random.exponential(size=1030), np.ones(5) / 5, mode="valid")
        alarms.append(stretch_test(losses[-20:], losses[:1000]).p_value < 0.05)
    assert 0.02 < np.mean(alarms) < 0.09


def test_stretch_test_needs_a_longer_past():
    with pytest.raises(BadInputError, match="usual"):
        stretch_test(np.ones(5), np.ones(4))


def test_excess_loss_knows_no_level_of_volatility_and_no_unknown_day():
    random = np.random.default_rng(2)
    forecast, yardstick, truth = random.uniform(0.5, 2.0, size=(3, 50))
    truth[-3:] = np.nan
    found = excess_losses(forecast, yardstick, truth)
    wanted = [np.log(f / y) + r / f - r / y for f, y, r in zip(forecast, yardstick, truth, strict=True)][:-3]
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    np.testing.assert_allclose(excess_losses(9 * forecast, 9 * yardstick, 9 * truth), found, rtol=1e-9)
    assert len(excess_losses(forecast, yardstick, np.full(50, np.nan))) == 0


def test_usual_losses_end_where_the_champion_knew_the_truth():
    series = made_series(700)
    origins = np.arange(300, 699)
    truth = {
        h: [series.day_variance[t + 1 : t + 1 + h].mean() if t + h < 700 else np.nan for t in origins] for h in HORIZONS
    }
    table = pd.DataFrame({"date": series.dates[origins].astype("datetime64[s]")})
    for h in HORIZONS:
        table[f"forecast_{h}"], table[f"realised_{h}"] = 1.0 + 0.001 * origins, truth[h]
    found = usual_losses(table, series, HORIZONS, LAST_ROW)
    yardstick = yardstick_forecast(series, HORIZONS, LAST_ROW)
    for place, h in enumerate(HORIZONS):
        rows = [t for t in origins if t + h <= LAST_ROW]
        losses = [np.log(1 + 0.001 * t) + truth[h][t - 300] / (1 + 0.001 * t) for t in rows]
        less = [np.log(yardstick[t, place]) + truth[h][t - 300] / yardstick[t, place] for t in rows]
        np.testing.assert_allclose(found[h][0], losses, rtol=1e-10)
        np.testing.assert_allclose(found[h][1], np.subtract(losses, less), atol=1e-10)


def test_longest_run_counts_by_loops():
    for bits in (np.array([0, 1, 1, 0, 1, 1, 1, 0], bool), np.zeros(4, bool), np.ones(3, bool), np.zeros(0, bool)):
        longest = here = 0
        for bit in bits:
            here = here + 1 if bit else 0
            longest = max(longest, here)
        assert longest_run(bits) == longest


NUM_NEW = 20
SPOILED = {
    "as it came": (lambda r: r, ""),
    "a crisis": (lambda r: 5 * r, ""),
    "a crash": (lambda r: np.where(np.arange(len(r)) == 3, -23.0, r), ""),
    "percent for fractions": (lambda r: 100 * np.clip(r, -0.35, 0.35), "The scale is off"),
    "fractions for percent": (lambda r: r / 100, "The scale is off"),
    "split": (lambda r: np.where(np.arange(len(r)) == 3, -69.3, r), "like a split 1:2"),
    "beyond all seen": (lambda r: np.where(np.arange(len(r)) == 3, 52.0, r), "+52.0 %"),
    "stands still": (lambda r: np.where(np.arange(len(r)) >= 12, 0.0, r), "same price on 8 days"),
    "repeats": (lambda r: np.where(np.arange(len(r)) >= 12, 0.3, r), "same return on 7 days"),
}


@pytest.mark.parametrize("spoil", SPOILED)
def test_delivery_is_doubted_for_what_no_market_does(spoil):
    change, why = SPOILED[spoil]
    series = made_series(400)
    returns = series.returns.copy()
    returns[-NUM_NEW:] = change(returns[-NUM_NEW:])
    is_new = np.arange(400) >= 400 - NUM_NEW
    doubts = delivery_doubts(other(series, returns=returns), series.dates, is_new, DeliveryLimits())
    assert (len(doubts) >= 1 and why in " ".join(doubts)) if why else doubts == []


@pytest.mark.parametrize(("days", "is_doubted"), [(21, False), (22, True)])
def test_delivery_after_a_long_gap_is_doubted(days, is_doubted):
    series = made_series(400)
    later = series.dates + np.where(np.arange(400) >= 380, np.timedelta64(days - 1, "D"), np.timedelta64(0, "D"))
    doubts = delivery_doubts(other(series, dates=later), later, np.arange(400) >= 380, DeliveryLimits())
    assert bool(doubts) == is_doubted and (not doubts or "without a row" in doubts[0])


def test_saved_forecaster_goes_on_without_a_look_ahead():
    series = made_series(660)
    champion = saved(series)
    told = champion.forecast(series, LAST_ROW, whole_day_factor=1.0)
    moved = champion.forecast(with_other_future(series, 630), LAST_ROW, whole_day_factor=1.0)
    assert told.shape == (660 - LAST_ROW, 3) and champion.last_row(series) == LAST_ROW
    np.testing.assert_array_equal(told[: 631 - LAST_ROW], moved[: 631 - LAST_ROW])
    assert not np.array_equal(told[-1], moved[-1])
    of_its_own_days = champion.forecaster.forecast(series.rows(slice(0, LAST_ROW + 1)), LAST_ROW)
    np.testing.assert_allclose(told[0], of_its_own_days[0], rtol=1e-12)


def test_saved_forecaster_reads_variances_with_its_own_factor():
    series = made_series(660)
    double = other(series, day_variance=2 * series.day_variance)
    told = saved(series).forecast(series, LAST_ROW, whole_day_factor=1.0)
    np.testing.assert_allclose(saved(series).forecast(double, LAST_ROW, whole_day_factor=2.0), told, rtol=1e-12)


def test_saved_forecaster_begins_where_its_history_did():
    """A recursion over days remembers where it began."""
    series = made_series(660)
    history = series.rows(slice(LAST_ROW - 300, LAST_ROW + 1))
    fitted = FORECASTERS["har"]({}).fit(ForecastTask(history, (), HORIZONS))
    champion = SavedForecaster(fitted, saved(series).tails)
    told = champion.forecast(series, LAST_ROW, whole_day_factor=1.0, history_days=300)
    np.testing.assert_array_equal(told, fitted.forecast(series.rows(slice(LAST_ROW - 300, None)), 300))


def test_refits_know_what_was_known_and_the_first_is_the_champions():
    series, limits = made_series(640), SeriesGateLimits(refit_days=10)
    train = SeriesTrainParams(method="har")
    told = refitted_forecast(Panel(series, (), series.dates[300]), HORIZONS, train, limits, last_row=LAST_ROW)
    assert len(told) == 640 - 1 - LAST_ROW
    frozen = saved(series).forecast(series, LAST_ROW, whole_day_factor=1.0)
    np.testing.assert_allclose(told[:10], frozen[:10], rtol=1e-10)
    assert not np.allclose(told[10:], frozen[10:-1])
    moved = with_other_future(series, 620)
    again = refitted_forecast(Panel(moved, (), series.dates[300]), HORIZONS, train, limits, last_row=LAST_ROW)
    np.testing.assert_array_equal(told[: 621 - LAST_ROW], again[: 621 - LAST_ROW])


def test_comparison_of_refits_is_diebold_mariano_with_holm_and_says_what_is_not_measured():
    series, random = made_series(680), np.random.default_rng(3)
    champion, refitted = random.uniform(0.8, 1.2, size=(2, 80, 3))
    compared = compare_refitted(champion, refitted, series.day_variance, HORIZONS, SeriesGateLimits(), first_row=599)
    p_values = []
    for place, (one, h) in enumerate(zip(compared, HORIZONS, strict=True)):
        rows = range(80 if 599 + 79 + h < 680 else 680 - h - 599)
        truth = np.array([series.day_variance[599 + t + 1 : 599 + t + 1 + h].mean() for t in rows])
        losses = [qlike(side[: len(truth), place], truth) for side in (champion, refitted)]
        assert one["num_rows"] == len(truth) and one["champion"] == pytest.approx(losses[0].mean())
        if h == 22:
            assert len(truth) < 4 * 22 and one["difference"] is one["p_value"] is None
            continue
        test = diebold_mariano(*losses, horizon=h)
        assert (one["difference"], one["low"], one["high"]) == (test.mean_difference, test.low, test.high)
        assert one["difference"] == pytest.approx(one["champion"] - one["challenger"])
        p_values.append(test.p_value)
    np.testing.assert_allclose([one["p_value"] for one in compared[:2]], holm(np.array(p_values)))


@pytest.mark.parametrize(
    ("difference", "p_value", "is_passed", "consequence"),
    [
        (-0.02, 0.01, False, "refuse"),
        (-0.02, 0.30, True, "refuse"),
        (-0.09, 0.30, False, "hold"),
        (0.09, 0.01, True, "refuse"),
        (None, None, True, "refuse"),
    ],
)
def test_refit_is_refused_beyond_chance_and_held_over_its_limit(difference, p_value, is_passed, consequence):
    one = {"num_rows": 30, "champion": 1.0, "challenger": 1.0, "low": -1.0, "high": 1.0}
    gate = refitting_gates([{**one, "difference": difference, "p_value": p_value}], (1,), SeriesGateLimits())[0]
    assert (gate.is_passed, gate.consequence) == (is_passed, consequence)
    assert ("not measured" in gate.value) == (difference is None)


@pytest.mark.parametrize(
    ("challenger", "champion", "is_passed"),
    [
        (1.0, 2.9, True),
        (1.0, 3.1, False),
        (3.1, 1.0, False),
        (np.nan, 1.0, False),
        (0.0, 1.0, False),
        (1.0, None, True),
    ],
)
def test_newest_forecast_is_above_zero_and_near_the_champions(challenger, champion, is_passed):
    before = None if champion is None else {1: champion, 5: 1.0}
    assert newest_forecast_gate({1: challenger, 5: 1.0}, before, SeriesGateLimits()).is_passed == is_passed


def test_champion_of_another_market_is_not_compared_and_a_person_decides():
    series = made_series(660)
    challenger, champion = saved(series, last_row=659), saved(made_series(660, name="other"))
    panel = Panel(series, (), series.dates[300])
    told = {"whole_day_factor": 1.0, "history_days": (None, None)}
    gates, compared = judge_forecaster(challenger, champion, panel, SeriesTrainParams(), SeriesGateLimits(), **told)
    assert compared == [] and [(g.name, g.consequence) for g in gates if not g.is_passed] == [("market", "hold")]


@pytest.mark.parametrize(
    ("tail", "is_passed"),
    [(TAIL, True), ({**TAIL, "value_at_risk": [0.1, -1.0]}, False), ({**TAIL, "shortfall": [-2.0, -2.0]}, False),
     ({**TAIL, "shortfall": [np.nan, -2.0]}, False)],
)  # fmt: skip
def test_value_at_risk_is_a_loss_and_the_shortfall_beyond_it(tail, is_passed):
    assert tails_gate({"tails": {"1": TAIL, "5": tail}}).is_passed == is_passed


def test_watch_tells_exceedances_by_kupiec_and_alarms_where_they_are_too_many():
    series = made_series(660)
    champion = saved(series)
    forecast = champion.forecast(series, LAST_ROW, whole_day_factor=1.0)
    wild = other(series, returns=np.where(np.arange(660) % 4 == 0, -9.0, series.returns))
    for watched, is_alarm in ((series, False), (wild, True)):
        report = watch_forecasts(champion, watched, forecast, None, WatchLimits(), seed=0)
        exceeded = watched.returns[LAST_ROW + 1 :] < champion.value_at_risk(forecast, 0)[:-1, 1]
        test = next(test for test in report["tests"] if "5%" in test["name"])
        assert test["effect"] == pytest.approx(exceeded.mean()) and test["is_alarm"] == is_alarm
        assert test["p_value"] == pytest.approx(kupiec(exceeded, 0.05).p_value)
        assert len(report["problems"]) == 3  # of no horizon is the usual level known


def test_params_are_checked_and_train_every_time_by_default():
    params = SeriesParams(prepare={"target_domain": "here"}, retrain={"gates": {"max_factor": 5.0}, "push": True})
    told = series_retrain_params(params, "market_risk")
    assert (told.when, told.gates.max_factor, told.push) == ("always", 5.0, True)
    for wrong in ({"wen": "drift"}, {"gates": {"max_factor": 0.5}}, {"watch": {"significance": 2.0}}):
        with pytest.raises(BadParamsError, match=r"market_risk\.retrain"):
            series_retrain_params(SeriesParams(prepare={"target_domain": "here"}, retrain=wrong), "market_risk")
