"""The target's HAR, pulled towards the sources' by as much as the target's last days ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.forecasting.forecaster import FORECASTERS, ForecastTask
from core.forecasting.har_rows import HarRows, design, fit_lines, fit_shrunk_lines
from core.forecasting.losses import qlike
from core.forecasting.methods.har import Har
from core.forecasting.scaling import Bounds

STRENGTHS = (0.0, 0.25, 1.0, 4.0, 16.0)
HELD_OUT = 0.3  # of the history, its end


@FORECASTERS.register("har_shrunk")
class HarShrunk(Har):
    """The strength is chosen for each horizon by QLIKE on the end of the history; 0 is no transfer."""

    transfers = True
    from_scratch = "har"

    def find_lines(self, own: HarRows, task: ForecastTask) -> np.ndarray:
        """(4, H) after the choice; `strengths_` has one strength a horizon."""
        if not task.sources:
            self.strengths_ = np.zeros(len(task.horizons))
            return fit_lines([own])
        source_lines = fit_lines([HarRows.of(source, task.horizons) for source in task.sources])
        self.strengths_ = choose_strengths(own, source_lines, task.horizons)
        return fit_shrunk_lines(own, source_lines, self.strengths_)


def choose_strengths(own: HarRows, source_lines: np.ndarray, horizons: tuple[int, ...]) -> np.ndarray:
    """(H,) of STRENGTHS, the best on the last rows; those whose target reaches into these rows do not teach."""
    cut = round(len(own.features) * (1.0 - HELD_OUT))
    chosen = []
    for place, days in enumerate(horizons):
        early = replace(own, features=own.features[: cut - days], targets=own.targets[: cut - days, place : place + 1])
        late, truth = own.features[cut:], own.targets[cut:, place]
        is_known = np.isfinite(truth)
        bounds = Bounds.of(early.targets)
        losses = []
        for strength in STRENGTHS:
            lines = fit_shrunk_lines(early, source_lines[:, place : place + 1], strength)
            forecast = bounds.hold(design(late[is_known]) @ lines)[:, 0]
            losses.append(float(np.mean(qlike(forecast, truth[is_known]))))
        chosen.append(STRENGTHS[int(np.argmin(losses))])
    return np.asarray(chosen)
