"""The ledger of forecasts as pictures: losses and gains by history, and what transfer gave at each horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from core.evaluation.figure_style import BASELINE_COLOUR, COLOURS, MARKERS, new_figure, quiet_axes
from core.evaluation.ledger import GAIN, NEGATIVE
from core.evaluation.ledger_plot import plot_ledger
from core.forecasting.forecast_ledger import ALL_HORIZONS, BETTER, WORSE
from core.forecasting.words import in_days

HISTORY = "Days of the target's own history"
SLOT_WIDTH = 0.6


def plot_forecast_ledger(ledger: Mapping[str, Any]) -> Figure:
    """QLIKE, the mean of the horizons, and the gain over the baseline, by history."""
    words = {BETTER: GAIN, WORSE: NEGATIVE}
    entries = [
        {**entry, "verdict": words.get(entry["standing"], entry["standing"])}
        for entry in ledger["entries"]
        if entry["horizon"] == ALL_HORIZONS
    ]
    return plot_ledger({**ledger, "entries": entries}, budget_label=HISTORY)


def plot_transfer(ledger: Mapping[str, Any]) -> Figure | None:
    """Gain of each method that transfers over its twin from scratch, by horizon and history; None where none does."""
    entries = [entry for entry in ledger["entries"] if entry.get("transfer_difference") is not None]
    if not entries:
        return None
    methods = sorted({entry["method"] for entry in entries})
    budgets = list(dict.fromkeys(entry["budget"] for entry in entries))
    horizons = ledger["horizons"]
    figure = new_figure(11.5, 3.6 + 0.22 * -(-len(methods) // 3))
    panels = figure.subplots(1, len(horizons), squeeze=False, sharey=True)[0]
    for axes, horizon in zip(panels, horizons, strict=True):
        label = "Gain in QLIKE over the same from scratch" if axes is panels[0] else ""
        quiet_axes(axes, title=f"{in_days(horizon)} ahead", x_label=HISTORY, y_label=label)
        axes.axhline(0, color=BASELINE_COLOUR, linewidth=1.4, linestyle="--")
        for index, method in enumerate(methods):
            for entry in entries:
                if entry["method"] == method and entry["horizon"] == horizon:
                    place = budgets.index(entry["budget"]) + SLOT_WIDTH * ((index + 0.5) / len(methods) - 0.5)
                    _draw_interval(axes, place, entry, index, method)
        axes.set_xticks(range(len(budgets)), [b if isinstance(b, str) else f"{b:,}" for b in budgets])
        axes.set_xlim(-0.5, len(budgets) - 0.5)
        axes.grid(visible=False, axis="x")
    handles, names = panels[0].get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw_interval(axes: Any, place: float, entry: Mapping[str, Any], index: int, method: str) -> None:
    """Filled: the interval leaves out zero."""
    colour = COLOURS[index % len(COLOURS)]
    is_sure = entry["verdict"] in {GAIN, NEGATIVE}
    axes.plot([place] * 2, [entry["transfer_difference_low"], entry["transfer_difference_high"]], color=colour)
    axes.plot(
        place,
        entry["transfer_difference"],
        marker=MARKERS[index % len(MARKERS)],
        linestyle="none",
        color=colour,
        markerfacecolor=colour if is_sure else "white",
        markeredgewidth=1.5,
        label=method,
    )
