"""Figures of a forecast's report: the bands and what went beyond them, and the variance that came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from core.evaluation.figure_style import BASELINE_COLOUR, COLOURS, new_figure, quiet_axes
from core.forecasting.words import in_days

TRADING_DAYS = 252
SIZE = (7.2, 4.2)  # inches; two stand side by side


def plot_bands(forecasts: pd.DataFrame, levels: Sequence[float], *, horizon: int = 1, num_days: int = 750) -> Figure:
    """Returns against Value at Risk, the last days; what went beyond the lowest level is marked; crises are shaded."""
    shown = forecasts.dropna(subset=[f"return_{horizon}"]).tail(num_days)
    figure = new_figure(*SIZE)
    axes = quiet_axes(
        figure.subplots(),
        title=f"Return over the next {in_days(horizon)} and Value at Risk",
        x_label="",
        y_label="Percent",
    )
    _shade_crises(axes, shown)
    axes.plot(shown["date"], shown[f"return_{horizon}"], color="#999999", linewidth=0.8, label="return")
    for index, level in enumerate(sorted(levels, reverse=True)):
        name = f"Value at Risk {level:.0%}"
        axes.plot(
            shown["date"], shown[f"value_at_risk_{horizon}_{level:g}"], color=COLOURS[index], linewidth=1.4, label=name
        )
    lowest = min(levels)
    beyond = shown[shown[f"return_{horizon}"] < shown[f"value_at_risk_{horizon}_{lowest:g}"]]
    axes.plot(
        beyond["date"],
        beyond[f"return_{horizon}"],
        "v",
        color="#A1242F",
        markersize=6,
        label=f"beyond {lowest:.0%} ({len(beyond)} of {len(shown)}, {lowest * len(shown):.0f} expected)",
    )
    _date_axis(axes)
    axes.legend(frameon=False, fontsize=9, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return figure


def plot_volatility(forecasts: pd.DataFrame, rival: str, *, horizon: int, num_days: int = 2500) -> Figure:
    """Yearly volatility over the next days: forecast, rival's, and what came."""
    shown = forecasts.dropna(subset=[f"realised_{horizon}"]).tail(num_days)
    figure = new_figure(*SIZE)
    axes = quiet_axes(
        figure.subplots(), title=f"Volatility of the next {in_days(horizon)}", x_label="", y_label="Percent a year"
    )
    _shade_crises(axes, shown)
    lines = (
        ("realised", "what came", "#BBBBBB", 1.0),
        ("rival", rival, COLOURS[1], 1.0),
        ("forecast", "forecast", COLOURS[0], 1.5),
    )
    for column, label, colour, width in lines:
        yearly = np.sqrt(TRADING_DAYS * shown[f"{column}_{horizon}"])
        axes.plot(shown["date"], yearly, color=colour, linewidth=width, label=label)
    axes.set_ylim(bottom=0)
    _date_axis(axes)
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="upper right")
    return figure


def plot_gain_over_time(forecasts: pd.DataFrame, rival: str, *, horizons: Sequence[int]) -> Figure:
    """QLIKE saved against the rival, summed up from the first test day on; a rising line: the forecast is better."""
    figure = new_figure(*SIZE)
    axes = quiet_axes(
        figure.subplots(), title=f"QLIKE saved against {rival}, summed", x_label="", y_label="Sum of QLIKE"
    )
    axes.axhline(0, color=BASELINE_COLOUR, linewidth=1.2, linestyle="--")
    _shade_crises(axes, forecasts)
    for index, horizon in enumerate(horizons):
        known = forecasts.dropna(subset=[f"realised_{horizon}"])
        losses = {
            side: np.log(known[f"{side}_{horizon}"]) + known[f"realised_{horizon}"] / known[f"{side}_{horizon}"]
            for side in ("forecast", "rival")
        }
        saved = (losses["rival"] - losses["forecast"]).cumsum()
        axes.plot(known["date"], saved, color=COLOURS[index], linewidth=1.5, label=f"{in_days(horizon)} ahead")
    _date_axis(axes)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return figure


def _shade_crises(axes, forecasts: pd.DataFrame) -> None:
    """A band for each run of days that belong to a crisis."""
    is_crisis = (forecasts["regime"] == "crisis").to_numpy()
    if not is_crisis.any():
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_crisis, [False]]).astype(int)))
    dates = forecasts["date"].to_numpy()
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        axes.axvspan(dates[start], dates[min(stop, len(dates) - 1)], color="#F3E3D3", linewidth=0, zorder=0)


def _date_axis(axes) -> None:
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
