"""Figures of the retraining report: challenger against champion, and the champion from run to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from core.evaluation.figure_style import BASELINE_COLOUR, COLOURS, TEXT_COLOUR, new_figure, quiet_axes
from core.lifecycle.retrain.journal_facts import alarms_of, champion_figures, monitor_report, outcome_of

WIDTH_INCH = 4.8  # on a telephone the letters are still 9 px high
MAX_COMPARISONS, MAX_RUNS, MAX_RUN_NAMES = 16, 24, 8
MIN_PLACES = 6  # a bar of a single run would fill the figure
MAX_NAME_CHARACTERS = 44
BLUE, VERMILION, GREEN, ORANGE, GREY = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[4], COLOURS[6]
# Shape and colour: neither is needed to tell them apart.
OUTCOME_MARKS = {
    "promoted": (GREEN, "^"),
    "kept": (GREY, "s"),
    "held": (ORANGE, "D"),
    "refused": (VERMILION, "X"),
    "failed": (BASELINE_COLOUR, "v"),
    "abandoned": (BASELINE_COLOUR, "_"),
}

LEGEND = ("observed", "estimated", *OUTCOME_MARKS)


def draw_comparisons(comparisons: Sequence[Mapping[str, Any]], *, title: str) -> Figure:
    """A forest plot of one metric: difference with interval, a line each; above 0 the challenger is better.

    A full triangle points to the better side where the interval leaves out 0; else a hollow circle. At most
    MAX_COMPARISONS lines, the whole hold-outs first.
    """
    shown = sorted(comparisons, key=lambda one: bool(one.get("slice")))[:MAX_COMPARISONS]
    figure = new_figure(WIDTH_INCH, 0.95 + 0.46 * len(shown))
    axes = quiet_axes(figure.subplots(), title="", x_label="", y_label="")
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=TEXT_COLOUR, fontweight="bold", parse_math=False)
    for place, one in enumerate(shown):
        _draw_comparison(axes, len(shown) - 1 - place, one)
    ends = [end for one in shown for end in _interval(one) if end is not None] or [0.0]
    margin = 0.08 * (max(*ends, 0.0) - min(*ends, 0.0)) or 0.01
    axes.set_xlim(min(*ends, 0.0) - margin, max(*ends, 0.0) + margin)
    axes.set_ylim(-0.45, len(shown) - 0.2)
    axes.axvline(0, color=BASELINE_COLOUR, linewidth=1.2, linestyle="--", zorder=2)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("difference, above 0: the challenger is better", fontsize=9.5, color=TEXT_COLOUR)
    return figure


def draw_history(journals: Sequence[Mapping[str, Any]], *, metric: str, title: str) -> Figure:
    """The newest MAX_RUNS runs, oldest first: the champion's metric with interval, alarms, and what was decided.

    A full circle is observed by labels, a hollow one estimated without; a dotted line follows a promotion.
    """
    shown = journals[-MAX_RUNS:]
    figure = new_figure(WIDTH_INCH, 4.5)
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=[3.4, 1.2, 0.5])
    _draw_performance(quiet_axes(upper, title="", x_label="", y_label=""), shown, metric)
    figure.suptitle(f"{title} of the champion, by run", x=0.02, ha="left", fontsize=11, color=TEXT_COLOUR,
                    fontweight="bold", parse_math=False)  # fmt: skip
    _draw_alarms(quiet_axes(middle, title="", x_label="", y_label="Alarms"), shown)
    _draw_outcomes(quiet_axes(lower, title="", x_label="", y_label=""), shown)
    for place, journal in enumerate(shown[:-1]):
        if outcome_of(journal) == "promoted":
            upper.axvline(place + 0.5, color=GREEN, linewidth=1.2, linestyle=":", zorder=1)
    step = -(-len(shown) // MAX_RUN_NAMES)
    named = range((len(shown) - 1) % step, len(shown), step)  # the newest has its name
    names = [_short(str(shown[place].get("run") or "?")) for place in named]
    lower.set_xticks(list(named), names, parse_math=False)
    lower.set_xlim(-0.6, max(len(shown), MIN_PLACES) - 0.4)
    handles = _legend(upper) | _legend(lower)
    order = [name for name in LEGEND if name in handles]
    marks = [handles[name] for name in order]
    figure.legend(marks, order, loc="outside lower center", ncols=4, frameon=False, fontsize=9,
                  labelcolor=TEXT_COLOUR, columnspacing=1.2, handletextpad=0.4)  # fmt: skip
    return figure


def _draw_comparison(axes: Axes, height: float, one: Mapping[str, Any]) -> None:
    """A line of words and below it the interval."""
    low, value, high = _interval(one)
    where = axes.get_yaxis_transform()
    style = {"transform": where, "fontsize": 9, "color": TEXT_COLOUR, "va": "center", "parse_math": False,
             "bbox": {"facecolor": "#FFFFFF", "edgecolor": "none", "pad": 1.0}, "zorder": 3}  # fmt: skip
    name = _short(f"{one['rows']}: {one.get('slice') or 'all rows'}")
    axes.text(0.0, height + 0.42, name, ha="left", **style)
    if value is None:
        axes.text(1.0, height + 0.42, "cannot be told", ha="right", **style)
        return
    axes.text(1.0, height + 0.42, f"{value:+.3f}", ha="right", **style)
    colour, marker, is_full = GREY, "o", False
    if low is not None and high is not None:
        colour, marker, is_full = _sureness(low, high)
        axes.plot([low, high], [height, height], color=colour, linewidth=2.2, solid_capstyle="butt", zorder=3)
    fill = colour if is_full else "#FFFFFF"
    axes.plot(value, height, marker=marker, markersize=8, color=colour, markerfacecolor=fill, markeredgewidth=1.7,
              linestyle="none", zorder=4)  # fmt: skip


def _sureness(low: float, high: float) -> tuple[str, str, bool]:
    """(colour, marker, is it full) of an interval."""
    if low > 0:
        return GREEN, ">", True
    return (VERMILION, "<", True) if high < 0 else (BLUE, "o", False)


def _interval(one: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    return one.get("low"), one.get("difference"), one.get("high")


def _draw_performance(axes: Axes, journals: Sequence[Mapping[str, Any]], metric: str) -> None:
    for place, journal in enumerate(journals):
        for told in champion_figures(journal, metric)[:1]:
            if told.low is not None and told.high is not None:
                axes.plot([place, place], [told.low, told.high], color=BLUE, linewidth=1.8, zorder=3)
            fill = BLUE if told.kind == "observed" else "#FFFFFF"
            axes.plot(place, told.value, marker="o", markersize=7, color=BLUE, markerfacecolor=fill,
                      markeredgewidth=1.7, linestyle="none", label=told.kind, zorder=4)  # fmt: skip


def _draw_alarms(axes: Axes, journals: Sequence[Mapping[str, Any]]) -> None:
    """Bars, with their number above; a dash for a run that did not watch."""
    counts = [None if monitor_report(each) is None else len(alarms_of(monitor_report(each))) for each in journals]
    axes.bar(range(len(counts)), [count or 0 for count in counts], color=ORANGE, width=0.6)
    top = max([1, *(count for count in counts if count)])
    for place, count in enumerate(counts):
        word = "–" if count is None else str(count)
        axes.annotate(word, (place, count or 0), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=8.5,
                      color=TEXT_COLOUR)  # fmt: skip
    axes.set_ylim(0, top * 1.6)
    axes.set_yticks([])
    axes.grid(visible=False)


def _draw_outcomes(axes: Axes, journals: Sequence[Mapping[str, Any]]) -> None:
    for place, journal in enumerate(journals):
        outcome = outcome_of(journal)
        colour, marker = OUTCOME_MARKS.get(outcome, OUTCOME_MARKS["failed"])
        axes.plot(place, 0, marker=marker, markersize=8, color=colour, linestyle="none", label=outcome, zorder=3)
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def _legend(axes: Axes) -> dict[str, Any]:
    """Label -> one mark of it."""
    return {name: handle for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}


def _short(text: str) -> str:
    """One line that fits."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_NAME_CHARACTERS else line[: MAX_NAME_CHARACTERS - 1] + "…"
