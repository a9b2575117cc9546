"""Figures of predicted numbers: predicted against true with the band, and the error by size of the prediction."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.evaluation.equal_mass_bins import equal_mass_bins
from core.evaluation.figure_style import COLOURS, new_figure, quiet_axes
from core.regression.predicted_rows import PredictedRows

BLUE, ORANGE = COLOURS[0], COLOURS[1]
PERFECT = {"color": "#888888", "linewidth": 1.2, "linestyle": "--", "zorder": 2}
NUMBER = "{x:,.10g}"  # 35,000 and 0.35 alike
MAX_POINTS = 3000
NUM_BAND_BINS = 40


def plot_predicted_against_true(rows: PredictedRows, *, quantity: str = "value") -> Figure:
    """True against predicted value of at most 3,000 rows, evenly chosen by prediction; on the diagonal they are equal.

    With a band: its mean ends by size of the prediction as an area, and rows that their own band misses in orange.
    quantity: name with unit, for example "amount in EUR".
    """
    figure = new_figure(6.0, 5.4)
    axes = quiet_axes(
        figure.subplots(), title="Predicted against true", x_label=f"Predicted {quantity}", y_label=f"True {quantity}"
    )
    order = np.argsort(rows.value, kind="stable")
    shown = rows.part(order[np.linspace(0, len(rows) - 1, min(len(rows), MAX_POINTS)).astype(int)])
    is_missed = np.zeros(len(shown), dtype=bool)
    if rows.has_band:
        low, high = shown.require_band()
        is_missed = (shown.truth < low) | (shown.truth > high)
        _draw_band(axes, rows)
    style = {"linestyle": "none", "marker": "o", "markersize": 3.2, "markeredgewidth": 0, "alpha": 0.45, "zorder": 3}
    axes.plot(shown.value[~is_missed], shown.truth[~is_missed], color=BLUE, label=f"{len(shown):,} rows", **style)
    if is_missed.any():
        axes.plot(shown.value[is_missed], shown.truth[is_missed], color=ORANGE, label="outside the band", **style)
    ends = np.array([shown.value.min(), shown.truth.min(), shown.value.max(), shown.truth.max()])
    room = 0.03 * (ends.max() - ends.min()) or 1.0
    limits = (ends.min() - room, ends.max() + room)
    axes.plot(limits, limits, label="predicted = true", **PERFECT)
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_aspect("equal")
    axes.locator_params(nbins=5)  # 10,000,000 beside 20,000,000 must fit
    axes.xaxis.set_major_formatter(NUMBER)
    axes.yaxis.set_major_formatter(NUMBER)
    axes.legend(frameon=False, fontsize=9, loc="upper left", markerscale=1.8)
    return figure


def plot_errors_by_prediction(table: pd.DataFrame, *, quantity: str = "value") -> Figure:
    """The mean error with interval in each bin of `errors_by_prediction` (dots), and the middle 80 % of errors (bars).

    quantity: name with unit, for example "amount in EUR".
    """
    figure = new_figure(6.8, 4.6)
    axes = quiet_axes(
        figure.subplots(),
        title="Error by size of the prediction",
        x_label=f"Mean predicted {quantity} in bins of equal mass, smallest first",
        y_label="Predicted minus true",
    )
    axes.use_sticky_edges = False  # else the lowest bar stands on the frame as if it were cut
    places = np.arange(len(table))
    spread = table["error_quantile_90"] - table["error_quantile_10"]
    axes.bar(
        places, spread, bottom=table["error_quantile_10"], color="#B8CFE0", width=0.6, label="middle 80 % of errors"
    )
    axes.axhline(0, label="no error", **PERFECT)
    error = np.stack([table["mean_error"] - table["mean_error_low"], table["mean_error_high"] - table["mean_error"]])
    axes.errorbar(
        places,
        table["mean_error"],
        yerr=error,
        linestyle="none",
        color=BLUE,
        marker="o",
        markersize=6,
        capsize=3,
        label="mean error with interval",
        zorder=3,
    )
    axes.set_xticks(places, [f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}" for value in table["mean_value"]])
    axes.yaxis.set_major_formatter(NUMBER)
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False, fontsize=9, loc="best")
    return figure


def _draw_band(axes: Axes, rows: PredictedRows) -> None:
    """The mean ends of the band in bins of equal mass of the prediction, from the smallest one to the largest."""
    low, high = rows.require_band()
    bins = equal_mass_bins(rows.value, NUM_BAND_BINS)
    num_rows = np.bincount(bins)
    first, last = rows.value.argmin(), rows.value.argmax()
    place, bottom, top = (
        np.r_[part[first], np.bincount(bins, weights=part) / num_rows, part[last]] for part in (rows.value, low, high)
    )
    name = "band" if rows.error_rate is None else f"{100 * (1 - rows.error_rate):g} % band"
    axes.fill_between(place, bottom, top, color=BLUE, alpha=0.12, linewidth=0, label=name)
