"""A source regressor put on the target's scale by a line, and a regressor of what the line leaves, where that helps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError
from core.learners.part_histories import part_histories
from core.params import STRICT
from core.regression.regressor import REGRESSORS, Regressor, check_values, load_regressor, save_regressor
from core.regression.ridge_path import ridge_path
from core.regression.value_folds import value_folds


@dataclass(frozen=True, config=STRICT)
class SourceOffsetOptions:
    """regressor, options: the kind of the source regressor and of that of the residuals.

    target_domain: rows of all other domains are source rows. line_strength: rows' worth of doubt that the source tells
    anything; it draws the slope towards 0 and the prediction towards the target's mean. num_folds: of the decision
    whether the residuals are learnt.
    """

    regressor: str = "ridge"
    options: Mapping[str, Any] = Field(default_factory=dict)
    target_domain: str = ""
    line_strength: float = Field(default=1.0, gt=0)
    num_folds: int = Field(default=5, ge=2)


@REGRESSORS.register("source_offset")
class SourceOffset(Regressor):
    """y = offset + slope * source(x) + residual(x): other units and scales of the label are met by the line.

    Fitted state: `source_`, `offset_` and `slope_`, `residual_` (None where it did not lower the held-out squared
    error), `squared_errors_` (held out, of the line alone and with the residuals; empty where none could be held out).

    Source: hypothesis transfer: Kuzborskij & Orabona 2013, "Stability and hypothesis transfer learning"; the offset as
    a function of its own: Wang, Huang & Schneider 2014, "Active transfer learning under model shift".
    """

    Options = SourceOffsetOptions

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit a regressor on the rows of other domains, then line and residuals on the target's.

        Raises:
            BadParamsError: no rows of another domain, or one side has no labelled row or equal labels only.
        """
        is_source = train.domains.astype(str) != self.options.target_domain
        if not self.options.target_domain or not is_source.any():
            raise BadParamsError(
                f"'source_offset' got no rows of another domain than '{self.options.target_domain}'.",
                repair="Set target_domain and give source rows, or choose 'ridge'.",
            )
        source = REGRESSORS[self.options.regressor](self.options.options, seed=self.seed)
        return self.fit_on_target(source.fit(train.take(is_source)), train.take(~is_source), valid)

    def fit_on_target(self, source: Regressor, target: Samples, valid: Samples | None = None) -> Self:
        """As `fit`, with a source regressor that is fitted already.

        Raises:
            BadParamsError: the target has no labelled row, or all its labels are equal.
        """
        labelled = check_values(target)
        self.source_ = source
        told = source.predict(labelled)
        self.offset_, self.slope_ = fit_line(told, labelled.labels, labelled.weights, self.options.line_strength)
        residuals = labelled.labels - self.offset_ - self.slope_ * told
        self.squared_errors_ = self._held_out_errors(labelled, told)
        self.residual_ = None
        if self.squared_errors_ and self.squared_errors_[1] < self.squared_errors_[0] and np.ptp(residuals) > 0:
            left = None if valid is None else valid.with_labels(valid.labels - self._line(valid))
            self.residual_ = self._make_residual().fit(labelled.with_labels(residuals), left)
        return self

    def predict(self, samples: Samples) -> np.ndarray:
        """(N,) in units of the target's label."""
        line = self._line(samples)
        return line if self.residual_ is None else line + self.residual_.predict(samples)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) slope times those of the source regressor, and those of the residual regressor on top.

        Raises:
            NotImplementedError: a part cannot explain itself.
        """
        total = self.slope_ * self.source_.contributions(samples)
        if self.residual_ is None:
            return total
        return total.add(self.residual_.contributions(samples), fill_value=0.0)

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The learning curves of the parts."""
        parts = {"source": self.source_, "residual": self.residual_}
        return part_histories({name: part for name, part in parts.items() if part is not None})

    def save_state(self, folder: Path) -> None:
        """Write source_offset.json, the source regressor in source/ and that of the residuals in residual/."""
        state = {"offset": self.offset_, "slope": self.slope_, "squared_errors": self.squared_errors_}
        write_json(folder / "source_offset.json", {**state, "has_residual": self.residual_ is not None})
        save_regressor(self.source_, folder / "source")
        if self.residual_ is not None:
            save_regressor(self.residual_, folder / "residual")

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state = read_json(folder / "source_offset.json")
        self.offset_, self.slope_, self.squared_errors_ = state["offset"], state["slope"], state["squared_errors"]
        self.source_ = load_regressor(folder / "source")
        self.residual_ = load_regressor(folder / "residual") if state["has_residual"] else None

    def _line(self, samples: Samples) -> np.ndarray:
        """(N,) the source's predictions on the target's scale."""
        return self.offset_ + self.slope_ * self.source_.predict(samples)

    def _make_residual(self) -> Regressor:
        return REGRESSORS[self.options.regressor](self.options.options, seed=self.seed).for_residuals()

    def _held_out_errors(self, labelled: Samples, told: np.ndarray) -> list[float]:
        """Held-out mean squared error of the line alone and with the residuals; told: (N,) of the source regressor."""
        errors, held_weight = np.zeros(2), 0.0
        for fit_rows, held_rows in value_folds(labelled, self.options.num_folds, seed=self.seed):
            fit, held = labelled.take(fit_rows), labelled.take(held_rows)
            offset, slope = fit_line(told[fit_rows], fit.labels, fit.weights, self.options.line_strength)
            left = fit.labels - offset - slope * told[fit_rows]
            if np.ptp(left) == 0:
                continue
            line = offset + slope * told[held_rows]
            residual = self._make_residual().fit(fit.with_labels(left)).predict(held)
            errors += [held.weights @ np.square(held.labels - value) for value in (line, line + residual)]
            held_weight += held.weights.sum()
        return (errors / held_weight).tolist() if held_weight else []


def fit_line(told: np.ndarray, labels: np.ndarray, weights: np.ndarray, strength: float) -> tuple[float, float]:
    """(offset, slope) of labels on the source's predictions, a ridge of `strength` rows on the standardised ones.

    slope = s_yt / s_tt * W / (W + strength) with W the sum of weights and s the weighted (co)variances, offset = mean
    label - slope * mean prediction; slope 0 where the source tells all rows the same.

    Shape: (N,) each.
    """
    mean = np.average(told, weights=weights)
    scale = float(np.sqrt(np.average((told - mean) ** 2, weights=weights)))
    if scale <= 1e-12 * np.abs(told).max():
        return float(np.average(labels, weights=weights)), 0.0
    intercept, slope = ridge_path(((told - mean) / scale)[:, None], labels, weights, [strength])[0]
    return float(intercept - slope / scale * mean), float(slope / scale)
