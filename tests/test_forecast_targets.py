"""Targets of the next days against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.errors import BadInputError, BadParamsError
from core.forecasting.targets import future_means, non_overlapping


@pytest.mark.parametrize("num_rows", [1, 2, 5, 6, 60])
def test_future_means_equal_plain_loop(num_rows):
    variance = np.random.default_rng(num_rows).gamma(1, 1, num_rows)
    ahead = future_means(variance, (1, 5, 22))
    assert ahead.shape == (num_rows, 3)
    for row in range(num_rows):
        for column, horizon in enumerate((1, 5, 22)):
            days = [variance[day] for day in range(row + 1, row + horizon + 1) if day < num_rows]
            if len(days) < horizon:
                assert math.isnan(ahead[row, column])
            else:
                assert ahead[row, column] == pytest.approx(sum(days) / horizon)


def test_future_means_after_a_wild_day_keep_their_digits():
    variance = np.full(50, 1e-6)
    variance[3] = 1e12
    assert future_means(variance, (5,))[10, 0] == pytest.approx(1e-6, rel=1e-12)


def test_future_means_of_a_missing_day_name_its_row():
    with pytest.raises(BadInputError, match="day_variance of row 1"):
        future_means(np.array([1.0, np.nan, 1.0]), (1,))


@pytest.mark.parametrize("horizon", [0, 1.5, True])
def test_future_means_of_a_bad_horizon_are_refused(horizon):
    with pytest.raises(BadParamsError, match="horizon"):
        future_means(np.ones(5), (horizon,))


@pytest.mark.parametrize(("num_rows", "horizon"), [(1, 1), (10, 1), (10, 3), (44, 22), (7, 22)])
def test_non_overlapping_rows_share_no_day_and_are_as_many_as_can_be(num_rows, horizon):
    rows = non_overlapping(num_rows, horizon)
    days = [day for row in rows for day in range(row + 1, row + horizon + 1)]
    assert len(days) == len(set(days))
    assert rows.tolist() == [row for row in range(num_rows) if row % horizon == 0]
