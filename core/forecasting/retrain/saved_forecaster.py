"""A forecaster as it was saved, run on over days that came since: its parameters stay, its state follows the days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from core.forecasting.forecaster import FORECASTERS, Forecaster, load_forecaster
from core.forecasting.outlook import read_tails
from core.forecasting.series import Series


@dataclass(frozen=True)
class SavedForecaster:
    """forecaster: fitted. tails: what train wrote beside it; see `read_tails`."""

    forecaster: Forecaster
    tails: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Both from a model folder, every file verified.

        Raises:
            MissingArtifactError: the folder holds no model.
            VerificationError: a file is not what was saved.
        """
        return cls(load_forecaster(folder), read_tails(folder))

    @property
    def method(self) -> str:
        """Its name in the registry of forecasters."""
        return FORECASTERS.name_of(type(self.forecaster))

    @property
    def horizons(self) -> tuple[int, ...]:
        """Days ahead."""
        return self.forecaster.horizons_

    @property
    def target_domain(self) -> str:
        """The market that it was fitted for."""
        return self.tails["target_domain"]

    @property
    def last_day(self) -> np.datetime64:
        """The last day that it has learned from."""
        return np.datetime64(self.tails["last_day"], "D")

    def last_row(self, target: Series) -> int:
        """Row of its last day in the market's days, or of the newest before it; -1 where there is none."""
        return int(np.searchsorted(target.dates, self.last_day, side="right")) - 1

    def forecast(
        self, target: Series, first_row: int, *, whole_day_factor: float, history_days: int | None = None
    ) -> np.ndarray:
        """(N - first_row, H) percent^2 a day of the rows from `first_row` on.

        target: days as prepare made them, with its `whole_day_factor`; the forecaster reads variances with its own.
        history_days: how many days it was fitted on; None: all.
        """
        own = target.day_variance * (self.tails["whole_day_factor"] / whole_day_factor)
        begin = 0 if history_days is None else max(self.last_row(target) - history_days, 0)
        series = replace(target, day_variance=own).rows(slice(begin, None))
        return self.forecaster.forecast(series, first_row - begin)

    def value_at_risk(self, forecast: np.ndarray, place: int) -> np.ndarray:
        """(M, L) returns in percent, below zero, of forecasts (M, H) at the horizon in column `place`."""
        days = self.horizons[place]
        at_risk = np.asarray(self.tails["tails"][str(days)]["value_at_risk"], dtype=float)
        return np.sqrt(days * forecast[:, place])[:, None] * at_risk
