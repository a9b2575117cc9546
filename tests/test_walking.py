import numpy as np
import pytest
from forecasting_data import HORIZONS, made_series, with_other_future

from core.errors import BadInputError
from core.forecasting.forecaster import FORECASTERS
from core.forecasting.params import SeriesParams
from core.forecasting.plan import ledger_plan
from core.forecasting.risk_quantiles import fit_student, future_returns, student_quantiles, tail_of, walk_risk
from core.forecasting.walking import Walk, walk_method
from core.params import parse_section

SERIES = made_series(900, name="target")
FIRST = SERIES.dates[500]


def walk(series=SERIES, sources=(), refit_days=150):
    return Walk(series, sources, HORIZONS, FIRST, refit_days)


class Spy:
    """Stands for a forecaster and keeps what it was given."""

    transfers = False

    def __init__(self, options, log):
        self.log = log

    def fit(self, task):
        self.log.append(("fit", task.history.dates[0], task.history.dates[-1], len(task.history), task.sources))
        return self

    def forecast(self, series, first_row):
        self.log.append(("forecast", series.dates[first_row], series.dates[-1]))
        return np.ones((len(series) - first_row, len(HORIZONS)))


@pytest.fixture
def log(monkeypatch):
    log = []
    monkeypatch.setitem(FORECASTERS._entries, "spy", lambda options: Spy(options, log))
    return log


def test_walk_fits_on_what_was_known_and_forecasts_every_day_once(log):
    run = walk_method(walk(), "spy", {}, "all")
    fits = [entry for entry in log if entry[0] == "fit"]
    assert [str(entry[2]) for entry in fits] == [str(SERIES.dates[row]) for row in (499, 649, 799)]
    assert all(entry[1] == SERIES.dates[0] for entry in fits)
    assert run.forecast.shape == (400, 3) and len(walk().origins) == 400
    assert walk().target.dates[walk().origins[0] + 1] == FIRST  # the first day that is forecast is the first test day


def test_walk_with_a_budget_gives_as_many_days_and_no_more(log):
    walk_method(walk(), "spy", {}, 200)
    fits = [entry for entry in log if entry[0] == "fit"]
    assert [entry[3] for entry in fits] == [201, 201, 201]  # 200 days whose next one is known, and that one
    assert str(fits[1][2]) == str(SERIES.dates[649]) and str(fits[1][1]) == str(SERIES.dates[449])


def test_walk_refuses_a_source_that_reaches_into_the_test_period():
    with pytest.raises(ValueError, match="reaches into the test period"):
        walk(sources=(made_series(501, name="late"),))
    assert walk(sources=(made_series(501, name="early").until(FIRST),)).sources


@pytest.mark.parametrize("method", ["ewma", "har", "har_boosted", "har_shrunk"])
def test_no_forecast_of_the_past_changes_when_the_future_does(method):
    sources = (made_series(400, seed=9, name="source"),)
    before = walk_method(walk(sources=sources), method, {}, "all")
    after = walk_method(walk(with_other_future(SERIES, 700), sources), method, {}, "all")
    known = walk().origins <= 700
    assert np.array_equal(before.forecast[known], after.forecast[known])
    assert not np.allclose(before.forecast[~known], after.forecast[~known])
    risks = [
        walk_risk(walk(s, sources), run, (0.05,))
        for s, run in ((SERIES, before), (with_other_future(SERIES, 700), after))
    ]
    assert np.array_equal(risks[0].value_at_risk[known], risks[1].value_at_risk[known])
    assert not np.allclose(risks[0].value_at_risk[~known], risks[1].value_at_risk[~known])


def test_future_returns_equal_plain_loop():
    returns = np.random.default_rng(0).standard_normal(40)
    found = future_returns(returns, (1, 5))
    for row in range(40):
        for column, days in enumerate((1, 5)):
            expected = returns[row + 1 : row + 1 + days].sum() if row + days < 40 else np.nan
            assert found[row, column] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("degrees", [2.5, 4.0, 30.0])
def test_student_shortfall_equals_the_integral_of_the_tail(degrees):
    from scipy import integrate, stats

    at_risk, shortfall = student_quantiles(degrees, 1.7, (0.01, 0.05))
    for level, value, beyond in zip((0.01, 0.05), at_risk, shortfall, strict=True):
        assert stats.t.cdf(value / 1.7, degrees) == pytest.approx(level)
        mean = integrate.quad(lambda x: x * stats.t.pdf(x, degrees, scale=1.7), -np.inf, value)[0] / level
        assert beyond == pytest.approx(mean, rel=1e-4) and beyond < value < 0


def test_fitted_student_finds_the_degrees_that_made_the_rows():
    rows = 0.8 * np.random.default_rng(0).standard_t(5, 20_000)
    degrees, scale = fit_student(rows)
    assert degrees == pytest.approx(5, rel=0.15) and scale == pytest.approx(0.8, rel=0.05)


def test_fitted_student_keeps_a_variance_however_wild_the_rows():
    degrees, _ = fit_student(np.random.default_rng(0).standard_cauchy(2000))
    assert degrees == 2.1


def test_value_at_risk_of_a_true_forecast_is_exceeded_as_often_as_told():
    series = made_series(3000, seed=3)
    long = Walk(series, (), (1,), series.dates[1000], 500)
    run = walk_method(long, "ewma", {}, "all")
    risk = walk_risk(long, run, (0.05,))
    rate = np.mean(risk.returns[:, 0] < risk.value_at_risk[:, 0, 0])
    assert 0.035 < rate < 0.065


def params_of(**compare):
    return parse_section(
        SeriesParams, {"prepare": {"target_domain": "x"}, "compare": {"baseline": "ewma", **compare}}, where="x"
    )


def test_plan_leaves_out_what_needs_a_source_and_budgets_beyond_the_history():
    params = params_of(methods=["ewma", "har_pooled"], budgets=[250, 900, "all"])
    assert ledger_plan(params, has_sources=False, num_history=500) == [(250, "ewma"), ("all", "ewma")]
    assert len(ledger_plan(params, has_sources=True, num_history=1000)) == 6


def test_walk_with_too_few_days_before_the_test_is_refused():
    with pytest.raises(BadInputError, match="days to learn from"):
        walk_method(Walk(SERIES, (), HORIZONS, SERIES.dates[60], 500), "har", {}, "all")


def test_tail_that_many_rows_tell_is_their_own_quantile_and_mean_beyond():
    rows = np.random.default_rng(0).standard_normal(4000)
    rows = np.where(rows < 0, 1.6 * rows, rows)  # falls deeper than it rises
    at_risk, shortfall = tail_of(rows, (0.01, 0.05))
    for level, value, beyond in zip((0.01, 0.05), at_risk, shortfall, strict=True):
        assert value == pytest.approx(np.quantile(rows, level))
        assert beyond == pytest.approx(np.mean([row for row in rows if row <= value])) and beyond < value < 0
    assert at_risk[0] < student_quantiles(*fit_student(rows), (0.01,))[0][0]  # a symmetric tail would be too thin


def test_tail_that_few_rows_tell_is_a_students_and_no_thinner_than_the_next_level():
    rows = np.random.default_rng(0).standard_t(4, 300)
    at_risk, shortfall = tail_of(rows, (0.01, 0.05))
    expected = student_quantiles(*fit_student(rows), (0.01,))
    assert at_risk[1] == pytest.approx(np.quantile(rows, 0.05))
    assert at_risk[0] == pytest.approx(min(expected[0][0], at_risk[1]))
    assert shortfall[0] == pytest.approx(min(expected[1][0], shortfall[1])) and (shortfall <= at_risk).all()
