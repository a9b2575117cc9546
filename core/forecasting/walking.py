"""A method walked forward over the test days: fitted on what was known, run on, fitted again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import core.forecasting.methods  # noqa: F401 - registers all
from core.forecasting.forecaster import FORECASTERS, Forecaster, ForecastTask
from core.forecasting.panel import Panel
from core.forecasting.params import SeriesParams
from core.forecasting.scaling import WARM_UP_ROWS
from core.forecasting.series import Series
from core.forecasting.walk_forward import Fold, walk_forward

Budget = int | Literal["all"]


@dataclass(frozen=True)
class Walk:
    """What is forecast: the target with all its days, the sources cut before `first_test_day`, the horizons.

    A forecast's origin is the end of a day; the first is the last day before `first_test_day`, so that the first
    day that is forecast is that day.
    """

    target: Series
    sources: tuple[Series, ...]
    horizons: tuple[int, ...]
    first_test_day: np.datetime64
    refit_days: int
    seed: int = 0

    def __post_init__(self) -> None:
        for source in self.sources:
            if len(source) and source.dates[-1] >= self.first_test_day:
                raise ValueError(f"source '{source.name}' reaches into the test period")

    @property
    def first_origin(self) -> int:
        """Row of the first origin."""
        return int(np.searchsorted(self.target.dates, self.first_test_day)) - 1

    @property
    def origins(self) -> np.ndarray:
        """(M,) rows of all origins whose next day is there."""
        return np.arange(self.first_origin, len(self.target) - 1)

    def folds(self, budget: Budget) -> list[Fold]:
        """Where each fit begins; a budget of n days has n training rows whose next day is known."""
        return walk_forward(
            len(self.target),
            first_test_row=self.first_origin,
            rows_per_fold=self.refit_days,
            horizon=1,
            history_rows=None if budget == "all" else budget,
        )


def walk_of(panel: Panel, params: SeriesParams) -> Walk:
    """The walk that params.yaml asks for."""
    return Walk(
        target=panel.target,
        sources=panel.sources,
        horizons=params.prepare.horizons,
        first_test_day=panel.first_test_day,
        refit_days=params.train.refit_days,
        seed=params.train.seed,
    )


@dataclass(frozen=True)
class ForecastRun:
    """One method at one budget: forecast (M, H) percent^2 at the walk's origins, and what the fits took and told.

    history_forecast (T, H): of the first fold's own history, in sample, at rows `history_rows` (T,).
    """

    method: str
    budget: Budget
    forecast: np.ndarray
    history_rows: np.ndarray
    history_forecast: np.ndarray
    fit_seconds: float
    info: Mapping[str, Any]


def walk_method(
    walk: Walk,
    method: str,
    options: Mapping[str, Any],
    budget: Budget,
) -> ForecastRun:
    """Fit and forecast fold by fold."""
    parts, num_not_converged, chosen, started = [], 0, [], time.perf_counter()
    folds = walk.folds(budget)
    for number, fold in enumerate(folds):
        begin, origin, end = fold.train.start, fold.test.start, fold.test.stop
        fitted = fit_method(walk, method, options, walk.target.rows(slice(begin, origin + 1)))
        num_not_converged += not getattr(fitted, "has_converged_", True)
        chosen.append(list(getattr(fitted, "chosen_sources_", ())))
        if number == 0:
            history_rows = np.arange(begin + WARM_UP_ROWS, origin)
            of_history = fitted.forecast(walk.target.rows(slice(begin, origin)), WARM_UP_ROWS)
        parts.append(fitted.forecast(walk.target.rows(slice(begin, end)), origin - begin))
    return ForecastRun(
        method=method,
        budget=budget,
        forecast=np.concatenate(parts),
        history_rows=history_rows,
        history_forecast=of_history,
        fit_seconds=time.perf_counter() - started,
        info={"fits": len(folds), "fits_not_converged": num_not_converged, "chosen_sources": chosen},
    )


def fit_method(
    walk: Walk,
    method: str,
    options: Mapping[str, Any],
    history: Series,
) -> Forecaster:
    """One fit on the history and, where the method transfers, the walk's sources."""
    forecaster = FORECASTERS[method](options)
    return forecaster.fit(ForecastTask(history, walk.sources, walk.horizons, walk.seed))
