"""What GARCH and its kin share: fitted by `arch` on the history, then run on over the days that follow."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from core.forecasting.forecaster import Forecaster, ForecastTask
from core.forecasting.scaling import ewma
from core.forecasting.series import Series

NUM_SIMULATIONS = 500  # of a path, where the model has no closed form beyond the first day


class ArchForecaster(Forecaster):
    """A model of `arch` with a constant mean and normal quasi-likelihood.

    Where the fit does not converge, RiskMetrics' weighted mean takes its place; `has_converged_` says so.
    """

    volatility: ClassVar[Mapping[str, Any]]  # of arch_model
    has_closed_form: ClassVar[bool] = True

    def learn(self, task: ForecastTask) -> None:
        """Parameters by quasi maximum likelihood."""
        self.seed_ = task.seed
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scale and convergence; the latter is read below
            fitted = self._model(task.history.returns).fit(disp="off", show_warning=False)
        self.has_converged_ = bool(fitted.convergence_flag == 0 and np.isfinite(fitted.params).all())
        self.parameters_ = fitted.params.to_numpy(dtype=float) if self.has_converged_ else None

    def foresee(self, series: Series, first_row: int) -> np.ndarray:
        """(N - first_row, H) percent^2."""
        if self.parameters_ is None:
            level = ewma(np.square(series.returns))[first_row:]
            return np.repeat(level[:, None], len(self.horizons_), axis=1)
        longest = max(self.horizons_)
        how: dict[str, Any] = {"method": "analytic"}
        if not self.has_closed_form and longest > 1:
            random = np.random.default_rng(self.seed_)
            how = {"method": "simulation", "simulations": NUM_SIMULATIONS, "rng": random.standard_normal}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fixed = self._model(series.returns).fix(self.parameters_)
            found = fixed.forecast(horizon=longest, start=first_row, reindex=False, **how)
        paths = found.variance.to_numpy()
        sums = np.cumsum(paths, axis=1)
        return np.stack([sums[:, days - 1] / days for days in self.horizons_], axis=1)

    def _model(self, returns: np.ndarray) -> Any:
        from arch import arch_model

        return arch_model(returns, mean="Constant", rescale=False, dist="normal", **self.volatility)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The parameters."""
        told = {"seed": self.seed_, "has_converged": self.has_converged_}
        return told, {} if self.parameters_ is None else {"parameters": self.parameters_}

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """As `state` gave them."""
        self.seed_, self.has_converged_ = values["seed"], values["has_converged"]
        self.parameters_ = arrays.get("parameters")
