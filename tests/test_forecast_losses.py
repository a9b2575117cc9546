"""Losses of variance forecasts against plain loops, and what Patton calls robust."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.errors import BadInputError, BadParamsError
from core.forecasting.losses import LOSSES

LOOPS = {
    "qlike": lambda forecast, realised: math.log(forecast) + realised / forecast,
    "squared_error": lambda forecast, realised: (forecast - realised) ** 2,
    "absolute_error": lambda forecast, realised: abs(forecast - realised),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_plain_loops(name):
    rng = np.random.default_rng(0)
    forecast, realised = rng.gamma(2, 1, size=(2, 40))
    realised[::7] = 0
    expected = [LOOPS[name](f, r) for f, r in zip(forecast, realised, strict=True)]
    assert LOSSES[name](forecast, realised) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "is_robust"), [("qlike", True), ("squared_error", True), ("absolute_error", False)])
def test_losses_are_least_at_the_true_variance_only_when_robust(name, is_robust):
    squared_returns = np.random.default_rng(1).normal(scale=1.5, size=200_000) ** 2  # unbiased for 2.25, and noisy
    candidates = np.array([0.5, 1.0, 1.5, 2.25, 3.0, 4.0])
    means = [LOSSES[name](np.full_like(squared_returns, value), squared_returns).mean() for value in candidates]
    assert (candidates[np.argmin(means)] == 2.25) == is_robust


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_losses_of_a_bad_forecast_name_its_row(name, bad):
    with pytest.raises(BadInputError, match="forecast_variance of row 2"):
        LOSSES[name](np.array([1.0, 2.0, bad]), np.ones(3))


@pytest.mark.parametrize("bad", [-0.1, np.nan])
def test_losses_of_a_bad_realised_variance_name_its_row(bad):
    with pytest.raises(BadInputError, match="realised_variance of row 1"):
        LOSSES["qlike"](np.ones(3), np.array([1.0, bad, 1.0]))


@pytest.mark.parametrize("realised", [np.ones(2), np.ones((3, 1)), np.ones(0)])
def test_losses_of_other_shapes_are_refused(realised):
    with pytest.raises(BadInputError, match="realised_variance has"):
        LOSSES["qlike"](np.ones(3), realised)


def test_losses_unknown_name_tells_the_nearest():
    with pytest.raises(BadParamsError, match="Did you mean 'qlike'"):
        LOSSES["qlik"]
