"""Boosted trees on HAR's three averages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.forecasting.forecaster import FORECASTERS, Forecaster, ForecastTask
from core.forecasting.har_rows import HarRows
from core.forecasting.scaling import har_features
from core.forecasting.series import Series
from core.params import STRICT
from core.threads import num_threads_for

SMALLEST = 1e-3  # of a target in multiples of the level; the gamma deviance knows no zero


@dataclass(frozen=True, config=STRICT)
class HarBoostedOptions:
    """num_rounds, learning_rate, max_depth: of the trees, small by default, since few days are few facts."""

    num_rounds: int = Field(default=150, ge=1)
    learning_rate: float = Field(default=0.03, gt=0.0, le=1.0)
    max_depth: int = Field(default=2, ge=1)


@FORECASTERS.register("har_boosted")
class HarBoosted(Forecaster):
    """XGBoost with the gamma deviance, which is QLIKE: log f + y / f up to terms without f."""

    Options = HarBoostedOptions

    def learn(self, task: ForecastTask) -> None:
        """One ensemble a horizon."""
        import xgboost

        own = HarRows.of(task.history, task.horizons)
        self.level_, self.boosters_ = own.level, []
        for truth in own.targets.T:
            is_known = np.isfinite(truth)
            rows = xgboost.DMatrix(np.log(own.features[is_known] + SMALLEST), np.maximum(truth[is_known], SMALLEST))
            params = {
                "objective": "reg:gamma",
                "eta": self.options.learning_rate,
                "max_depth": self.options.max_depth,
                "min_child_weight": 10,
                "base_score": float(np.mean(truth[is_known])),
                "nthread": num_threads_for(int(is_known.sum())),
                "seed": task.seed,
            }
            self.boosters_.append(xgboost.train(params, rows, self.options.num_rounds))

    def foresee(self, series: Series, first_row: int) -> np.ndarray:
        """(N - first_row, H) percent^2."""
        import xgboost

        features = har_features(series.day_variance)[first_row:] / self.level_
        rows = xgboost.DMatrix(np.log(features + SMALLEST))
        return np.stack([booster.predict(rows) for booster in self.boosters_], axis=1).astype(float) * self.level_

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Level, and each booster as the bytes of XGBoost's UBJ."""
        raw = {f"booster.{h}": np.frombuffer(b.save_raw("ubj"), np.uint8) for h, b in enumerate(self.boosters_)}
        return {"level": self.level_}, raw

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """As `state` gave them."""
        import xgboost

        self.level_ = values["level"]
        raw = [arrays[f"booster.{place}"] for place in range(len(arrays))]
        self.boosters_ = [xgboost.Booster(model_file=bytearray(part.tobytes())) for part in raw]
