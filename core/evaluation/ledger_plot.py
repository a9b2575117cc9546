"""The ledger as a picture: learning curves on the left, gain over the baseline on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.evaluation.figure_style import (
    BASELINE_COLOUR,
    COLOURS,
    MARKERS,
    TEXT_COLOUR,
    new_figure,
    quiet_axes,
)

SLOT_WIDTH = 0.62  # part of the way to the next budget over which the methods are spread


def plot_ledger(ledger: Mapping[str, Any], *, budget_label: str = "Labelled target rows") -> Figure:
    """A figure of what `build_ledger` made.

    Budgets stand at even steps. Left: the metric of each method, with the interval as a band. Right: the gain over
    the baseline with its interval; filled = the interval leaves out zero (gain or negative transfer),
    hollow = no difference.
    """
    entries = ledger["entries"]
    budgets = list(dict.fromkeys(entry["budget"] for entry in entries))
    best_first = sorted(
        {entry["method"] for entry in entries}, key=lambda m: _last_mean(entries, m), reverse=ledger["is_higher_better"]
    )
    others = [method for method in best_first if method != ledger["baseline"]]
    styles = {ledger["baseline"]: (BASELINE_COLOUR, MARKERS[0])}
    for index, method in enumerate(others):
        styles[method] = (COLOURS[index % len(COLOURS)], MARKERS[(index + 1) % len(MARKERS)])
    num_rows = -(-len(styles) // 3)
    figure = new_figure(11.5, 4.6 + 0.22 * num_rows)
    left, right = figure.subplots(1, 2)
    _draw_curves(left, ledger, budgets, best_first, styles)
    left.set_xlabel(budget_label)
    _draw_gains(right, ledger, budgets, others, styles)
    right.set_xlabel(budget_label)
    handles, names = left.get_legend_handles_labels()
    figure.suptitle(
        f"Transfer ledger: {ledger['num_test_rows']:,} test rows, {ledger['confidence']:.0%} intervals",
        x=0.01,
        ha="left",
        fontsize=12.5,
        color=TEXT_COLOUR,
    )
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw_curves(
    axes: Axes, ledger: Mapping[str, Any], budgets: list, methods: Sequence[str], styles: Mapping[str, tuple]
) -> None:
    """Metric by label budget; with a single budget, points with error bars.

    Bands are drawn for the baseline and the best other method only: six on top of each other show nothing.
    """
    direction = "higher" if ledger["is_higher_better"] else "lower"
    quiet_axes(
        axes,
        title="Learning curves",
        x_label="Labelled target rows",
        y_label=f"{ledger['metric_title']} ({direction} is better)",
    )
    banded = {ledger["baseline"], next((m for m in methods if m != ledger["baseline"]), None)}
    for index, method in enumerate(methods):
        entries = [entry for entry in ledger["entries"] if entry["method"] == method]
        places = np.array([budgets.index(entry["budget"]) for entry in entries], dtype=float)
        mean, low, high = (np.array([entry[key] for entry in entries]) for key in ("mean", "low", "high"))
        colour, marker = styles[method]
        is_baseline = method == ledger["baseline"]
        label = f"{method} (baseline)" if is_baseline else method
        style = {"color": colour, "marker": marker, "markersize": 5.5, "label": label, "zorder": 3}
        if len(budgets) == 1:
            places = places + _offset(index, len(methods))
            error = np.stack([mean - low, high - mean])
            axes.errorbar(places, mean, yerr=error, linestyle="none", capsize=3, **style)
        else:
            axes.plot(places, mean, linewidth=1.8, linestyle="--" if is_baseline else "-", **style)
            if method in banded:
                axes.fill_between(places, low, high, color=colour, alpha=0.14, linewidth=0)
    _budget_axis(axes, budgets)


def _draw_gains(
    axes: Axes, ledger: Mapping[str, Any], budgets: list, methods: Sequence[str], styles: Mapping[str, tuple]
) -> None:
    """Difference to the baseline at each budget."""
    quiet_axes(
        axes,
        title=f"Gain over {ledger['baseline']}",
        x_label="Labelled target rows",
        y_label="Gain (above 0 is better)",
    )
    axes.axhline(0, color=BASELINE_COLOUR, linewidth=1.4, linestyle="--", zorder=2)
    for index, method in enumerate(methods):
        colour, marker = styles[method]
        for entry in ledger["entries"]:
            if entry["method"] != method or entry["difference"] is None:
                continue
            place = budgets.index(entry["budget"]) + _offset(index, len(methods))
            is_sure = entry["verdict"] in {"gain", "negative transfer"}
            axes.plot([place] * 2, [entry["difference_low"], entry["difference_high"]], color=colour, linewidth=1.8)
            axes.plot(
                place,
                entry["difference"],
                marker=marker,
                markersize=6.5,
                color=colour,
                markerfacecolor=colour if is_sure else "white",
                markeredgewidth=1.5,
                zorder=3,
            )
    for edge in np.arange(len(budgets) - 1) + 0.5:
        axes.axvline(edge, color="#EEEEEE", linewidth=1, zorder=0)
    _budget_axis(axes, budgets)
    axes.grid(visible=False, axis="x")
    axes.annotate(
        "filled: interval leaves out zero; hollow: no difference shown",
        xy=(1, 1.0),
        xycoords="axes fraction",
        xytext=(0, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8,
        color=TEXT_COLOUR,
    )
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.08 * (high - low))  # room for the note above the intervals


def _budget_axis(axes: Axes, budgets: list) -> None:
    axes.set_xticks(range(len(budgets)), [b if isinstance(b, str) else f"{b:,}" for b in budgets])
    axes.set_xlim(-0.5, len(budgets) - 0.5)


def _offset(index: int, total: int) -> float:
    """Where the method stands within its budget's slot, so that intervals do not cover each other."""
    return SLOT_WIDTH * ((index + 0.5) / total - 0.5)


def _last_mean(entries: Sequence[Mapping[str, Any]], method: str) -> float:
    """The method's mean at its largest budget."""
    return [entry["mean"] for entry in entries if entry["method"] == method][-1]
