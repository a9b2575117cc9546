"""Figures of the evaluation tables: calibration, ROC, gains and score bands."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from core.evaluation.figure_style import COLOURS, TEXT_COLOUR, new_figure, quiet_axes
from core.evaluation.intervals import Interval

BLUE, ORANGE = COLOURS[0], COLOURS[1]
CHANCE = {"color": "#888888", "linewidth": 1.2, "linestyle": "--", "zorder": 1}


def plot_calibration(
    table: pd.DataFrame, *, raw_table: pd.DataFrame | None = None, outcome: str = "positive"
) -> Figure:
    """Predicted against observed rate by bin, with Wilson intervals; on the diagonal the probabilities are rates.

    table: of `calibration_table` for calibrated probabilities; raw_table: the same before calibration.
    """
    figure = new_figure(5.2, 5.0)
    axes = quiet_axes(
        figure.subplots(),
        title="Calibration",
        x_label=f"Predicted probability ({outcome})",
        y_label=f"Observed rate ({outcome})",
    )
    parts = [table] if raw_table is None else [table, raw_table]
    top = max(float(part[["observed_high", "mean_probability"]].max().max()) for part in parts)
    top = min(1.0, np.ceil(top * 20 + 0.5) / 20)
    axes.plot([0, top], [0, top], label="perfect", **CHANCE)
    if raw_table is not None:
        axes.plot(
            raw_table["mean_probability"],
            raw_table["observed_rate"],
            color=ORANGE,
            marker="s",
            markersize=4.5,
            linewidth=1.2,
            alpha=0.8,
            label="before calibration",
        )
    error = np.stack([table["observed_rate"] - table["observed_low"], table["observed_high"] - table["observed_rate"]])
    axes.errorbar(
        table["mean_probability"],
        table["observed_rate"],
        yerr=error,
        color=BLUE,
        marker="o",
        markersize=6,
        linewidth=1.8,
        elinewidth=1.2,
        capsize=2.5,
        label=f"model, {len(table)} bins of equal mass",
        zorder=3,
    )
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_aspect("equal")
    _percent(axes)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return figure


def plot_roc(table: pd.DataFrame, *, auc: Interval | None = None, threshold: float | None = None) -> Figure:
    """The ROC curve of `roc_table`, its area with interval, and the point of the threshold in use."""
    figure = new_figure(5.2, 5.0)
    axes = quiet_axes(
        figure.subplots(),
        title="ROC",
        x_label="False positive rate (good cases turned away)",
        y_label="True positive rate (bad cases found)",
    )
    axes.plot([0, 1], [0, 1], label="chance", **CHANCE)
    label = "model"
    if auc is not None:
        label = f"model, AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"
    x, y = table["false_positive_rate"], table["true_positive_rate"]
    axes.plot(x, y, color=BLUE, linewidth=2, label=label, zorder=3)
    axes.fill_between(x, x, y, color=BLUE, alpha=0.07, linewidth=0)
    if threshold is not None:
        point = table[table["threshold"] >= threshold].iloc[-1]
        axes.plot(
            point["false_positive_rate"],
            point["true_positive_rate"],
            linestyle="none",
            marker="o",
            markersize=8,
            markerfacecolor="white",
            markeredgecolor=ORANGE,
            markeredgewidth=2,
            label=f"cut-off {threshold:.3f}",
            zorder=4,
        )
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    _percent(axes)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def plot_gains(table: pd.DataFrame) -> Figure:
    """The gains curve of `gains_table`: how much of the bad one finds among the riskiest rows."""
    figure = new_figure(5.2, 5.0)
    axes = quiet_axes(
        figure.subplots(),
        title="Gains",
        x_label="Share of all cases, riskiest first",
        y_label="Share of bad cases found",
    )
    axes.plot([0, 1], [0, 1], label="chance", **CHANCE)
    x, y = table["population_fraction"], table["captured_fraction"]
    axes.plot(x, y, color=BLUE, linewidth=2, marker="o", markersize=3.5, label="model", zorder=3)
    prevalence = table["positives"].iloc[-1] / table["rows"].iloc[-1]
    axes.plot([0, prevalence, 1], [0, 1, 1], color="#BBBBBB", linewidth=1.2, label="perfect order", zorder=1)
    at = int(np.abs(x - 0.2).argmin())
    axes.annotate(
        f"{y[at]:.0%} of the bad cases\nin the riskiest {x[at]:.0%} (lift {table['lift'][at]:.1f})",
        xy=(x[at], y[at]),
        xytext=(x[at] + 0.14, max(y[at] - 0.16, 0.04)),
        fontsize=9,
        color=TEXT_COLOUR,
        arrowprops={"arrowstyle": "-", "color": "#999999"},
    )
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    axes.set_aspect("equal")
    _percent(axes)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def plot_score_bands(table: pd.DataFrame, *, outcome: str = "default") -> Figure:
    """Observed rate with interval and predicted rate by band (dots), and how many cases each band has (bars)."""
    figure = new_figure(6.8, 5.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    quiet_axes(upper, title="Score bands, safest first", x_label="", y_label=f"{outcome.capitalize()} rate")
    places = np.arange(len(table))
    aside = 0.11  # side by side, for the two often agree
    error = np.stack([table["observed_rate"] - table["observed_low"], table["observed_high"] - table["observed_rate"]])
    upper.errorbar(
        places - aside,
        table["observed_rate"],
        yerr=error,
        linestyle="none",
        color=BLUE,
        marker="o",
        markersize=7,
        capsize=3,
        label="observed, 95 % interval",
        zorder=3,
    )
    upper.plot(
        places + aside,
        table["mean_probability"],
        linestyle="none",
        color=ORANGE,
        marker="D",
        markersize=6,
        markerfacecolor="white",
        markeredgewidth=1.6,
        label="predicted",
        zorder=4,
    )
    upper.set_ylim(bottom=-0.02 * upper.get_ylim()[1])
    upper.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    upper.legend(frameon=False, fontsize=9, loc="upper left")
    upper.grid(visible=False, axis="x")
    quiet_axes(lower, title="", x_label="Band", y_label="Cases")
    lower.bar(places, table["rows"], color="#B8CFE0", width=0.7)
    for place, rows in zip(places, table["rows"], strict=True):
        lower.annotate(f"{rows:,}", (place, rows), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=8)
    lower.set_ylim(0, table["rows"].max() * 1.25)
    lower.set_xticks(places, table["band"].astype(str))
    lower.grid(visible=False)
    return figure


def _percent(axes) -> None:
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
