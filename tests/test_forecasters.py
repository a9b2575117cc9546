"""Contract of every registered forecaster, and an oracle for each formula."""

import numpy as np
import pytest
from forecasting_data import HORIZONS, made_series, with_other_future

import core.forecasting.methods  # noqa: F401 - registers all
from core.errors import BadInputError, BadParamsError, MissingArtifactError, VerificationError
from core.forecasting.forecaster import FORECASTERS, ForecastTask, load_forecaster, save_forecaster
from core.forecasting.har_rows import HarRows, design, fit_lines
from core.forecasting.losses import qlike
from core.forecasting.methods.har_shrunk import STRENGTHS
from core.forecasting.scaling import WARM_UP_ROWS, ewma, har_features
from core.model_manifest import write_manifest

ARCH = {"garch", "gjr_garch", "egarch"}
FAST = {"epochs": 2, "source_epochs": 1, "num_members": 1, "width": 4}
SOURCES = (made_series(400, seed=5, name="source", scale=3.0), made_series(300, seed=6, name="other"))


def make(name):
    if name in ARCH:
        pytest.importorskip("arch", reason="the extra `market` is not installed")
    return FORECASTERS[name](FAST if name.startswith("network") else {})


def fitted(name, history, sources=SOURCES):
    return make(name).fit(ForecastTask(history, sources, HORIZONS, seed=1))


@pytest.fixture(scope="module")
def series():
    return made_series(500, name="target")


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecast_is_positive_and_has_a_column_a_horizon(name, series):
    forecast = fitted(name, series.rows(slice(0, 300))).forecast(series, 299)
    assert forecast.shape == (201, 3) and np.isfinite(forecast).all() and (forecast > 0).all()
    assert 0.2 < forecast.mean() / series.day_variance.mean() < 5.0


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecast_knows_no_later_day(name, series):
    forecaster = fitted(name, series.rows(slice(0, 300)))
    before, after = forecaster.forecast(series, 299), forecaster.forecast(with_other_future(series, 399), 299)
    assert np.array_equal(before[:101], after[:101])
    assert not np.allclose(before[101:], after[101:])


@pytest.mark.parametrize("name", FORECASTERS)
def test_saved_forecaster_forecasts_the_same(name, series, tmp_path):
    forecaster = fitted(name, series.rows(slice(0, 300)))
    save_forecaster(forecaster, tmp_path / "model")
    write_manifest(tmp_path / "model")
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".safetensors"}
    assert np.array_equal(load_forecaster(tmp_path / "model").forecast(series, 400), forecaster.forecast(series, 400))


@pytest.mark.parametrize("name", FORECASTERS)
def test_sources_change_the_forecast_exactly_where_the_method_transfers(name, series):
    history = series.rows(slice(0, 300))
    other = (made_series(400, seed=77, name="else", scale=0.2),)
    with_one, with_other = fitted(name, history), fitted(name, history, other)
    is_equal = np.array_equal(with_one.forecast(series, 299), with_other.forecast(series, 299))
    if name == "har_shrunk" and (with_one.strengths_ == 0).all() and (with_other.strengths_ == 0).all():
        assert is_equal
    else:
        assert is_equal == (not FORECASTERS[name].transfers)


@pytest.mark.parametrize("name", FORECASTERS)
def test_method_that_transfers_has_a_twin_that_does_not(name):
    forecaster = FORECASTERS[name]
    if forecaster.transfers:
        assert not FORECASTERS[forecaster.from_scratch].transfers
    else:
        assert forecaster.from_scratch is None


def test_ewma_forecasts_its_level_at_every_horizon(series):
    forecast = fitted("ewma", series.rows(slice(0, 300))).forecast(series, 299)
    assert forecast == pytest.approx(np.repeat(ewma(series.returns**2)[299:, None], 3, axis=1))


def test_last_is_the_mean_of_as_many_days_as_are_forecast(series):
    forecaster = fitted("last", series.rows(slice(0, 300)))
    expected = [series.day_variance[400 - days + 1 : 401].mean() for days in HORIZONS]
    assert forecaster.forecast(series, 400)[0] == pytest.approx(forecaster.bounds_.hold(np.array([expected]))[0])


def test_har_equals_least_squares_of_levels(series):
    history = series.rows(slice(0, 300))
    rows = HarRows.of(history, HORIZONS)
    expected = design(har_features(series.day_variance)[299:] / rows.level) @ fit_lines([rows]) * rows.level
    forecaster = fitted("har", history)
    assert forecaster.forecast(series, 299) == pytest.approx(forecaster.bounds_.hold(expected))


def test_har_pooled_is_the_line_of_all_markets_in_multiples_of_their_levels(series):
    history = series.rows(slice(0, 300))
    parts = [HarRows.of(market, HORIZONS) for market in (history, *SOURCES)]
    assert fitted("har_pooled", history).lines_ == pytest.approx(fit_lines(parts))


def test_har_shrunk_takes_the_strength_that_the_end_of_the_history_prefers(series):
    history = series.rows(slice(0, 300))
    forecaster = fitted("har_shrunk", history)
    own, towards = HarRows.of(history, HORIZONS), fit_lines([HarRows.of(s, HORIZONS) for s in SOURCES])
    cut = round(len(own.features) * 0.7)
    losses = []
    for strength in STRENGTHS:
        x, y = design(own.features[: cut - 1]), own.targets[: cut - 1, 0]
        lines = (np.linalg.lstsq(x, y, rcond=None)[0] + strength * towards[:, 0]) / (1 + strength)
        late = design(own.features[cut:-1]) @ lines
        low, high = 0.05 * y.mean(), 10 * y.max()
        losses.append(np.mean(qlike(np.clip(late, low, high), own.targets[cut:-1, 0])))
    assert forecaster.strengths_[0] == STRENGTHS[int(np.argmin(losses))]


def test_garch_forecast_equals_the_recursion(series):
    history = series.rows(slice(0, 400))
    forecaster = fitted("garch", history)
    mean, omega, alpha, beta = forecaster.parameters_
    shocks = series.returns - mean
    weights = 0.94 ** np.arange(75)
    variance = np.sum(weights / weights.sum() * shocks[:75] ** 2)  # arch's backcast stands for both terms of day 0
    variance = omega + (alpha + beta) * variance
    for row in range(1, 451):
        variance = omega + alpha * shocks[row - 1] ** 2 + beta * variance
    step = omega + alpha * shocks[450] ** 2 + beta * variance
    path = []
    for _ in range(22):
        path.append(step)
        step = omega + (alpha + beta) * step
    expected = [np.mean(path[:days]) for days in HORIZONS]
    assert forecaster.forecast(series, 450)[0] == pytest.approx(expected, rel=1e-6)


def test_arch_that_does_not_converge_falls_back_to_riskmetrics_and_says_so(series, monkeypatch):
    arch = pytest.importorskip("arch", reason="the extra `market` is not installed")
    real = arch.arch_model

    def lost(*arguments, **options):
        model = real(*arguments, **options)
        fit = model.fit

        def fit_and_fail(**how):
            result = fit(**how)
            result._optim_output["status"] = 4
            result._optim_output.status = 4
            return result

        model.fit = fit_and_fail
        return model

    monkeypatch.setattr(arch, "arch_model", lost)
    forecaster = fitted("garch", series.rows(slice(0, 300)))
    assert not forecaster.has_converged_
    assert forecaster.forecast(series, 400)[:, 0] == pytest.approx(ewma(series.returns**2)[400:])


def test_forecaster_with_too_few_days_is_refused(series):
    with pytest.raises(BadInputError, match="60 days to learn from; 100 are needed"):
        fitted("har", series.rows(slice(0, 60)))


def test_forecast_without_a_month_behind_it_is_refused(series):
    with pytest.raises(BadInputError, match="has not 22 days behind it"):
        fitted("har", series).forecast(series, WARM_UP_ROWS - 1)


def test_unknown_option_and_method_name_the_nearest():
    with pytest.raises(BadParamsError, match="Did you mean 'epochs'"):
        FORECASTERS["network"]({"epoch": 3})
    with pytest.raises(BadParamsError, match="Did you mean 'gjr_garch'"):
        FORECASTERS["gjr_grach"]


def test_folder_without_a_forecaster_is_refused(tmp_path):
    with pytest.raises(MissingArtifactError, match="holds no model"):
        load_forecaster(tmp_path)


def test_forecaster_whose_file_was_changed_is_refused(series, tmp_path):
    save_forecaster(fitted("har", series), tmp_path)
    write_manifest(tmp_path)
    path = tmp_path / "forecaster.json"
    path.write_text(path.read_text().replace('"level": ', '"level": 1'))
    with pytest.raises(VerificationError, match=r"forecaster\.json was changed"):
        load_forecaster(tmp_path)
