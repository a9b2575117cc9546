import numpy as np
import pytest
from forecasting_data import made_series, with_other_future

from core.errors import BadInputError
from core.forecasting.har_rows import HarRows, design, fit_lines, fit_shrunk_lines
from core.forecasting.scaling import HAR_DAYS, Bounds, ewma, har_features, trailing_mean, trailing_scale
from core.forecasting.whole_day import to_whole_days, whole_day_factor
from core.forecasting.windows import CHANNELS, LARGEST_RETURN, SMALLEST_VARIANCE, STATICS, WINDOW_DAYS, windows_of


@pytest.mark.parametrize("num_days", [1, 5, 22])
def test_trailing_mean_equals_plain_loop(num_days):
    values = np.random.default_rng(0).gamma(1.0, 2.0, 60)
    found = trailing_mean(values, num_days, min_days=3)
    for row in range(60):
        part = values[max(0, row + 1 - num_days) : row + 1]
        expected = part.mean() if row + 1 >= min(3, num_days) and len(part) >= 3 else np.nan
        assert found[row] == pytest.approx(expected, nan_ok=True)


def test_har_features_equal_plain_loop_and_miss_the_first_month():
    values = np.random.default_rng(1).gamma(1.0, 2.0, 50)
    found = har_features(values)
    assert np.isnan(found[: HAR_DAYS[-1] - 1]).any(axis=1).all()
    for row in range(HAR_DAYS[-1] - 1, 50):
        assert found[row] == pytest.approx(
            [values[row], values[row - 4 : row + 1].mean(), values[row - 21 : row + 1].mean()]
        )


def test_ewma_equals_plain_loop():
    values = np.random.default_rng(2).gamma(1.0, 2.0, 60)
    level = values[:22].mean()
    for row in range(22, 60):
        level = 0.94 * level + 0.06 * values[row]
        assert ewma(values)[row] == pytest.approx(level)
    assert ewma(values)[3] == pytest.approx(values[:4].mean())


def test_bounds_hold_forecasts_between_a_share_of_the_mean_and_a_multiple_of_the_maximum():
    targets = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 4.0]])
    held = Bounds.of(targets).hold(np.array([[-1.0, 9.0], [99.0, 3.0]]))
    assert held.tolist() == [[0.05 * 3.0, 9.0], [50.0, 3.0]]


def test_lines_equal_the_normal_equations():
    rows = HarRows.of(made_series(300), (1, 5))
    lines = fit_lines([rows])
    for column in range(2):
        known = np.isfinite(rows.targets[:, column])
        x, y = design(rows.features[known]), rows.targets[known, column]
        assert lines[:, column] == pytest.approx(np.linalg.solve(x.T @ x, x.T @ y))


def test_shrunk_lines_minimise_the_penalised_squares():
    rows = HarRows.of(made_series(300), (1,))
    towards, strength = np.array([[0.3], [0.1], [0.2], [0.4]]), 2.5
    known = np.isfinite(rows.targets[:, 0])
    x, y = design(rows.features[known]), rows.targets[known, 0]

    def price(lines):
        pull = lines - towards[:, 0]
        return ((y - x @ lines) ** 2).sum() + strength * pull @ x.T @ x @ pull

    found = fit_shrunk_lines(rows, towards, strength)[:, 0]
    random = np.random.default_rng(0)
    assert all(price(found) < price(found + 0.01 * random.standard_normal(4)) for _ in range(50))


def test_whole_day_factor_reads_no_day_from_the_test_period_on():
    series = made_series(400)
    first = series.dates[200]
    known = slice(0, 200)
    expected = np.mean(series.returns[known] ** 2) / np.mean(series.day_variance[known])
    assert whole_day_factor(series, first) == pytest.approx(expected)
    assert whole_day_factor(with_other_future(series, 199), first) == pytest.approx(expected)
    assert to_whole_days(series, first).day_variance == pytest.approx(series.day_variance * expected)


def test_whole_day_factor_without_a_day_before_is_refused():
    series = made_series(300)
    with pytest.raises(BadInputError, match="no day with a movement before"):
        whole_day_factor(series, series.dates[0])


def test_windows_equal_plain_loop():
    series = made_series(120)
    found = windows_of(series, (1, 5))
    weighted, scale = ewma(series.day_variance), trailing_scale(series.day_variance)
    assert found.days.shape == (99, len(CHANNELS), WINDOW_DAYS) and found.statics.shape == (99, len(STATICS))
    for place in (0, 40, 98):
        row = found.rows[place]
        for day in range(WINDOW_DAYS):
            seen = max(row - WINDOW_DAYS + 1 + day, 0)
            move = np.clip(series.returns[seen] / np.sqrt(scale[row]), -LARGEST_RETURN, LARGEST_RETURN)
            size = np.log(series.day_variance[seen] / scale[row] + SMALLEST_VARIANCE)
            level = np.log(weighted[seen] / scale[row] + SMALLEST_VARIANCE)
            assert found.days[place, :, day] == pytest.approx([move, size, level], rel=1e-5, abs=1e-5)
        if row + 5 < 120:
            assert found.targets[place, 1] == pytest.approx(
                series.day_variance[row + 1 : row + 6].mean() / scale[row], rel=1e-5
            )
    assert np.isnan(found.targets[-1]).all()


def test_windows_of_a_row_hold_nothing_of_a_later_day():
    series = made_series(150)
    before, after = windows_of(series, (1,)), windows_of(with_other_future(series, 100), (1,))
    is_past = before.rows <= 100
    for name in ("days", "statics", "base", "scale"):
        assert np.array_equal(getattr(before, name)[is_past], getattr(after, name)[is_past])
    assert not np.array_equal(before.days[~is_past], after.days[~is_past])
